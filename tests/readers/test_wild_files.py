"""Files as strangers bring them: public sets' own layouts, spreadsheets' tables, spectra, and what is no recording."""

import zipfile
from datetime import datetime, timedelta
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import soundfile
from nptdms import ChannelObject, TdmsWriter

from camvib.errors import EmptyFile, MissingMetadata, NotATimeSeries, RateConflict, ReadError, UnknownFormat
from camvib.readers import describe, read, read_channels

FS = 2000
N = 500
RNG = np.random.default_rng(3)
X, Y = RNG.normal(size=(2, N)).round(4)
BEGIN = datetime(2024, 1, 1, 10)


def table(line, header: str = "") -> str:
    """Write one line a sample from its time, first and second value."""
    return header + "".join(line(i / FS, X[i], Y[i]) + "\n" for i in range(N))


def stamp(t: float, form: str) -> str:
    return (BEGIN + timedelta(seconds=t)).strftime(form)


def german(value: float) -> str:
    return f"{value:,.2f}".replace(",", "x").replace(".", ",").replace("x", ".")


# name → text, encoding, rate in Hz, name and unit of the first channel, its scale
TABLES = {
    "excel": (
        table(lambda t, x, y: f"{t:.4f};{x:.4f}".replace(".", ","), "Zeit [s];Weg [mm]\n"),
        "cp1252", FS, "Weg [mm]", "mm", 1,
    ),
    "utf-16 without mark": (
        table(lambda t, x, y: f"{t:.4f}\t{x:.4f}\r", "Time (s)\tAcc (g)\r\n"), "utf-16-le", FS, "Acc (g)", "g", 1,
    ),
    "quoted": (table(lambda t, x, y: f'"{t:.4f}","{x:.4f}"', '"Time","Acc [g]"\n'), "utf-8", FS, "Acc [g]", "g", 1),
    "thousands": (
        table(lambda t, x, y: f'{t:.4f},"{1e4 * x:,.2f}"', "t [s],a [um]\n"), "utf-8", FS, "a [um]", "um", 1e4,
    ),
    "thousands with points": (
        table(lambda t, x, y: f"{t:.4f};".replace(".", ",") + german(1e4 * x), "t [s];a [um]\n"),
        "utf-8", FS, "a [um]", "um", 1e4,
    ),
    "time of day": (table(lambda t, x, y: f"{stamp(t, '%H:%M:%S.%f')},{x}", "Time,a_g\n"), "utf-8", FS, "a_g", "g", 1),
    "date, time": (
        table(lambda t, x, y: f"{stamp(t, '%d/%m/%Y,%H:%M:%S.%f')},{x}", "Date,Time,a_g\n"), "utf-8", FS, "a_g", "g", 1,
    ),
    "ISO with zone": (
        table(lambda t, x, y: f"{stamp(t, '%Y-%m-%d %H:%M:%S.%f')}+02:00,{x}", "Stamp,a_g\n"),
        "utf-8", FS, "a_g", "g", 1,
    ),
    "microseconds": (table(lambda t, x, y: f"{1e6 * t:.0f},{x}", "Time (µs),a_g\n"), "utf-8", FS, "a_g", "g", 1),
    "ms since 1970": (
        table(lambda t, x, y: f"{1.7e12 + FS * t:.0f},{x}", "timestamp,a_g\n"), "utf-8", 1000, "a_g", "g", 1,
    ),
    "footer": (
        table(lambda t, x, y: f"{t:.4f},{x}", "time_s,a_g\n") + "NaN,NaN\nNaN,NaN\nEnd of data\n",
        "utf-8", FS, "a_g", "g", 1,
    ),
    "unit row": (
        table(lambda t, x, y: f"{t:.4f},{x},{y}", "Time,Ch1,Ch2\n(s),(m/s2),(mm/s)\n"), "utf-8", FS, "Ch1", "m/s2", 1,
    ),
    "unit and rate lines": (
        table(lambda t, x, y: f"{x}", "# Sample Rate: 25.6 kHz\n# Unit: g\n"), "utf-8", 25600, "column_1", "g", 1,
    ),
    "rate column": (table(lambda t, x, y: f"{FS},{x}", "fs,acc_g\n"), "utf-8", FS, "acc_g", "g", 1),
    "labels": (table(lambda t, x, y: f"{t:.4f},{x},healthy", "time,x_g,label\n"), "utf-8", FS, "x_g", "g", 1),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path: Path, name: str) -> None:
    text, encoding, rate_hz, channel, unit, scale = TABLES[name]
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    found = describe(tmp_path / "a.csv")
    assert found["sampling_rate_hz"] == rate_hz
    assert {key: found["channels"][0][key] for key in ("name", "unit", "samples")} == {
        "name": channel, "unit": unit, "samples": N,
    }  # fmt: skip
    np.testing.assert_allclose(read_channels(tmp_path / "a.csv")[0].samples, scale * X, atol=0.006 * scale / 1e4)


# Public sets' own layouts without a rate; name → text, channels
WITHOUT_RATE = {
    "xjtu.csv": (
        table(lambda t, x, y: f"{x},{y}", "Horizontal_vibration_signals,Vertical_vibration_signals\n"),
        ["Horizontal_vibration_signals", "Vertical_vibration_signals"],
    ),
    "2004.02.12.10.32.39": (
        table(lambda t, x, y: f"{x:.3f}\t{y:.3f}\t{x:.3f}"), ["column_1", "column_2", "column_3"],
    ),
    "one_column.csv": (table(lambda t, x, y: f"{x:.6f}"), ["column_1"]),
    "pandas_index.csv": (table(lambda t, x, y: f"{FS * t:.0f},{x}", ",a_g\n"), ["a_g"]),
    "numbered.csv": (table(lambda t, x, y: f"{FS * t:.0f},{x}", "timestamp,a_g\n"), ["a_g"]),
    "degrees.csv": (table(lambda t, x, y: f"{1e3 * t:.1f},{x}", "Angle [deg],a_g\n"), ["Angle [deg]", "a_g"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WITHOUT_RATE)
def test_a_rate_that_is_not_stated_is_asked_for(tmp_path: Path, name: str) -> None:
    text, channels = WITHOUT_RATE[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(MissingMetadata, match="sampling rate") as caught:
        describe(tmp_path / name)
    assert "--sampling-rate" in caught.value.remedy
    assert [channel["name"] for channel in describe(tmp_path / name, sampling_rate_hz=25600)["channels"]] == channels


def test_whole_seconds_are_too_coarse(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        table(lambda t, x, y: f"{stamp(6 * t, '%Y-%m-%dT%H:%M:%S')},{x}", "timestamp,a_g\n")
    )
    with pytest.raises(MissingMetadata, match="it counts in 1 s"):
        describe(tmp_path / "a.csv")


@pytest.mark.parametrize("header", ["Frequency (Hz),Amplitude (g)", "f [Hz],PSD", "Frequenz,a_g"])
def test_tables_of_spectra_are_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.csv").write_text(table(lambda t, x, y: f"{FS * t / 2:.1f},{abs(x)}", f"{header}\n"))
    with pytest.raises(NotATimeSeries, match=r"a\.csv: a spectrum"):
        describe(tmp_path / "a.csv")
    pd.read_csv(tmp_path / "a.csv").to_parquet(tmp_path / "a.parquet")
    with pytest.raises(NotATimeSeries):
        describe(tmp_path / "a.parquet")


def test_spectrum_beside_the_time_series(tmp_path: Path) -> None:
    spectrum = {"f": np.arange(100) * 0.5, "psd": np.abs(X[:100])}
    np.savez(tmp_path / "both.npz", acc_g=X, fs=FS, **spectrum)
    assert [channel["name"] for channel in describe(tmp_path / "both.npz")["channels"]] == ["acc_g"]
    np.savez(tmp_path / "only.npz", **spectrum)
    with pytest.raises(NotATimeSeries):
        describe(tmp_path / "only.npz")


def test_struct_with_its_own_rate(tmp_path: Path) -> None:
    """The layout of the MFPT set: sr is the sampling rate, rate that of the shaft."""
    bearing = {"sr": np.uint32(48828), "gs": X[:, None], "load": 270.0, "rate": 25.0}
    scipy.io.savemat(tmp_path / "a.mat", {"bearing": bearing})
    (recording,) = read(tmp_path / "a.mat", unit="g")
    assert (recording.sampling_rate_hz, recording.channel) == (48828, "bearing.gs")


def test_arrays_of_structs(tmp_path: Path) -> None:
    """The layout of the Paderborn set: time axes in X, signals in Y, each with its name."""

    def array(*entries):
        values = np.zeros((1, len(entries)), [("Name", "O"), ("Data", "O"), ("Raster", "O")])
        for i, (name, data, raster) in enumerate(entries):
            values[0, i] = (name, data[None, :], raster)
        return values

    clocks = array(("slow", np.arange(60) / 400, "a"), ("HostService", np.arange(N) / 64000, "b"))
    signals = array(("force", Y[:60], "a"), ("vibration_1", X, "b"))
    scipy.io.savemat(tmp_path / "a.mat", {"N09_K001_1": {"Info": "text", "X": clocks, "Y": signals}})
    found = {c["name"]: (c["sampling_rate_hz"], c["samples"]) for c in describe(tmp_path / "a.mat")["channels"]}
    assert found == {"N09_K001_1.Y.force.Data": (400, 60), "N09_K001_1.Y.vibration_1.Data": (64000, N)}


@pytest.mark.parametrize("key", ["fs", "Sample_Rate", "sampling frequency", "SamplingRate_Hz", "dt", "wf_increment"])
@pytest.mark.parametrize("where", ["dataset", "group", "file"])
def test_attributes_of_hdf5(tmp_path: Path, key: str, where: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["run/vib"] = X
        node = {"dataset": file["run/vib"], "group": file["run"], "file": file}[where]
        node.attrs[key] = 1 / FS if key in ("dt", "wf_increment") else str(FS)
        node.attrs["units"] = "mm/s"
    found = describe(tmp_path / "a.h5")
    assert (found["sampling_rate_hz"], found["channels"][0]["unit"]) == (FS, "mm/s")


def test_the_nearest_rate_counts(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["one/a"], file["two/a"], file["three/a"] = X, X, X
        file.attrs["fs"], file["one"].attrs["fs"], file["two"].attrs["fs"] = 100, 25600, 12800
        file["two/fs"] = 6400
    found = {c.name: c.sampling_rate_hz for c in read_channels(tmp_path / "a.h5")}
    assert found == {"one/a": 25600, "three/a": 100, "two/a": None}
    with pytest.raises(RateConflict, match=r"(?s)12800 Hz.*6400 Hz|6400 Hz.*12800 Hz"):
        list(read(tmp_path / "a.h5", channel="two/a", unit="g"))


def test_compound_dataset(tmp_path: Path) -> None:
    values = np.rec.fromarrays([np.arange(N) / FS, X], names=["t", "a_g"])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["run"] = values
    (recording,) = read(tmp_path / "a.h5")
    assert (recording.sampling_rate_hz, recording.unit) == (FS, "m/s2")


@pytest.mark.parametrize("kind", ["stamps", "zone", "steps"])
def test_parquet_with_an_index_of_time(tmp_path: Path, kind: str) -> None:
    zone = "Europe/Berlin" if kind == "zone" else None
    index = pd.date_range("2024-01-01", periods=N, freq="500us", tz=zone)
    frame = pd.DataFrame({"a_g": X}, index=index - index[0] if kind == "steps" else index)
    frame.to_parquet(tmp_path / "a.parquet")
    (recording,) = read(tmp_path / "a.parquet")
    assert recording.sampling_rate_hz == FS


@pytest.mark.parametrize("properties", [{}, {"wf_increment": 0.0}, {"wf_increment": 1.0}])
def test_tdms_whose_increment_nobody_set(tmp_path: Path, properties: dict) -> None:
    with TdmsWriter(tmp_path / "a.tdms") as writer:
        writer.write_segment([ChannelObject("g", "a", X, properties)])
    with pytest.raises(MissingMetadata, match="sampling rate"):
        describe(tmp_path / "a.tdms")


def test_tdms_spectrum(tmp_path: Path) -> None:
    with TdmsWriter(tmp_path / "a.tdms") as writer:
        writer.write_segment([ChannelObject("g", "fft", X, {"wf_increment": 0.5, "wf_xunit_string": "Hz"})])
    with pytest.raises(NotATimeSeries):
        describe(tmp_path / "a.tdms")


LVM = "LabVIEW Measurement\t\nSeparator\tTab\nMulti_Headings\tYes\nX_Columns\tNo\n***End_of_Header***\t\n\t\n"


def lvm_part(step: str = "0.000500", axis: str = "Time", n: int = N) -> str:
    rows = "".join(f"\t{X[i % N]:.4f}\n" for i in range(n))
    return (
        f"Channels\t1\t\nSamples\t{n}\t\nY_Unit_Label\tg\t\nX_Dimension\t{axis}\t\nDelta_X\t{step}\t\n"
        f"***End_of_Header***\t\t\nX_Value\ta\tComment\n{rows}"
    )


def test_lvm_with_several_measurements(tmp_path: Path) -> None:
    (tmp_path / "a.lvm").write_text(LVM + lvm_part())
    assert describe(tmp_path / "a.lvm")["sampling_rate_hz"] == FS
    # The second header stands behind what is read at first.
    (tmp_path / "b.lvm").write_text(LVM + lvm_part(n=40_000) + "\n" + lvm_part())
    with pytest.raises(ReadError, match="2 measurements"):
        describe(tmp_path / "b.lvm")


def test_lvm_spectrum_and_default_increment(tmp_path: Path) -> None:
    (tmp_path / "a.lvm").write_text(LVM + lvm_part(axis="Frequency"))
    with pytest.raises(NotATimeSeries, match=r"a\.lvm"):
        describe(tmp_path / "a.lvm")
    (tmp_path / "b.lvm").write_text(LVM + lvm_part(step="1.000000"))
    with pytest.raises(MissingMetadata, match="sampling rate"):
        describe(tmp_path / "b.lvm")


@pytest.mark.parametrize(("subtype", "form"), [("PCM_24", "WAV"), ("PCM_24", "WAVEX"), ("FLOAT", "RF64")])
def test_wav_of_eight_channels(tmp_path: Path, subtype: str, form: str) -> None:
    values = RNG.uniform(-0.9, 0.9, size=(300, 8))
    soundfile.write(tmp_path / "a.wav", values, 51200, subtype, format=form)
    found = describe(tmp_path / "a.wav")
    assert (found["format"], found["sampling_rate_hz"], len(found["channels"])) == ("wav", 51200, 8)
    last = read_channels(tmp_path / "a.wav")[7].samples
    np.testing.assert_allclose(last, values[:, 7] * (2**23 if subtype == "PCM_24" else 1), rtol=1e-4, atol=1)


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "zip.wav", "w") as archive:
        archive.writestr("a.csv", "1\n2\n")
        archive.writestr("b.csv", "1\n2\n")
    (tmp_path / "a.csv.gz").write_bytes(b"Rar!\x1a\x07\x00" + bytes(50))
    (tmp_path / "a.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    for name, what in (("zip.wav", "ZIP archive"), ("a.csv.gz", "RAR"), ("a.csv", "picture")):
        with pytest.raises(UnknownFormat, match=what):
            describe(tmp_path / name)
    (tmp_path / "empty").touch()
    with pytest.raises(EmptyFile):
        describe(tmp_path / "empty")
    with pytest.raises(ReadError, match="is a folder"):
        describe(tmp_path)
