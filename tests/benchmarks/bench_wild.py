"""Read every kind of strangers' file: ours, those of a folder of makers where one is given, and hostile ones.

Run: python tests/benchmarks/bench_wild.py [--makers DIR] [--out results/wild.json]

A maker is a script ``make_*.py OUT`` that writes files. Its signals are known: 50, 80 and 20 Hz at 1000 Hz, or at the
rate that `RATES` gives for the file. A file is right if each channel that `read` takes has that rate and one of those
lines; wrong silently if it has not; else it was refused, with a reason and a remedy.
"""

from __future__ import annotations

import argparse
import fnmatch
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "readers" / "makers"))
from kinds import FS
from kinds_binary import BINARY
from kinds_text import TEXT

from camvib.errors import CamvibError
from camvib.readers import describe, read

RESULTS = Path(__file__).parent / "results" / "wild.json"
LINES = (50, 80, 20, 100)  # the last: the magnitude of a line at 50 Hz
RATES = {
    "hdr_space*": 51200, "hdr_kSs*": 10000, "hdr_interval_ms*": 10000, "hdr_period_ms*": 10000, "hdr_dt_ms*": 10000,
    "hdr_*": 25600, "header_*_vs_time*": 25600, "rate_line_*": 25600, "h5_rate_text_hz*": 25600, "metawear*": 400,
    "digilent_notime*": 51200, "parquet_midnight*": 10000, "*over_midnight.parquet": 10000, "tdms_resampled*": 1024,
    "mat_two_fs*": 10000,
}  # fmt: skip
SEVERAL_RATES = ("mat_two_fs.mat",)
HANG_S, FULL_BYTES = 150.0, 3 << 30


def judge(path: Path, hz: float, by_sample: bool = False, only: Sequence[str] = ()) -> tuple[str, str]:
    """Return right, refused or wrong, and what was seen; `only` these channels count, if any are given."""
    try:
        describe(path)
        found = list(read(path, unit="arbitrary"))
    except CamvibError as error:
        return ("refused" if error.remedy else "wrong"), str(error)
    except BaseException as error:  # noqa: BLE001 - what must not come out is what is looked for
        return "crash", f"{type(error).__name__}: {error}"
    for one in found:
        if only and one.channel not in only:
            continue
        samples = np.nan_to_num(np.asarray(one.samples, float) - np.nanmean(one.samples))
        if len(samples) < 100 or not samples.std() > 1e-9:
            continue
        line = np.argmax(np.abs(np.fft.rfft(samples))) / len(samples) * (FS if by_sample else one.sampling_rate_hz)
        rates = {FS, hz} if path.name in SEVERAL_RATES else {hz}
        scales = {1.0} if by_sample else {1.0, hz / FS}  # some makers stretch 1000 Hz to the rate that they state
        off = min(abs(line / scale - known) for known in LINES for scale in scales)
        if min(abs(one.sampling_rate_hz / rate - 1) for rate in rates) > 1e-3 or off > max(1.5 * FS / len(samples), 1):
            return "wrong", f"{one.channel}: {one.sampling_rate_hz:.6g} Hz, line at {line:.4g} Hz"
    return "right", ""


def own(folder: Path) -> list[tuple[str, str, str]]:
    """Judge the kinds of the tests."""
    rows = []
    for i, kind in enumerate([*TEXT, *BINARY]):
        place = folder / str(i)
        place.mkdir()
        verdict, seen = judge(kind.write(place), kind.answer.hz or FS, True, list(kind.answer.channels))
        expected = "refused" if kind.answer.error else "right"
        is_true = verdict == expected and (not kind.answer.says or bool(re.search(kind.answer.says, seen)))
        rows.append((kind.name, verdict if is_true else f"not {expected}", seen))
    return rows


def made(makers: Path, folder: Path) -> list[tuple[str, str, str]]:
    """Run makers and judge what they write, but labelled folders."""
    for maker in sorted(makers.glob("make_*.py")):
        if "folders" not in maker.name:
            subprocess.run([sys.executable, maker, folder], cwd=makers, check=False, capture_output=True)
    return written(folder)


def written(folder: Path) -> list[tuple[str, str, str]]:
    """Judge the files of a folder."""
    rows = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        hz = next((rate for pattern, rate in RATES.items() if fnmatch.fnmatch(path.name, pattern)), FS)
        rows.append((path.name, *judge(path, hz)))
    return rows


def _external(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (1000,), "f8", external=[(str(path.parent / "secret"), 0, 8000)])


def _virtual(path: Path) -> None:
    with h5py.File(path.parent / "other.h5", "w") as other:
        other["x"] = np.arange(1000.0)
    layout = h5py.VirtualLayout((1000,), "f8")
    layout[:] = h5py.VirtualSource(path.parent / "other.h5", "x", (1000,))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("x", layout)


def _linked(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink(str(path.parent / "secret.h5"), "x")


def _circle(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["a/x"] = np.arange(100.0)
        for k in range(50):
            file[f"a/{k}"] = file["a"]


def _constant(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (10**11,), "f8", chunks=(1 << 20,), fillvalue=1.0)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**9,)})
        file.truncate(8 * 10**9 + 128)


def _endless_uff(path: Path) -> None:
    path.write_text(f"    -1\n    58b     1     2          11{-400:12d}" + "     0" * 4 + "\n" + "x\n" * 11)


def _endless_mdf(path: Path) -> None:
    path.write_bytes(b"MDF     4.10    camvib  " + bytes(40) + b"##HD" + bytes(4) + (104).to_bytes(8, "little") * 20)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "pipe.csv": os.mkfifo, "external.h5": _external, "virtual.h5": _virtual, "linked.h5": _linked, "circle.h5": _circle,
    "constant.h5": _constant, "sparse.npy": _sparse, "endless.uff": _endless_uff, "endless.mf4": _endless_mdf,
    "bomb.csv.gz": lambda path: path.write_bytes(gzip.compress(b"0.0,1.0\n" * 40_000_000, 9)),
    "bomb.npz": lambda path: np.savez_compressed(path, x=np.zeros(40_000_000), fs=1000),
    "device.csv": lambda path: path.symlink_to("/dev/zero"),
    "\x1b[2J.csv": lambda path: path.write_text("x\n"), "a\nb.csv": lambda path: path.write_text("x\n"),
    "\udcff.csv": lambda path: path.write_text("x\n"), "\u202evsc.csv": lambda path: path.write_text("x\n"),
}  # fmt: skip


def hostile(folder: Path) -> dict[str, int]:
    """Read hostile files; count those that hang, fill the disk or give what stands in another file."""
    (folder / "secret").write_bytes(np.arange(1000.0).tobytes())
    counts = {"hostile_tried": 0, "hostile_hung": 0, "hostile_filled": 0, "hostile_read_others": 0}
    for name, make in HOSTILE.items():
        path = folder / name
        make(path)
        free, begun = os.statvfs(tempfile.gettempdir()), time.perf_counter()
        read_others = False
        try:
            read_others = bool(list(read(path, unit="arbitrary", sampling_rate_hz=1000))) and name != "circle.h5"
        except CamvibError as error:
            print(f"{name!r}: {str(error)[:150]}")
        after = os.statvfs(tempfile.gettempdir())
        counts["hostile_tried"] += 1
        counts["hostile_hung"] += time.perf_counter() - begun > HANG_S
        counts["hostile_filled"] += (free.f_bavail - after.f_bavail) * free.f_frsize > FULL_BYTES
        counts["hostile_read_others"] += read_others
    return counts


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--makers", type=Path)
    parser.add_argument("--files", type=Path, action="append", default=[], help="folders that makers wrote already")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / part for part in ("own", "made", "hostile")]
        for folder in folders:
            folder.mkdir()
        rows = own(folders[0]) + (made(arguments.makers, folders[1]) if arguments.makers else [])
        rows += [row for folder in arguments.files for row in written(folder)]
        for kind, verdict, seen in rows:
            if verdict not in ("right", "refused"):
                print(f"{verdict}: {kind}: {seen[:200]}")
        counts = {
            "kinds": len(rows),
            "right": sum(verdict == "right" for _, verdict, _ in rows),
            "refused_rightly": sum(verdict == "refused" for _, verdict, _ in rows),
            "wrong_silently": sum(verdict not in ("right", "refused", "crash") for _, verdict, _ in rows),
            "crashes": sum(verdict == "crash" for _, verdict, _ in rows),
            **hostile(folders[2]),
        }
    print(json.dumps(counts, indent=1))
    arguments.out.write_text(json.dumps(counts, indent=1) + "\n")


if __name__ == "__main__":
    main()
