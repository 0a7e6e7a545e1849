"""Measured recordings: every figure of real.json, and the pictures of docs/what-the-map-gave-away.md.

python tests/benchmarks/bench_real.py ../shared/data [--lines FILE]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib import pyplot as plt
from scipy.signal import welch

from camvib.evaluation.real.benchmark import evaluate_real
from camvib.evaluation.real.network import FitRecipe, fit
from camvib.evaluation.real.protocols import plan_folds
from camvib.evaluation.real.recipes import Recipe, recipes_for
from camvib.evaluation.real.sets import open_set
from camvib.images.envelope import ImageRecipe, images
from camvib.recordings.resampling import resample

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests" / "benchmarks" / "results" / "real.json"
PICTURES = ROOT / "docs" / "images"
# The same image and network without anything that keeps it off the wrong evidence.
PLAIN = Recipe(
    image=ImageRecipe(window_s=0.9, overlap=0.97, fft_s=0.4),
    fit=FitRecipe(steps=500, tilt_db=0.0, floor_db=None, sparsity=0.0, mask=0.1),
    transient_s=0.2,
)
CWRU_TUNED = recipes_for("cwru", [], [], 12000.0)[5]  # chosen with the folds in sight: lines stretched by up to 2 %
RUNS: list[tuple[str, str | None, int, bool, Recipe | None]] = [
    ("dropbear8", None, 5, False, None),
    ("dropbear8", "out-to-out", 3, False, None),
    ("dropbear8", None, 5, False, PLAIN),
    ("dropbear8", "out-to-out", 3, False, PLAIN),
    ("cwru", None, 5, False, None),
    ("cwru", "loads", 3, True, CWRU_TUNED),
    ("pump_motor_kafeel", None, 5, False, None),
    ("pump_motor_kafeel", "windows", 3, True, None),
    ("femto_bearing", None, 3, False, None),
    ("bistablex_cantilever", None, 3, False, None),
    ("cantilever_shaker_ds4", None, 0, False, None),
]


def run(data: Path, name: str, split: str | None, seeds: int, leaky: bool, recipe: Recipe | None) -> dict[str, Any]:
    """One entry of real.json."""
    found = evaluate_real(
        name, data / name, split=split, seeds=seeds, leaky=leaky, recipes=[recipe] if recipe else None
    )
    found["recipe"] = "plain" if recipe is PLAIN else "own"
    if name == "cwru" and split is None:
        found["shortcuts"] = cwru_shortcuts(data)
        found["optimistic"] = optimistic(data, CWRU_TUNED)
    return found


def optimistic(data: Path, recipe: Recipe) -> dict[str, Any]:
    """CWRU by the one recipe that did well on the very folds it is tested on."""
    found = evaluate_real("cwru", data / "cwru", recipes=[recipe])
    return {key: found[key] for key in ("accuracy", "macro_f1", "worst_macro_f1", "by_seed", "regions")}


def _cwru_spectra(data: Path) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Mean level-free spectra, dB, of faults recorded at 12 kHz, at 48 kHz, and of the normal file, all at 12 kHz."""
    real = open_set("cwru", data / "cwru", None, None, None)
    found: dict[str, list[np.ndarray]] = {}
    for entry in real.entries:
        recording = entry.load()
        kind = "normal, 48 kHz" if entry.label == "normal" else f"faults, {recording.sampling_rate_hz / 1000:g} kHz"
        samples = resample(recording, 12000.0).samples
        hz, power = welch(samples / np.std(samples), 12000.0, nperseg=4096)
        found.setdefault(kind, []).append(10 * np.log10(power))
    return hz, {kind: np.mean(spectra, axis=0) for kind, spectra in found.items()}


def cwru_shortcuts(data: Path) -> dict[str, dict[str, float]]:
    """What tells the recordings' history instead of the fault, dB: the line near 4.2 kHz, and the filter's edge.

    The line is its highest bin between 4.1 and 4.3 kHz over the median from 3.9 to 4.5 kHz; the edge the mean level
    from 5.8 to 6 kHz over that from 5 to 5.5 kHz.
    """
    hz, spectra = _cwru_spectra(data)

    def level(spectrum: np.ndarray, low: float, high: float) -> np.ndarray:
        return spectrum[(hz >= low) & (hz <= high)]

    return {
        kind.replace(", ", "_").replace(" ", "_").lower(): {
            "line_db": float(level(one, 4100, 4300).max() - np.median(level(one, 3900, 4500))),
            "edge_db": float(level(one, 5800, 6000).mean() - level(one, 5000, 5500).mean()),
        }
        for kind, one in spectra.items()
    }


def picture_cwru(data: Path) -> None:
    """Mean spectra of the three kinds of CWRU files at one rate."""
    hz, spectra = _cwru_spectra(data)
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    for kind, spectrum in sorted(spectra.items()):
        axes.plot(hz, spectrum, label=kind, linewidth=0.8)
    axes.axvspan(4100, 4300, color="0.9", zorder=0)
    axes.set(xlabel="frequency, Hz", ylabel="level-free power density, dB", xlim=(0, 6000))
    axes.legend(loc="lower left")
    figure.savefig(PICTURES / "real-cwru-spectra.png", dpi=90)
    plt.close(figure)


def picture_dropbear(data: Path) -> None:
    """A dwell on the way back, and its contrast map by the plain and by the careful network."""
    real = open_set("dropbear8", data / "dropbear8", None, None, None)
    (train, test), *_ = plan_folds(real, None, False).folds
    labels = sorted({real.rows[i]["label"] for i in train})
    shown = next(i for i in test if real.rows[i]["label"] == labels[1])
    figure, panels = plt.subplots(1, 3, figsize=(12, 4), layout="constrained", sharey=True)
    for number, recipe in enumerate((PLAIN, recipes_for("dropbear8", labels, real.groups, 5000.0)[0])):
        made = [images(real.entries[i].load(), recipe.image, 0.9, 16) for i in train]
        target = np.concatenate(
            [np.full(len(m.start_s), labels.index(real.rows[i]["label"])) for i, m in zip(train, made, strict=True)]
        )
        fitted = fit(np.concatenate([m.values_db for m in made]), target, len(labels), recipe.fit, 0)
        one = images(real.entries[shown].load(), recipe.image, 0.9, 1)
        logits, maps, _ = fitted.predict(one.values_db)
        first, second = np.argsort(-logits[0])[:2]
        axes = one.axes.pooled(*maps.shape[-2:])
        if number == 0:
            panels[0].pcolormesh(one.axes.time_s, one.axes.frequency_hz, one.values_db[0, 0], cmap="viridis")
            panels[0].set_title(f"spectrogram, {labels[1]}, way back")
        contrast = maps[0, first] - maps[0, second]
        scale = np.abs(contrast).max()
        panels[number + 1].pcolormesh(axes.time_s, axes.frequency_hz, contrast, cmap="RdBu_r", vmin=-scale, vmax=scale)
        panels[number + 1].set_title(f"{('plain', 'careful')[number]}: {labels[first]} against {labels[second]}")
    for panel in panels:
        panel.set(yscale="log", xlabel="time in the dwell, s")
        panel.axhspan(15, 60, fill=False, color="k", linestyle="--")
    panels[0].set_ylabel("frequency, Hz")
    figure.savefig(PICTURES / "real-dropbear8-maps.png", dpi=90)
    plt.close(figure)


def main() -> None:
    """Measure everything and write results and pictures; what a stopped pass left behind is not measured again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--lines", type=Path, help="file of finished entries, one a line: a stopped pass goes on")
    arguments = parser.parse_args()
    matplotlib.use("Agg")
    torch.set_num_threads(1)
    lines = arguments.lines or Path(tempfile.mkdtemp()) / "real.jsonl"
    done = len(lines.read_text().splitlines()) if lines.is_file() else 0
    for one in RUNS[done:]:
        with lines.open("a") as file:
            file.write(json.dumps(run(arguments.data, *one)) + "\n")
    found = [json.loads(line) for line in lines.read_text().splitlines()]
    draft = RESULTS.with_suffix(".part")
    draft.write_text(json.dumps(found, indent=1) + "\n")
    draft.replace(RESULTS)
    picture_cwru(arguments.data)
    picture_dropbear(arguments.data)


if __name__ == "__main__":
    main()
