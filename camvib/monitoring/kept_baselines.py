"""Healthy baselines in the ledger: one in force for each asset and kind of image, the former ones as history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert, select, update

from camvib.images.baseline import Baseline
from camvib.monitoring.clock import now_text
from camvib.monitoring.database import Database
from camvib.monitoring.tables import BaselineRow, clean


@dataclass(frozen=True, eq=False)
class KeptBaseline:
    """An asset's baseline as the store keeps it.

    Attributes
    ----------
    asset : str
    image : str
        Hash of what its images are like: `Model.image_digest`.
    baseline : Baseline
    recording_ids : tuple of str
        Of the healthy recordings that it was made from.
    learned_at, replaced_at : str
        ISO 8601, UTC; set when it is saved, and when a newer one takes its place.
    """

    asset: str
    image: str
    baseline: Baseline
    recording_ids: tuple[str, ...]
    learned_at: str = ""
    replaced_at: str = ""


class KeptBaselines:
    """The part of `camvib.monitoring.ledger.Store` that keeps baselines."""

    database: Database

    def save_baseline(self, kept: KeptBaseline) -> None:
        """Put an asset's baseline in force; the former one of the same kind of image stays as history."""
        now = now_text()
        row = {
            "asset": kept.asset,
            "image": kept.image,
            "digest": kept.baseline.digest,
            "mean_db": clean(kept.baseline.mean_db.astype(float).tolist()),
            "spread_db": clean(kept.baseline.spread_db.astype(float).tolist()),
            "recordings": kept.baseline.recordings,
            "recording_ids": list(kept.recording_ids),
            "learned_at": now,
            "replaced_at": "",
        }

        def put(connection: Connection) -> None:
            mine = (BaselineRow.asset == kept.asset) & (BaselineRow.image == kept.image)
            connection.execute(update(BaselineRow).where(mine, BaselineRow.replaced_at == "").values(replaced_at=now))
            connection.execute(insert(BaselineRow), [row])

        self.database.do(put)

    def baseline(self, asset: str, image: str) -> KeptBaseline | None:
        """Baseline in force of an asset for one kind of image; None where it was never learned."""
        return next((kept for kept in self.baselines(asset, image) if not kept.replaced_at), None)

    def baselines(self, asset: str, image: str | None = None) -> list[KeptBaseline]:
        """An asset's baselines, the newest first, those that were replaced too."""
        query = select(BaselineRow.__table__).where(BaselineRow.asset == asset).order_by(BaselineRow.id.desc())
        if image is not None:
            query = query.where(BaselineRow.image == image)
        return [_kept(row) for row in self.database.rows(query)]

    def baseline_digests(self, image: str) -> dict[str, str]:
        """Digests of the baselines in force for one kind of image, by asset."""
        query = select(BaselineRow.asset, BaselineRow.digest).where(
            BaselineRow.image == image, BaselineRow.replaced_at == ""
        )
        return {row[0]: row[1] for row in self.database.rows(query)}


def _kept(row: Any) -> KeptBaseline:
    mean_db, spread_db = (np.array(values, np.float32) for values in (row.mean_db, row.spread_db))
    baseline = Baseline(mean_db, spread_db, row.recordings)
    return KeptBaseline(row.asset, row.image, baseline, tuple(row.recording_ids), row.learned_at, row.replaced_at)
