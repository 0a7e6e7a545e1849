"""Public recordings: where they come from, what may be done with them, and which split of them is honest."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from camvib.errors import CamvibError, SplitError
from camvib.records import file_sha256

Filter = dict[str, tuple[float | str, ...]]

SHIPPED = "@"  # in the checksum list: a table that comes with camvib
_SAME_PATH = "+"  # the source has the file under its prefix and the same path


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(NamedTuple):
    """A file of a set: its place in the folder, and at the source (empty: it was converted)."""

    path: str
    sha256: str
    upstream: str


class Fold(_Model):
    """Rows for training and for test, each as column → values that may stand in it."""

    train: Filter
    test: Filter


class Split(_Model):
    """A named split.

    `honest` is False where the same bearing, machine or command stands on both sides: kept to show what it hides.
    """

    name: str
    why: str
    honest: bool = True
    folds: tuple[Fold, ...] = Field(alias="fold")

    def rows(self, table: Sequence[Mapping[str, object]]) -> list[tuple[list[int], list[int]]]:
        """Find the rows of every fold.

        Parameters
        ----------
        table : sequence of mappings
            Column → value of each recording; numbers may be written as text.

        Returns
        -------
        list of (train, test)
            Row indices.

        Raises
        ------
        SplitError
            A column is missing, a side of a fold is empty, or a row stands on both sides.
        """
        found = []
        for fold in self.folds:
            train, test = select(table, fold.train), select(table, fold.test)
            if not train or not test or set(train) & set(test):
                raise SplitError(
                    f"split {self.name!r}: {len(train)} recordings for training, {len(test)} for test, "
                    f"{len(set(train) & set(test))} on both sides",
                    "Fetch the whole set again, or correct the split's columns in the catalog",
                )
            found.append((train, test))
        return found


class Bearing(_Model):
    """Fault frequencies as multiples of the shaft's; `bsf2` is twice the ball's spin: it strikes both races."""

    name: str
    shaft_hz_column: str
    bpfi: float
    bpfo: float
    bsf2: float
    ftf: float


class DataSet(_Model):
    """One public set. Fields are described in docs/how-to/fetch-data.md."""

    name: str
    title: str
    source: str
    licence: str
    citation: str
    rate_evidence: str
    unit: str
    unit_evidence: str
    channel_reason: str
    group: str
    commit: str | None = None
    prefix: str = ""
    archive: str | None = None
    raw_url: str | None = None
    sampling_rate_hz: float | None = None
    channel: str | None = None
    channel_pattern: str | None = None
    group_column: str = "group"
    healthy: str | None = None
    labels: str = "labels.csv"
    attributes: tuple[str, ...] = ()
    bands: dict[str, tuple[float, float]] = {}
    reference_s: tuple[float, float] | None = None
    bearing: Bearing | None = None
    notes: tuple[str, ...] = ()
    splits: tuple[Split, ...] = Field((), alias="split")

    @property
    def files(self) -> tuple[File, ...]:
        """All files with their checksums."""
        return _files(self.name)

    @property
    def named_splits(self) -> dict[str, Split]:
        """Splits by name; the first is the one that counts."""
        return {split.name: split for split in self.splits}

    def split(self, name: str | None = None) -> Split:
        """Get a split by name; None gives the first.

        Raises
        ------
        SplitError
            The set has no split of that name.
        """
        names = list(self.named_splits)
        if not names or (name is not None and name not in names):
            raise SplitError(
                f"{self.name} has no split {name or 'of its own'}",
                f"Use one of {', '.join([*names, 'group:COLUMN'])}",
            )
        return self.named_splits[name or names[0]]

    def url(self, file: File) -> str | None:
        """Where a file can be downloaded; None for one that was converted."""
        if file.upstream in ("", SHIPPED):
            return None
        path = self.prefix + file.path if file.upstream == _SAME_PATH else file.upstream
        if self.raw_url:
            return f"{self.raw_url}/{path}"
        owner_and_name = self.source.removeprefix("https://github.com/")
        return f"https://raw.githubusercontent.com/{owner_and_name}/{self.commit}/{path}"


@functools.cache
def load_catalog() -> dict[str, DataSet]:
    """Read the catalog that comes with camvib: name → data set."""
    tables = tomllib.loads(shipped_file("catalog.toml").read_text("utf-8"))["set"]
    sets = [DataSet.model_validate(table) for table in tables]
    return {known.name: known for known in sets}


def list_sets() -> tuple[DataSet, ...]:
    """All data sets, in the catalog's order."""
    return tuple(load_catalog().values())


def get(name: str) -> DataSet:
    """Look a set up.

    Raises
    ------
    CamvibError
        The catalog has no set of that name.
    """
    known = load_catalog()
    if name not in known:
        raise CamvibError(f"the catalog has no data set {name!r}", f"Use one of {', '.join(known)}")
    return known[name]


def find(folder: Path) -> DataSet | None:
    """Recognise a folder by the checksum of its labels.csv, or by its name if it holds a file of that set."""
    folder = Path(folder)
    labels = folder / "labels.csv"
    digest = file_sha256(labels) if labels.is_file() else None
    for known in list_sets():
        if digest and File("labels.csv", digest, "") == _named(known, "labels.csv")._replace(upstream=""):
            return known
    namesake = load_catalog().get(folder.resolve().name)
    if namesake and any((folder / file.path).is_file() for file in namesake.files if file.path != "labels.csv"):
        return namesake
    return None


def select(table: Sequence[Mapping[str, object]], where: Filter) -> list[int]:
    """Find the rows whose columns hold one of the values asked for; ``12000`` equals ``"12000.0"``.

    Raises
    ------
    SplitError
        A row lacks a column.
    """
    wanted = {column: {_comparable(value) for value in values} for column, values in where.items()}
    found = []
    for index, row in enumerate(table):
        missing = [column for column in wanted if column not in row]
        if missing:
            raise SplitError(
                f"row {index + 1} has no column {missing[0]}", f"Its columns are {', '.join(map(str, row))}"
            )
        if all(_comparable(row[column]) in values for column, values in wanted.items()):
            found.append(index)
    return found


def _comparable(value: object) -> float | str:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)


def _named(known: DataSet, path: str) -> File:
    return next((file for file in known.files if file.path == path), File("", "", ""))


@functools.cache
def _files(name: str) -> tuple[File, ...]:
    source = shipped_file(f"checksums/{name}.txt")
    lines: Iterable[str] = source.read_text("utf-8").splitlines() if source.is_file() else ()
    rows = (line.split("\t") for line in lines)
    return tuple(File(path, digest, rest[0] if rest else "") for digest, path, *rest in rows)


def shipped_file(path: str) -> Traversable:
    """Return a file of data/, which the wheel carries."""
    found = files("camvib.data")
    for part in path.split("/"):
        found = found / part
    return found
