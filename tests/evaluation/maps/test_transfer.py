"""Rigs that no training saw."""

from pathlib import Path

import numpy as np
import pytest

from camvib.evaluation.maps.data import MapData
from camvib.evaluation.maps.transfer import MEASURED, measured, with_windows


@pytest.mark.parametrize("name", MEASURED)
def test_measured_cantilevers_are_scored_where_physics_has_the_evidence(
    name: str, make_model, shared_data: Path
) -> None:
    found = measured(make_model("change_cnn", rows=128), name, shared_data / MEASURED[name])
    assert 0.01 < found["chance"] < 0.06
    assert found["baseline_difference"] > 3 * found["chance"]
    assert found["low"] <= found["change"] - found["baseline_difference"] <= found["high"]


def test_the_same_weights_see_shorter_windows(data: MapData, make_model) -> None:
    model = make_model("gap_cnn", "gap_cnn")
    short = with_windows(model, 1.0, 0.25)
    assert short.window_s == 1.0
    assert all(
        np.array_equal(a, b)
        for one, other in zip(model.members, short.members, strict=True)
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    )
    assert short.predict(data.waveforms[:2, : short.n]).logits.shape == (2, 5)
