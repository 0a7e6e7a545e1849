"""Answers → a labelled folder for the next training, groups kept."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from camvib.errors import CamvibError
from camvib.monitoring.ledger import Store
from camvib.recordings.labels import LABELS
from camvib.records import Answer, Case, Diagnosis
from camvib.report.urgency import Seen, moment, speaks_for
from camvib.review.answers import VERDICTS, Conflict, conflicts_of
from camvib.review.samples import entry_of

COLUMNS = (
    "file", "label", "group", "asset", "channel", "sampling_rate_hz", "unit", "start_s", "end_s", "recorded_at",
    "comment",
)  # fmt: skip


@dataclass(frozen=True)
class Labelled:
    """What was written.

    Attributes
    ----------
    rows : int
    labels : dict of str to int
        Recordings by label.
    missing : tuple of (str, str)
        Recordings that are no longer at hand, and why.
    conflicts : tuple of Conflict
        Cases on which people differ: the newest answer counts.
    """

    rows: int
    labels: dict[str, int]
    missing: tuple[tuple[str, str], ...]
    conflicts: tuple[Conflict, ...]


def write_labels(store: Store, out: Path, *, healthy: str = "healthy") -> Labelled:
    """Write a folder with the recordings that people gave an answer on.

    Every recording that spoke for a case gets the label of the newest answer: the case's own where it was confirmed,
    another where it was corrected, `healthy` where nothing was found. The group is the asset, so that no machine
    stands on both sides of a split.

    Parameters
    ----------
    store : Store
    out : Path
        A new or empty folder.
    healthy : str
        Label of the healthy condition.

    Raises
    ------
    CamvibError
        The folder holds something already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise CamvibError(f"{out} holds something already", "Name a new folder")
    answers = [answer for answer in store.answers() if answer.kind in VERDICTS]
    (out / "recordings").mkdir(parents=True, exist_ok=True)
    rows: list[list[object]] = []
    missing: list[tuple[str, str]] = []
    for diagnosis, label, answer in _labelled(store, answers, healthy):
        try:
            rows.append(_row(diagnosis, label, answer, out))
        except (CamvibError, OSError) as error:
            missing.append((diagnosis.recording, getattr(error, "message", str(error))))
    with (out / LABELS).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    counts: dict[str, int] = {}
    for row in rows:
        counts[str(row[1])] = counts.get(str(row[1]), 0) + 1
    by_case: dict[int, list[Answer]] = {}
    for answer in answers:
        if answer.case_id is not None:
            by_case.setdefault(answer.case_id, []).append(answer)
    conflicts = tuple(conflict for said in by_case.values() for conflict in conflicts_of(said))
    return Labelled(len(rows), counts, tuple(missing), conflicts)


def _labelled(store: Store, answers: Sequence[Answer], healthy: str) -> Iterator[tuple[Diagnosis, str, Answer]]:
    """Recordings with their labels; a recording that two answers name has that of the newer."""
    chosen: dict[int, tuple[str, Answer]] = {}
    cases = {case.id: case for case in store.cases(closed=True)}
    for answer in sorted(answers, key=lambda a: a.at):
        case = cases.get(answer.case_id) if answer.case_id is not None else None
        label = healthy if answer.kind == "nothing_found" else answer.label or (case.label if case else "")
        if not label:
            continue
        for number in _recordings(store, answer, case):
            chosen[number] = label, answer
    for number, (label, answer) in chosen.items():
        yield store.diagnosis(number), label, answer


def _recordings(store: Store, answer: Answer, case: Case | None) -> Iterator[int]:
    """Diagnoses that an answer is about: those that spoke for its case until it was given, else the one it names."""
    for history in store.histories([answer.asset]):
        for seen in Seen.all_of(history.points):
            if case is None:
                if seen.point.recording_id == answer.recording_id:
                    yield seen.point.diagnosis_id
            elif moment(case.since) <= seen.at <= moment(answer.at) and seen.judged and speaks_for(seen.point, case):
                yield seen.point.diagnosis_id


def _row(diagnosis: Diagnosis, label: str, answer: Answer, out: Path) -> list[object]:
    entry = entry_of(diagnosis)
    target = out / "recordings" / f"{diagnosis.recording_id}{entry.file.suffix}"
    if not target.exists():
        shutil.copy2(entry.file, target)
    return [
        f"recordings/{target.name}", label, diagnosis.asset, diagnosis.asset, entry.channel or diagnosis.channel,
        entry.sampling_rate_hz or "", entry.unit or "",
        "" if entry.start_s is None else entry.start_s, "" if entry.end_s is None else entry.end_s,
        diagnosis.recorded_at, f"{answer.kind} by {answer.author or 'nobody named'}, {answer.at}",
    ]  # fmt: skip
