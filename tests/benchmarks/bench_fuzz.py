"""Read mutated copies of real files: a Recording or a CamvibError must come out, within 5 s, and nothing else.

Run: python tests/benchmarks/bench_fuzz.py [--mutations 20000] [--seed 0] [--data ../shared/data] [--out FILE.json]

Each file gets the same number of mutations; copies are read in a worker process, so that a crash of a parser's
C code or a hang is seen and counted instead of ending the run. Every other mutation is read as if it were too long for
memory, by the paths that leave samples on disk.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import queue
import random
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

HANG_S = 5.0
MAX_BYTES = 1_500_000


def mutate(content: bytes, rng: random.Random) -> tuple[bytes, int]:
    """Damage a file as transfers and disks do, or as an attacker would; returns it and where the damage begins."""
    data = bytearray(content)
    n = len(data)
    first = n
    for _ in range(rng.choice((1, 1, 2, 5))):
        span = n if rng.random() < 0.5 else min(n, 1024)
        at, length = rng.randrange(span), rng.choice((1, 1, 4, 16, 256))
        first = min(first, at)
        kind = rng.randrange(8)
        if kind == 0:
            data[at : at + 1] = bytes([data[at % len(data)] ^ (1 << rng.randrange(8))]) if data else b""
        elif kind == 1:
            data[at : at + length] = rng.randbytes(length)
        elif kind == 2:
            del data[at : at + length]
        elif kind == 3:
            data[at:at] = rng.randbytes(length)
        elif kind == 4:
            data[at : at + length] = bytes(length)
        elif kind == 5:
            data[at : at + length] = b"\xff" * length
        elif kind == 6:
            data[at:at] = data[at : at + length]
        else:
            del data[at:]
        if not data:
            break
    return bytes(data), first


def seeds(data: Path) -> list[Path]:
    """Real files, one list for all formats, the small ones first."""
    files = [*data.glob("formats/*.*"), *data.glob("*/original/*.*"), data / "cwru/1797_IR_14_DE48.npz"]
    files += [data / "pump_motor_kafeel/healthy/H32.mat", data / "dropbear8/slow10_test0.npz"]
    skip = (".md", ".txt.txt")
    return sorted(
        (f for f in files if f.is_file() and f.suffix not in skip and f.name != "labels.csv"),
        key=lambda f: f.stat().st_size,
    )


def read_all(path: Path) -> tuple[str, float]:
    """Read a file as the batch does; returns the outcome and the rate."""
    from camvib.errors import CamvibError
    from camvib.readers import in_this_process, read
    from camvib.records import Recording

    try:
        rate = 0.0
        with in_this_process():  # the process of this benchmark is replaced when it hangs or dies
            for recording in read(path, unit="arbitrary"):
                assert isinstance(recording, Recording)
                assert recording.samples.ndim == 1
                assert 0 < recording.sampling_rate_hz < 1e10
                rate = max(rate, recording.sampling_rate_hz)
        return "recording", rate
    except CamvibError as error:
        if not error.remedy or str(path) not in str(error):
            return f"ESCAPED error without remedy or file: {error}", 0.0
        return type(error).__name__, 0.0


def count_as_long(is_long: bool) -> None:
    """Let files of some kilobytes count as long, or only those that are."""
    from camvib.readers import _mat5, hdf5, ide, npy
    from camvib.readers.parsing import blocks as _blocks

    _blocks.SPOOL_ABOVE_BYTES = 1000 if is_long else 64_000_000
    ide._PIECE_BYTES = 200_000 if is_long else 8_000_000
    for module in (hdf5, npy, _mat5):
        module.SMALL_BYTES = 100 if is_long else 1_000_000  # type: ignore[attr-defined]


def worker(jobs: multiprocessing.Queue, results: multiprocessing.Queue) -> None:
    """Mutate, write, read, report."""
    import resource

    resource.setrlimit(
        resource.RLIMIT_AS, (12 << 30, 12 << 30)
    )  # a parser that asks for the whole memory gets an error
    contents: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        while (job := jobs.get()) is not None:
            number, file, seed, is_long = job
            count_as_long(is_long)
            results.put(("start", number, "", 0.0, 0))
            content = contents.setdefault(file, Path(file).read_bytes())
            damaged, at = mutate(content, random.Random(seed))
            copy = Path(folder) / Path(file).name
            copy.write_bytes(damaged)
            try:
                outcome, rate = read_all(copy)
            except BaseException as error:  # noqa: BLE001 - what must not come out is what is looked for
                outcome, rate = f"ESCAPED {type(error).__name__}: {error}"[:300], 0.0
            results.put(("done", number, outcome, rate, at))


class Pool:
    """One worker process, replaced when it hangs or dies."""

    def __init__(self) -> None:
        self.jobs: multiprocessing.Queue = multiprocessing.Queue()
        self.results: multiprocessing.Queue = multiprocessing.Queue()
        self.process = multiprocessing.Process(target=worker, args=(self.jobs, self.results), daemon=True)
        self.process.start()

    def run(self, job: tuple[int, str, int, bool]) -> tuple[str, float, int, float]:
        """Return outcome, rate, place of the damage and seconds."""
        self.jobs.put(job)
        begun = time.perf_counter()
        started = False
        while True:
            try:
                kind, _, outcome, rate, at = self.results.get(timeout=0.2)
            except queue.Empty:
                waited = time.perf_counter() - begun
                if not self.process.is_alive():
                    code = self.process.exitcode
                    self.__init__()  # type: ignore[misc]
                    return f"CRASH exit code {code}", 0.0, 0, waited
                if waited > 4 * HANG_S + (0 if started else 20):
                    self.process.kill()
                    self.process.join()
                    self.__init__()  # type: ignore[misc]
                    return "HANG", 0.0, 0, waited
                continue
            if kind == "start":
                started, begun = True, time.perf_counter()
                continue
            return outcome, rate, at, time.perf_counter() - begun


def run(files: list[Path], mutations: int, seed: int, out: Path | None = None) -> dict:
    """Read `mutations` damaged copies and gather what came out, written down after every thousand."""
    from tqdm import tqdm

    pool = Pool()
    outcomes: dict[str, Counter] = defaultdict(Counter)
    bad, slow, rates = [], [], []
    originals = {file: read_all(file)[1] for file in files}
    for number in tqdm(range(mutations), unit="file"):
        file = files[number % len(files)]
        outcome, rate, at, seconds = pool.run((number, str(file), seed + number, bool(number // len(files) % 2)))
        kind = outcome.split()[0] if outcome.split()[0] in ("ESCAPED", "CRASH", "HANG") else outcome
        outcomes[file.name][kind] += 1
        if kind in ("ESCAPED", "CRASH", "HANG"):
            bad.append({"file": file.name, "seed": seed + number, "outcome": outcome})
        elif seconds > HANG_S:
            slow.append({"file": file.name, "seed": seed + number, "seconds": round(seconds, 2)})
        if outcome == "recording" and originals[file] and abs(rate / originals[file] - 1) > 0.01:
            rates.append(
                {"file": file.name, "seed": seed + number, "rate_hz": rate, "true_hz": originals[file], "at": at}
            )
        if out and (number + 1) % 1000 == 0:
            out.write_text(json.dumps(summary(number + 1, seed, bad, slow, rates, outcomes), indent=1) + "\n")
    pool.process.kill()
    return summary(mutations, seed, bad, slow, rates, outcomes)


def summary(mutations: int, seed: int, bad: list, slow: list, rates: list, outcomes: dict[str, Counter]) -> dict:
    """Everything that was found, as it is written."""
    total = sum(outcomes.values(), Counter())
    return {
        "mutations": mutations,
        "seed": seed,
        "bad": bad,
        "slow": slow,
        "recordings": total["recording"],
        "refused": mutations - total["recording"],
        "rates": rates,
        "outcomes": {k: dict(v) for k, v in outcomes.items()},
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data")
    parser.add_argument("--match", default="")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    files = [file for file in seeds(arguments.data) if file.stat().st_size < MAX_BYTES and arguments.match in file.name]
    result = run(files, arguments.mutations, arguments.seed, arguments.out)
    print(json.dumps({k: v for k, v in result.items() if k != "outcomes"}, indent=1)[:6000])
    for name, counts in result["outcomes"].items():
        print(f"{name:45s} {counts}")
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
