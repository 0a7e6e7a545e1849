"""Strangers' files are read in a worker: what hangs, fills or kills it, or is no file, is refused and stops nothing."""

import gzip
import os
import socket
import struct
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from camvib.errors import CamvibError, ReadError
from camvib.readers import open_file, read, worker
from camvib.recordings.entries import Entry, recordings
from camvib.records import file_sha256

pytestmark = pytest.mark.apart
X = np.random.default_rng(0).normal(size=5000)


def plugin(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> Path:
    """Install a reader of files that begin with EVIL; returns such a file."""
    info = folder / "site" / "evil-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[camvib.readers]\nevil = evil_reader\n")
    (folder / "site" / "evil_reader.py").write_text(
        "from camvib.readers.parsing.blocks import Spool\nimport os, time, numpy as np\npriority = 99\n"
        "def sniff(head, path):\n    return head.startswith(b'EVIL')\n"
        f"def read(path):\n    {body}\n    yield None\n"
    )
    monkeypatch.syspath_prepend(str(folder / "site"))
    worker.stop()
    file = folder / "a.evil"
    file.write_bytes(b"EVIL")
    return file


@pytest.fixture(autouse=True)
def fresh() -> object:
    yield
    worker.stop()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("time.sleep(60)", "took more than"),
        ("os._exit(3)", "killed the process"),
        ("os.kill(os.getpid(), 11)", "killed the process"),
        ("x = np.ones(1 << 33)", "MemoryError|killed the process"),
        ("s = Spool(1 << 40)\n    while True: s.append(np.ones(1 << 20))", "more temporary space"),
    ],
)
def test_a_reader_that_runs_away_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, says: str
) -> None:
    file = plugin(tmp_path, monkeypatch, body)
    if "sleep" in body:
        monkeypatch.setattr(worker, "SECONDS", 1.0)
        monkeypatch.setattr(worker, "FIRST_SECONDS", 4.0)
    if "Spool" in body:
        monkeypatch.setattr(worker, "SPACE_BYTES", 1 << 26)
    good = tmp_path / "good.npz"
    np.savez(good, acc_g=X, fs=1000)
    found = list(recordings([Entry(file), Entry(good)]))
    assert isinstance(found[0][1], ReadError)
    assert any(part in str(found[0][1]) for part in says.split("|"))
    assert not isinstance(found[1][1], CamvibError)  # one file never stops an inbox


@pytest.mark.parametrize("long", [False, True])
def test_samples_come_back_as_they_are(tmp_path: Path, long: bool) -> None:
    samples = np.random.default_rng(1).normal(size=(12_000_000 if long else 1000)).astype(np.float32)
    np.savez(tmp_path / "a.npz", acc_g=samples, fs=1000)
    np.savez_compressed(tmp_path / "b.npz", acc_g=samples, fs=1000)
    for name in ("a.npz", "b.npz"):
        (channel,) = open_file(tmp_path / name).channels
        np.testing.assert_array_equal(channel.samples, samples)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        for path, what in ((tmp_path / "pipe.csv", "pipe"), (tmp_path / "s", "socket"), (Path("/dev/zero"), "device")):
            with pytest.raises(ReadError, match=f"is a {what}"):
                list(read(path))


def test_no_other_file_is_read_through_hdf5(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(X.tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["x"] = X
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", X.shape, X.dtype, external=[(str(tmp_path / "secret"), 0, X.nbytes)])
    layout = h5py.VirtualLayout(X.shape, X.dtype)
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "x", X.shape)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_virtual_dataset("x", layout)
    for name in ("a.h5", "b.h5"):
        with pytest.raises(ReadError, match="lie in other"):
            open_file(tmp_path / name)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["x"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
        file["own"] = X
    assert [channel.name for channel in open_file(tmp_path / "c.h5").channels] == ["own"]


def test_groups_in_a_circle_end(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/x"] = X
        for k in range(40):
            file[f"a/loop{k}"] = file["a"]
    assert len(open_file(tmp_path / "a.h5").channels) == 1


def test_bombs_are_refused_by_their_ratio(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", (10**10,), np.float64, chunks=(1 << 20,), fillvalue=1.0)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"0.0,1.0\n" * 20_000_000, 9))
    with (tmp_path / "c.npy").open("wb") as sparse:
        np.lib.format.write_array_header_1_0(sparse, {"descr": "<f8", "fortran_order": False, "shape": (10**9,)})
        sparse.truncate(8 * 10**9 + 128)
    np.savez_compressed(tmp_path / "d.npz", x_g=np.zeros(20_000_000), fs=1000)
    for name in ("a.h5", "b.csv.gz", "c.npy", "d.npz"):
        with pytest.raises(ReadError, match=r"limit [\d.]+"):
            open_file(tmp_path / name)


def test_endless_uff_ends(tmp_path: Path) -> None:
    head = "    -1\n    58b     1     2          11" + f"{-400:12d}" + "     0     0           0           0\n"
    (tmp_path / "a.uff").write_text(head + "x\n" * 11 + "    -1\n")
    with pytest.raises(CamvibError):
        open_file(tmp_path / "a.uff")


def test_a_variable_that_inflates_without_end_is_refused(tmp_path: Path) -> None:
    packed = zlib.compress(struct.pack("<II", 14, 2**31 - 1) + bytes(100_000_000), 9)
    body = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + struct.pack("<II", 15, len(packed)) + packed
    (tmp_path / "a.mat").write_bytes(body)
    with pytest.raises(ReadError):
        open_file(tmp_path / "a.mat")


@pytest.mark.parametrize(
    "name", [b"a\xff\xfe.csv", b"a\x1b[2J.csv", "a\u202ecsv.exe.csv".encode(), b"a\nb.csv", b"=1+1.csv"]
)
def test_names_harm_nothing(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_text("time_s,\x1b[31macc_g\n" + "".join(f"{i / 100},{i % 7}\n" for i in range(500)))
    (recording,) = read(path)
    for text in (recording.source, recording.channel):
        assert text.isprintable()
        text.encode()
    assert recording.content_sha256 == file_sha256(path)
    path.write_text("no numbers")
    with pytest.raises(ReadError) as caught:
        list(read(path))
    assert str(caught.value).isprintable()
