"""What the batch costs and what it withstands; writes results/batch.json.

Times are processor seconds of the run and its workers, which a busy machine does not change; wall times stand beside.
Run: python tests/benchmarks/bench_batch.py [--recordings 1000 …] [--kills 50] [--known 100000]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from camvib.model.calibration import Calibration
from camvib.model.diagnoser import Diagnoser
from camvib.model.folder import load_model
from camvib.model.model import Model
from camvib.monitoring.batch import Options, Run, diagnose
from camvib.monitoring.cases import CasePolicy, Mark, Observation, step
from camvib.monitoring.claims import Claims
from camvib.monitoring.discovery import Discovery, Listing, discover
from camvib.monitoring.ledger import Store
from camvib.recordings.quality import InputSpec
from camvib.records import Case, Declared
from camvib.settings import Settings

RESULTS = Path(__file__).parent / "results" / "batch.json"
RATE = 4096.0
START = datetime(2026, 1, 1, tzinfo=UTC)
DISCOVERY = Discovery(Declared(unit="m/s2"), asset_from="{asset}/{date}.wav")


def make_model(folder: Path, seconds: float, cells: int, channels: tuple[int, ...]) -> Path:
    """A plain network with random weights: its answers are of no account here, its cost is."""
    settings = Settings.model_validate(
        {
            "image": {"window_s": seconds, "rows": cells, "columns": cells},
            "model": {"name": "gap_cnn", "channels": channels},
        }
    )
    torch.manual_seed(0)
    k = channels[-1]
    known = Calibration(1.0, np.zeros((1, k), np.float32), np.eye(k, dtype=np.float32), 1e9)
    spec = InputSpec(RATE, "m/s2", seconds)
    return Model(Diagnoser(2, settings, RATE).eval(), ("healthy", "crack"), "healthy", spec, settings, known).save(
        folder
    )


def fill(folder: Path, count: int, seconds: float) -> Path:
    """Write recordings of 20 assets."""
    rng, n = np.random.default_rng(0), round(seconds * RATE)
    t = np.arange(n) / RATE
    for number in range(count):
        path = folder / f"m{number % 20:02d}" / f"{1767225600 + 3600 * (number // 20)}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = np.sin(2 * np.pi * (50 + number % 7) * t) + 0.3 * rng.standard_normal(n)
        soundfile.write(path, (0.1 * samples).astype(np.float32), int(RATE), subtype="FLOAT")
    return folder


def cpu_s() -> float:
    """Processor time of this process and of its children that ended."""
    return sum(
        usage.ru_utime + usage.ru_stime
        for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


def apart(what: str, *arguments: object) -> dict[str, Any]:
    """Run a part of this file in a process of its own, so that peaks and caches are its own."""
    command = [sys.executable, __file__, "--part", what, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def part_job(inbox: str, model: str, folder: str, workers: str) -> dict[str, Any]:
    """The whole job: read, hash, check, image, network, maps, evidence, ledger, cases."""
    loaded, store = load_model(Path(model)), Store(Path(folder) / "s.db")
    began, wall = cpu_s(), time.perf_counter()
    batch = diagnose([inbox], loaded, store, Options(DISCOVERY, workers=int(workers)), progress=False)
    return {
        "cpu_s": cpu_s() - began,
        "wall_s": time.perf_counter() - wall,
        "new": batch.new,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "evidence_kb": sum(p.stat().st_size for p in store.folder.rglob("*.cve")) / max(1, batch.new) / 1000,
    }


def part_arithmetic(inbox: str, model: str) -> dict[str, Any]:
    """Decode, image (FFT) and network alone, with the same batches."""
    loaded = load_model(Path(model))
    files = sorted(Path(inbox).rglob("*.wav"))
    began = cpu_s()
    for first in range(0, len(files), 32):
        waves = np.stack([soundfile.read(file, dtype="float32")[0] for file in files[first : first + 32]])
        loaded.predict(waves)
    return {"cpu_s": cpu_s() - began}


def part_orchestration(inbox: str, model: str, folder: str) -> dict[str, Any]:
    """Discovery, claims and cases of the job, without a recording being read."""
    run = Run(load_model(Path(model)), Store(Path(folder) / "o.db"), Options(DISCOVERY, workers=0))
    began = cpu_s()
    registered, _ = run.find([inbox])
    ids = list(registered.todo)
    for first in range(0, len(ids), 32):
        run.claims.take(ids[first : first + 32])
    return {"cpu_s": cpu_s() - began}


def part_rerun(count: str, folder: str) -> dict[str, Any]:
    """A look at so many known files, of which none is new."""
    base = Path(folder) / "known"
    for number in range(int(count)):
        if number % 5000 == 0:
            (base / f"m{number // 5000:03d}").mkdir(parents=True)
        (base / f"m{number // 5000:03d}" / f"{1767225600 + number}.wav").touch()
    claims = Claims(Store(Path(folder) / "k.db").database, "job")
    claims.register(discover([base], DISCOVERY, Listing()))
    with claims.database.write() as connection:
        connection.exec_driver_sql("UPDATE files SET state = 'done'")
    began, wall = cpu_s(), time.perf_counter()
    registered = claims.register(discover([base], DISCOVERY, Listing()))
    assert (len(registered.all), len(registered.todo)) == (int(count), 0)
    return {"cpu_s": cpu_s() - began, "wall_s": time.perf_counter() - wall}


def part_kills(inbox: str, model: str, folder: str, kills: str) -> dict[str, Any]:
    """Kill −9 at random points, then a plain run: what is lost, what is there twice?"""
    torch.set_num_threads(1)
    loaded, rng, done = load_model(Path(model)), random.Random(0), 0
    path = Path(folder) / "kills.db"
    Store(path)
    count = len(list(Path(inbox).rglob("*.wav")))
    while done < int(kills):
        child = os.fork()
        if child == 0:
            diagnose([inbox], loaded, Store(path), Options(DISCOVERY, workers=0), progress=False)
            os._exit(0)
        ends = time.monotonic() + rng.uniform(0.05, 3.0)
        while time.monotonic() < ends and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.01)
        else:
            try:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                done += 1
            except (ProcessLookupError, ChildProcessError):  # it was through before: begin anew
                path = Path(folder) / f"kills{done}.db"
    store = Store(path)
    diagnose([inbox], loaded, store, Options(DISCOVERY, workers=0), progress=False)
    kept = store.all()
    whole = sum(store.evidence_state(one) == "kept" for one in kept)
    names = {one.recording for one in kept}
    return {
        "kills": done,
        "lost": count - len(names),
        "doubled": len(kept) - len(names),
        "evidence_lost": len(kept) - whole,
        "left_over": len(list(store.folder.rglob("*.tmp"))),
    }


def part_year() -> dict[str, Any]:
    """A year of hourly verdicts: 20 healthy assets, 20 whose fault grows. The verdicts are drawn, not judged."""
    rng, policy, hours = np.random.default_rng(0), CasePolicy(), 365 * 24
    false_alerts, waits = 0, []
    for asset in range(40):
        # Share of verdicts that speak for a fault: 2 % of healthy ones, rising to 97 % as the fault grows.
        speaks = np.full(hours, 0.02)
        if asset >= 20:
            onset, growth = rng.uniform(0.2, 0.7) * hours, rng.uniform(200, 1500)
            speaks += 0.95 / (1 + np.exp(-(np.arange(hours) - onset) / growth * 8))
        visible = np.flatnonzero(speaks >= 0.95)
        chances = np.where(rng.uniform(size=hours) < speaks, rng.uniform(0.6, 1, hours), rng.uniform(0, 0.4, hours))
        case: Case | None = None
        seen: list[Observation] = []
        opened: list[int] = []
        for hour, chance in enumerate(chances):
            at = (START + timedelta(hours=hour)).isoformat()
            seen = [*seen[-20:], Observation(at, {"crack": Mark(at, float(chance), "crack", at)})]
            before, case = case, step(case, "a", "crack", seen, policy)
            if case is not None and (before is None or before.state == "closed") and case.state == "open":
                opened.append(hour)
                if asset < 20 or not len(visible) or hour < onset - growth:
                    false_alerts += asset < 20
                    case = _closed(case)  # somebody looked and found nothing
        if asset >= 20 and len(visible):
            first = int(visible[0])
            waits.append(min((max(0, o - first + 1) for o in opened if o >= onset - growth), default=hours))
    return {
        "false_alerts_per_asset_30d": false_alerts / 20 / 365 * 30,
        "recordings_to_alert_p95": float(np.percentile(waits, 95)),
    }


def _closed(case: Case) -> Case:
    from dataclasses import replace

    return replace(case, state="closed")


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    name.removeprefix("part_"): value for name, value in list(globals().items()) if name.startswith("part_")
}


def measure(sizes: list[int], kills: int, known: int) -> dict[str, Any]:
    """All figures; a size that was not run has none."""
    found: dict[str, Any] = {"recordings": max(sizes), "peak_mib": {"1000": None, "10000": None, "100000": None}}
    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        plain = make_model(base / "plain", 4.0, 128, (16, 32, 48, 48))
        small = min(sizes)
        inbox = fill(base / "inbox", small, 4.0)
        bare = apart("arithmetic", inbox, plain)
        one = apart("job", inbox, plain, _fresh(base / "one"), 0)
        found |= {
            "over_arithmetic": one["cpu_s"] / bare["cpu_s"],
            "orchestration_share": apart("orchestration", inbox, plain, base)["cpu_s"] / one["cpu_s"],
            "evidence_kb": one["evidence_kb"],
            "cpu_ms_a_recording": 1000 * one["cpu_s"] / small,
            "arithmetic_ms_a_recording": 1000 * bare["cpu_s"] / small,
            "per_second": small / one["wall_s"],
            "per_second_of_processor": small / one["cpu_s"],
        }
        single = apart("job", inbox, plain, _fresh(base / "w1"), 1)
        double = apart("job", inbox, plain, _fresh(base / "w2"), 2)
        found["two_workers"] = single["wall_s"] / double["wall_s"]
        print(json.dumps(found), flush=True)
        cheap = make_model(base / "cheap", 0.5, 32, (4, 8))
        for size in sizes:
            short = fill(base / f"short{size}", size, 0.5)
            done = apart("job", short, cheap, _fresh(base / f"s{size}"), 0)
            assert done["new"] == size
            found["peak_mib"][str(size)] = done["peak_mib"]
        found["rerun_s"] = (again := apart("rerun", known, base))["wall_s"]
        found |= {"rerun_cpu_s": again["cpu_s"], "rerun_files": known}
        print(json.dumps(found), flush=True)
        found |= apart("kills", fill(base / "k", 400, 0.5), cheap, base, kills)
        found |= apart("year")
    found["about"] = {
        "load_1min": os.getloadavg()[0],
        "processors": os.cpu_count(),
        "peaks": "0.5 s recordings and a small plain network; the process itself, its readers within",
        "over_arithmetic": "processor time of the whole job over decode + image + network of the same files, 128 × 128",
        "year": "verdicts are drawn from a stated chance a recording, not judged from simulated recordings",
        "two_workers": "wall times on a machine that others use at the same time",
    }
    return found


def _fresh(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def main() -> None:
    """Measure and write, or do one part for the process that asks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--recordings", type=int, nargs="+", default=[1000, 10000])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--known", type=int, default=100_000)
    parser.add_argument("--part", nargs="+")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    if chosen.part:
        name, *arguments = chosen.part
        print(json.dumps(PARTS[name](*arguments)))
        return
    RESULTS.write_text(json.dumps(measure(chosen.recordings, chosen.kills, chosen.known), indent=2) + "\n")


if __name__ == "__main__":
    main()
