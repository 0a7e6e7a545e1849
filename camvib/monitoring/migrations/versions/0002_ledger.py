"""Recordings, evidence with digests, files with claims, cases, answers; the old verdicts are taken over as they are."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from alembic import op

from camvib.monitoring.clock import utc_text
from camvib.monitoring.tables import clean, clean_text

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

AT_ONCE = 500


def upgrade() -> None:
    """Set the old tables aside, make the new ones, copy, and drop the old."""
    connection = op.get_bind()
    old = sa.inspect(connection).get_table_names()
    for name in ("diagnoses", "baselines"):
        if name in old:
            for index in sa.inspect(connection).get_indexes(name):
                if not index.get("duplicates_constraint"):
                    op.drop_index(
                        str(index["name"]), name
                    )  # PostgreSQL: index names belong to the schema, not the table
            op.rename_table(name, f"old_{name}")
    if connection.dialect.name == "postgresql":
        for name in {"diagnoses", "baselines"} & set(old):
            for constraint in (f"{name}_pkey", *_unique_names(connection, f"old_{name}")):
                op.execute(f'ALTER TABLE old_{name} RENAME CONSTRAINT "{constraint}" TO "old_{constraint}"')
            op.execute(f"ALTER SEQUENCE IF EXISTS {name}_id_seq RENAME TO old_{name}_id_seq")
    _make_tables()
    if "diagnoses" in old:
        _copy_diagnoses(connection)
    if "baselines" in old:
        _copy_baselines(connection)
    for name in ("diagnoses", "baselines"):
        if name in old:
            op.drop_table(f"old_{name}")
    if "schema_version" in old:
        op.drop_table("schema_version")


def _unique_names(connection: sa.Connection, table: str) -> list[str]:
    return [str(found["name"]) for found in sa.inspect(connection).get_unique_constraints(table)]


def _texts(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text, nullable=False) for name in names]


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _make_tables() -> None:
    many, number, flag = sa.BigInteger, sa.Float(53), sa.Boolean
    op.create_table(
        "models",
        sa.Column("digest", sa.Text, primary_key=True),
        *_texts("version", "first_used_at"),
        sa.Column("card", sa.JSON, nullable=False),
    )
    op.create_table(
        "recordings",
        sa.Column("id", sa.Text, primary_key=True),
        *_texts("path", "content_sha256", "channel", "asset", "observed_at"),
        sa.Index("ix_recordings_content_sha256", "content_sha256"),
        sa.Index("ix_recordings_asset_at", "asset", "observed_at"),
        sa.Index(
            "ix_recordings_unread",
            "path",
            sqlite_where=sa.text("channel = ''"),
            postgresql_where=sa.text("channel = ''"),
        ),
    )
    op.create_table(
        "diagnoses",
        _id(),
        sa.Column("recording_id", sa.Text, sa.ForeignKey("recordings.id"), nullable=False),
        *_texts("model", "settings_digest", "asset", "verdict", "label"),
        *(sa.Column(name, number) for name in ("probability", "change_db", "level_db")),
        sa.Column("record", sa.JSON, nullable=False),
        sa.Column("current", flag, nullable=False),
        sa.Column("uncased", flag, nullable=False),
        *_texts("judged_at"),
        sa.UniqueConstraint("recording_id", "model", "settings_digest"),
        *(sa.Index(f"ix_diagnoses_{name}", name) for name in ("recording_id", "asset", "verdict")),
        sa.Index(
            "ix_diagnoses_uncased", "uncased", sqlite_where=sa.text("uncased"), postgresql_where=sa.text("uncased")
        ),
    )
    op.create_table(
        "evidence",
        sa.Column("diagnosis_id", sa.Integer, sa.ForeignKey("diagnoses.id"), primary_key=True),
        *_texts("file", "sha256"),
        sa.Column("bytes", sa.Integer, nullable=False),
        *_texts("pruned_at"),
    )
    op.create_table(
        "baselines",
        _id(),
        *_texts("asset", "image", "digest"),
        sa.Column("mean_db", sa.JSON, nullable=False),
        sa.Column("spread_db", sa.JSON, nullable=False),
        sa.Column("recordings", sa.Integer, nullable=False),
        sa.Column("recording_ids", sa.JSON, nullable=False),
        *_texts("learned_at", "replaced_at"),
        _one("ix_baselines_current", "asset", "image", where="replaced_at = ''"),
    )
    op.create_table(
        "files",
        sa.Column("id", many().with_variant(sa.Integer, "sqlite"), primary_key=True),
        *_texts("job", "path"),
        sa.Column("size", many, nullable=False),
        sa.Column("mtime_ns", many, nullable=False),
        *_texts("inode", "declared", "entries", "content_sha256", "assets", "state", "owner"),
        sa.Column("deadline", number, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.UniqueConstraint("job", "path"),
    )
    op.create_table(
        "outcomes",
        sa.Column("file_id", many, sa.ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("diagnosis_id", sa.Integer, sa.ForeignKey("diagnoses.id"), primary_key=True),
    )
    op.create_table(
        "cases",
        _id(),
        *_texts("asset", "family", "label", "state", "since", "opened_at", "updated_at"),
        sa.Column("hits", sa.Integer, nullable=False),
        sa.Column("of", sa.Integer, nullable=False),
        *(sa.Column(name, number, nullable=False) for name in ("probability", "criticality", "severity")),
        *_texts("snoozed_until"),
        sa.Column("recording_ids", sa.JSON, nullable=False),
        _one("ix_cases_one_open", "asset", "family", where="state <> 'closed'"),
    )
    op.create_table(
        "case_events",
        _id(),
        sa.Column("case_id", sa.Integer, sa.ForeignKey("cases.id"), nullable=False),
        *_texts("at", "kind", "who", "note"),
        sa.Column("told", flag, nullable=False),
        sa.Index("ix_case_events_case_id", "case_id"),
    )
    op.create_table(
        "answers",
        _id(),
        sa.Column("key", sa.Text, nullable=False, unique=True),
        sa.Column("case_id", sa.Integer, sa.ForeignKey("cases.id")),
        *_texts("recording_id", "asset", "kind", "label"),
        sa.Column("region", sa.JSON),
        *_texts("text", "author", "at", "stored_at"),
        *(sa.Index(f"ix_answers_{name}", name) for name in ("case_id", "recording_id", "asset")),
    )


def _one(name: str, *columns: str, where: str) -> sa.Index:
    """At most one row of these values for which something holds."""
    return sa.Index(name, *columns, unique=True, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def _old_rows(connection: sa.Connection, table: str) -> Iterator[Sequence[Any]]:
    last = 0
    while rows := connection.execute(
        sa.text(f"SELECT * FROM old_{table} WHERE id > :last ORDER BY id LIMIT {AT_ONCE}"), {"last": last}
    ).all():
        yield rows
        last = rows[-1].id


def _count_on(table: str) -> None:
    """Let PostgreSQL number new rows after those that were copied with their numbers."""
    op.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), coalesce(max(id), 1)) FROM {table}")


def _loaded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _copy_diagnoses(connection: sa.Connection) -> None:
    tables = sa.MetaData()
    recordings, diagnoses, evidence, models = (
        sa.Table(name, tables, autoload_with=connection) for name in ("recordings", "diagnoses", "evidence", "models")
    )
    seen: set[str] = set()
    digests: set[str] = set()
    for rows in _old_rows(connection, "diagnoses"):
        new_recordings, new_diagnoses, new_evidence = [], [], []
        for row in rows:
            record = clean(_without_nan(_loaded(row.record)))
            digests.add(record["model"])
            if row.recording_id not in seen:
                seen.add(row.recording_id)
                new_recordings.append(_recording(row.recording_id, record))
            new_diagnoses.append(_diagnosis(row, record))
            if record["verdict"] != "refused":
                name = f"{row.recording_id}-{row.model}-{row.settings_digest}.npz"
                new_evidence.append(
                    {
                        "diagnosis_id": row.id,
                        "file": f"{row.recording_id[:2]}/{name}",
                        "sha256": "",
                        "bytes": 0,
                        "pruned_at": "",
                    }
                )
        for table, values in ((recordings, new_recordings), (diagnoses, new_diagnoses), (evidence, new_evidence)):
            if values:
                connection.execute(sa.insert(table), values)
    if digests:
        unknown = {"version": "", "first_used_at": "", "card": {}}
        connection.execute(sa.insert(models), [{"digest": digest, **unknown} for digest in sorted(digests)])
    if connection.dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('diagnoses', 'id'), (SELECT coalesce(max(id), 1) FROM diagnoses))"
        )
    # The newest verdict of a recording counts. A file that could not be read and was judged later is no longer refused.
    op.execute("UPDATE diagnoses SET current = true WHERE id IN (SELECT max(id) FROM diagnoses GROUP BY recording_id)")
    op.execute(
        "UPDATE diagnoses SET current = false WHERE verdict = 'refused' AND recording_id IN"
        " (SELECT id FROM recordings WHERE channel = '') AND EXISTS (SELECT 1 FROM diagnoses AS later"
        " JOIN recordings AS its ON its.id = later.recording_id WHERE later.id > diagnoses.id AND its.path ="
        " (SELECT path FROM recordings WHERE recordings.id = diagnoses.recording_id))"
    )


def _recording(recording_id: str, record: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": recording_id,
        "path": record["recording"],
        "content_sha256": "",
        "channel": record["channel"],
        "asset": record["asset"],
        "observed_at": utc_text(record["recorded_at"]),
    }


def _diagnosis(row: Any, record: dict[str, Any]) -> dict[str, Any]:
    copied = {name: clean_text(getattr(row, name)) for name in ("recording_id", "model", "settings_digest", "asset")}
    return {
        **copied,
        "id": row.id,
        "verdict": row.verdict,
        "label": clean_text(row.label),
        "probability": record["probabilities"].get(record["label"]),
        "change_db": None,
        "level_db": None,
        "record": record,
        "current": False,
        "uncased": False,
        "judged_at": "",
    }


def _without_nan(value: Any) -> Any:
    """What was written as NaN means that there is no number."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _copy_baselines(connection: sa.Connection) -> None:
    baselines = sa.Table("baselines", sa.MetaData(), autoload_with=connection)
    for rows in _old_rows(connection, "baselines"):
        new = []
        for row in rows:
            values = {"mean_db": _loaded(row.mean_db), "spread_db": _loaded(row.spread_db)}
            packed = b"".join(np.asarray(v, np.float32).tobytes() for v in values.values())
            new.append(
                {
                    **values,
                    "asset": clean_text(row.asset),
                    "image": row.image,
                    "digest": hashlib.sha256(packed).hexdigest()[:12],
                    "recordings": row.recordings,
                    "recording_ids": _loaded(row.recording_ids),
                    "learned_at": row.learned_at,
                    "replaced_at": "",
                }
            )
        connection.execute(sa.insert(baselines), new)
    if connection.dialect.name == "postgresql":
        op.execute(
            "SELECT setval(pg_get_serial_sequence('baselines', 'id'), (SELECT coalesce(max(id), 1) FROM baselines))"
        )
