"""Grey pictures and paths give their values back."""

import base64
import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from camvib.drawing.cells import Cells, band_path, relative_path


def values_of(cells: Cells) -> np.ndarray:
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(cells.uri.split(",")[1]))), float)
    return cells.low + cells.step * picture[::-1]


def test_a_grey_is_a_value_and_the_lowest_row_is_at_the_bottom():
    values = np.linspace(-80, 0, 12 * 7).reshape(12, 7)
    cells = Cells.of(values, -80, 0, 1.0)
    assert (cells.rows, cells.columns) == (12, 7)
    np.testing.assert_allclose(values_of(cells), values, atol=0.5)
    assert Image.open(io.BytesIO(cells.png)).getpixel((0, 11)) == 0


def test_values_beyond_the_scale_stand_at_its_ends_and_missing_ones_at_the_bottom():
    cells = Cells.of(np.array([[-500.0, 99.0, np.nan]]), -60, 0, 1.0)
    np.testing.assert_array_equal(values_of(cells), [[-60, 0, -60]])


def test_a_wide_scale_gets_wider_steps_not_wrapped_greys():
    cells = Cells.of(np.array([[0.0, 1000.0]]), 0, 1000, 1.0)
    assert cells.step == pytest.approx(1000 / 255)
    np.testing.assert_allclose(values_of(cells), [[0, 1000]], atol=0.01)


@given(st.lists(st.floats(-120, 40), min_size=1, max_size=40))
def test_the_steps_of_a_path_add_up_to_its_values(values):
    path = relative_path(np.array(values))
    head, _, tail = path[1:].partition("l")
    steps = [int(n) for n in re.findall(r"-?\d+", tail)]
    y = np.cumsum([int(head.split("h")[0].split(" ")[1]), *steps[1::2]])
    np.testing.assert_allclose(-y / 10, values, atol=0.0501)
    assert steps[::2] == [1] * (len(values) - 1)


def test_a_band_closes_over_its_lower_edge():
    assert band_path(np.array([-50.0, -51.0]), np.array([-40.0, -41.0])) == "M0 400l1 10V510l-1-10Z"
