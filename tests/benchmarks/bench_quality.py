"""Measure the quality gate on simulated recordings: sensor faults caught, clean recordings refused, time.

The limits were tuned on seed 11. The input range is learnt from the fleet of seed 101, and everything is
reported on the specimens of seed 202. Run: ``python tests/benchmarks/bench_quality.py``.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from camvib.recordings.quality import InputSpec, check
from camvib.records import Recording
from camvib.simulation.fleet import CHANNEL, UNIT, FleetPlan, simulate_batch
from camvib.simulation.sensors import SENSOR_FAULTS

RESULTS = Path(__file__).parent / "results" / "quality.json"
LEARN_SEED, REPORT_SEED, DRAW_SEED = 101, 202, 303


def recording(samples: np.ndarray, rate_hz: float) -> Recording:
    """Wrap samples."""
    return Recording(samples, rate_hz, UNIT, CHANNEL, "simulated", "")


def measure(learn: int, report: int) -> dict[str, object]:
    """Count refusals with the learnt input range and without."""
    seen = simulate_batch(FleetPlan(learn, LEARN_SEED))
    rate_hz = seen.sampling_rate_hz
    spec = InputSpec.learn([recording(x, rate_hz) for x in seen.acceleration], 4.0)
    fleet = simulate_batch(FleetPlan(report, REPORT_SEED))
    faulty_beam = fleet.labels != "healthy"
    # The twin of a faulty beam is a healthy recording that is not in the fleet yet.
    clean = [(x, True) for x in fleet.twin] + [(x, False) for x in fleet.acceleration[faulty_beam]]
    refused = {"healthy": 0, "faulty_beam": 0}
    for x, healthy in tqdm(clean, desc="clean"):
        refused["healthy" if healthy else "faulty_beam"] += is_refused(recording(x, rate_hz), spec)
    rng = np.random.default_rng(DRAW_SEED)
    caught = {fault.label: [0, 0] for fault in SENSOR_FAULTS}
    for x in tqdm(fleet.acceleration, desc="sensor faults"):
        for fault in SENSOR_FAULTS:
            spoiled = recording(fault.draw(rng).apply(x, rate_hz, rng), rate_hz)
            caught[fault.label][0] += is_refused(spoiled, spec)
            caught[fault.label][1] += is_refused(spoiled, None)
    return {
        "seeds": {"tuned": 11, "learnt": LEARN_SEED, "reported": REPORT_SEED},
        "clean": {"healthy": len(fleet.twin), "faulty_beam": int(faulty_beam.sum())},
        "clean_refused": refused,
        "clean_refused_share": sum(refused.values()) / len(clean),
        "spoiled_per_fault": report,
        "caught": {label: with_spec / report for label, (with_spec, _) in caught.items()},
        "caught_all": sum(a for a, _ in caught.values()) / (report * len(caught)),
        "caught_without_input_range": {label: alone / report for label, (_, alone) in caught.items()},
        "check_ms_16384_samples": milliseconds(recording(fleet.acceleration[0], rate_hz), spec),
    }


def is_refused(item: Recording, spec: InputSpec | None) -> bool:
    """Whether any finding forbids a verdict."""
    return any(finding.refuse for finding in check(item, spec))


def milliseconds(item: Recording, spec: InputSpec) -> float:
    """Median time of one check."""
    times = []
    for _ in range(200):
        start = time.perf_counter()
        check(item, spec)
        times.append(time.perf_counter() - start)
    return round(1e3 * float(np.median(times)), 3)


if __name__ == "__main__":
    result = measure(learn=500, report=2500)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")
    print(RESULTS.read_text())
