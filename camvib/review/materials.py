"""What a finding is drawn from, gathered from the ledger, the model and the files; nothing missing ends a page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from camvib.diagnosis.proof import Proof, prove
from camvib.diagnosis.rigs import KnownLine, load_rig
from camvib.errors import CamvibError
from camvib.images.baseline import MIN_RECORDINGS, Baseline
from camvib.images.rise import largest_rise
from camvib.model.model import Model
from camvib.monitoring.ledger import Store
from camvib.recordings.plant import Plant
from camvib.records import Answer, AssetHistory, Diagnosis, Evidence, HistoryPoint, Recording
from camvib.report import words
from camvib.report.finding import Healthy, Material, profile_of
from camvib.report.sound import Clip, clip
from camvib.report.urgency import Seen, moment, speaks_for
from camvib.report.view import Newest, Row
from camvib.review.answers import ACT_KEY
from camvib.review.samples import as_judged, overall, read_again

MEASURED = 60  # recordings whose change is measured here, where the ledger has none
RECENT = 24  # recordings of the waterfall
HEALTHY_SPECTRA = 8
MISSING = {
    "pruned": "its pictures were pruned to save space",
    "missing": "its pictures are missing from the store",
    "damaged": "its pictures in the store are damaged",
}


@dataclass(frozen=True, eq=False)
class Materials:
    """Gathers materials for the rows of one page.

    Attributes
    ----------
    store : Store
    plant : Plant
    model : Model or None
        Without it there is no proof and no map against the runner-up.
    model_name : str
        As the user named it, for the command that repeats a diagnosis.
    answers : sequence of Answer
    """

    store: Store
    plant: Plant
    model: Model | None = None
    model_name: str = ""
    answers: Sequence[Answer] = ()

    def look_at(self, point: HistoryPoint) -> Newest | None:
        """Look closely at one recording: its probabilities, and where it lies furthest from healthy."""
        diagnosis = self.store.diagnosis(point.diagnosis_id)
        evidence = self.store.evidence(diagnosis) if diagnosis.verdict != "refused" else None
        if evidence is None:
            return Newest(diagnosis)
        healthy = self._healthy(diagnosis.asset, evidence, self._judged_healthy(diagnosis.asset, moment(point.at)))
        if healthy is None or len(healthy.mean_db) != len(evidence.spectrogram.frequency_hz):
            return Newest(diagnosis)
        image = evidence.spectrogram
        return Newest(diagnosis, largest_rise(image.values_db, image.frequency_hz, healthy.mean_db))

    def with_changes(self, history: AssetHistory) -> AssetHistory:
        """Measure the change of a machine's newest recordings, where its model compares with no baseline.

        Only of machines with an open case: for the others nobody looks at the trend, and reading pictures takes time.
        """
        if all(case.state == "closed" for case in history.cases) or any(
            p.change_db is not None for p in history.points
        ):
            return history
        before = [s for s in Seen.all_of(history.points) if s.point.verdict == "healthy"]
        points = list(history.points)
        for n in [n for n, p in enumerate(points) if p.verdict != "refused"][-MEASURED:]:
            evidence = self._evidence(points[n])
            healthy = self._healthy(history.asset, evidence, before) if evidence else None
            profile = profile_of(evidence, healthy) if evidence and healthy else None
            if profile is not None:
                points[n] = replace(points[n], change_db=float(np.sqrt(np.mean(profile**2))))
        return replace(history, points=tuple(points))

    def _judged_healthy(self, asset: str, until: datetime) -> list[Seen]:
        """An asset's recordings judged healthy before its first case that is open, or before a time."""
        cases = self.store.cases(asset=asset)
        first = min((moment(case.since) for case in cases), default=until)
        seen = Seen.all_of(list(self.store.points(asset)))
        return [s for s in seen if s.point.verdict == "healthy" and s.at < first]

    def of(self, row: Row) -> Material | None:
        """Gather what the finding of a row is drawn from."""
        if row.point is None:
            return None
        diagnosis = self.store.diagnosis(row.point.diagnosis_id)
        history = next(iter(self.store.histories([row.asset])))
        seen = Seen.all_of(history.points)
        evidence = self.store.evidence(diagnosis) if diagnosis.verdict != "refused" else None
        missing = "" if evidence else MISSING.get(self.store.evidence_state(diagnosis), "")
        since = moment(row.case.since) if row.case else None
        before = [s for s in seen if s.point.verdict == "healthy" and (since is None or s.at < since)]
        healthy = self._healthy(row.asset, evidence, before)
        recording, problem = self._read(diagnosis) if evidence else (None, "")
        beside, _ = (
            self._read(self.store.diagnosis(before[-1].point.diagnosis_id)) if before and recording else (None, "")
        )
        proof, why_not = self._prove(diagnosis, recording, evidence, healthy) if recording else (None, problem)
        today, healthy_clip = _clips(recording, beside)
        machine = self.plant.machine(row.asset)
        return Material(
            diagnosis=diagnosis,
            evidence=evidence,
            missing=missing,
            healthy=healthy,
            recent=self._recent(seen, healthy) if healthy else (),
            lines=self._lines(machine.rig, diagnosis),
            proof=proof,
            proof_missing=why_not,
            today=today,
            before=healthy_clip,
            overall=overall(recording, beside, machine) if recording else None,
            channels=len({s.point.channel for s in seen if s.judged}),
            disagree=_disagree(row, seen, since),
            level_shift_db=_level_shift(row.point, before),
            similar=self._similar(row),
            notes=self._notes(row),
            replay=shlex.join(self._replay(diagnosis)),
        )

    def _healthy(self, asset: str, evidence: Evidence | None, before: Sequence[Seen]) -> Healthy | None:
        """The asset's baseline; where none was learned, what its recordings judged healthy have in common."""
        if evidence is None:
            return None
        beside = [found for s in before[-HEALTHY_SPECTRA:] if (found := self._evidence(s.point)) is not None]
        spectra = [e.spectrum_db for e in beside if np.array_equal(e.spectrum_hz, evidence.spectrum_hz)]
        stacked = np.stack(spectra) if spectra else np.zeros((0, 0))
        rows = len(evidence.spectrogram.frequency_hz)
        for kept in self.store.baselines(asset):
            if len(kept.baseline.mean_db) == rows:
                baseline, learned = kept.baseline, kept.learned_at
                return Healthy(baseline.mean_db, baseline.spread_db, baseline.recordings, learned, stacked)
        images = [e.spectrogram.values_db for e in beside if len(e.spectrogram.frequency_hz) == rows]
        if len(images) < MIN_RECORDINGS or len({image.shape for image in images}) > 1:
            return None
        made = Baseline.of(np.stack(images).astype(np.float32))
        return Healthy(made.mean_db, made.spread_db, made.recordings, before[-1].point.at, stacked)

    def _evidence(self, point: HistoryPoint) -> Evidence | None:
        return self.store.evidence(self.store.diagnosis(point.diagnosis_id)) if point.has_evidence else None

    def _recent(self, seen: Sequence[Seen], healthy: Healthy) -> tuple[tuple[datetime, NDArray[np.floating]], ...]:
        found = []
        for one in [s for s in seen if s.judged][-RECENT:]:
            evidence = self._evidence(one.point)
            profile = profile_of(evidence, healthy) if evidence else None
            if profile is not None:
                found.append((one.at, profile))
        return tuple(found)

    def _read(self, diagnosis: Diagnosis) -> tuple[Recording | None, str]:
        try:
            return read_again(diagnosis), ""
        except CamvibError as error:
            return None, words.printable(error.message)

    def _prove(
        self, diagnosis: Diagnosis, recording: Recording, evidence: Evidence | None, healthy: Healthy | None
    ) -> tuple[Proof | None, str]:
        if self.model is None:
            return None, "the model is not at hand; name it with --model"
        if diagnosis.model != self.model.digest:
            return None, f"another model ({diagnosis.model}) judged it than the one at hand ({self.model.digest})"
        if healthy is None or evidence is None or len(healthy.mean_db) != len(evidence.spectrogram.frequency_hz):
            return None, "there is no healthy level to bring it back to"
        baseline = Baseline(healthy.mean_db, healthy.spread_db, healthy.recordings)
        try:
            judged = as_judged(recording, self.model)
            image = evidence.spectrogram
            return prove(judged, self.model, diagnosis.regions, diagnosis.label, image, baseline), ""
        except CamvibError as error:
            return None, words.printable(error.message)

    def _lines(self, rig: str | None, diagnosis: Diagnosis) -> tuple[KnownLine, ...]:
        modes = self.model.modes if self.model else ()
        extra: tuple[KnownLine, ...] = ()
        if rig:
            read = load_rig(rig, diagnosis.sampling_rate_hz / 2 or float("inf"))
            modes, extra = read.modes, read.lines
        return tuple(sorted((*(KnownLine(name, hz) for name, hz in modes), *extra), key=lambda line: line.hz))

    def _similar(self, row: Row) -> tuple[str, ...]:
        """Closed cases of the same family elsewhere, with what people said of them."""
        if row.case is None:
            return ()
        said = {answer.case_id: answer for answer in self.answers if answer.case_id is not None}
        found = []
        for case in self.store.cases(closed=True):
            answer = said.get(case.id)
            if case.id == row.case.id or case.family != row.case.family or (case.state != "closed" and not answer):
                continue
            tag = self.plant.machine(case.asset).tag or case.asset
            when = words.day(moment(case.since).astimezone(self.plant.zone), datetime.now(self.plant.zone))
            found.append(f"{tag}, {when}: {words.answer(answer) if answer else 'closed without an answer'}")
        return tuple(found[:5])

    def _notes(self, row: Row) -> tuple[tuple[datetime, str], ...]:
        mine = (a for a in self.answers if a.asset == row.asset and not a.key.startswith(ACT_KEY))
        noted = [(moment(a.at), words.answer(a)) for a in mine]
        noted += [(moment(e.at), words.event(e)) for e in (row.case.events if row.case else ())]
        return tuple(sorted(noted, reverse=True))[:12]

    def _replay(self, diagnosis: Diagnosis) -> list[str]:
        command = ["camvib", "diagnose", words.printable(diagnosis.recording)]
        command += ["--model", self.model_name] if self.model_name else []
        return [*command, *(["--asset", words.printable(diagnosis.asset)] if diagnosis.asset else [])]


def _clips(recording: Recording | None, healthy: Recording | None) -> tuple[Clip | None, Clip | None]:
    """Both at one scale, so that louder is louder."""
    if recording is None:
        return None, None
    both = [r for r in (recording, healthy) if r is not None]
    peak = max(float(np.abs(np.asarray(r.samples) - np.mean(r.samples)).max()) for r in both)
    made = [clip(r.samples, r.sampling_rate_hz, peak) for r in both]
    return made[0], made[1] if len(made) > 1 else None


def _disagree(row: Row, seen: Sequence[Seen], since: datetime | None) -> tuple[int, int, datetime | None]:
    """How many recordings of a case's time were judged otherwise, of how many, and when the last of them was."""
    if row.case is None or since is None:
        return 0, 0, None
    within = [s for s in seen if s.at >= since and s.judged]
    otherwise = [s for s in within if not speaks_for(s.point, row.case)]
    return len(otherwise), len(within), otherwise[-1].at if otherwise else None


def _level_shift(point: HistoryPoint, before: Sequence[Seen]) -> float | None:
    levels = [s.point.level_db for s in before if s.point.level_db is not None]
    if point.level_db is None or len(levels) < MIN_RECORDINGS:
        return None
    return float(point.level_db - np.median(levels))
