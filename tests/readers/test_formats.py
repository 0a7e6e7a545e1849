"""Round trips through every format that can be written here, and what each of them must refuse."""

import io
import struct
import zipfile
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import pyuff
import scipy.io
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nptdms import ChannelObject, TdmsWriter

from camvib.errors import (
    CamvibError,
    EmptyFile,
    MissingMetadata,
    NotATimeSeries,
    RateConflict,
    ReadError,
    Truncated,
    UnitError,
)
from camvib.readers import _mat5, _uff58, describe, hdf5, mat, npy, read, read_channels
from camvib.readers.parsing import blocks as _blocks

FS = 2000.0
X = np.random.default_rng(1).normal(size=5000).astype(np.float32)
G = 9.80665


class Trap:
    """Unpickling an instance would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def write_npz(path: Path, x=X) -> None:
    np.savez(path, acceleration=x, sampling_rate_hz=FS, unit="m/s2")


def write_compressed_npz(path: Path, x=X) -> None:
    np.savez_compressed(path, acceleration=x, sampling_rate_hz=FS, unit="m/s2")


def write_compressed_mat(path: Path, x=X) -> None:
    scipy.io.savemat(path, {"a": x.reshape(-1, 1), "fs": FS, "unit": "m/s2"}, do_compression=True)


def write_mat(path: Path, x=X) -> None:
    scipy.io.savemat(path, {"a": x.reshape(-1, 1), "fs": FS, "unit": "m/s2"})


def write_hdf5(path: Path, x=X) -> None:
    with h5py.File(path, "w") as file:
        data = file.create_dataset("run1/a", data=x)
        data.attrs["unit"] = "m/s2"
        file["run1"].attrs["other"] = 3
        file.attrs["sampling_rate_hz"] = FS


def write_wav(path: Path, x=X) -> None:
    soundfile.write(path, x, int(FS), "FLOAT")


def write_parquet(path: Path, x=X) -> None:
    table = pa.table({"a": x}, metadata={"fs": str(FS), "unit": "m/s2"})
    pq.write_table(table, path)


def write_tdms(path: Path, x=X) -> None:
    with TdmsWriter(path) as writer:
        properties = {"wf_increment": 1 / FS, "unit_string": "m/s2"}
        writer.write_segment([ChannelObject("group", "a", x, properties)])


def write_uff(path: Path, x=X, binary: bool = True) -> None:
    """Write dataset 58 by its published layout: pyuff's own writer loses the binary header and turns NaN into 0."""
    size = f"b     1     2          11{4 * len(x):12d}     0     0           0           0" if binary else ""
    lines = ["    -1", f"    58{size}", "a", *["NONE"] * 4]
    lines.append("    1         0    0         0 a                  1   3 NONE               1   3")
    lines.append(f"         2{len(x):10d}         1{0:13.5e}{1 / FS:13.5e}{0:13.5e}")
    axes = ((17, "Time", "s"), (12, "Acceleration", "m/s2"), (0, "NONE", "NONE"), (0, "NONE", "NONE"))
    lines += [f"{kind:10d}    0    0    0 {label:20s} {unit:20s}" for kind, label, unit in axes]
    values = [f"{value:13.5e}" for value in x]
    body = ["".join(values[i : i + 6]) for i in range(0, len(x), 6)]
    head = "\n".join(lines if binary else lines + body).encode() + b"\n"
    path.write_bytes(head + (x.astype("<f4").tobytes() + b"\n" if binary else b"") + b"    -1\n")


def write_uff_ascii(path: Path, x=X) -> None:
    write_uff(path, x, binary=False)


WRITERS = {
    "a.npz": write_npz, "a.mat": write_mat, "a.h5": write_hdf5, "a.wav": write_wav, "a.parquet": write_parquet,
    "a.tdms": write_tdms, "packed.npz": write_compressed_npz, "packed.mat": write_compressed_mat,
    "binary.uff": write_uff, "ascii.uff": write_uff_ascii,
}  # fmt: skip


@pytest.mark.parametrize("name", WRITERS)
def test_round_trip(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    (recording,) = read(tmp_path / name, unit="m/s2" if name == "a.wav" else None)
    assert recording.sampling_rate_hz == FS
    assert recording.unit == "m/s2"
    assert recording.history == ()
    np.testing.assert_allclose(recording.samples, X, rtol=1e-5 if name == "ascii.uff" else 0)


@pytest.mark.parametrize("name", WRITERS)
def test_content_counts_not_the_suffix(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    other = (tmp_path / name).rename(tmp_path / "export.dat")
    found = describe(other)
    assert (found["sampling_rate_hz"], found["channels"][0]["samples"]) == (FS, len(X))


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.97])
def test_truncated(tmp_path: Path, name: str, keep: float) -> None:
    WRITERS[name](tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    path = tmp_path / f"cut_{name}"
    path.write_bytes(whole[: int(keep * len(whole))])
    with pytest.raises(ReadError) as caught:
        list(read(path, unit="m/s2", sampling_rate_hz=FS))
    assert path.name in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("name", WRITERS)
def test_all_nan_and_one_sample(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, np.full(100, np.nan, np.float32))
    with pytest.raises(ReadError):
        list(read(tmp_path / name, unit="m/s2", sampling_rate_hz=FS))
    WRITERS[name](tmp_path / f"one_{name}", X[:1])
    with pytest.raises(ReadError):
        list(read(tmp_path / f"one_{name}", unit="m/s2", sampling_rate_hz=FS))


def long_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a thousand bytes count as a long recording, and 700 samples as a block."""
    monkeypatch.setattr(_blocks, "SPOOL_ABOVE_BYTES", 1000)
    for module in (_blocks, hdf5, npy, mat, _mat5):
        monkeypatch.setattr(module, "SMALL_BYTES", 100, raising=False)
        monkeypatch.setattr(module, "BLOCK", 700, raising=False)
    monkeypatch.setattr(_uff58, "_CHUNK", 1000)


@pytest.mark.parametrize("name", WRITERS)
def test_long_recordings_are_memory_mapped_and_equal(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    WRITERS[name](tmp_path / name)
    (short,) = read(tmp_path / name, unit="g")
    long_is_short(monkeypatch)
    (long,) = read(tmp_path / name, unit="g")
    np.testing.assert_array_equal(short.samples, long.samples)
    assert long.id == short.id
    assert isinstance(long.samples, np.memmap)


@pytest.mark.parametrize("packed", [False, True])
def test_long_mat_holds_what_scipy_reads(tmp_path: Path, packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nested structs, integers, text, columns and complex arrays, by scipy and by the reader of long files."""
    bearing = {"sr": 97656.0, "gs": X.astype(float).reshape(-1, 1), "load": 270, "deep": {"z": np.arange(7.0)}}
    others = {
        "counts": np.arange(900, dtype=np.int16).reshape(300, 3), "note": "m/s² à 5", "S": np.ones((40, 1)) * 1j,
        "lines": np.array(["ab ", "cde"]), "cells": np.array([1, "a"], dtype=object),
    }  # fmt: skip
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"bearing": bearing, **others}, do_compression=packed)
    short = read_channels(path)
    long_is_short(monkeypatch)
    long = read_channels(path)
    assert [(c.name, c.sampling_rate_hz) for c in long] == [(c.name, c.sampling_rate_hz) for c in short]
    for one, other in zip(long, short, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
        assert one.samples.dtype == other.samples.dtype


@pytest.mark.parametrize(("binary", "double"), [(0, True), (0, False), (1, True)])
def test_uff_as_another_program_writes_it(tmp_path: Path, binary: int, double: bool) -> None:
    """Datasets 151 and 58 of pyuff: a response, a spectrum between, a second response."""
    path = tmp_path / "a.uff"
    file = pyuff.UFF(str(path))
    keys = ("model_name", "description", "db_app", "program")
    dates = (
        "date_db_created",
        "time_db_created",
        "date_db_saved",
        "time_db_saved",
        "date_db_written",
        "time_db_written",
    )
    numbers = {"version_db1": 0, "version_db2": 0, "file_type": 0}
    file.write_sets(pyuff.prepare_151(**dict.fromkeys(keys, "a"), **dict.fromkeys(dates, "01-Jan-24"), **numbers))
    for name, function, values in (("tip", 1, X), ("psd", 9, X[:99]), ("root", 1, -X)):
        file.write_sets(
            {
                "type": 58, "binary": binary, "func_type": function, "rsp_node": 1, "rsp_dir": 1, "ref_dir": 0,
                "ref_node": 0, "data": values.astype(float), "x": np.arange(len(values)) / FS, "id1": name,
                "rsp_ent_name": name, "ord_data_type": 4 if double else 2, "abscissa_spacing": 1, "abscissa_min": 0,
                "abscissa_inc": 1 / FS, "abscissa_spec_data_type": 17 if function == 1 else 18,
                "ordinate_spec_data_type": 12, "orddenom_spec_data_type": 0, "ordinate_axis_units_lab": "m/s2",
            },
            force_double=double,
        )  # fmt: skip
    tip, root = read(path)
    assert (tip.channel, root.channel, tip.sampling_rate_hz, tip.unit) == ("tip", "root", FS, "m/s2")
    np.testing.assert_allclose(tip.samples, X, rtol=1e-5)
    np.testing.assert_array_equal(root.samples, -tip.samples)


def test_uff_whose_header_does_not_fit_its_samples(tmp_path: Path) -> None:
    write_uff(tmp_path / "a.uff")
    content = (tmp_path / "a.uff").read_bytes()
    assert b"         2      5000" in content
    (tmp_path / "a.uff").write_bytes(content.replace(b"         2      5000", b"         2      4000"))
    with pytest.raises(ReadError, match="does not end after its 4000 samples"):
        list(read(tmp_path / "a.uff"))


def test_uff_numbers_that_touch(tmp_path: Path) -> None:
    write_uff_ascii(tmp_path / "a.uff")
    lines = (tmp_path / "a.uff").read_text().splitlines(keepends=True)
    lines[13] = "-1.23456E-100-2.00000E-100 3.00000D+00-4.00000D+00  5.0000e+00-6.00000E+00\n"
    (tmp_path / "a.uff").write_text("".join(lines))
    (recording,) = read(tmp_path / "a.uff")
    np.testing.assert_allclose(recording.samples[:6], [-1.23456e-100, -2e-100, 3, -4, 5, -6])


@settings(deadline=None, max_examples=40)
@given(
    values=arrays(
        st.sampled_from([np.int8, np.int16, np.int32, np.uint8, np.float32, np.float64, np.dtype(">f4")]),
        st.tuples(st.integers(2, 50)), elements=st.integers(0, 100),
    ),
    order=st.sampled_from("CF"),
)  # fmt: skip
def test_npy_of_any_type(tmp_path_factory, values, order: str) -> None:
    path = tmp_path_factory.mktemp("npy") / "a.npy"
    np.save(path, np.asarray(values, order=order))
    (recording,) = read(path, sampling_rate_hz=FS, unit="V")
    assert recording.samples.dtype.kind == "f"
    np.testing.assert_array_equal(recording.samples, values.astype(float))


@pytest.mark.parametrize("shape", [(400, 3), (3, 400)])
def test_two_dimensional_arrays_have_indexed_channels(tmp_path: Path, shape: tuple[int, int]) -> None:
    table = np.arange(1200.0).reshape(shape) % 91
    np.savez(tmp_path / "a.npz", H=table, fs=FS)
    columns = table if shape[0] == 400 else table.T
    names = [channel.name for channel in read_channels(tmp_path / "a.npz")]
    assert names == ["H[0]", "H[1]", "H[2]"]
    for spelling in ("H[2]", "H[:,2]", "h[ 2 ]"):
        (recording,) = read(tmp_path / "a.npz", channel=spelling, unit="V")
        np.testing.assert_array_equal(recording.samples, columns[:, 2])


def test_three_dimensional_arrays_are_addressed_by_snapshot(tmp_path: Path) -> None:
    snapshots = np.random.default_rng(0).normal(size=(4, 256, 2))
    np.savez(tmp_path / "a.npz", acc_g=snapshots, fs=FS)
    (one,) = read(tmp_path / "a.npz", channel="acc_g[3,:,0]")
    np.testing.assert_allclose(one.samples, snapshots[3, :, 0] * G)
    assert len(list(read(tmp_path / "a.npz", channel="acc_g[*,:,1]"))) == 4
    assert len(list(read(tmp_path / "a.npz"))) == 8


def test_metadata_of_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", tip_mm_s=X, fs_hz=FS, started="Tue, Jul 19, 2022 10:55 PM", rpm_nominal=1772.0)
    (recording,) = read(tmp_path / "a.npz")
    assert (recording.unit, recording.recorded_at) == ("m/s", datetime(2022, 7, 19, 22, 55))
    np.testing.assert_allclose(recording.samples, X * 1e-3, rtol=1e-6)


def test_two_rates_in_one_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a_g=X, fs=12000.0, t=np.arange(len(X)) / 48000)
    with pytest.raises(RateConflict, match=r"(?s)12000 Hz.*48000 Hz"):
        list(read(tmp_path / "a.npz"))
    (recording,) = read(tmp_path / "a.npz", sampling_rate_hz=48000)
    assert recording.sampling_rate_hz == 48000


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
    np.savez(tmp_path / "a.npz", bad=trap, a_g=X, fs=FS)
    (recording,) = read(tmp_path / "a.npz")
    assert any("not unpickled" in warning for warning in recording.warnings)
    np.save(tmp_path / "b.npy", trap, allow_pickle=True)
    with pytest.raises(ReadError, match="never unpickled"):
        list(read(tmp_path / "b.npy"))
    assert not (tmp_path / "sprung").exists()


def test_header_that_promises_terabytes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**14,)})
    (tmp_path / "a.npy").write_bytes(buffer.getvalue() + b"\0" * 800)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("a.npy", buffer.getvalue() + b"\0" * 800)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(Truncated, match="promises"):
            list(read(tmp_path / name, sampling_rate_hz=FS, unit="V"))


def test_complex_arrays_are_spectra(tmp_path: Path) -> None:
    scipy.io.savemat(tmp_path / "a.mat", {"S": np.ones((50, 1)) * 1j})
    with pytest.raises(NotATimeSeries):
        list(read(tmp_path / "a.mat"))


def test_struct_and_time_value_pairs_in_mat(tmp_path: Path) -> None:
    t = np.arange(500) / FS
    scipy.io.savemat(tmp_path / "a.mat", {"run": {"X1": np.column_stack([t, X[:500]])}})
    (recording,) = read(tmp_path / "a.mat", unit="g")
    assert (recording.sampling_rate_hz, recording.channel) == (FS, "run.X1")


def test_parquet_with_time_index(tmp_path: Path) -> None:
    stamps = pd.date_range("2024-05-31 14:05", periods=len(X), freq="500us")
    pd.DataFrame({"a [g]": X}, index=pd.Index(stamps, name="time")).to_parquet(tmp_path / "a.parquet")
    (recording,) = read(tmp_path / "a.parquet")
    assert recording.sampling_rate_hz == FS


def test_multichannel_pcm_wav(tmp_path: Path) -> None:
    counts = np.random.default_rng(0).integers(-(2**15), 2**15, size=(300, 2)).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", counts, 8000, "PCM_16")
    found = list(read(tmp_path / "a.wav", unit="arbitrary"))
    assert [recording.channel for recording in found] == ["samples[0]", "samples[1]"]
    np.testing.assert_array_equal(np.column_stack([recording.samples for recording in found]), counts)


def test_wav_header_whose_rates_disagree(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav")
    content = bytearray((tmp_path / "a.wav").read_bytes())
    at = content.index(b"fmt ") + 12
    content[at : at + 4] = struct.pack("<I", 44100)
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(RateConflict, match=r"(?s)44100 Hz.*2000 Hz"):
        list(read(tmp_path / "a.wav", unit="g"))


def test_missing_unit_is_asked_for_and_unknown_unit_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", signal=X, fs=FS)
    with pytest.raises(MissingMetadata, match="unit") as caught:
        list(read(tmp_path / "a.npz"))
    assert "--unit" in caught.value.remedy
    with pytest.raises(UnitError, match=r"a\.npz"):
        list(read(tmp_path / "a.npz", unit="furlong"))
    (recording,) = read(tmp_path / "a.npz", unit="arbitrary")
    assert recording.unit == "arbitrary"


def test_stretch_of_a_file(tmp_path: Path) -> None:
    write_npz(tmp_path / "a.npz")
    (recording,) = read(tmp_path / "a.npz", start_s=0.5, end_s=1.25)
    np.testing.assert_array_equal(recording.samples, X[1000:2500])
    assert (recording.start_s, recording.duration_s) == (0.5, 0.75)
    for start_s, end_s in ((2.0, 3.0), (3.0, None), (1.0, 0.5)):
        with pytest.raises(ReadError, match=r"not within its 2\.5 s"):
            list(read(tmp_path / "a.npz", start_s=start_s, end_s=end_s))


def test_unreadable_paths(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(EmptyFile):
        read_channels(tmp_path / "empty.wav")
    for path in (tmp_path, tmp_path / "absent.csv"):
        with pytest.raises(ReadError) as caught:
            read_channels(path)
        assert str(path) in str(caught.value)


def test_other_archives_are_not_taken_for_npz(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<x/>")
    with pytest.raises(CamvibError):
        read_channels(tmp_path / "a.xlsx")


def test_a_broken_plugin_harms_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    (site / "plant-1.0.dist-info").mkdir(parents=True)
    (site / "plant-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: plant\nVersion: 1.0\n")
    (site / "plant-1.0.dist-info" / "entry_points.txt").write_text(
        "[camvib.readers]\nplant_bad = plant_bad\nplant_absent = plant_absent\nplant_good = plant_good\n"
    )
    (site / "plant_bad.py").write_text("def sniff(head, path):\n    raise RuntimeError('boom')\n")
    (site / "plant_good.py").write_text(
        "import numpy as np\nfrom camvib.readers import Channel\n"
        "def sniff(head, path):\n    return head.startswith(b'PLANT')\n"
        "def read(path):\n    yield Channel('a', np.arange(9.0), 50.0, 'mm/s', format='plant')\n"
    )
    monkeypatch.syspath_prepend(str(site))
    from camvib.readers import opening as readers

    readers._plugins.cache_clear()
    try:
        write_npz(tmp_path / "a.npz")
        (recording,) = read(tmp_path / "a.npz")
        assert any("plant_bad" in warning and "boom" in warning for warning in recording.warnings)
        assert any("plant_absent" in warning for warning in recording.warnings)
        (tmp_path / "a.plant").write_bytes(b"PLANT 1 2 3")
        (own,) = read(tmp_path / "a.plant")
        assert (own.sampling_rate_hz, own.unit, own.samples[-1]) == (50.0, "m/s", pytest.approx(8e-3))
    finally:
        readers._plugins.cache_clear()
