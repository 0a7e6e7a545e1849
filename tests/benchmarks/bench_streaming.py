"""Peak memory while a recording of 1–2 GB is read, window by window, in each format that streams.

Run: python tests/benchmarks/bench_streaming.py [--gigabytes 1.2] [--formats wav,npy,csv,…] [--out FILE.json]

Each format is read in a process of its own; its peak resident set (VmHWM) must stay under 500 MB. Converting from g
to m/s² is part of the task, so the samples are rewritten block by block.
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

import numpy as np

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


WRITERS: dict[str, tuple[Callable[[Path, int], None], int]] = {
    "wav": (write_wav, 4), "npy": (write_npy, 4), "csv": (write_csv, 23), "parquet": (write_parquet, 4),
    "hdf5": (write_hdf5, 4), "tdms": (write_tdms, 4),
}  # fmt: skip


def read_and_measure(path: Path, samples: int) -> dict[str, float]:
    """Read in this process, walk through all windows, and return peak memory and seconds."""
    from camvib.readers import read
    from camvib.readers._blocks import blocks as walk

    begun = time.perf_counter()
    (recording,) = read(path, sampling_rate_hz=FS, unit="g")
    seconds = time.perf_counter() - begun
    if len(recording.samples) != samples:
        raise SystemExit(f"{path}: {len(recording.samples)} of {samples} samples")
    power = sum(float(np.dot(block, block)) for block in walk(recording.samples))
    rms_g = (power / samples) ** 0.5 / 9.80665
    if abs(rms_g - 1) > 0.01:
        raise SystemExit(f"{path}: RMS {rms_g} g instead of 1 g")
    status = Path("/proc/self/status").read_text()
    peak_kb = int(status.split("VmHWM:")[1].split()[0])
    return {
        "peak_mb": round(peak_kb / 1024, 1),
        "seconds": round(seconds, 1),
        "file_mb": round(path.stat().st_size / 1e6),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=1.2)
    parser.add_argument("--formats", default=",".join(WRITERS))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--samples", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        print(json.dumps(read_and_measure(arguments.read, arguments.samples)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for form in arguments.formats.split(","):
            write, bytes_a_sample = WRITERS[form]
            samples = int(arguments.gigabytes * 1e9 / bytes_a_sample)
            path = Path(folder) / f"long.{form}"
            write(path, samples)
            command = [sys.executable, __file__, "--read", str(path), "--samples", str(samples)]
            results[form] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            path.unlink()
            print(
                form, results[form], "ok" if results[form]["peak_mb"] <= LIMIT_MB else f"OVER {LIMIT_MB} MB", flush=True
            )
    if arguments.out:
        arguments.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
