"""The line: files are read in workers, judged together, and written in one transaction a batch, all at once.

What is in memory is bounded by what is in hand: some files being read, one batch at the network, two being written.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from sqlalchemy import Connection

from camvib.diagnosis.verdict import Checked, judge_checked
from camvib.errors import CamvibError, ReadError, StoreError
from camvib.images.baseline import Baseline, level_free
from camvib.model.model import Model
from camvib.monitoring.claims import MOST_TRIES, SUSPECT_TRIES, Claimed, Claims, DoneFile
from camvib.monitoring.clock import utc_text
from camvib.monitoring.ledger import Store
from camvib.monitoring.outcomes import Outcome, judged_row
from camvib.monitoring.reading import FileRead, Part, ReadTask, read_long_file
from camvib.monitoring.sources import is_remote
from camvib.monitoring.verdicts import Kept
from camvib.monitoring.workers import Workers
from camvib.records import Diagnosis, Evidence, Recording, recording_id

if TYPE_CHECKING:
    from camvib.monitoring.batch import Options

IN_HAND = 96  # files that are being read or wait for it
TOGETHER = 32  # files that are judged and written together
_LOOK_S = 0.2


@dataclass
class _Judged:
    """A file whose recordings have their verdicts: new ones as outcomes, known ones by number."""

    done: DoneFile
    outcomes: list[Outcome] = field(default_factory=list)
    known: list[tuple[int, bool]] = field(default_factory=list)  # number, and whether it counts


class Line:
    """One process's share of a run. Use it as a context: it ends workers and gives claims back.

    Attributes
    ----------
    fresh : Counter
        New diagnoses by verdict and label.
    finished : int
        How many files this line has done.
    unsettled : set of int
        Files that changed while they were read.
    """

    def __init__(self, model: Model, store: Store, claims: Claims, options: Options, workers: Workers) -> None:
        self.model, self.store, self.claims, self.options = model, store, claims, options
        self.settings_digest = claims.job.removeprefix(f"{model.digest}-").removesuffix("-beside")
        self.fresh: Counter[tuple[str, str]] = Counter()
        self.finished = 0
        self.unsettled: set[int] = set()
        self._workers = workers
        self._baselines: dict[str, Baseline | None] = {}
        self._to_write: queue.Queue[list[_Judged] | None] = queue.Queue(maxsize=2)
        self._broken: BaseException | None = None
        self._writer = threading.Thread(target=self._write_all, daemon=True, name="camvib-writer")
        self._alive = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._alive.enter_context(self.claims.kept_alive())
        self._writer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(queue.Full):
            self._to_write.put(None, timeout=5)
        self._writer.join(timeout=5 if error else None)

        self._alive.close()
        try:
            self.claims.release()
        except StoreError:
            if error is None:
                raise
        if error is None and self._broken is not None:
            raise self._broken

    def run(self, ids: Sequence[int], on_done: Callable[[int], None] | None = None) -> None:
        """Do all of these files that are free."""
        waiting = list(reversed(ids))
        in_hand: dict[int, Claimed] = {}
        read: list[tuple[Claimed, FileRead | CamvibError]] = []
        while waiting or in_hand or read:
            self._raise_broken()
            while waiting and len(in_hand) + TOGETHER <= IN_HAND:
                self._begin([waiting.pop() for _ in range(min(TOGETHER, len(waiting)))], in_hand)
            if in_hand and (result := self._workers.result(_LOOK_S)) is not None:
                number, found = result
                read.append((in_hand.pop(number), found))
            if len(read) >= TOGETHER or (read and not in_hand):
                self._hand_over(self._judge(read))
                read = []
                if on_done is not None:
                    on_done(self.finished)
        self._flush()
        self._raise_broken()

    def _begin(self, ids: list[int], in_hand: dict[int, Claimed]) -> None:
        """Claim files and have them read; one that was begun too often and never finished goes alone."""
        for claimed in self.claims.take(ids):
            if claimed.tries >= MOST_TRIES:
                gone = ReadError(
                    f"{claimed.path}: begun {claimed.tries} times, and each time the process ended before the verdict",
                    "Look at the file: it may be damaged in a way that ends the reading process",
                )
                self._hand_over(self._judge([(claimed, gone)]))
                continue
            in_hand[claimed.id] = claimed
            self._workers.submit(claimed.id, self._task(claimed))
            if claimed.tries >= SUSPECT_TRIES:
                self._alone(claimed, in_hand)

    def _alone(self, claimed: Claimed, in_hand: dict[int, Claimed]) -> None:
        """Finish all that is in hand, this file too, before anything else is begun."""
        read = []
        while in_hand:
            self._raise_broken()
            if (result := self._workers.result(_LOOK_S)) is not None:
                read.append((in_hand.pop(result[0]), result[1]))
        for one in read:
            self._hand_over(self._judge([one]))
        self._flush()

    def _task(self, claimed: Claimed) -> ReadTask:
        return ReadTask(
            claimed.path,
            claimed.entries,
            self.model.spec,
            self.options.allow_resample,
            claimed.content_sha256,
            self.options.limits.spool_mib,
        )

    # --- verdicts

    def _judge(self, read: Sequence[tuple[Claimed, FileRead | CamvibError]]) -> list[_Judged]:
        files = [(claimed, self._whole(claimed, found)) for claimed, found in read]
        judged: list[_Judged] = []
        to_judge: list[tuple[_Judged, FileRead, Part, str]] = []
        ids = [part.recording_id for _, found in files for part in found.parts if part.recording_id]
        known = self.store.known(ids, self.model.digest) if ids else {}
        for claimed, found in files:
            if not found.settled:
                self.unsettled.add(claimed.id)
                self.claims.release([claimed.id])
                continue
            listed = claimed if is_remote(claimed.path) else found  # a local copy has a time of its own
            mine = _Judged(DoneFile(claimed.id, listed.size, listed.mtime_ns, found.sha256))
            judged.append(mine)
            assets: dict[str, str] = {}
            for part in found.parts:
                if isinstance(part.recording, CamvibError):
                    mine.outcomes.append(self._unreadable(claimed, found, part, part.recording))
                    continue
                asset = self._asset(part.recording, part)
                baseline = self._baseline(asset)
                if self.model.needs_baseline:
                    assets[asset] = baseline.digest if baseline else ""
                digest = f"{self.settings_digest}-{baseline.digest}" if baseline else self.settings_digest
                if (number := known.get((part.recording_id, digest))) is not None:
                    mine.known.append(number)
                else:
                    named = replace(part, recording=replace(part.recording, asset=asset))
                    to_judge.append((mine, found, named, digest))
            mine.done = replace(mine.done, assets=assets)
        self._judge_parts(to_judge)
        return judged

    def _judge_parts(self, parts: Sequence[tuple[_Judged, FileRead, Part, str]]) -> None:
        checked = [
            Checked(part.recording, part.findings, self._baseline(part.recording.asset))
            for _, _, part, _ in parts
            if isinstance(part.recording, Recording)
        ]
        verdicts = judge_checked(checked, self.model, baseline_command=self.options.baseline_command)
        for (mine, found, part, digest), one, (diagnosis, evidence) in zip(parts, checked, verdicts, strict=True):
            named = replace(diagnosis, recording_id=part.recording_id, settings_digest=digest)
            outcome = Outcome(
                named,
                evidence,
                found.sha256,
                _observed(one.recording, found.mtime_ns),
                _change_db(evidence, one.baseline),
                part.level_db,
            )
            mine.outcomes.append(_sound(outcome))

    def _whole(self, claimed: Claimed, found: FileRead | CamvibError) -> FileRead:
        """What was read, also where it is too long for the worker to send, or where nothing was."""
        if isinstance(found, FileRead) and found.is_long:
            try:
                return read_long_file(self._task(claimed))
            except CamvibError as error:
                found = error
        if isinstance(found, FileRead):
            return found
        where = "" if claimed.path in found.message else f"{claimed.path}: "
        reason = type(found)(f"{where}{found.message}", found.remedy)
        return FileRead(claimed.path, claimed.size, claimed.mtime_ns, (Part(reason),))

    def _unreadable(self, claimed: Claimed, found: FileRead, part: Part, error: CamvibError) -> Outcome:
        """Refuse what cannot be read. The reason is part of its id: it is tried again once its unit is declared."""
        diagnosis = Diagnosis(
            recording_id(found.sha256, error.message, part.start_s, 0.0),
            claimed.path,
            channel="",
            asset="",
            verdict="refused",
            reason=error.message,
            remedy=error.remedy,
            model=self.model.digest,
            settings_digest=self.settings_digest,
        )
        return Outcome(diagnosis, None, found.sha256, utc_text(found.mtime_ns / 1e9) if found.mtime_ns > 0 else "")

    def _asset(self, recording: Recording, part: Part) -> str:
        """A baseline is of the asset; where none is named, of the group, as in training."""
        return recording.asset or (part.group if self.model.needs_baseline else "")

    def _baseline(self, asset: str) -> Baseline | None:
        if not self.model.needs_baseline:
            return None
        if asset not in self._baselines:
            kept = self.store.baseline(asset, self.model.image_digest)
            self._baselines[asset] = kept.baseline if kept else None
        return self._baselines[asset]

    # --- writing

    def _hand_over(self, judged: list[_Judged]) -> None:
        while judged and self._broken is None:
            with contextlib.suppress(queue.Full):
                self._to_write.put(judged, timeout=_LOOK_S)
                self.finished += len(judged)
                return

    def _flush(self) -> None:
        """Wait until all that was handed over is written."""
        while self._to_write.unfinished_tasks and self._broken is None:
            with self._to_write.all_tasks_done:
                self._to_write.all_tasks_done.wait(_LOOK_S)

    def _raise_broken(self) -> None:
        if self._broken is not None:
            raise self._broken

    def _write_all(self) -> None:
        while (judged := self._to_write.get()) is not None:
            try:
                if self._broken is None:
                    self._write(judged)
            # It is raised in the thread that runs the line, whatever it is.
            except BaseException as error:  # noqa: BLE001
                self._broken = error
            finally:
                self._to_write.task_done()

    def _write(self, judged: Sequence[_Judged]) -> None:
        """Write verdicts and end the claims in one transaction; what another process has taken over is its own."""
        outcomes = [outcome for one in judged for outcome in one.outcomes]
        written = self.store.write_evidence(outcomes)
        ids = [one.done.id for one in judged]

        def once(connection: Connection) -> Kept:
            mine = self.claims.still_mine(connection, ids)
            chosen = [one for one in judged if one.done.id in mine]
            files = dict(zip((id(outcome) for outcome in outcomes), written, strict=True))
            new = [outcome for one in chosen for outcome in one.outcomes]
            kept = self.store.insert(
                connection, new, [files[id(outcome)] for outcome in new], current=self.options.current
            )
            if self.options.current:
                again = [number for one in chosen for number, counts in one.known if not counts]
                self.store.make_current(connection, again)
            numbers = {
                one.done.id: [*(kept[o.key][0] for o in one.outcomes), *(number for number, _ in one.known)]
                for one in chosen
            }
            self.claims.finish(connection, [one.done for one in chosen], numbers)
            return kept

        kept = self.store.database.do(once)
        self.claims.forget(ids)
        self.store.forget_unused(outcomes, written, kept)
        by_key = {outcome.key: outcome.diagnosis for outcome in outcomes}
        self.fresh.update((by_key[key].verdict, by_key[key].label) for key, (_, is_new) in kept.items() if is_new)


def _observed(recording: Recording, mtime_ns: int) -> str:
    return utc_text(recording.recorded_at or (mtime_ns / 1e9 if mtime_ns > 0 else None))


def _change_db(evidence: Evidence | None, baseline: Baseline | None) -> float | None:
    """Root mean square over frequency of the mean spectrum less the baseline's, both without their level."""
    if evidence is None or baseline is None:
        return None
    spectrum = level_free(evidence.spectrogram.values_db[None])[0].mean(axis=-1)
    return float(np.sqrt(np.mean((spectrum - baseline.mean_db) ** 2)))


def _sound(outcome: Outcome) -> Outcome:
    """The outcome, or a refusal where the model's answer is no number."""
    try:
        judged_row(outcome, current=True)
    except StoreError as error:
        refused = replace(
            outcome.diagnosis, verdict="refused", label="", probabilities={}, regions=(), findings=(),
            reason=f"the model gave no finite answer: {error.message}", remedy="Report it with the recording",
        )  # fmt: skip
        return Outcome(refused, None, outcome.content_sha256, outcome.observed_at)
    return outcome
