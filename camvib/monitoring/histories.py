"""What the ledger tells: assets, and the history of each in the order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import select

from camvib.monitoring.casebook import Casebook
from camvib.monitoring.clock import utc_text
from camvib.monitoring.tables import DiagnosisRow, EvidenceRow, RecordingRow
from camvib.records import AssetHistory, HistoryPoint


class Histories(Casebook):
    """The part of `camvib.monitoring.ledger.Store` that tells histories."""

    def assets(self) -> list[str]:
        """Assets that have a verdict, sorted; the empty name stands for recordings that name none."""
        query = select(DiagnosisRow.asset).where(DiagnosisRow.current).distinct()
        return sorted(row[0] for row in self.database.rows(query))

    def points(self, asset: str, since: str = "", until: str = "") -> Iterator[HistoryPoint]:
        """An asset's recordings in the order of time, each with the verdict that counts."""
        query = (
            select(DiagnosisRow.__table__, RecordingRow.observed_at, EvidenceRow.pruned_at)
            .join(RecordingRow, RecordingRow.id == DiagnosisRow.recording_id)
            .outerjoin(EvidenceRow, EvidenceRow.diagnosis_id == DiagnosisRow.id)
            .where(DiagnosisRow.current, DiagnosisRow.asset == asset)
            .order_by(RecordingRow.observed_at, DiagnosisRow.id)
        )
        if since:
            query = query.where(RecordingRow.observed_at >= utc_text(since))
        if until:
            query = query.where(RecordingRow.observed_at < utc_text(until))
        return map(_point, self.database.rows(query))

    def histories(
        self, assets: Sequence[str] | None = None, since: str = "", until: str = ""
    ) -> Iterator[AssetHistory]:
        """Histories of assets, by default of all; one at a time is held in memory.

        Parameters
        ----------
        assets : sequence of str, optional
        since, until : str
            ISO 8601; recordings from the first on and before the second.
        """
        for asset in self.assets() if assets is None else assets:
            points = tuple(self.points(asset, since, until))
            yield AssetHistory(asset, points, tuple(self.cases(asset=asset, closed=True)))


def _point(row: Any) -> HistoryPoint:
    record = row.record
    return HistoryPoint(
        diagnosis_id=row.id,
        recording_id=row.recording_id,
        recording=record["recording"],
        channel=record["channel"],
        at=row.observed_at,
        verdict=row.verdict,
        label=row.label,
        probability=row.probability,
        change_db=row.change_db,
        level_db=row.level_db,
        unit=record["unit"],
        model=row.model,
        reason=record["reason"],
        has_evidence=row.pruned_at == "",
    )
