"""Peak memory while a recording of 1.2 GB is read, window by window, in every format.

Run: python tests/benchmarks/bench_streaming.py [--gigabytes 1.2] [--formats wav,npy,csv,…] [--folder DIR]

Each format is read in a process of its own; its peak resident set (VmHWM) must stay under 500 MB. Converting from g
to m/s² is part of the task, so the samples are rewritten block by block. Results of other formats in
results/streaming.json stay as they are.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "streaming.json"
LIMIT_MB = 500
FS = 51200
BLOCK = 1 << 20


def blocks(samples: int) -> Iterator[np.ndarray]:
    """Make the same noise every time, block by block."""
    rng = np.random.default_rng(0)
    for first in range(0, samples, BLOCK):
        yield rng.standard_normal(min(BLOCK, samples - first), dtype=np.float32)


def write_wav(path: Path, samples: int) -> None:
    """Float WAV; RF64 lifts the limit of 4 GB."""
    import soundfile

    with soundfile.SoundFile(path, "w", FS, 1, "FLOAT", format="RF64") as file:
        for block in blocks(samples):
            file.write(block)


def write_npy(path: Path, samples: int) -> None:
    """Plain array."""
    array = np.lib.format.open_memmap(path, "w+", np.float32, (samples,))
    for i, block in enumerate(blocks(samples)):
        array[i * BLOCK : i * BLOCK + len(block)] = block


def write_csv(path: Path, samples: int) -> None:
    """Time and acceleration as text: about 27 bytes a sample."""
    with path.open("w") as file:
        file.write("time_s,accel_g\n")
        for i, block in enumerate(blocks(samples)):
            times = (i * BLOCK + np.arange(len(block))) / FS
            file.write(
                "\n".join(f"{t:.9f},{x:.6f}" for t, x in zip(times.tolist(), block.tolist(), strict=True)) + "\n"
            )


def write_parquet(path: Path, samples: int) -> None:
    """One row group a block."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([pa.field("a", pa.float32())], metadata={"fs": str(FS)})
    with pq.ParquetWriter(path, schema) as writer:
        for block in blocks(samples):
            writer.write_table(pa.table({"a": block}, schema=schema))


def write_hdf5(path: Path, samples: int) -> None:
    """Chunked dataset."""
    import h5py

    with h5py.File(path, "w") as file:
        data = file.create_dataset("a", (samples,), np.float32, chunks=(1 << 16,))
        data.attrs["fs"] = FS
        for i, block in enumerate(blocks(samples)):
            data[i * BLOCK : i * BLOCK + len(block)] = block


def write_tdms(path: Path, samples: int) -> None:
    """One segment a block."""
    from nptdms import ChannelObject, TdmsWriter

    with TdmsWriter(path) as writer:
        for block in blocks(samples):
            writer.write_segment([ChannelObject("group", "a", block, {"wf_increment": 1 / FS})])


def noise(samples: int) -> np.ndarray:
    """All of it at once, for writers that need that."""
    return np.concatenate(list(blocks(samples)))


def write_npz(path: Path, samples: int) -> None:
    """Plain member of the archive: mapped where it lies."""
    np.savez(path, a=noise(samples), fs=FS)


def write_npz_compressed(path: Path, samples: int) -> None:
    """Deflated member."""
    np.savez_compressed(path, a=noise(samples), fs=FS)


def write_mat5(path: Path, samples: int) -> None:
    """Plain variable: mapped where it lies."""
    import scipy.io

    scipy.io.savemat(path, {"a": noise(samples)[:, None], "fs": float(FS)}, appendmat=False)


def write_mat5_compressed(path: Path, samples: int) -> None:
    """Deflated variable, as MATLAB writes by default."""
    import scipy.io

    data = {"a": noise(samples)[:, None], "fs": float(FS)}
    scipy.io.savemat(path, data, appendmat=False, do_compression=True)


def write_mat73(path: Path, samples: int) -> None:
    """HDF5 with MATLAB's user block."""
    import h5py

    with h5py.File(path, "w", userblock_size=512) as file:
        data = file.create_dataset("a", (1, samples), np.float32, chunks=(1, 1 << 16))
        file["fs"] = np.array([[float(FS)]])
        for i, block in enumerate(blocks(samples)):
            data[0, i * BLOCK : i * BLOCK + len(block)] = block
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")


def write_uff(path: Path, samples: int, binary: bool = False) -> None:
    """One dataset 58."""
    size = f"b     1     2          11{4 * samples:12d}     0     0           0           0" if binary else ""
    axes = ((17, "Time", "s"), (12, "Acceleration", "g"), (0, "NONE", "NONE"), (0, "NONE", "NONE"))
    lines = ["    -1", f"    58{size}", *["NONE"] * 5]
    lines.append("    1         0    0         0 a                  1   3 NONE               1   3")
    lines.append(f"         2{samples:10d}         1{0:13.5e}{1 / FS:13.5e}{0:13.5e}")
    lines += [f"{kind:10d}    0    0    0 {label:20s} {unit:20s}" for kind, label, unit in axes]
    with path.open("wb") as file:
        file.write("\n".join(lines).encode() + b"\n")
        for block in blocks(samples):
            whole = block[: len(block) // 6 * 6].reshape(-1, 6)  # what is left of a block has a line of its own
            rows = "%13.5e%13.5e%13.5e%13.5e%13.5e%13.5e\n" * len(whole) % tuple(whole.ravel().tolist())
            rest = "".join(f"{value:13.5e}" for value in block[whole.size :].tolist())
            file.write(block.tobytes() if binary else (rows + rest + "\n" * bool(rest)).encode())
        file.write(b"\n    -1\n" if binary else b"    -1\n")


def write_uff_binary(path: Path, samples: int) -> None:
    """Dataset 58b: mapped where it lies."""
    write_uff(path, samples, binary=True)


def write_lvm(path: Path, samples: int) -> None:
    """One measurement with a time column."""
    with path.open("w") as file:
        file.write("LabVIEW Measurement\t\nSeparator\tTab\nDecimal_Separator\t.\n***End_of_Header***\t\n\n")
        file.write(f"Channels\t1\t\nSamples\t{samples}\t\nY_Unit_Label\tg\t\nDelta_X\t{1 / FS!r}\t\n")
        file.write("***End_of_Header***\t\nX_Value\ta\tComment\n")
        for i, block in enumerate(blocks(samples)):
            times = ((i * BLOCK + np.arange(len(block))) / FS).tolist()
            file.write("".join(f"{t:.9f}\t{x:.6f}\n" for t, x in zip(times, block.tolist(), strict=True)))


def write_mdf(path: Path, samples: int) -> None:
    """One group with its time channel."""
    from asammdf import MDF, Signal

    with MDF(version="4.10") as file:
        for i, block in enumerate(blocks(samples)):
            times = (i * BLOCK + np.arange(len(block))) / FS
            if i:
                file.extend(0, [(times, None), (block, None)])
            else:
                file.append([Signal(block, times, name="a", unit="g")], common_timebase=True)
        file.save(path.with_suffix(".mf4"), overwrite=True)
    path.with_suffix(".mf4").rename(path)


def element(name: int, content: bytes) -> bytes:
    """Write an EBML element of one byte's name."""
    return bytes([name]) + (len(content) | 1 << 56).to_bytes(8, "big") + content


def write_ide(path: Path, samples: int) -> None:
    """Header of a recorder's real file, then blocks of its piezo channel with noise of one standard deviation."""
    from camvib.readers import ide

    template = Path(__file__).resolve().parents[3] / "shared" / "data" / "formats" / "test1.IDE"
    with template.open("rb") as file:
        common = b"".join(ide._bytes(file, e) for e in ide._elements(file, template.stat().st_size) if e.channel != 8)
    per_block, ticks, g_per_count = 2000, 2**15 / 5000, 0.0030518043793392844
    with path.open("wb") as file:
        file.write(common)
        for i, block in enumerate(blocks(samples)):
            for first in range(0, len(block), per_block):
                part = block[first : first + per_block]
                counts = np.round(np.repeat(part[:, None], 4, axis=1) / g_per_count + 2**15).astype("<u2")
                begin, end = i * BLOCK + first, i * BLOCK + first + len(part) - 1
                codes = [element(0xB8 + k, round(at * ticks).to_bytes(8, "big")) for k, at in enumerate((begin, end))]
                file.write(element(0xA1, b"".join([element(0xB0, b"\x08"), *codes, element(0xB2, counts.tobytes())])))


# Writer, bytes a sample, what else is to be said to read one channel
G = {"unit": "g", "sampling_rate_hz": FS}
WRITERS: dict[str, tuple[Callable[[Path, int], None], float, dict[str, Any]]] = {
    "wav": (write_wav, 4, G), "npy": (write_npy, 4, G), "npz": (write_npz, 4, G),
    "npz_compressed": (write_npz_compressed, 4, G), "mat5": (write_mat5, 4, G),
    "mat5_compressed": (write_mat5_compressed, 4, G), "mat73": (write_mat73, 4, G), "hdf5": (write_hdf5, 4, G),
    "parquet": (write_parquet, 4, G), "csv": (write_csv, 23, G), "uff_ascii": (write_uff, 13.2, G),
    "uff_binary": (write_uff_binary, 4, G), "tdms": (write_tdms, 4, G), "lvm": (write_lvm, 23, G),
    "mdf": (write_mdf, 12, G), "ide": (write_ide, 8, {"channel": "Acceleration: X (100g)"}),
}  # fmt: skip


def read_and_measure(path: Path, samples: int, declared: dict[str, Any]) -> dict[str, float]:
    """Read in this process, walk through all windows, and return peak memory and seconds."""
    from camvib.readers import in_this_process, read
    from camvib.readers.parsing.blocks import blocks as walk

    begun = time.perf_counter()
    with in_this_process():  # whose memory is measured
        (recording,) = read(path, **declared)
    power = sum(float(np.dot(block, block)) for block in walk(recording.samples))
    seconds = time.perf_counter() - begun
    if len(recording.samples) != samples:
        raise SystemExit(f"{path}: {len(recording.samples)} of {samples} samples")
    rms_g = (power / samples) ** 0.5 / 9.80665
    if abs(rms_g - 1) > 0.01:
        raise SystemExit(f"{path}: RMS {rms_g} g instead of 1 g")
    status = Path("/proc/self/status").read_text()
    peak_kb = int(status.split("VmHWM:")[1].split()[0])
    return {
        "file_mb": round(path.stat().st_size / 1e6),
        "peak_mb": round(peak_kb * 1024 / 1e6, 1),
        "seconds": round(seconds, 1),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.2)
    parser.add_argument("--formats", default=",".join(WRITERS))
    parser.add_argument("--folder", type=Path, help="where the recordings are written for the moment")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--samples", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        declared = WRITERS[arguments.formats][2]
        print(json.dumps(read_and_measure(arguments.read, arguments.samples, declared)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for form in arguments.formats.split(","):
            write, bytes_a_sample, _ = WRITERS[form]
            samples = int(arguments.gigabytes * 1e9 / bytes_a_sample)
            path = Path(folder) / f"long.{form.split('_')[0]}"
            write(path, samples)
            command = [sys.executable, __file__, "--formats", form, "--read", str(path), "--samples", str(samples)]
            result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            path.unlink()
            print(form, result, "ok" if result["peak_mb"] <= LIMIT_MB else f"OVER {LIMIT_MB} MB", flush=True)
            done = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
            RESULTS.write_text(json.dumps(done | {form: result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
