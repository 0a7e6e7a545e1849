"""A rate, a unit and a scale survive every spelling that we know."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from camvib.readers import open_file
from camvib.readers.parsing.names import rate_of, split_name
from camvib.readers.parsing.numbers import hertz_per, read_number, time_unit
from camvib.readers.parsing.text import header_rates

RATES = [10.0, 64.0, 400.0, 1000.0, 1024.0, 3200.0, 12800.0, 25600.0, 48000.0, 51200.0, 102400.0, 200000.0]
KEYS = [
    "Sampling Rate", "sample rate", "SampleRate", "Sampling frequency", "sampling_frequency", "Abtastrate", "fs",
    "Acquisition rate", "Fréquence d'échantillonnage", "采样频率", "частота дискретизации", "Samples per second",
]  # fmt: skip
STEPS = ["Sample interval", "Sampling period", "dt", "Delta T", "time step", "Abtastintervall", "sample_interval"]
SIGNS = [": ", " = ", "=", "\t", ";", ",", " : "]
UNITS = {"Hz": 1.0, "kHz": 1e3, "S/s": 1.0, "kS/s": 1e3, "kSPS": 1e3, "samples/s": 1.0, "Sa/s": 1.0, "": 1.0, "k": 1e3}
STEP_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "sec": 1.0, "": 1.0}


def grouped(value: float, sign: str) -> str:
    return f"{value:,.0f}".replace(",", sign)


@given(
    hz=st.sampled_from(RATES), key=st.sampled_from(KEYS), sign=st.sampled_from(SIGNS),
    unit=st.sampled_from(list(UNITS)),
    form=st.sampled_from(["plain", "comma", "blank", "thin", "apostrophe", "exponent", "decimals"]),
    place=st.sampled_from(["behind", "brackets", "in"]),
)  # fmt: skip
def test_a_stated_rate(hz: float, key: str, sign: str, unit: str, form: str, place: str) -> None:
    value = hz / UNITS[unit]
    signs = {"comma": ",", "blank": " ", "thin": "\u202f", "apostrophe": "'"}
    # Where the comma is the decimal sign, 12,800 may be either: that is asked for.
    is_open = (form == "comma" and not key.isascii()) or key == "Abtastrate"
    if form in signs and value == int(value) and not is_open:
        number = grouped(value, signs[form])
    else:
        number = f"{value:.6e}" if form == "exponent" else f"{value:.4f}" if form == "decimals" else f"{value:.12g}"
    if not unit or unit == "k" or place == "behind":
        line = f"{key}{sign}{number} {unit}".rstrip()
    else:
        line = f"{key} [{unit}]{sign}{number}" if place == "brackets" else f"{key} in {unit}{sign}{number}"
    (rate,) = header_rates([line])
    assert rate.hz == pytest.approx(hz, rel=1e-6), line


@given(
    hz=st.sampled_from(RATES), key=st.sampled_from(STEPS), sign=st.sampled_from(SIGNS),
    unit=st.sampled_from(list(STEP_UNITS)), digits=st.integers(6, 12), in_brackets=st.booleans(),
)  # fmt: skip
def test_a_stated_increment(hz: float, key: str, sign: str, unit: str, digits: int, in_brackets: bool) -> None:
    number = f"{1 / hz / STEP_UNITS[unit]:.{digits}g}"
    line = f"{key} [{unit}]{sign}{number}" if in_brackets and unit else f"{key}{sign}{number} {unit}".rstrip()
    (rate,) = header_rates([line])
    assert rate.hz == pytest.approx(hz, rel=1e-4), line


@given(word=st.text(st.characters(codec="utf-8", categories=["L", "S"]), min_size=1, max_size=8))
def test_what_is_left_over_states_nothing(word: str) -> None:
    if hertz_per(word) or time_unit(word) or "|" in word:
        return
    assert header_rates([f"Sampling rate: 16 {word}"]) == ()


@given(text=st.text("0123456789.,' eEdD+-kMHzSs/\u202f", max_size=16))
def test_any_number_is_read_or_not(text: str) -> None:
    reading = read_number(text)
    assert reading is None or (reading.values and all(np.isfinite(v) or "e" in text.lower() for v in reading.values))
    assert rate_of("fs", text, "x") is None or reading is not None


@pytest.mark.parametrize("word", ["g", "mm/s", "m/s2", "V", "um"])
@pytest.mark.parametrize("form", ["Acc ({})", "Acc [{}]", "Acc（{}）", "Acc / {}", "Acc in {}", "Acc({})"])
def test_a_unit_in_a_name(word: str, form: str) -> None:
    assert split_name(form.format(word)) == ("Acc", word)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    factor=st.sampled_from([1e-4, 0.000244140625, 0.5, 3.0]),
    key=st.sampled_from(["scale_factor", "scale", "slope", "calibration", "counts_per_g", "sensitivity"]),
    where=st.sampled_from(["dataset", "group", "beside"]),
    kind=st.sampled_from(["i2", "i4", "u2"]),
)  # fmt: skip
def test_a_scale_beside_whole_numbers(tmp_path: Path, factor: float, key: str, where: str, kind: str) -> None:
    counts = (np.arange(50) * 37 % 1000).astype(kind)
    written = 1 / factor if key == "counts_per_g" else f"{factor!r} g/count" if key == "sensitivity" else factor
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["run/acc"] = counts
        node = {"dataset": file["run/acc"], "group": file["run"], "beside": file["run"]}[where]
        if where == "beside":
            node[key] = written
        else:
            node.attrs[key] = written
        file.attrs["fs"], file["run"].attrs["unit"] = 1000, "g"
    (channel,) = open_file(tmp_path / "a.h5").channels
    np.testing.assert_allclose(channel.samples, counts * factor, rtol=1e-9)
    assert any(key in step for step in channel.history)
