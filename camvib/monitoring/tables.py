"""The ledger's tables, for SQLite and PostgreSQL alike.

Text has no length here: SQLite ignores a length and PostgreSQL enforces it, so a length would only bite later.
Numbers that are not finite and text that a database cannot hold are dealt with in `strict_json` and `clean_text`,
before anything is written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, Index, Integer, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from camvib.errors import StoreError


def clean_text(value: str) -> str:
    r"""Text that every database takes: undecodable bytes as ``\xNN``, no NUL characters.

    A file name of Linux need not be UTF-8; Python shows its foreign bytes as lone surrogates, which PostgreSQL and
    HTML writers refuse.
    """
    if value.isascii():
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
    try:
        plain = value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        plain = value.encode("utf-8", "backslashreplace").decode()
    return plain.replace("\0", "\N{REPLACEMENT CHARACTER}")


def clean(value: Any) -> Any:
    """Make `clean_text` of every string in a structure of dicts, lists and tuples.

    Raises
    ------
    StoreError
        A number in it is not finite: neither JSON nor PostgreSQL has such a number.
    """
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise StoreError(f"a record holds {value}, which is no finite number", "Report it: what was measured is lost")
    if isinstance(value, Mapping):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item) for item in value]
    return value


def strict_json(value: Any) -> str:
    """Write JSON for a database column: what went through `clean`, and nothing that is no JSON."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))


class CleanText(TypeDecorator[str]):
    """Text that went through `clean_text`, also where it is compared with."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        """Clean what is sent to the database."""
        return None if value is None else clean_text(value)


class Table(DeclarativeBase):
    """Base of all tables of the ledger."""

    type_annotation_map: ClassVar = {str: CleanText, float: Float(53), dict[str, Any]: JSON, list[Any]: JSON}


class ModelRow(Table):
    """A model version that gave verdicts."""

    __tablename__ = "models"
    digest: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[str] = mapped_column(default="")  # in the registry, where it came from there
    card: Mapped[dict[str, Any]]
    first_used_at: Mapped[str]


class RecordingRow(Table):
    """A stretch of one channel of a file's content: what a verdict is about."""

    __tablename__ = "recordings"
    __table_args__ = (
        Index("ix_recordings_asset_at", "asset", "observed_at"),
        # Of files that could not be read: what supersedes their refusal finds them by path.
        Index("ix_recordings_unread", "path", sqlite_where=text("channel = ''"), postgresql_where=text("channel = ''")),
    )
    id: Mapped[str] = mapped_column(primary_key=True)
    path: Mapped[str]
    content_sha256: Mapped[str] = mapped_column(index=True)
    channel: Mapped[str]
    asset: Mapped[str]
    # When it was recorded, else when the file was last written; ISO 8601 in UTC, so that text sorts by time.
    observed_at: Mapped[str]


class DiagnosisRow(Table):
    """The verdict of one model with one set of settings on one recording."""

    __tablename__ = "diagnoses"
    __table_args__ = (
        UniqueConstraint("recording_id", "model", "settings_digest"),
        Index("ix_diagnoses_asset", "asset"),
        Index("ix_diagnoses_uncased", "uncased", sqlite_where=text("uncased"), postgresql_where=text("uncased")),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recordings.id"), index=True)
    model: Mapped[str]
    settings_digest: Mapped[str]
    asset: Mapped[str]
    verdict: Mapped[str] = mapped_column(index=True)
    label: Mapped[str]
    probability: Mapped[float | None]  # of the label
    change_db: Mapped[float | None]  # against the asset's baseline
    level_db: Mapped[float | None]  # 10 log10 of the mean square, re 1 unit squared
    record: Mapped[dict[str, Any]]
    current: Mapped[bool]  # the newest of this recording; older ones are its history
    uncased: Mapped[bool]  # the cases have not seen it yet
    judged_at: Mapped[str]


class EvidenceRow(Table):
    """The evidence file of a diagnosis and what its bytes hash to."""

    __tablename__ = "evidence"
    diagnosis_id: Mapped[int] = mapped_column(ForeignKey("diagnoses.id"), primary_key=True)
    file: Mapped[str]  # below the store's folder of evidence
    sha256: Mapped[str]  # empty for a file from before digests were kept
    bytes: Mapped[int]
    pruned_at: Mapped[str] = mapped_column(default="")


class BaselineRow(Table):
    """What an asset looks like when healthy; a newer one replaces it, and it stays as history."""

    __tablename__ = "baselines"
    __table_args__ = (
        Index(
            "ix_baselines_current",
            "asset",
            "image",
            unique=True,
            sqlite_where=text("replaced_at = ''"),
            postgresql_where=text("replaced_at = ''"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    asset: Mapped[str]
    image: Mapped[str]
    digest: Mapped[str]
    mean_db: Mapped[list[Any]]
    spread_db: Mapped[list[Any]]
    recordings: Mapped[int]
    recording_ids: Mapped[list[Any]]
    learned_at: Mapped[str]
    replaced_at: Mapped[str] = mapped_column(default="")


class FileRow(Table):
    """A file of a job's sources: what is known of it, and who works at it. Cache of discovery and queue of claims."""

    __tablename__ = "files"
    __table_args__ = (UniqueConstraint("job", "path"),)
    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    job: Mapped[str]  # model and settings
    path: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(BigInteger)
    inode: Mapped[str]  # of a bucket its ETag
    declared: Mapped[str]  # digest of what labels.csv, patterns and options say of it
    entries: Mapped[str]  # the same in full, as JSON, so that any process can read it
    content_sha256: Mapped[str]
    assets: Mapped[str]  # the assets it holds recordings of and the baselines they were judged with, as JSON
    state: Mapped[str]  # waiting, claimed, done
    owner: Mapped[str]
    deadline: Mapped[float]  # of the claim, by the database's clock, in s since 1970
    tries: Mapped[int]


class OutcomeRow(Table):
    """Which diagnoses came of a file: several of one with channels or stretches; copies share theirs."""

    __tablename__ = "outcomes"
    file_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True)
    diagnosis_id: Mapped[int] = mapped_column(ForeignKey("diagnoses.id"), primary_key=True)


class CaseRow(Table):
    """A suspicion of one family of faults at one asset, from its first alarm to its end."""

    __tablename__ = "cases"
    __table_args__ = (
        Index(
            "ix_cases_one_open",
            "asset",
            "family",
            unique=True,
            sqlite_where=text("state <> 'closed'"),
            postgresql_where=text("state <> 'closed'"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True)
    asset: Mapped[str]
    family: Mapped[str]
    label: Mapped[str]
    state: Mapped[str]
    since: Mapped[str]
    opened_at: Mapped[str]
    updated_at: Mapped[str]
    hits: Mapped[int]
    of: Mapped[int]
    probability: Mapped[float]
    criticality: Mapped[float]
    severity: Mapped[float]
    snoozed_until: Mapped[str]
    recording_ids: Mapped[list[Any]]


class CaseEventRow(Table):
    """What happened to a case. Rows are added, never changed, but for `told`."""

    __tablename__ = "case_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    case_id: Mapped[int] = mapped_column(ForeignKey("cases.id"), index=True)
    at: Mapped[str]
    kind: Mapped[str]
    who: Mapped[str]
    note: Mapped[str]
    told: Mapped[bool]  # people were told, or need not be: set before they are, so that it happens once at most


class AnswerRow(Table):
    """What an engineer said about a case or a recording. Rows are added, never changed."""

    __tablename__ = "answers"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)  # of the answer: a file of answers imported twice counts once
    case_id: Mapped[int | None] = mapped_column(ForeignKey("cases.id"), index=True)
    recording_id: Mapped[str] = mapped_column(index=True)
    asset: Mapped[str] = mapped_column(index=True)
    kind: Mapped[str]
    label: Mapped[str]
    region: Mapped[dict[str, Any] | None]
    text: Mapped[str]
    author: Mapped[str]
    at: Mapped[str]
    stored_at: Mapped[str]
