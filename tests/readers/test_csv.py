"""Columns of text in the forms that loggers, spreadsheets and laboratories write."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from camvib.errors import EmptyFile, MissingMetadata, RateConflict, ReadError
from camvib.readers import describe, read, read_channels

G = 9.80665
FS = 1000.0
N = 400
X = np.round(np.sin(2 * np.pi * 37 * np.arange(N) / FS) * 3 + 0.25, 5)
T = np.arange(N) / FS


def write(folder: Path, text: str, *, name: str = "file.csv", encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def rows(separator: str = ",", decimal: str = ".", time: bool = True, end: str = "\n") -> str:
    lines = ([f"{t:.3f}", f"{x:.5f}"] if time else [f"{x:.5f}"] for t, x in zip(T, X, strict=True))
    return end.join(separator.join(cells).replace(".", decimal) for cells in lines) + end


@pytest.mark.parametrize(
    ("header", "separator", "decimal", "end", "encoding"),
    [
        ("time_s,accel_g\n", ",", ".", "\n", "utf-8"),
        ("time_s,accel_g\r\n", ",", ".", "\r\n", "utf-8-sig"),
        ("Zeit (s);Beschleunigung (g)\n", ";", ",", "\n", "cp1252"),
        ("Zeit;Beschl.\ns;g\n", ";", ",", "\n", "utf-8"),
        ("Zeit\tBeschl.\n[s]\t[g]\n\n", "\t", ",", "\r\n", "utf-8"),
        ("time [ms]|a [g]\n", "|", ".", "\n", "utf-8"),
        ("# logger 7, 2024-05-31 14:05:00\n# rate unknown\n# time (s), accel (g)\n", ",", ".", "\n", "utf-8"),
        ("Gerät 7\nMessung 3\n\ntime accel_g\n", " ", ".", "\n", "cp1252"),
        ("t,a\nSec,g\n", ",", ".", "\n", "utf-16"),
        ("% Prüfstand\n% time_s;accel_g\n", ";", ".", "\n", "cp1252"),
    ],
)
def test_dialects(tmp_path: Path, header: str, separator: str, decimal: str, end: str, encoding: str) -> None:
    body = rows(separator, decimal, end=end)
    if "[ms]" in header:
        body = "".join(f"{1000 * t:.0f}|{x:.5f}\n" for t, x in zip(T, X, strict=True))
    (recording,) = read(write(tmp_path, header + body, encoding=encoding))
    assert recording.sampling_rate_hz == pytest.approx(FS, rel=1e-12)
    assert recording.unit == "m/s2"
    np.testing.assert_allclose(recording.samples, X * G, atol=1e-9)
    assert recording.history == ("converted g to m/s2: × 9.80665",)


@settings(deadline=None, max_examples=60)
@given(
    separator=st.sampled_from([",", ";", "\t", "|", " "]),
    decimal=st.sampled_from([".", ","]),
    end=st.sampled_from(["\n", "\r\n"]),
    values=st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=8, max_size=40),
    columns=st.integers(1, 4),
    header=st.booleans(),
)
def test_round_trip(tmp_path_factory, separator, decimal, end, values, columns, header) -> None:
    if separator in ", " or columns == 1:  # 1,5000 alone in its lines is two columns for all one can know
        decimal = "."
    table = np.round(np.outer(values, np.arange(1, columns + 1)), 4)
    lines = [separator.join(f"{value:.4f}".replace(".", decimal) for value in row) for row in table]
    if header:
        lines.insert(0, separator.join(f"ch{i}_g" for i in range(columns)))
    path = write(tmp_path_factory.mktemp("csv"), end.join(lines) + end)
    found = read_channels(path)
    if not header and len(found) < columns:
        return  # evenly rising numbers without a name are a clock
    assert [len(channel.samples) for channel in found] == [len(values)] * columns
    np.testing.assert_allclose(np.column_stack([channel.samples for channel in found]), table, rtol=1e-12)


def test_one_column_with_decimal_comma_is_not_two_columns(tmp_path: Path) -> None:
    (recording,) = read(write(tmp_path, rows(decimal=",", time=False)), sampling_rate_hz=FS, unit="g")
    np.testing.assert_allclose(recording.samples, X * G, atol=1e-9)


def test_ragged_footer_and_comment_column(tmp_path: Path) -> None:
    body = "".join(f"{t:.3f},{x:.5f},{'start' if i == 0 else ''}\n" for i, (t, x) in enumerate(zip(T, X, strict=True)))
    path = write(tmp_path, "time_s,accel_g,comment\n" + body + "\nEnd of file\nsamples,400\n")
    (recording,) = read(path)
    np.testing.assert_allclose(recording.samples, X * G, atol=1e-9)
    assert any("empty" in warning or "text" in warning for warning in recording.warnings)


def test_columns_of_unequal_length(tmp_path: Path) -> None:
    lines = [
        f"{t:.3f},{x:.5f},{x:.5f}" if i < 300 else f"{t:.3f},{x:.5f},"
        for i, (t, x) in enumerate(zip(T, X, strict=True))
    ]
    first, second = read(write(tmp_path, "time_s,a_g,b_g\n" + "\n".join(lines)))
    assert (len(first.samples), len(second.samples)) == (N, 300)


def test_isolated_nan_passes_with_a_warning(tmp_path: Path) -> None:
    lines = [
        "time_s,a_g",
        *(f"{t:.3f},{'nan' if i in (7, 90) else f'{x:.5f}'}" for i, (t, x) in enumerate(zip(T, X, strict=True))),
    ]
    (recording,) = read(write(tmp_path, "\n".join(lines)))
    assert np.flatnonzero(np.isnan(recording.samples)).tolist() == [7, 90]
    assert any("2 of 400" in warning for warning in recording.warnings)


def test_dates_in_the_first_column(tmp_path: Path) -> None:
    stamps = np.datetime64("2024-05-31T14:05:00.000") + (np.arange(N) * 1).astype("timedelta64[ms]")
    body = "".join(f"{stamp},{x:.5f}\n" for stamp, x in zip(stamps, X, strict=True))
    (recording,) = read(write(tmp_path, "timestamp,velocity_mm_s\n" + body))
    assert recording.sampling_rate_hz == FS
    assert recording.unit == "m/s"
    np.testing.assert_allclose(recording.samples, X * 1e-3, atol=1e-12)


def test_rate_and_date_in_header_lines(tmp_path: Path) -> None:
    path = write(tmp_path, "Sampling rate [kHz]; 25,6\nDate: 2024-05-31 14:05:00\na (g)\n" + rows(time=False))
    (recording,) = read(path)
    assert recording.sampling_rate_hz == 25600
    assert recording.recorded_at == datetime(2024, 5, 31, 14, 5)
    (declared,) = read(path, sampling_rate_hz=12800)  # who declares, knows; both are named
    assert declared.sampling_rate_hz == 12800
    assert any("12800" in warning and "25600" in warning for warning in declared.warnings)


def test_header_and_time_column_that_disagree_are_both_shown(tmp_path: Path) -> None:
    path = write(tmp_path, "sample rate = 51200 Hz\ntime_s,a_g\n" + rows())
    with pytest.raises(RateConflict, match=r"(?s)51200 Hz.*1000 Hz"):
        list(read(path))
    (recording,) = read(path, sampling_rate_hz=1000)
    assert recording.sampling_rate_hz == 1000
    assert any("51200" in warning for warning in recording.warnings)


def test_running_number_is_no_clock(tmp_path: Path) -> None:
    body = "".join(f"{i},{x:.5f}\n" for i, x in enumerate(X))
    path = write(tmp_path, "sample,a_g\n" + body)
    with pytest.raises(MissingMetadata, match="sampling rate"):
        list(read(path))
    (recording,) = read(path, sampling_rate_hz=FS)
    assert recording.channel == "a_g"


def test_sixty_four_hertz_with_five_digits(tmp_path: Path) -> None:
    t = np.arange(4096) / 64
    path = write(tmp_path, "t [s],a [g]\n" + "".join(f"{a:.5g},{np.sin(a):.4f}\n" for a in t))
    (recording,) = read(path)
    assert recording.sampling_rate_hz == 64
    assert any("62.5 Hz" in warning and "64" in warning for warning in recording.warnings)


def test_too_coarse_a_clock_is_ambiguous_and_the_range_is_shown(tmp_path: Path) -> None:
    t = np.arange(100) / 1024
    path = write(tmp_path, "time_s,a_g\n" + "".join(f"{a:.2f},{np.sin(90 * a):.4f}\n" for a in t))
    with pytest.raises(MissingMetadata, match=r"anything from \d+(\.\d+)? to \d+") as caught:
        list(read(path))
    assert "--sampling-rate" in caught.value.remedy
    (recording,) = read(path, sampling_rate_hz=1024)
    assert recording.sampling_rate_hz == 1024
    (recording,) = read(path, sampling_rate_hz=2048)
    assert any("2048" in warning and "time_s" in warning for warning in recording.warnings)


@settings(deadline=None, max_examples=80)
@given(
    rate=st.sampled_from([50.0, 64.0, 100.0, 333.25, 1024.0, 3200.0, 12800.0, 25600.0]),
    decimals=st.integers(2, 7),
    n=st.integers(20, 3000),
)
def test_a_rounded_clock_never_gives_a_wrong_rate(tmp_path_factory, rate: float, decimals: int, n: int) -> None:
    t = np.arange(n) / rate
    path = write(
        tmp_path_factory.mktemp("clock"),
        "time_s,a_g\n" + "".join(f"{a:.{decimals}f},{i % 7}\n" for i, a in enumerate(t)),
    )
    try:
        (recording,) = read(path)
    except MissingMetadata as error:
        event(str(error).split("clock", 1)[-1][:20])
        return
    assert recording.sampling_rate_hz == pytest.approx(rate, rel=6e-3)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda t: np.concatenate([t[:200], t[200:] + 3]), "gap"),
        (lambda t: np.concatenate([t[:200], t[200:] - 0.15]), "backwards"),
        (lambda t: np.cumsum(np.random.default_rng(0).exponential(1e-3, len(t))), "uneven|gap"),
        (lambda t: np.cumsum(np.where(np.arange(len(t)) % 29 == 28, 2, 1) * 1.0013e-3), "gaps"),
        (lambda t: t * 0 + 1, "does not increase"),
    ],
)
def test_a_broken_clock_is_refused_until_the_rate_is_declared(tmp_path: Path, damage, message: str) -> None:
    lines = (f"{t:.6f},{x:.5f}" for t, x in zip(damage(T), X, strict=True))
    path = write(tmp_path, "time_s,a_g\n" + "\n".join(lines))
    with pytest.raises(ReadError, match=message):
        list(read(path))
    if message == "gap":
        (recording,) = read(path, sampling_rate_hz=1000)
        assert any("gap" in warning for warning in recording.warnings)


def test_rounding_of_a_declared_rate_is_tolerated(tmp_path: Path) -> None:
    (recording,) = read(write(tmp_path, "fs = 1000\na_g\n" + rows(time=False)), sampling_rate_hz=1000.3)
    assert recording.sampling_rate_hz == 1000


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", EmptyFile, "0 bytes"),
        ("time_s,accel_g\n", ReadError, "numbers|rows|known format"),
        ("one\ntwo\nthree 3\n", ReadError, "numbers"),
        ("time_s,a_g\n" + "abc,def\n" * 99, ReadError, "numbers"),
        (
            "time_s,a_g\n" + "".join(f"{i / 100},{'abc' if i % 2 else 1}\n" for i in range(99)),
            ReadError,
            "'a_g' is text",
        ),
        ("a_g\n" + "nan\n" * 50, ReadError, "NaN"),
        ("a_g\n1.5\n", ReadError, "1 sample"),
        ("\x00\x01\x02" * 100, ReadError, "known format"),
    ],
)
def test_bad_text(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(error, match=message) as caught:
        list(read(path, sampling_rate_hz=FS, unit="g"))
    assert "file.csv" in str(caught.value)
    assert caught.value.remedy


def test_describe_lists_what_read_needs(tmp_path: Path) -> None:
    found = describe(
        write(
            tmp_path,
            "time_s,a_g,tacho\n"
            + "".join(f"{t:.3f},{x:.5f},{i % 5}\n" for i, (t, x) in enumerate(zip(T, X, strict=True))),
        )
    )
    assert found["format"] == "csv"
    assert (found["sampling_rate_hz"], found["duration_s"]) == (FS, N / FS)
    assert [(c["name"], c["unit"], c["samples"]) for c in found["channels"]] == [("a_g", "g", N), ("tacho", None, N)]
    assert any("tacho" in warning for warning in found["warnings"])


def test_channel_is_found_by_any_reasonable_spelling(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "time_s,Accel X (g),Accel Y (g)\n"
        + "".join(f"{t:.3f},{x:.5f},{2 * x:.5f}\n" for t, x in zip(T, X, strict=True)),
    )
    for spelling in ("Accel Y (g)", "accel y", "AccelY"):
        (recording,) = read(path, channel=spelling)
        assert recording.channel == "Accel Y (g)"
    with pytest.raises(ReadError, match=r"Accel X \(g\), Accel Y \(g\)"):
        list(read(path, channel="Accel Z"))
    assert len(list(read(path, channel="Accel*"))) == 2


def test_text_in_the_middle_loses_no_rows(tmp_path: Path) -> None:
    lines = [f"{t:.3f},{x:.5f}" for t, x in zip(T, X, strict=True)]
    lines.insert(150, "--- page 2 ---")
    lines[300] = f"{T[299]:.3f},ERR"
    (recording,) = read(write(tmp_path, "time_s,a_g\n" + "\n".join(lines)))
    assert len(recording.samples) == N + 1
    assert np.flatnonzero(np.isnan(recording.samples)).tolist() == [150, 300]


@pytest.mark.parametrize(("start", "step"), [(1717164300000, 10), (1717164300000000, 10000), (250, 10)])
def test_whole_numbers_since_1970_or_since_power_on(tmp_path: Path, start: int, step: int) -> None:
    body = "".join(f"{start + i * step},{x:.5f}\n" for i, x in enumerate(X))
    path = write(tmp_path, "timestamp,a_g\n" + body)
    if start < 1e9:  # 10 ms or 10 µs: both are plausible
        with pytest.raises(MissingMetadata, match=r"100 Hz if in ms, 100000 Hz if in us"):
            list(read(path))
        return
    (recording,) = read(path)
    assert recording.sampling_rate_hz == 100


def test_milliseconds_with_decimals_and_a_damaged_time(tmp_path: Path) -> None:
    lines = [f"{1000 * i / 512:.3f},{x:.5f}" for i, x in enumerate(X)]
    (recording,) = read(write(tmp_path, "time,a_g\n" + "\n".join(lines)))
    assert recording.sampling_rate_hz == 512
    whole = [f"{i * 1876 + 7},{x:.5f}" for i, x in enumerate(X)]
    whole[200] = "375207.5,1"
    (recording,) = read(write(tmp_path, "Time Stamp,a_g\n" + "\n".join(whole)))
    assert recording.sampling_rate_hz == pytest.approx(1e6 / 1876, rel=1e-5)
