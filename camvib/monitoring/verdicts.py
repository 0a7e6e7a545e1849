"""Diagnoses in the ledger: kept once, found again, the newest of a recording in force."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from camvib.errors import StoreError
from camvib.monitoring.database import Database, chunks
from camvib.monitoring.evidence_file import Written, write_evidence
from camvib.monitoring.outcomes import Outcome, from_record, judged_row, recording_row
from camvib.monitoring.tables import DiagnosisRow, EvidenceRow, OutcomeRow, RecordingRow
from camvib.records import Diagnosis, Evidence

Key = tuple[str, str, str]  # recording, model, settings
Kept = dict[Key, tuple[int, bool]]  # number of the diagnosis that is stored, and whether it is new


class Verdicts:
    """The part of `camvib.monitoring.ledger.Store` that keeps diagnoses."""

    database: Database
    folder: Path

    def keep(self, outcomes: Sequence[Outcome], *, current: bool = True) -> int:
        """Store diagnoses with their evidence in one transaction; those that are there already stay as they are.

        Parameters
        ----------
        outcomes : sequence of Outcome
        current : bool
            They are the newest verdicts of their recordings. False keeps them beside the verdicts that count.

        Returns
        -------
        int
            How many are new.
        """
        written = self.write_evidence(outcomes)

        kept = self.database.do(lambda connection: self.insert(connection, outcomes, written, current=current))
        self.forget_unused(outcomes, written, kept)
        return sum(is_new for _, is_new in kept.values())

    def save(self, diagnosis: Diagnosis, evidence: Evidence | None = None) -> None:
        """Store one diagnosis and its evidence; one that is there already stays."""
        self.keep([Outcome(diagnosis, evidence)])

    def write_evidence(self, outcomes: Sequence[Outcome]) -> list[Written | None]:
        """Write the evidence files of outcomes; nothing points to them until `insert` is done."""
        return [
            None if one.evidence is None else write_evidence(one.evidence, self.folder, "-".join(one.key))
            for one in outcomes
        ]

    def forget_unused(
        self,
        outcomes: Sequence[Outcome],
        written: Sequence[Written | None],
        kept: Kept,
    ) -> None:
        """Remove evidence files of verdicts that somebody else had stored before."""
        used = set(self._files([number for number, _ in kept.values()]).values())
        for one in written:
            if one is not None and one.file not in used:
                with contextlib.suppress(OSError):
                    (self.folder / one.file).unlink(missing_ok=True)

    def insert(
        self, connection: Connection, outcomes: Sequence[Outcome], written: Sequence[Written | None], *, current: bool
    ) -> Kept:
        """Add outcomes within a transaction.

        Returns
        -------
        dict
            By key of the outcome: number of the diagnosis that is stored under it, and whether this one is it.
        """
        if not outcomes:
            return {}
        first = {outcome.key: (outcome, file) for outcome, file in reversed(list(zip(outcomes, written, strict=True)))}
        self._insert_recordings(connection, [outcome for outcome, _ in first.values()], renew=current)
        rows = [judged_row(outcome, current=current) for outcome, _ in first.values()]
        number, *key = (
            DiagnosisRow.id,
            DiagnosisRow.recording_id,
            DiagnosisRow.model,
            DiagnosisRow.settings_digest,
        )
        adding = self.database.insert_into(DiagnosisRow).on_conflict_do_nothing().returning(number, *key)
        new = {(row[1], row[2], row[3]): row[0] for row in connection.execute(adding, rows)}
        evidence = [
            {"diagnosis_id": new[key], "file": file.file, "sha256": file.sha256, "bytes": file.bytes, "pruned_at": ""}
            for key, (_, file) in first.items()
            if file is not None and key in new
        ]
        if evidence:
            connection.execute(insert(EvidenceRow), evidence)
        kept = {key: (number, True) for key, number in new.items()}
        kept |= {key: (number, False) for key, number in self._numbers(connection, first.keys() - new.keys()).items()}
        if current:
            _supersede(connection, kept, {outcome.diagnosis.recording for outcome in outcomes})
        return kept

    def _insert_recordings(self, connection: Connection, outcomes: Sequence[Outcome], *, renew: bool) -> None:
        rows = list({row["id"]: row for row in map(recording_row, outcomes)}.values())
        adding = self.database.insert_into(RecordingRow)
        if renew:  # a recording that moved, or whose asset was named since
            newer = {name: adding.excluded[name] for name in ("path", "content_sha256", "asset", "observed_at")}
            adding = adding.on_conflict_do_update(index_elements=["id"], set_=newer)
        else:
            adding = adding.on_conflict_do_nothing()
        connection.execute(adding, rows)

    def _numbers(self, connection: Connection, keys: Iterable[Key]) -> dict[Key, int]:
        wanted = set(keys)
        found = {}
        for some in chunks(wanted):
            query = select(
                DiagnosisRow.id, DiagnosisRow.recording_id, DiagnosisRow.model, DiagnosisRow.settings_digest
            ).where(DiagnosisRow.recording_id.in_({key[0] for key in some}))
            found.update({(row[1], row[2], row[3]): row[0] for row in connection.execute(query)})
        return {key: number for key, number in found.items() if key in wanted}

    def _files(self, numbers: Sequence[int]) -> dict[int, str]:
        found: dict[int, str] = {}
        for some in chunks(numbers):
            query = select(EvidenceRow.diagnosis_id, EvidenceRow.file).where(EvidenceRow.diagnosis_id.in_(some))
            found.update({row[0]: row[1] for row in self.database.rows(query)})
        return found

    def known(self, recording_ids: Iterable[str], model: str) -> dict[tuple[str, str], tuple[int, bool]]:
        """Numbers of the diagnoses that a model gave, and whether they count, by recording and settings."""
        found: dict[tuple[str, str], tuple[int, bool]] = {}
        columns = DiagnosisRow.recording_id, DiagnosisRow.settings_digest, DiagnosisRow.id, DiagnosisRow.current
        for some in chunks(set(recording_ids)):
            query = select(*columns).where(DiagnosisRow.recording_id.in_(some), DiagnosisRow.model == model)
            found.update({(row[0], row[1]): (row[2], row[3]) for row in self.database.rows(query)})
        return found

    def make_current(self, connection: Connection, numbers: Sequence[int]) -> None:
        """Let diagnoses that stood beside or were superseded count again."""
        for some in chunks(numbers):
            of = select(DiagnosisRow.recording_id).where(DiagnosisRow.id.in_(some))
            old = DiagnosisRow.recording_id.in_(of) & DiagnosisRow.current & DiagnosisRow.id.not_in(some)
            connection.execute(update(DiagnosisRow).where(old).values(current=False, uncased=False))
            back = update(DiagnosisRow).where(DiagnosisRow.id.in_(some), DiagnosisRow.current.is_(False))
            connection.execute(back.values(current=True, uncased=True))

    def find(self, recording_ids: Iterable[str], model: str, settings_digest: str) -> dict[str, Diagnosis]:
        """Diagnoses that are there already, by recording id."""
        found: dict[str, Diagnosis] = {}
        for some in chunks(dict.fromkeys(recording_ids)):
            query = select(DiagnosisRow.recording_id, DiagnosisRow.record).where(
                DiagnosisRow.recording_id.in_(some),
                DiagnosisRow.model == model,
                DiagnosisRow.settings_digest == settings_digest,
            )
            found.update({row[0]: from_record(row[1]) for row in self.database.rows(query)})
        return found

    def all(self) -> list[Diagnosis]:
        """Every diagnosis that counts, oldest first. Of a large store rather ask `histories`."""
        query = select(DiagnosisRow.record).where(DiagnosisRow.current).order_by(DiagnosisRow.id)
        return [from_record(row[0]) for row in self.database.rows(query)]

    def history(self, recording_id: str) -> list[Diagnosis]:
        """All verdicts on one recording, oldest first."""
        query = select(DiagnosisRow.record).where(DiagnosisRow.recording_id == recording_id).order_by(DiagnosisRow.id)
        return [from_record(row[0]) for row in self.database.rows(query)]

    def diagnosis(self, number: int) -> Diagnosis:
        """One diagnosis by its number.

        Raises
        ------
        StoreError
            There is none.
        """
        found = self.database.rows(select(DiagnosisRow.record).where(DiagnosisRow.id == number))
        if not found:
            raise StoreError(f"{self.database.name}: no diagnosis {number}", "Take a number from a history")
        return from_record(found[0][0])

    def diagnoses_of(self, files: Iterable[int]) -> Iterator[Diagnosis]:
        """Diagnoses that came of files of a job, in the order of the files."""
        for some in chunks(files):
            query = (
                select(OutcomeRow.file_id, DiagnosisRow.record)
                .join(DiagnosisRow, DiagnosisRow.id == OutcomeRow.diagnosis_id)
                .where(OutcomeRow.file_id.in_(some))
                .order_by(OutcomeRow.file_id, DiagnosisRow.id)
            )
            of_file: dict[int, list[Diagnosis]] = {}
            for file, record in self.database.rows(query):
                of_file.setdefault(file, []).append(from_record(record))
            for file in some:
                yield from of_file.get(file, [])

    def verdicts_of(self, files: Iterable[int]) -> dict[tuple[str, str], int]:
        """How many diagnoses of files have which verdict and label."""
        counted: Counter[tuple[str, str]] = Counter()
        for some in chunks(files):
            query = (
                select(DiagnosisRow.verdict, DiagnosisRow.label)
                .join(OutcomeRow, DiagnosisRow.id == OutcomeRow.diagnosis_id)
                .where(OutcomeRow.file_id.in_(some))
            )
            counted.update((row[0], row[1]) for row in self.database.rows(query))
        return dict(counted)

    def refused_of(self, files: Sequence[int], most: int) -> list[Diagnosis]:
        """The newest refusals among files of a job, not more than so many."""
        if not files:
            return []
        query = (
            select(DiagnosisRow.record, OutcomeRow.file_id)
            .join(OutcomeRow, DiagnosisRow.id == OutcomeRow.diagnosis_id)
            .where(DiagnosisRow.verdict == "refused", OutcomeRow.file_id.between(min(files), max(files)))
            .order_by(DiagnosisRow.id.desc())
            .limit(20 * most)
        )
        mine = set(files)
        return [from_record(row[0]) for row in self.database.rows(query) if row[1] in mine][:most]


def _supersede(connection: Connection, kept: Kept, paths: set[str]) -> None:
    """Make verdicts the ones that count, in place of older ones of the same recordings."""
    numbers = {number for number, _ in kept.values()}
    for some in chunks({key[0] for key in kept}):
        old = DiagnosisRow.recording_id.in_(some) & DiagnosisRow.current & DiagnosisRow.id.not_in(numbers)
        connection.execute(update(DiagnosisRow).where(old).values(current=False, uncased=False))
    again = [number for number, is_new in kept.values() if not is_new]
    for numbers_again in chunks(again):
        back = DiagnosisRow.id.in_(numbers_again) & DiagnosisRow.current.is_(False)
        connection.execute(update(DiagnosisRow).where(back).values(current=True, uncased=True))
    for files in chunks(paths):  # a file that could not be read and now is, or fails for another reason
        unread = select(RecordingRow.id).where(RecordingRow.channel == "", RecordingRow.path.in_(files))
        old = DiagnosisRow.recording_id.in_(unread) & DiagnosisRow.current & DiagnosisRow.id.not_in(numbers)
        connection.execute(update(DiagnosisRow).where(old).values(current=False, uncased=False))
