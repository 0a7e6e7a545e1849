"""Evidence that the ledger points to: read, checked, made again, pruned."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import select, update

from camvib.errors import StoreError
from camvib.monitoring.clock import now_text, utc_text
from camvib.monitoring.database import AT_ONCE, Database
from camvib.monitoring.evidence_file import read_evidence, write_evidence
from camvib.monitoring.tables import DiagnosisRow, EvidenceRow
from camvib.records import Diagnosis, Evidence

EvidenceState = Literal["kept", "none", "pruned", "missing", "damaged"]


class EvidenceFolder:
    """The part of `camvib.monitoring.ledger.Store` that gives evidence."""

    database: Database
    folder: Path

    def evidence(self, diagnosis: Diagnosis) -> Evidence | None:
        """Pictures behind a diagnosis; None where there are none, or they are pruned, missing or damaged."""
        with contextlib.suppress(StoreError):
            if (found := self._evidence_row(diagnosis)) and not found.pruned_at:
                return read_evidence(self.folder / found.file, found.sha256)
        return None

    def evidence_state(self, diagnosis: Diagnosis) -> EvidenceState:
        """Whether the pictures behind a diagnosis are at hand, and are those that were written."""
        found = self._evidence_row(diagnosis)
        if found is None:
            return "none"
        if found.pruned_at:
            return "pruned"
        if not (self.folder / found.file).is_file():
            return "missing"
        try:
            read_evidence(self.folder / found.file, found.sha256)
        except StoreError:
            return "damaged"
        return "kept"

    def renew_evidence(self, diagnosis: Diagnosis, evidence: Evidence) -> None:
        """Put evidence that was made again in the place of what is missing or damaged."""
        written = write_evidence(
            evidence, self.folder, f"{diagnosis.recording_id}-{diagnosis.model}-{diagnosis.settings_digest}"
        )
        old = self._evidence_row(diagnosis)
        if old is None:
            raise StoreError(f"{diagnosis.recording}: no such diagnosis is stored", "Diagnose the recording")
        renewed = (
            update(EvidenceRow)
            .where(EvidenceRow.diagnosis_id == old.diagnosis_id)
            .values(file=written.file, sha256=written.sha256, bytes=written.bytes, pruned_at="")
        )
        self.database.do(lambda connection: connection.execute(renewed))
        if old.file != written.file:
            (self.folder / old.file).unlink(missing_ok=True)

    def _evidence_row(self, diagnosis: Diagnosis) -> Any:
        query = (
            select(EvidenceRow.diagnosis_id, EvidenceRow.file, EvidenceRow.sha256, EvidenceRow.pruned_at)
            .join(DiagnosisRow, DiagnosisRow.id == EvidenceRow.diagnosis_id)
            .where(
                DiagnosisRow.recording_id == diagnosis.recording_id,
                DiagnosisRow.model == diagnosis.model,
                DiagnosisRow.settings_digest == diagnosis.settings_digest,
            )
        )
        return next(iter(self.database.rows(query)), None)

    def prune(self, keep_evidence: timedelta) -> tuple[int, int]:
        """Remove evidence of verdicts older than so long; the verdicts stay for ever.

        Returns
        -------
        files, bytes : int
        """
        limit = utc_text(datetime.now(UTC) - keep_evidence)
        files = freed = 0
        while True:
            query = (
                select(EvidenceRow.diagnosis_id, EvidenceRow.file, EvidenceRow.bytes)
                .join(DiagnosisRow, DiagnosisRow.id == EvidenceRow.diagnosis_id)
                .where(EvidenceRow.pruned_at == "", DiagnosisRow.judged_at < limit)
                .limit(AT_ONCE)
            )
            rows = self.database.rows(query)
            if not rows:
                return files, freed
            # Said to be pruned first: killed between, a file is left over, never a row that promises one.
            gone = update(EvidenceRow).where(EvidenceRow.diagnosis_id.in_([row[0] for row in rows]))
            self.database.do(lambda connection: connection.execute(gone.values(pruned_at=now_text())))  # noqa: B023
            for _, file, size in rows:
                with contextlib.suppress(OSError):
                    (self.folder / file).unlink()
                    files, freed = files + 1, freed + size
