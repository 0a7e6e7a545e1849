"""Small sets in memory, for tests of what is tried and what is chosen."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from camvib.learning.data import TrainingData, target_vector
from camvib.recordings.entries import Entry
from camvib.records import Recording

MakeData = Callable[..., TrainingData]


@pytest.fixture(scope="session")
def make_data() -> MakeData:
    """Recordings of tones in noise: `each` of every label in every group; a label's number adds a line."""

    def make(
        labels: tuple[str, ...] = ("healthy", "line"),
        groups: int = 6,
        each: int = 2,
        *,
        rate_hz: float = 512.0,
        seconds: float = 2.0,
        shaft_hz: float | None = None,
        healthy: str = "healthy",
        seed: int = 0,
    ) -> TrainingData:
        rng = np.random.default_rng(seed)
        t = np.arange(round(seconds * rate_hz)) / rate_hz
        recordings, entries = [], []
        for group in range(groups):
            for number in range(each * len(labels)):
                line = number % len(labels)
                samples = np.sin(2 * np.pi * 40 * t + rng.uniform(0, 6)) + 0.5 * rng.standard_normal(len(t))
                samples += (line > 0) * np.sin(2 * np.pi * (80 + 40 * line) * t)
                file = Path(f"set/{group}_{number}.npz")
                one = Recording(samples.astype(np.float32), rate_hz, "m/s2", "a", str(file), f"{group:032}{number:032}")
                recordings.append(one)
                entries.append(Entry(file, labels[line], f"machine-{group}"))
        names = [entry.label for entry in entries]
        return TrainingData(
            folder=Path("set"),
            recordings=recordings,
            entries=entries,
            labels=names,
            groups=[entry.group for entry in entries],
            targets=np.array([target_vector(name, labels, False) for name in names], np.float32),
            classes=labels,
            healthy=healthy if healthy in labels else "",
            left_out=[],
            digest=f"{seed:064}",
            shaft_hz=None if shaft_hz is None else np.full(len(names), shaft_hz),
        )

    return make


@pytest.fixture(scope="session")
def write_lines() -> Callable[..., Path]:
    """A labelled folder of tones in noise: healthy at 40 Hz, faulty with a second line at 120 Hz."""
    return write_set


def write_set(folder: Path, groups: int = 6, each: int = 4, seed: int = 0, rate_hz: float = 512.0) -> Path:
    """See `write_lines`."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(2 * rate_hz)) / rate_hz
    rows = []
    folder.mkdir(parents=True)
    for group in range(groups):
        for number in range(each):
            label = ("healthy", "line_120")[number % 2]
            samples = np.sin(2 * np.pi * 40 * t + rng.uniform(0, 6)) + 0.5 * rng.standard_normal(len(t))
            if label != "healthy":
                samples += np.sin(2 * np.pi * 120 * t)
            name = f"g{group}_{number}.npz"
            np.savez(folder / name, a=samples.astype(np.float32), sampling_rate_hz=rate_hz, unit="m/s2")
            rows.append({"file": name, "label": label, "group": f"machine-{group}"})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder
