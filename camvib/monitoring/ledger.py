"""The ledger: each recording is diagnosed once by each model with each settings, whatever is killed when.

A diagnosis is done when its row is there. Its evidence file is written first, under a temporary
name, then renamed; so a kill leaves either nothing or an evidence file that the next run replaces.

Beside the diagnoses stand the assets' healthy baselines, one an asset and kind of image.

`SCHEMA` rises when a table changes. A table that is new is made in an older store when it is opened, and an older
camvib does not mind it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import JSON, String, UniqueConstraint, create_engine, event, inspect, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from camvib.errors import StoreError
from camvib.images.baseline import Baseline
from camvib.monitoring.evidence_file import read_evidence, write_evidence
from camvib.records import Diagnosis, Evidence, Finding, Region

SCHEMA = 1
_IN_BATCH = 500  # SQLite takes at most 999 bound values


class _Base(DeclarativeBase):
    pass


class _Schema(_Base):
    __tablename__ = "schema_version"
    version: Mapped[int] = mapped_column(primary_key=True)


class _Row(_Base):
    __tablename__ = "diagnoses"
    __table_args__ = (UniqueConstraint("recording_id", "model", "settings_digest"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    recording_id: Mapped[str] = mapped_column(String(64), index=True)
    model: Mapped[str] = mapped_column(String(64))
    settings_digest: Mapped[str] = mapped_column(String(64))
    asset: Mapped[str] = mapped_column(String(255), index=True)
    verdict: Mapped[str] = mapped_column(String(16), index=True)
    label: Mapped[str] = mapped_column(String(255))
    record: Mapped[dict[str, Any]] = mapped_column(JSON)


class _BaselineRow(_Base):
    __tablename__ = "baselines"
    __table_args__ = (UniqueConstraint("asset", "image"),)
    id: Mapped[int] = mapped_column(primary_key=True)
    asset: Mapped[str] = mapped_column(String(255))
    image: Mapped[str] = mapped_column(String(64))
    mean_db: Mapped[list[float]] = mapped_column(JSON)
    spread_db: Mapped[list[float]] = mapped_column(JSON)
    recordings: Mapped[int]
    recording_ids: Mapped[list[str]] = mapped_column(JSON)
    learned_at: Mapped[str] = mapped_column(String(64))


@dataclass(frozen=True, eq=False)
class KeptBaseline:
    """An asset's baseline as the store keeps it.

    Attributes
    ----------
    asset : str
    image : str
        Hash of what its images are like: `camvib.model.model.Model.image_digest`.
    baseline : Baseline
    recording_ids : tuple of str
        Of the healthy recordings that it was made from.
    learned_at : str
        ISO 8601, UTC; set when it is saved.
    """

    asset: str
    image: str
    baseline: Baseline
    recording_ids: tuple[str, ...]
    learned_at: str = ""


class Store:
    """Diagnoses in a database, their evidence as files beside it.

    Parameters
    ----------
    url : str or Path
        SQLAlchemy URL, or the path of an SQLite file.
    evidence : Path, optional
        Folder of the evidence files; by default ``evidence/`` beside an SQLite file.

    Raises
    ------
    StoreError
        The database cannot be opened, or a newer camvib wrote it.
    """

    def __init__(self, url: str | Path, evidence: Path | None = None) -> None:
        if "://" not in str(url):
            path = Path(url).resolve()
            path.parent.mkdir(parents=True, exist_ok=True)
            evidence = evidence or path.parent / "evidence"
            url = f"sqlite:///{path}"
        if evidence is None:
            raise StoreError(f"{url}: no folder for the evidence files", "Name one beside a database URL")
        self.folder = evidence
        self.folder.mkdir(parents=True, exist_ok=True)
        self._engine = create_engine(str(url))
        if self._engine.dialect.name == "sqlite":
            event.listen(self._engine, "connect", _patient_sqlite)
        try:
            self._open()
        except SQLAlchemyError as error:
            raise StoreError(f"{url}: {error}", "Check the path or URL, and that it is a camvib store") from error

    def _open(self) -> None:
        fresh = not inspect(self._engine).has_table("schema_version")
        _Base.metadata.create_all(self._engine)
        with Session(self._engine) as session, session.begin():
            version = session.scalar(select(_Schema.version))
            if version is None and fresh:
                session.execute(self._insert(_Schema).values(version=SCHEMA).on_conflict_do_nothing())
            elif version != SCHEMA:
                raise StoreError(f"the store has schema {version}, this camvib knows {SCHEMA}", "Update camvib")

    def _insert(self, table: type[_Base]) -> Any:
        dialect = {"sqlite": sqlite, "postgresql": postgresql}.get(self._engine.dialect.name)
        if dialect is None:
            raise StoreError(f"database {self._engine.dialect.name!r}", "Use SQLite or PostgreSQL")
        return dialect.insert(table)

    def find(self, recording_ids: Iterable[str], model: str, settings_digest: str) -> dict[str, Diagnosis]:
        """Diagnoses that are there already, by recording id."""
        wanted = list(dict.fromkeys(recording_ids))
        found: dict[str, Diagnosis] = {}
        with Session(self._engine) as session:
            for first in range(0, len(wanted), _IN_BATCH):
                query = select(_Row).where(
                    _Row.recording_id.in_(wanted[first : first + _IN_BATCH]),
                    _Row.model == model,
                    _Row.settings_digest == settings_digest,
                )
                found.update({row.recording_id: _from_record(row.record) for row in session.scalars(query)})
        return found

    def save(self, diagnosis: Diagnosis, evidence: Evidence | None = None) -> None:
        """Store a diagnosis and its evidence; one that is there already stays."""
        if evidence is not None:
            write_evidence(evidence, self._evidence_path(diagnosis))
        row = {
            "recording_id": diagnosis.recording_id,
            "model": diagnosis.model,
            "settings_digest": diagnosis.settings_digest,
            "asset": diagnosis.asset,
            "verdict": diagnosis.verdict,
            "label": diagnosis.label,
            "record": asdict(diagnosis),
        }
        with Session(self._engine) as session, session.begin():
            session.execute(self._insert(_Row).values(row).on_conflict_do_nothing())

    def save_baseline(self, kept: KeptBaseline) -> None:
        """Keep an asset's baseline in place of the former one of the same kind of image."""
        values = {
            "mean_db": kept.baseline.mean_db.astype(float).tolist(),
            "spread_db": kept.baseline.spread_db.astype(float).tolist(),
            "recordings": kept.baseline.recordings,
            "recording_ids": list(kept.recording_ids),
            "learned_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        insert = self._insert(_BaselineRow).values(asset=kept.asset, image=kept.image, **values)
        with Session(self._engine) as session, session.begin():
            session.execute(insert.on_conflict_do_update(index_elements=["asset", "image"], set_=values))

    def baseline(self, asset: str, image: str) -> KeptBaseline | None:
        """Baseline of an asset for one kind of image; None where it was never learned."""
        query = select(_BaselineRow).where(_BaselineRow.asset == asset, _BaselineRow.image == image)
        with Session(self._engine) as session:
            row = session.scalar(query)
        if row is None:
            return None
        mean_db, spread_db = (np.array(values, np.float32) for values in (row.mean_db, row.spread_db))
        baseline = Baseline(mean_db, spread_db, row.recordings)
        return KeptBaseline(row.asset, row.image, baseline, tuple(row.recording_ids), row.learned_at)

    def all(self) -> list[Diagnosis]:
        """Every diagnosis, oldest first."""
        with Session(self._engine) as session:
            return [_from_record(row.record) for row in session.scalars(select(_Row).order_by(_Row.id))]

    def evidence(self, diagnosis: Diagnosis) -> Evidence | None:
        """Pictures behind a diagnosis; None where there are none (refused)."""
        path = self._evidence_path(diagnosis)
        return read_evidence(path) if path.is_file() else None

    def _evidence_path(self, diagnosis: Diagnosis) -> Path:
        name = f"{diagnosis.recording_id}-{diagnosis.model}-{diagnosis.settings_digest}.npz"
        return self.folder / diagnosis.recording_id[:2] / name


def _patient_sqlite(connection: Any, _: Any) -> None:
    """Let writers wait for each other instead of failing, and readers never wait."""
    connection.execute("PRAGMA busy_timeout = 30000")
    connection.execute("PRAGMA journal_mode = WAL")


def _from_record(record: dict[str, Any]) -> Diagnosis:
    parts = dict(record)
    parts["regions"] = tuple(Region(**region) for region in parts["regions"])
    parts["findings"] = tuple(Finding(**finding) for finding in parts["findings"])
    parts["warnings"] = tuple(parts["warnings"])
    return Diagnosis(**parts)
