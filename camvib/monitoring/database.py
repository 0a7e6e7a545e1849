"""Open the ledger's database: SQLite by path, PostgreSQL by URL; made or migrated under one lock."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from filelock import FileLock
from sqlalchemy import Connection, Engine, Select, create_engine, event, func, inspect, make_url, select, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from camvib.errors import StoreError
from camvib.monitoring.tables import Table, strict_json

VERSION_TABLE = "camvib_schema"  # not Alembic's usual name: a Prefect or MLflow server may share the database
PATIENCE_S = 90.0  # how long a database that is locked, restarting or unreachable is waited for
_LOCK = 0x63616D766962  # 'camvib', for PostgreSQL's advisory lock
_PASSING = re.compile(
    r"locked|busy|unable to open database file|disk I/O error|connection|server closed|starting up|shutting down"
    r"|could not (connect|translate)|deadlock|serialize",
    re.IGNORECASE,
)
_LASTING = (
    ("disk is full", "Free space on its disk; the next run goes on where this one stopped"),
    ("No space left", "Free space on its disk; the next run goes on where this one stopped"),
    ("readonly", "Grant the permission to write to it and its folder, or name another store"),
    ("read-only", "Grant the permission to write to it, or name another store"),
    ("not a database", "Name a camvib store; this file is something else, or damaged"),
    ("malformed", "Its file is damaged: restore it from a copy"),
    ("password", "Check user and password in the URL"),
)
AT_ONCE = 500  # values bound in one statement
T = TypeVar("T")


def chunks(values: Iterable[T], size: int = AT_ONCE) -> Iterator[list[T]]:
    """So many at a time."""
    iterator = iter(values)
    while chunk := list(islice(iterator, size)):
        yield chunk


def is_url(store: str | Path) -> bool:
    """Whether a store is named by URL rather than by path."""
    return "://" in str(store) or str(store).startswith(("postgres:", "postgresql:", "sqlite:"))


def shown(store: str | Path) -> str:
    """Name of a store without its password."""
    if not is_url(store):
        return str(store)
    try:
        return make_url(str(store)).render_as_string(hide_password=True)
    except ArgumentError:
        return re.sub(r"//[^@/]*@", "//***@", str(store))


class Database:
    """An engine with transactions that fit the ledger.

    Parameters
    ----------
    store : str or Path
        Path of an SQLite file, ``sqlite:///…`` or ``postgresql://user@host/database``.
    evidence : Path
        Folder of the evidence files, for the migration of an old store.

    Raises
    ------
    StoreError
        It cannot be opened, is of another program, or a newer camvib wrote it.
    """

    def __init__(self, store: str | Path, evidence: Path) -> None:
        self.name = shown(store)
        self.engine = _engine(store, self.name)
        self.is_sqlite = self.engine.dialect.name == "sqlite"
        try:
            self.patiently(lambda: self._open(evidence))
        except CommandError as error:
            raise StoreError(f"{self.name}: a newer camvib wrote this store ({error})", "Update camvib") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of the database."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction that nobody's write can come between on SQLite; all of it is kept or nothing."""
        with self.engine.connect() as connection:
            connection = connection.execution_options(camvib_write=True)
            with connection.begin():
                yield connection

    def patiently(self, do: Callable[[], T], patience_s: float | None = None) -> T:
        """Do something, and again while the database is locked, restarting or unreachable.

        Raises
        ------
        StoreError
            It did not pass within the patience, or is nothing that passes: a full disk, a read-only file.
        """
        ends = time.monotonic() + (PATIENCE_S if patience_s is None else patience_s)
        pause = 0.05
        while True:
            try:
                return do()
            except SQLAlchemyError as error:
                said = str(getattr(error, "orig", None) or error)
                for sign, remedy in _LASTING:
                    if sign in said:
                        raise StoreError(f"{self.name}: {said.strip()}", remedy) from error
                passing = isinstance(error, DBAPIError) and (error.connection_invalidated or _PASSING.search(said))
                if not passing or time.monotonic() + pause > ends:
                    raise StoreError(
                        f"{self.name}: {said.strip()[:500]}",
                        "Check the path or URL, and that it is a camvib store that can be reached",
                    ) from error
            time.sleep(pause)
            pause = min(2 * pause, 2.0)

    def rows(self, query: Select[Any]) -> Sequence[Any]:
        """All rows of a query, in one consistent view; waits as `patiently` does."""

        def once() -> Sequence[Any]:
            with self.read() as connection:
                return connection.execute(query).all()

        return self.patiently(once)

    def do(self, work: Callable[[Connection], T]) -> T:
        """Do some work in one `write` transaction; it is done again, whole, where the database was away."""

        def once() -> T:
            with self.write() as connection:
                return work(connection)

        return self.patiently(once)

    def insert_into(self, table: type[Table]) -> Any:
        """Insert statement that knows ON CONFLICT, in this database's dialect."""
        return (sqlite if self.is_sqlite else postgresql).insert(table)

    def now_s(self, connection: Connection) -> float:
        """Seconds since 1970 by the database's clock, the same for all who share it."""
        if self.is_sqlite:
            return float(connection.scalar(text("SELECT (julianday('now') - 2440587.5) * 86400.0")) or 0.0)
        return float(connection.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)

    def _open(self, evidence: Path) -> None:
        config = _alembic()
        newest = ScriptDirectory.from_config(config).get_current_head()
        with self.read() as connection:
            if _revision(connection) == newest:
                return
        with self._alone() as connection:
            if _revision(connection) == newest:  # another process was faster
                return
            self._refuse_foreign(connection)
            config.attributes.update(connection=connection, evidence=evidence)
            if _revision(connection) is None and inspect(connection).has_table("schema_version"):
                command.stamp(config, "0001")
            command.upgrade(config, "head")

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """A transaction under a lock that all who open this store take."""
        if not self.is_sqlite:
            with self.write() as connection:
                connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))
                yield connection
            return
        file = self.engine.url.database
        with FileLock(f"{file}.lock") if file else contextlib.nullcontext():
            with self.engine.connect() as connection:
                # Readers never wait. Changing the mode does not wait for a lock, hence here; the file remembers it.
                connection.connection.driver_connection.execute("PRAGMA journal_mode = WAL")  # type: ignore[union-attr]
            with self.write() as connection:
                yield connection

    def _refuse_foreign(self, connection: Connection) -> None:
        tables = set(inspect(connection).get_table_names())
        if self.is_sqlite and tables and not tables & {VERSION_TABLE, "schema_version", "diagnoses"}:
            raise StoreError(
                f"{self.name}: a database of another program (tables {', '.join(sorted(tables)[:4])})",
                "Name a camvib store, or a path where none is yet",
            )


def _engine(store: str | Path, name: str) -> Engine:
    if not is_url(store):
        path = Path(store).expanduser().resolve()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}", "Name a path whose folder can be made") from error
        url = make_url("sqlite://").set(database=str(path))
    else:
        try:
            url = make_url(str(store))
        except ArgumentError as error:
            raise StoreError(f"{name}: no database URL", "E.g. postgresql://user@host/database") from error
    if url.drivername in ("postgres", "postgresql"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(f"{name}: database {url.get_backend_name()!r}", "Use SQLite or PostgreSQL")
    # A connection that the server ended while nobody used it is replaced without a word.
    options: dict[str, Any] = {"pool_pre_ping": True} if url.get_backend_name() == "postgresql" else {}
    try:
        engine = create_engine(url, json_serializer=strict_json, **options)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise StoreError(f"{name}: {error}", "pip install 'camvib[postgresql]'") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # the driver would begin and commit by its own rules, DDL outside
    connection.execute("PRAGMA busy_timeout = 60000")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")  # in WAL mode a power cut loses the newest commits, never order


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the start of a transaction that writes: a reader that turns writer may fail at once."""
    writes = connection.get_execution_options().get("camvib_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
    return found


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config
