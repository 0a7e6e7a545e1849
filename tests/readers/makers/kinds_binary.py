"""Kinds of binary files as strangers bring them: each is written here, with what a reader must say of it."""

import base64
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import scipy.io
from kinds import FS, Kind, T, X, Y, Z, asks, reads, refuses
from nptdms import ChannelObject, GroupObject, RootObject, TdmsWriter

ONE = {"acc": ("g", 50)}
BURSTS = {f"acc[{k}]": (None, 50) for k in range(3)}


def hdf5(fill: Callable[[Any], None], matlab: bool = False) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with h5py.File(path, "w", userblock_size=512 if matlab else 0) as file:
            fill(file)
        if matlab:
            with path.open("r+b") as handle:
                handle.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")

    return write


def dataset(name: str, values: Any, **attributes: Any) -> Callable[[Any], None]:
    def fill(file: Any) -> None:
        node = file.create_dataset(name, data=values)
        for key, value in attributes.items():
            node.attrs[key] = value

    return fill


def siblings(file: Any) -> None:
    for name, values in (("acc", X), ("vel", Y), ("temp", Z)):
        file[f"{name}/x"] = values
        file[name].attrs["fs"] = FS
    file["acc/x"].attrs["unit"] = "g"


def flat_unit(file: Any) -> None:
    file["unit"], file["fs"] = "g", FS
    file["acc"], file["temperature"], file["current"] = X, Z, Y


def cells(file: Any) -> None:
    store = file.create_group("#refs#")
    node = file.create_dataset("acc", (1, 2), dtype=h5py.ref_dtype)
    node.attrs["MATLAB_class"] = np.bytes_("cell")
    for k, values in enumerate((X, Y)):
        node[0, k] = store.create_dataset(f"r{k}", data=values[None]).ref
    file["fs"] = np.array([[FS]])


def struct_array(file: Any) -> None:
    store, group = file.create_group("#refs#"), file.create_group("rec")
    group.attrs["MATLAB_class"] = np.bytes_("struct")
    for name, parts in (("fs", [np.array([[FS]])] * 2), ("acc", [X[None], Y[None]])):
        node = group.create_dataset(name, (1, 2), dtype=h5py.ref_dtype)
        for k, part in enumerate(parts):
            node[0, k] = store.create_dataset(f"{name}{k}", data=part).ref


def timetable(file: Any) -> None:
    node = file.create_dataset("tt", data=np.array([[3707764736, 2, 1, 1, 1, 1]], "u4").T)
    node.attrs["MATLAB_class"], node.attrs["MATLAB_object_decode"] = np.bytes_("timetable"), np.int32(3)


def text_unit(file: Any) -> None:
    node = file.create_dataset("unit", data=np.array([[ord("g")]], "u2"))
    node.attrs["MATLAB_class"] = np.bytes_("char")
    file["fs"], file["acc"] = np.array([[FS]]), X[None]


def ragged(file: Any) -> None:
    node = file.create_dataset("acc", (3,), dtype=h5py.vlen_dtype("f4"))
    for k in range(3):
        node[k] = X[:1000]
    file.attrs["fs"] = FS


def mat(**variables: Any) -> Callable[[Path], None]:
    return lambda path: scipy.io.savemat(path, variables)


def npz(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


def table(columns: dict[str, Any], metadata: dict[str, str] | None = None) -> Callable[[Path], None]:
    return lambda path: pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path)


def midnight(path: Path) -> None:
    n = 300_000
    stamps = pa.array(1710460780 * 10**6 + np.arange(n) * 100, pa.timestamp("us"))
    pq.write_table(pa.table({"ts": stamps, "acc_g": 2 * np.sin(2 * np.pi * 0.05 * np.arange(n))}), path)


def tdms(properties: dict[str, Any], group: dict[str, Any], root: dict[str, Any]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with TdmsWriter(path) as writer:
            writer.write_segment([RootObject(root), GroupObject("g", group), ChannelObject("g", "acc", X, properties)])

    return write


def chunk(name: bytes, data: bytes, padded: bool = True) -> bytes:
    return name + struct.pack("<I", len(data)) + data + (b"\0" if padded and len(data) % 2 else b"")


def wav(size: int | None, *chunks: bytes, magic: bytes = b"RIFF", cut: int = 0) -> bytes:
    samples = np.round(X * 10000).astype("<i2").tobytes()
    head = struct.pack("<HHIIHH", 1, 1, 1000, 2000, 2, 16)
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 0, len(samples), len(X), 0)) if magic == b"BW64" else b""
    body = ds64 + b"".join(chunks) + chunk(b"fmt ", head) + b"data"
    body += struct.pack("<I", len(samples) if size is None else size) + samples[: len(samples) - cut]
    return magic + struct.pack("<I", 0xFFFFFFFF if magic == b"BW64" else len(body) + 4) + b"WAVE" + body


def lines(*records: dict[str, Any]) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def feather(path: Path) -> None:
    pyarrow.feather.write_feather(pa.table({"time": T, "acc_g": X}), path)


LIST = [round(float(v), 4) for v in X]
PACKED = base64.b64encode(X.astype("<f4").tobytes()).decode()
COUNTS = np.round(X / 1e-4).astype("i2")
SAMPLES = {"samples": (None, 50)}
EDGE = {
    "payload": {
        "interval_ms": 1, "sensors": [{"name": "accX", "units": "m/s2"}, {"name": "accY", "units": "m/s2"}],
        "values": [[float(a), float(b)] for a, b in zip(X, Y, strict=True)],
    }
}  # fmt: skip
STRUCT = {"acc": {"x": X[:, None], "fs": FS, "unit": "g"}, "temp": {"x": Z[:, None], "fs": FS}}

BINARY: list[Kind] = [
    Kind("HDF5, packed as CF says", hdf5(dataset("acc", COUNTS, scale_factor=1e-4, add_offset=0.0, units="g", fs=FS)),
         reads(FS, ONE, scale=1), suffix=".h5"),
    Kind("HDF5, counts with calibration", hdf5(dataset("acc", np.round(X * 1000).astype("i4"), sensitivity=0.001,
         calibration=0.001, unit="g", fs=FS)), reads(FS, ONE, scale=1), suffix=".h5"),
    Kind("HDF5, counts in LSB/g", hdf5(dataset("acc", np.round(X * 4096).astype("i4"), sensitivity="4096 LSB/g", unit="g",
         fs=FS)), reads(FS, ONE, scale=1), suffix=".h5"),
    Kind("HDF5, counts with a bare sensitivity", hdf5(dataset("acc", COUNTS, sensitivity=0.1, unit="g", fs=FS)),
         refuses("ReadError", "not known how the samples are scaled"), suffix=".h5"),
    Kind("HDF5, unit of a sibling", hdf5(siblings),
         reads(FS, {"acc/x": ("g", 50), "vel/x": (None, 80), "temp/x": (None, 20)}), suffix=".h5"),
    Kind("HDF5, one unit for several quantities", hdf5(flat_unit),
         reads(FS, {"acc": ("g", 50), "current": (None, 80), "temperature": (None, 20)}), suffix=".h5"),
    Kind("HDF5, columns named in an attribute", hdf5(dataset("data", np.c_[T, X, Y], columns=["time_s", "x_g", "y_g"])),
         reads(FS, {"x_g": ("g", 50), "y_g": ("g", 80)}), suffix=".h5"),
    Kind("HDF5, one unit a column", hdf5(dataset("data", np.c_[X, Y], columns=["x", "y"], unit=["g", "m/s2"], fs=FS)),
         reads(FS, {"x": ("g", 50), "y": ("m/s2", 80)}), suffix=".h5"),
    Kind("HDF5, rate as text", hdf5(dataset("acc", X, sampling_rate="25.6 kHz", unit="g")), reads(25600, ONE), suffix=".h5"),
    Kind("HDF5, rate in a list", hdf5(dataset("acc", X, SampleRate=[FS], unit="g")), reads(FS, ONE), suffix=".h5"),
    Kind("HDF5, increment in us", hdf5(dataset("acc", X, dt_us=1000, unit="g")), reads(FS, ONE), suffix=".h5"),
    Kind("HDF5, implausible rate", hdf5(dataset("acc", X, dt=1.0, unit="g")), asks("1 Hz, outside 10 Hz to 200 kHz"), suffix=".h5"),
    Kind("HDF5, bursts of any length", hdf5(ragged), reads(FS, BURSTS), suffix=".h5"),
    Kind("HDF5, windows or channels", hdf5(dataset("w", np.tile(X[:64], (200, 1)), fs=FS)),
         refuses("EmptyFile", "200 windows of 64 samples, or 64 channels"), suffix=".h5"),
    Kind("MAT 7.3, cells", hdf5(cells, True), reads(FS, {"acc[0]": (None, 50), "acc[1]": (None, 80)}), suffix=".mat"),
    Kind("MAT 7.3, array of structs", hdf5(struct_array, True),
         reads(FS, {"rec[0].acc": (None, 50), "rec[1].acc": (None, 80)}), suffix=".mat"),
    Kind("MAT 7.3, unit as text", hdf5(text_unit, True), reads(FS, ONE), suffix=".mat"),
    Kind("MAT 7.3, timetable", hdf5(timetable, True), refuses("ReadError", "tt is a MATLAB timetable"), suffix=".mat"),
    Kind("MAT, names and units in cells", mat(data=np.c_[X, Y], names=np.array(["DE", "AX"], object),
         units=np.array(["g", "mm/s"], object), Fs=FS), reads(FS, {"DE": ("g", 50), "AX": ("mm/s", 80)}), suffix=".mat"),
    Kind("MAT, rate as text", mat(acc_g=X[:, None], fs="1000 Hz"), reads(FS, {"acc_g": ("g", 50)}), suffix=".mat"),
    Kind("MAT, rates by name", mat(acc_g=X[:, None], fs_acc=FS, ae=np.repeat(Y, 10)[:, None], fs_ae=10 * FS),
         reads(FS, {"acc_g": ("g", 50)}, only=False), suffix=".mat"),
    Kind("MAT, unit in a struct", mat(**STRUCT), reads(FS, {"acc.x": ("g", 50), "temp.x": (None, 20)}), suffix=".mat"),
    Kind("MAT, Test.Lab", mat(Signal={"x_values": {"start_value": 0.0, "increment": 1e-3, "number_of_values": 2000.0},
         "y_values": {"values": X[:, None], "quantity": {"label": "g"}}}), reads(FS, {"Signal.y_values.values": ("g", 50)}),
         suffix=".mat"),
    Kind("MAT, catman", mat(Channel_1_Data=X[:, None], Channel_1_Header={"Unit": "g", "SampleFrequency": "1000 Hz"}),
         reads(FS, {"Channel_1_Data": ("g", 50)}), suffix=".mat"),
    Kind("MAT, integers with a scale", mat(acc=COUNTS[:, None], scale=1e-4, unit="g", fs=FS), reads(FS, ONE, scale=1), suffix=".mat"),
    Kind("MAT, days", mat(t=(739325.4 + T / 86400)[:, None], acc_g=X[:, None]), reads(FS, {"acc_g": ("g", 50)}), suffix=".mat"),
    Kind("NPZ, windows × samples × channels", npz(acc_g=np.stack([np.c_[X[:128], Y[:128]]] * 200), fs=FS),
         reads(FS, {"acc_g[0,:,0]": ("g", 47)}, only=False), suffix=".npz"),
    Kind("NPZ, windows with labels", npz(X=np.stack([X[:128]] * 500), y=np.zeros(500, int), fs=FS),
         reads(FS, {"X[0]": (None, 47)}, only=False), suffix=".npz"),
    Kind("NPZ, metadata as JSON", npz(acc=X, meta=np.array('{"fs": 1000, "unit": "g"}')), reads(FS, ONE), suffix=".npz"),
    Kind("NPY with a column of time", lambda path: np.save(path, np.c_[T, X, Y]),
         reads(FS, {"samples[1]": (None, 50), "samples[2]": (None, 80)}), suffix=".npy"),
    Kind("Parquet, one burst a row", table({"fs": [1000] * 3, "acc": [X[:1000].tolist()] * 3}), reads(FS, BURSTS), suffix=".parquet"),
    Kind("Parquet, strings", table({"time": T, "acc_g": [f"{v:.4f}" for v in X]}), reads(FS, {"acc_g": ("g", 50)}), suffix=".parquet"),
    Kind("Parquet, structs", table({"time": T, "axes": [{"x": a, "y": b} for a, b in zip(X.tolist(), Y.tolist(), strict=True)]}),
         reads(FS, {"axes.x": (None, 50), "axes.y": (None, 80)}), suffix=".parquet"),
    Kind("Parquet, several sensors", table({"sensor_id": ["a", "b"] * 2000, "time": np.repeat(T, 2), "value": np.c_[X, Y].ravel()}),
         reads(FS, {"a": (None, 50), "b": (None, 80)}), suffix=".parquet"),
    Kind("Parquet, rate as text", table({"acc_g": X}, {"sampling_rate": "1 kHz"}), reads(FS, {"acc_g": ("g", 50)}), suffix=".parquet"),
    Kind("Parquet, over midnight in batches", midnight, reads(10 * FS, {"acc_g": ("g", 50)}), suffix=".parquet"),
    Kind("Feather", feather, reads(FS, {"acc_g": ("g", 50)}), suffix=".feather"),
    Kind("JSON", json.dumps({"fs": 1000, "unit": "g", "acc": LIST}, indent=1), reads(FS, ONE), suffix=".json"),
    Kind("JSON of records", json.dumps([{"t": round(float(t), 4), "acc_g": v} for t, v in zip(T, LIST, strict=True)]),
         reads(FS, {"acc_g": ("g", 50)}), suffix=".json"),
    Kind("JSON, values of sensors", json.dumps(EDGE, indent=1), reads(FS, {"accX": ("m/s2", 50), "accY": ("m/s2", 80)}), suffix=".json"),
    Kind("JSON lines of bursts", lines(*({"ts": "2024-03-14T10:00:00Z", "fs": 1000, "acc": LIST} for _ in range(3))),
         reads(FS, BURSTS), suffix=".jsonl"),
    Kind("JSON lines in base64", lines(*({"device": "d", "fs": 1000, "acc": PACKED} for _ in range(3))), reads(FS, BURSTS, scale=1), suffix=".jsonl"),
    Kind("JSON cut off", json.dumps({"fs": 1000, "acc": LIST})[:-100], refuses("ReadError", "ends too early"), suffix=".json"),
    Kind("TDMS, rate of the group", tdms({}, {"Sampling rate (Hz)": FS, "Unit": "g"}, {}), reads(FS, ONE), suffix=".tdms"),
    Kind("TDMS, rate of the file", tdms({"unit_string": "g"}, {}, {"SampleRate": "1 kHz"}), reads(FS, ONE), suffix=".tdms"),
    *(Kind(f"WAV that never got its size ({size:#x})", wav(size), reads(FS, SAMPLES, scale=10000), suffix=".wav")
      for size in (0, 0x7FFFF000, 0x80000000, 0xFFFFFFFF)),
    Kind("WAV cut off", wav(None, cut=1000), refuses("Truncated", "promises 4000 bytes of samples, 3000 are there"), suffix=".wav"),
    Kind("WAV, odd chunk not padded", wav(None, chunk(b"bext", b"a" * 603, padded=False)), reads(FS, SAMPLES, scale=10000), suffix=".wav"),
    Kind("BW64", wav(0xFFFFFFFF, magic=b"BW64"), reads(FS, SAMPLES, scale=10000), suffix=".wav"),
]  # fmt: skip
