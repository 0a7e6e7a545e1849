"""A made-up batch of recordings of cantilevers, as a report would show it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from camvib.records import ActivationMap, ChangeMap, Diagnosis, Evidence, Finding, Region, Spectrogram
from camvib.report import write_report

MODES_HZ = (12.0, 75.0, 210.0, 410.0)
CLASSES = ("healthy", "crack", "loose_clamp", "impact", "tip_mass")
RATE_HZ, DURATION_S = 1706.667, 3.0


def hit_beam(modes_hz: tuple[float, ...], seed: int) -> np.ndarray:
    """Ring-down after three hits, with noise: shape (n,), m/s²."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(RATE_HZ * DURATION_S)) / RATE_HZ
    hits = [np.where(t >= t0, t - t0, np.inf) for t0 in (0.15, 1.1, 2.05)]
    ring = sum(
        a * np.exp(-2 * np.pi * f * 0.006 * since) * np.sin(2 * np.pi * f * np.where(np.isinf(since), 0, since))
        for f, a in zip(modes_hz, (3.0, 2.0, 1.0, 0.6), strict=True)
        for since in hits
    )
    return np.asarray(ring) + 0.02 * rng.standard_normal(len(t))


def evidence_of(x: np.ndarray, label: str, reference: str, spots: list, bias: float, unit: str) -> Evidence:
    """Spectrogram on a mel-like axis, and a map with a smooth spot at each (s, Hz, logits)."""
    n_fft, starts = 512, np.linspace(0, len(x) - 512, 128).astype(int)
    power = (
        np.abs(np.fft.rfft(np.stack([x[s : s + n_fft] for s in starts]) * np.hanning(n_fft))) ** 2 / (n_fft / 4) ** 2
    )
    top = 2595 * np.log10(1 + 853 / 100)
    hz = 100 * (10 ** (np.linspace(0, top, 128) / 2595) - 1)
    bins = np.fft.rfftfreq(n_fft, 1 / RATE_HZ)
    db = 10 * np.log10(np.stack([np.interp(hz, bins, column) for column in power], 1) + 1e-12)
    seconds = (starts + n_fft / 2) / RATE_HZ
    values = np.random.default_rng(1).normal(0, 0.25, (128, 128)) + hills(hz, seconds, spots)
    k = 300
    pieces = np.array_split(x, k)
    segments = np.abs(np.fft.rfft(x[:4096].reshape(4, 1024) * np.hanning(1024))) ** 2
    return Evidence(
        Spectrogram(db, hz, seconds, unit),
        ActivationMap(values, hz, seconds, label, reference, bias),
        np.array([p.min() for p in pieces]),
        np.array([p.max() for p in pieces]),
        np.fft.rfftfreq(1024, 1 / RATE_HZ),
        10 * np.log10(segments.mean(0) / (RATE_HZ * 384) + 1e-12),
    )


def hills(hz: np.ndarray, seconds: np.ndarray, spots: list) -> np.ndarray:
    """A smooth spot at each (s, Hz, height)."""
    row, values = np.arange(128), np.zeros((128, 128))
    for s, f, height in spots:
        at = np.interp(f, hz, row), np.interp(s, seconds, row)
        values += height * np.exp(-(((row[:, None] - at[0]) / 5) ** 2) - ((row[None] - at[1]) / 12) ** 2)
    return values


def compared(evidence: Evidence, spots: list) -> Evidence:
    """The evidence of a model that compares with the asset's baseline."""
    hz, seconds = evidence.spectrogram.frequency_hz, evidence.spectrogram.time_s
    return replace(evidence, change=ChangeMap(np.clip(hills(hz, seconds, spots), -1, 1), hz, seconds))


def probabilities(**named: float) -> dict[str, float]:
    rest = (1 - sum(named.values())) / (len(CLASSES) - len(named))
    return {c: named.get(c, rest) for c in CLASSES}


def judged(n: int, asset: str, verdict: str, label: str, **more: object) -> Diagnosis:
    return Diagnosis(
        recording_id=f"{n:020x}",
        recording=f"inbox/run_{n:03d}.wav",
        channel="tip",
        asset=asset,
        verdict=verdict,
        label=label,
        start_s=0.0,
        duration_s=DURATION_S,
        sampling_rate_hz=RATE_HZ,
        recorded_at="2026-03-02 08:15",
        model="beam-gapcnn",
        settings_digest="3f2a9c01b7de",
        **{"unit": "m/s2", **more},
    )


def example_cases() -> Iterator[tuple[Diagnosis, Evidence | None]]:
    """Two faults, an unknown, a refusal and three healthy recordings; one asset's name is an attack."""
    for n, asset in ((1, "beam 02"), (2, "beam 03"), (3, "<script>alert(1)</script>")):
        spots = [(0.6, 75, -9), (1.6, 210, -7), (1.5, 12, -6), (2.4, 410, 2.5)]
        regions = (Region(0.4, 0.9, 64, 88, 0.31, 1, "2nd bending mode, 75 Hz"), Region(2.2, 2.6, 370, 450, 0.2, -1))
        diagnosis = judged(
            n,
            asset,
            "healthy",
            "healthy",
            probabilities=probabilities(healthy=0.96 - n / 100, crack=0.02),
            reason="All modes lie where they lie in healthy beams.",
            regions=regions,
            reference="crack",
            unit="arbitrary" if n == 2 else "m/s2",
        )
        evidence = evidence_of(hit_beam(MODES_HZ, n), "crack", "healthy", spots, -3.1, diagnosis.unit)
        c = evidence.contrast
        turned = ActivationMap(-c.values, c.frequency_hz, c.time_s, "healthy", "crack", -c.bias)
        yield diagnosis, Evidence(**{**vars(evidence), "contrast": turned})
    spots = [(0.55, 71, 28), (1.5, 71, 24), (1.3, 196, 17), (2.45, 71, 15), (0.5, 12, -9)]
    regions = (
        Region(0.3, 0.85, 60, 84, 0.34, 1, "2nd bending mode, 71 Hz"),
        Region(1.2, 1.8, 60, 84, 0.29, 1, "2nd bending mode, 71 Hz"),
        Region(1.0, 1.6, 176, 220, 0.19, 1, "3rd bending mode, 196 Hz"),
        Region(0.25, 0.75, 8, 19, 0.41, -1, "1st bending mode, 12 Hz"),
    )
    yield (
        judged(
            4,
            "beam 07",
            "fault",
            "crack",
            probabilities=probabilities(crack=0.92, healthy=0.04, loose_clamp=0.025),
            reason="The second and third bending modes speak for a crack.",
            regions=regions,
            reference="healthy",
            warnings=("The header gives no sensor serial number.",),
            findings=(
                Finding(
                    "mains_hum",
                    False,
                    "A 50 Hz line stands 14 dB above the noise.",
                    "Check the cable's screen.",
                    0,
                    3,
                    14,
                    10,
                ),
            ),
        ),
        evidence_of(hit_beam((12, 71, 196, 402), 4), "crack", "healthy", spots, 2.2, "m/s2"),
    )
    yield (
        judged(
            5,
            "beam 05",
            "fault",
            "loose_clamp",
            probabilities=probabilities(loose_clamp=0.71, crack=0.22),
            reference="healthy",
            reason="All bending modes are shifted alike.",
            regions=(
                Region(0.4, 0.8, 6, 16, 0.5, 1, "1st bending mode, 11 Hz"),
                Region(1.4, 1.8, 60, 80, 0.3, 1, "2nd bending mode, 69 Hz"),
            ),
        ),
        compared(
            evidence_of(
                hit_beam((11, 69, 195, 381), 5), "loose_clamp", "healthy", [(0.6, 11, 22), (1.6, 69, 11)], 0.3, "m/s2"
            ),
            [(0.6, 11, -1.2), (1.6, 69, 1.2)],
        ),
    )
    yield (
        judged(
            6,
            "beam 09",
            "unknown",
            "impact",
            probabilities=probabilities(impact=0.48, crack=0.3),
            reference="healthy",
            reason="The novelty score of 7.2 is above the limit of 4.0.",
        ),
        compared(
            evidence_of(hit_beam((9, 120, 260, 520), 6), "impact", "healthy", [(0.2, 300, 6)], 0.3, "m/s2"),
            [(0.2, 300, 1.0)],
        ),
    )
    yield (
        judged(
            7,
            "beam 11",
            "refused",
            "",
            reason="31 % of the samples are clipped (limit 1 %).",
            remedy="Lower the amplifier's gain and record again.",
            findings=(
                Finding(
                    "clipping",
                    True,
                    "31 % of the samples are clipped (limit 1 %).",
                    "Lower the gain.",
                    0.2,
                    1.9,
                    0.31,
                    0.01,
                ),
            ),
        ),
        None,
    )


@pytest.fixture(scope="session")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A written report."""
    model = {
        "name": "beam-gapcnn",
        "version": 3,
        "accuracy": 0.912,
        "macro_f1": 0.90,
        "test_groups": ["b1", "b2", "b3"],
    }
    out = tmp_path_factory.mktemp("report") / "report.html"
    return write_report(example_cases(), out, title="Cantilever fleet, March", model=model, progress=False)
