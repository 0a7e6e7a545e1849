"""Lines put into images: what is said to have changed is the cells of the line, and nothing else."""

import numpy as np
import pytest

from camvib.augmentation.lines import Pair, ToneRows, change_lines
from camvib.augmentation.other_sensor import other_sensor
from camvib.images.difference import mean_3x3
from camvib.images.spectrogram import SpectrogramLayer
from camvib.settings import ImageSettings

SIDE = 64


@pytest.fixture(scope="module")
def tones() -> ToneRows:
    settings = ImageSettings(window_s=4.0, fft_s=0.5, rows=SIDE, columns=SIDE)
    return ToneRows.of(SpectrogramLayer(settings, 1024.0))


@pytest.fixture
def pair() -> Pair:
    """A healthy recording of flat noise with its speckle; its difference to the twin is 0."""
    rng = np.random.default_rng(1)
    power = 1e-4 * rng.exponential(size=(SIDE, SIDE)).clip(0.05)
    image = (10 * np.log10(power)).astype(np.float32)
    mean = (image - image.mean()).mean(axis=1)
    return Pair(image, image, np.zeros_like(image), mean, np.full(SIDE, 5.0, np.float32))


def changed(pair: Pair) -> np.ndarray:
    return np.abs(pair.difference_db) > 6


def test_a_tone_shows_in_the_rows_around_its_frequency(tones: ToneRows) -> None:
    place = tones.power.argmax(axis=1)
    assert np.abs(place - np.arange(len(place)) * SIDE / len(place)).max() < 2
    assert tones.power.max(axis=1) == pytest.approx(np.ones(len(place)))
    assert (tones.power > 0.1).sum(axis=1).max() < 12


@pytest.mark.parametrize(("kind", "sign"), [("vanishes", -1), ("appears", 1)])
def test_the_truth_is_the_line_and_its_sign(pair: Pair, tones: ToneRows, kind: str, sign: int) -> None:
    found = 0
    for seed in range(30):
        made = change_lines(pair, tones, np.random.default_rng(seed), kind)
        evidence = changed(made)
        assert (made.difference_db[evidence] * sign > 0).all()
        holder = made.healthy_db if kind == "vanishes" else made.image_db
        line = mean_3x3(10 ** (holder / 10)) / mean_3x3(10 ** (pair.healthy_db / 10))
        # A changed cell is one that the line stands in, and a cell without a line has not changed.
        assert np.quantile(line[evidence], 0.01) > 2 if evidence.any() else True
        assert np.quantile(np.abs(made.difference_db[line < 1.02]), 0.98) < 1.0
        found += bool(evidence.any())
    assert found >= 25


def test_the_difference_is_that_of_recording_and_twin(pair: Pair, tones: ToneRows) -> None:
    for kind in ("vanishes", "appears", "swells", "moves"):
        for seed in range(8):
            made = change_lines(pair, tones, np.random.default_rng(seed), kind)
            powers = [mean_3x3(10 ** (db.astype(np.float64) / 10)) for db in (made.image_db, made.healthy_db)]
            error = 10 * np.log10(powers[0] / powers[1]) - made.difference_db
            # Tone and noise interfere; on average they do not.
            assert np.abs(error).mean() < 0.5
            assert np.abs(error[np.abs(made.difference_db) < 0.1]).mean() < 0.5


def test_what_stays_is_no_change(pair: Pair, tones: ToneRows) -> None:
    for seed in range(8):
        made = change_lines(pair, tones, np.random.default_rng(seed), "stays")
        assert np.abs(made.difference_db).max() < 1e-3
        assert not np.allclose(made.image_db, pair.image_db, atol=1)


def test_the_baseline_knows_a_line_that_vanishes_and_not_one_that_appears(pair: Pair, tones: ToneRows) -> None:
    known = change_lines(pair, tones, np.random.default_rng(3), "vanishes")
    steady = (known.healthy_db - known.healthy_db.mean()).mean(axis=1)
    assert np.argmax(steady) == np.argmax(known.baseline_db)
    assert known.baseline_db.max() > pair.baseline_db.max() + 3
    unknown = change_lines(pair, tones, np.random.default_rng(3), "appears")
    assert unknown.baseline_db == pytest.approx(pair.baseline_db)


def test_another_change_in_the_recording_stays(pair: Pair, tones: ToneRows) -> None:
    difference = np.zeros_like(pair.difference_db)
    difference[:, :8] = 12
    fault = pair._replace(image_db=pair.image_db + difference, difference_db=difference)
    made = change_lines(fault, tones, np.random.default_rng(0), "stays")
    line = mean_3x3(10 ** (made.healthy_db / 10)) / mean_3x3(10 ** (pair.healthy_db / 10))
    quiet = line < 1.001
    assert quiet[:, :8].any()
    assert made.difference_db[quiet] == pytest.approx(difference[quiet], abs=0.05)


def test_another_sensor_changes_what_is_seen_and_only_covers_what_changed(pair: Pair) -> None:
    difference = np.zeros_like(pair.difference_db)
    difference[10:20] = 9
    fault = pair._replace(image_db=pair.image_db + difference, difference_db=difference)
    covered = 0
    for seed in range(12):
        seen = other_sensor(fault, np.random.default_rng(seed))
        assert np.isfinite(np.concatenate([np.ravel(value) for value in seen])).all()
        assert not np.allclose(seen.image_db, fault.image_db, atol=1)
        assert seen.difference_db.min() > -1e-3
        assert (seen.difference_db <= difference + 1e-3).all()
        covered += not np.allclose(seen.difference_db, difference, atol=1e-3)
        # Baseline and image keep fitting together.
        steady = (seen.healthy_db - seen.healthy_db.mean()).mean(axis=1)
        assert np.abs(steady - seen.baseline_db).mean() < 2
    assert 0 < covered < 12
