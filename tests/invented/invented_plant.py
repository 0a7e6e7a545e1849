"""An invented plant: histories, cases and evidence as a ledger would hold them, made in milliseconds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import numpy as np

from camvib.diagnosis.proof import Proof
from camvib.images.baseline import Baseline
from camvib.images.rise import largest_rise
from camvib.images.spectrogram import spectrogram
from camvib.monitoring.clock import utc_text
from camvib.monitoring.ledger import Store
from camvib.monitoring.outcomes import Outcome
from camvib.recordings.plant import Action, Limit, Machine, Plant
from camvib.records import (
    ActivationMap,
    AssetHistory,
    Case,
    CaseEvent,
    ChangeMap,
    Diagnosis,
    Evidence,
    Finding,
    HistoryPoint,
    Recording,
    Region,
)
from camvib.report.finding import Healthy, KnownLine, Material, Overall, profile_of
from camvib.report.histories import plant_view
from camvib.report.sound import clip
from camvib.report.view import Bin, Newest, PlantView, Row, Trust
from camvib.settings import ImageSettings

NOW = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)
SINCE = datetime(2026, 11, 16, 6, 0, tzinfo=UTC)
RATE_HZ, LENGTH_S = 4096.0, 2.0
MODES_HZ = (24.6, 75.5, 151.0, 302.0, 640.0)
CLASSES = ("healthy", "crack", "loose_clamp", "impact", "tip_mass")
AREAS = ("Boiler house", "Raw mill", "Quarry", "Kiln", "Utilities")
KINDS = {"P-113": "loose_clamp", "F-021": "crack", "M-310": "tip_mass", "G-204": "impact", "P-207": "unknown"}
NASTY = "<script>alert(1)</script> \"'\u202egnp.\x1b\udcff"

PLANT = Plant(
    name="Plant Nord",
    timezone="Europe/Berlin",
    due_days=4,
    machines={
        "P-113": Machine(
            name="Feed pump", area="Boiler house", criticality="A", sensor="drive end, radial",
            limit=Limit(rms=7.1, source="works standard"), stop=NOW.date() + timedelta(days=4),
        ),
        "F-021": Machine(name="ID fan", area="Boiler house", criticality="A"),
        "M-310": Machine(name="Conveyor 3 motor", area="Raw mill"),
        "G-204": Machine(name="Crusher gearbox", area="Quarry", criticality="A"),
        "P-207": Machine(name="Cooling pump", area="Utilities"),
        "P-301": Machine(name="Slurry pump", area="Quarry", criticality="A"),
        "M-412": Machine(name="Packer motor", area="Kiln", criticality="C"),
        "K-002": Machine(name="Compressor 2", area="Utilities"),
    },
    actions={
        "loose_clamp": Action(
            title="Loose clamp", do="Tighten the clamp, record again", at_stop=True,
            undone_by="the clamp were tightened",
            checklist=("Look at the four bolts, drive side first", "Tighten to 45 N m", "Record three times"),
            also=("a softer foundation lowers the modes too",),
        ),
        "crack": Action(title="Crack", do="Inspect the root for a crack", within_days=2, checklist=("Dye test",)),
        "tip_mass": Action(title="Build-up", do="Clean the impeller", within_days=3),
        "impact": Action(title="Something strikes", do="Look for what strikes", within_days=5),
        "unknown": Action(title="Changed, no fault the model knows", do="Ask: speed, load or pipework?"),
    },
)  # fmt: skip
TRUST = Trust(
    accuracy=0.89, recordings=412, machines=23, false_of_100=6.0, missed_of_100=9.0,
    bins=(Bin(0.0, 0.6, 60, 30), Bin(0.6, 0.8, 80, 58), Bin(0.8, 0.9, 90, 78), Bin(0.9, 1.0, 182, 175)),
    digests=(("model", "f59f22937b50"), ("settings", "2a8e7b3c3bef")),
)  # fmt: skip


def point(
    asset: str, n: int, at: datetime, verdict: str, label: str, p: float | None, db: float | None
) -> HistoryPoint:
    return HistoryPoint(
        diagnosis_id=n, recording_id=f"{asset}-{n}", recording=f"inbox/{asset}/{at:%Y-%m-%dT%H%M}.wav", channel="tip",
        at=at.isoformat(), verdict=verdict, label=label, probability=p, change_db=db, level_db=-10.0, unit="m/s2",
        model="f59f22937b50", reason="4 % of samples clipped" if verdict == "refused" else "", has_evidence=True,
    )  # fmt: skip


def history(
    asset: str, kind: str = "", *, days: int = 56, began: int = 20, every: float = 1.0, seed: int = 0
) -> AssetHistory:
    """A machine recorded every day, healthy until `began` days ago, when a fault sets in and grows."""
    rng = np.random.default_rng([seed, *asset.encode("utf-8", "surrogatepass")[:8]])
    points, hits = [], []
    for n, day in enumerate(np.arange(0, days, every)):
        at = NOW - timedelta(days=days - float(day) - 0.99 * every)
        age = float(day) - (days - began)
        quiet = float(rng.uniform(0.4, 1.3))
        if kind == "refused" and age > 0:
            points.append(point(asset, n, at, "refused", "", None, None))
        elif kind and kind != "refused" and age > 0 and not (n == days - 5 and began > 9):
            p = float(np.clip(0.84 + 0.01 * age + rng.normal(0, 0.01), 0, 0.97))
            db = quiet + 0.9 + 0.14 * age
            unknown = kind == "unknown"
            points.append(point(asset, n, at, "unknown" if unknown else "fault", "crack" if unknown else kind, p, db))
            hits.append(points[-1])
        else:
            points.append(point(asset, n, at, "healthy", "healthy", 0.93, quiet))
    return AssetHistory(asset, tuple(points), (case(asset, kind, hits),) if len(hits) > 2 else ())


def case(asset: str, kind: str, hits: list[HistoryPoint]) -> Case:
    events = [CaseEvent(hits[2].at, "opened")]
    if asset == "P-113":
        events.append(CaseEvent((NOW - timedelta(days=7)).isoformat(), "acknowledged", "Day shift", "bolts ordered"))
    return Case(
        asset, kind, kind, "acknowledged" if asset == "P-113" else "open", since=hits[0].at, opened_at=hits[2].at,
        updated_at=hits[-1].at, hits=min(len(hits), 19), of=min(len(hits) + 1, 20), probability=0.9, criticality=1.0,
        severity=0.85, recording_ids=tuple(h.recording_id for h in hits[-20:]), events=tuple(events),
        id=100 + sum(map(ord, asset[:4])),
    )  # fmt: skip


def histories(machines: int = 60, seed: int = 0, every: float = 1.0) -> list[AssetHistory]:
    """The named machines with their faults, and as many quiet ones as are wanted."""
    begun = {"P-113": 20, "F-021": 5, "M-310": 9, "G-204": 12, "P-207": 14}
    found = [history(asset, kind, began=begun[asset], every=every, seed=seed) for asset, kind in KINDS.items()]
    found.append(history("P-301", "refused", began=3, every=every, seed=seed))
    silent = history("M-412", every=every, seed=seed)
    found.append(replace(silent, points=silent.points[: int(47 / every)]))
    found += [history(f"Q-{n:03d}", every=every, seed=seed) for n in range(machines - len(found) - 1)]
    return found


@cache
def wave(kind: str = "", seed: int = 0) -> np.ndarray:
    """A machine's waveform, m/s²: lines over noise; a fault lowers, adds or strikes."""
    rng = np.random.default_rng([seed, len(kind)])
    t = np.arange(int(RATE_HZ * LENGTH_S)) / RATE_HZ
    modes = np.array(MODES_HZ) * (0.94 if kind in ("loose_clamp", "tip_mass") else 1.0)
    x = 0.05 * rng.standard_normal(len(t))
    for k, f in enumerate(modes):
        drift = np.cumsum(rng.standard_normal(len(t))) * 0.02
        x += 0.8 / (k + 1) * np.sin(2 * np.pi * f * t + drift + k)
    if kind in ("impact", "crack", "unknown"):
        for f in (412.0, 824.0):
            x += 0.25 * np.sin(2 * np.pi * f * t) * (np.sin(2 * np.pi * 12 * t) > 0.3)
    return x


def recording(kind: str = "", seed: int = 0) -> Recording:
    return Recording(wave(kind, seed), RATE_HZ, "m/s2", "tip", "inbox/x.wav", "0" * 64)


@cache
def image(kind: str = "", seed: int = 0):
    return spectrogram(recording(kind, seed), ImageSettings(window_s=LENGTH_S))


@cache
def healthy() -> Healthy:
    images = np.stack([image("", seed).values_db for seed in range(1, 7)])
    made = Baseline.of(images)
    spectra = np.stack([spectrum(wave("", seed))[1] for seed in range(1, 7)])
    return Healthy(made.mean_db, made.spread_db, 6, "2026-09-28T06:00:00+00:00", spectra)


def spectrum(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pieces = x[: len(x) // 1024 * 1024].reshape(-1, 1024) * np.hanning(1024)
    power = (np.abs(np.fft.rfft(pieces)) ** 2).mean(axis=0) / (RATE_HZ * 384)
    return np.fft.rfftfreq(1024, 1 / RATE_HZ), 10 * np.log10(power + 1e-12)


@cache
def evidence(kind: str, seed: int = 0) -> Evidence:
    """Evidence of a model that compares with the baseline: change and contrast follow the true difference."""
    shown = image(kind, seed)
    expected = healthy().mean_db[:, None] + shown.values_db.mean()
    smooth = np.apply_along_axis(lambda v: np.convolve(v, np.ones(9) / 9, "same"), 1, shown.values_db - expected)
    change = np.tanh(smooth / 8) * (np.abs(smooth) > 3)
    values = 30 * np.abs(change) - 1.0
    label = "crack" if kind == "unknown" else kind
    x = wave(kind, seed)
    pieces = np.array_split(x, 400)
    hz, db = spectrum(x)
    return Evidence(
        shown, ActivationMap(values, shown.frequency_hz, shown.time_s, label, "healthy", 1.5),
        np.array([p.min() for p in pieces]), np.array([p.max() for p in pieces]), hz, db,
        ChangeMap(change, shown.frequency_hz, shown.time_s),
    )  # fmt: skip


def diagnosis(asset: str, kind: str, last: HistoryPoint) -> Diagnosis:
    if last.verdict == "refused":
        clipped = Finding("clipping", True, "4 % of samples clipped", "Set the range to 50 g, then record again")
        return Diagnosis(
            last.recording_id, last.recording, "tip", asset, "refused", reason=clipped.message, remedy=clipped.remedy,
            findings=(clipped,), recorded_at=last.at,
        )  # fmt: skip
    p = last.probability or 0.9
    rest = (1 - p) / 4
    label = last.label
    other = "tip_mass" if label != "tip_mass" else "loose_clamp"
    chances = {name: rest * (2.5 if name == other else 0.5) for name in CLASSES} | {label: p}
    return Diagnosis(
        last.recording_id, last.recording, "tip", asset, last.verdict, label, chances, "The log odds are +4.5", "",
        regions=(
            Region(0.0, 2.0, 625, 660, 0.38, 1, "5th bending mode, 640 Hz"), Region(0.2, 1.1, 585, 615, 0.22, 1),
            Region(0.5, 0.7, 900, 1000, 0.05, -1),
        ),
        reference="healthy", duration_s=LENGTH_S, sampling_rate_hz=RATE_HZ, unit="m/s2", recorded_at=last.at,
        model="f59f22937b50", settings_digest="2a8e7b3c3bef", warnings=("converted g to m/s2",),
    )  # fmt: skip


def look_at(last: HistoryPoint) -> Newest:
    asset = last.recording_id.rsplit("-", 1)[0]
    kind = KINDS.get(asset, last.label)
    made = diagnosis(asset, kind, last)
    if last.verdict == "refused":
        return Newest(made)
    shown = image(kind)
    return Newest(made, largest_rise(shown.values_db, shown.frequency_hz, healthy().mean_db))


def view(
    machines: int = 60, plant: Plant = PLANT, every: float = 1.0, more: tuple[AssetHistory, ...] = ()
) -> PlantView:
    return plant_view(
        [*histories(machines, every=every), *more], plant, now=NOW, since=SINCE, trust=TRUST, look_at=look_at
    )


def material(row: Row) -> Material | None:
    """What the row's finding is drawn from."""
    if row.point is None:
        return None
    kind = KINDS.get(row.asset, row.label)
    made = diagnosis(row.asset, kind, row.point)
    if row.state == "blind":
        return Material(made, missing="")
    shown = evidence(kind)
    profiles = [
        (NOW - timedelta(days=23 - n), profile_of(evidence(kind if n > 12 else "", seed=n % 4), healthy()))
        for n in range(24)
    ]
    runner_up = ActivationMap(
        shown.contrast.values * 0.4, shown.contrast.frequency_hz, shown.contrast.time_s, made.label, "tip_mass", 0.5
    )
    proof = Proof(made.label, row.probability or 0.9, 0.22, 0.03, 0.71, "healthy", 2, 0.06, runner_up)
    if row.asset == "G-204":
        proof = replace(proof, after=0.8, healthy_after=0.1, label_after=made.label)
    return Material(
        made, shown, healthy=healthy(), recent=tuple(profiles), proof=proof,
        lines=tuple(KnownLine(f"{n}. bending mode", hz) for n, hz in enumerate(MODES_HZ, 1)),
        today=clip(wave(kind), RATE_HZ), before=clip(wave("", 1), RATE_HZ),
        overall=Overall(2.3, "mm/s", 2.1, 7.1, "works standard"), channels=1,
        disagree=(1, 20, NOW - timedelta(days=14)),
        similar=("P-207 in August: as said (MR)",),
        notes=((NOW - timedelta(days=7), "seen: bolts ordered (Day shift)"),),
        replay="camvib diagnose inbox/x.wav --model models:/camvib/7",
    )  # fmt: skip


def outcomes(given: AssetHistory) -> list[Outcome]:
    """The same history as what a run would have kept in a ledger."""
    kind = KINDS.get(given.asset, "")
    found = []
    for n, one in enumerate(given.points):
        made = diagnosis(given.asset, kind, one)
        if one.verdict == "healthy":
            made = replace(
                made, label="healthy", regions=(), reference="tip_mass", reason="",
                probabilities={name: 0.93 if name == "healthy" else 0.0175 for name in CLASSES},
            )  # fmt: skip
        shown = evidence(kind if one.verdict in ("fault", "unknown") else "", seed=n % 3)
        drawn = None if one.verdict == "refused" else replace(shown, contrast=replace(shown.contrast, label=made.label))
        found.append(Outcome(made, drawn, "0" * 64, utc_text(one.at), one.change_db, one.level_db))
    return found


def fill(store: Store, machines: tuple[str, ...] = ("P-113", "G-204", "P-301"), every: float = 2.0) -> Store:
    """Put some machines into a ledger, and let it open its cases."""
    for given in histories(60, every=every):
        if given.asset in machines:
            store.keep(outcomes(given))
    store.update_cases()
    return store
