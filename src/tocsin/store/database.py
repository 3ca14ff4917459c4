"""The store's database: SQLite in WAL mode by default, PostgreSQL by URL."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.schema import Table

from tocsin.errors import MissingExtra, ParameterError, StoreError, StoreUnavailable, TocsinError
from tocsin.settings.clear_text import check_sslmode
from tocsin.settings.urls import parse_database_url, without_secrets
from tocsin.store.migrations import migrate

_PRAGMAS = (
    "busy_timeout = {timeout}",
    # Has an effect on a new file alone, and before the journal's mode is set.
    "auto_vacuum = INCREMENTAL",
    "journal_mode = WAL",
    "synchronous = FULL",
    "cache_size = -16000",
    "wal_autocheckpoint = 4000",
)
_SQLITE = {
    sqlite3.SQLITE_BUSY: "is locked by another process",
    sqlite3.SQLITE_LOCKED: "is locked",
    sqlite3.SQLITE_FULL: "is full: free some space on its disk",
    sqlite3.SQLITE_IOERR: "cannot be read or written: check its disk",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_PROTOCOL: "is locked",
}
_SQLITE_FOR_GOOD = {
    sqlite3.SQLITE_CORRUPT: "is corrupted: restore it from a copy, or move it away",
    sqlite3.SQLITE_NOTADB: "is corrupted or not a SQLite file: restore it from a copy, or move it "
    "away",
    sqlite3.SQLITE_READONLY: "may not be written: check the permissions of the file and its folder",
    sqlite3.SQLITE_PERM: "may not be opened: check the permissions of the file",
}
# Connection lost, resources, shut down, lock not available, serialisation, deadlock, read-only.
_POSTGRES = ("08", "53", "57P", "55P03", "40", "25006")


class Database:
    """The store's database; one object serves several threads.

    ``url``: ``sqlite:///file`` or ``postgresql://user@host/name``. ``timeout``: seconds to wait
    for another writer. Tables are created or migrated on opening.

    Raises ParameterError for another URL, MissingExtra without psycopg, StoreUnavailable when the
    database is locked or unreachable, and StoreError when it cannot be used: not writable,
    corrupted, or written by a later version.

    >>> import tempfile
    >>> with Database(f"sqlite:///{tempfile.mkdtemp()}/tocsin.db") as db:
    ...     with db.read() as c:
    ...         c.exec_driver_sql("SELECT count(*) FROM batches").scalar()
    0
    """

    def __init__(self, url: str, *, timeout: float = 2.0) -> None:
        parsed = _parse(url)
        self.url = without_secrets(parsed)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self._timeout = timeout
        self._name = f"The store {parsed.database if self.is_sqlite else self.url}"
        # Writers of one process queue here: SQLite would make them sleep and try again.
        self._turn = threading.Lock() if self.is_sqlite else None
        with self._faults():
            self._engine = (
                _sqlite(parsed, timeout) if self.is_sqlite else _postgres(parsed, timeout)
            )
            self._writing = self._engine.execution_options(begin="BEGIN IMMEDIATE")
        try:
            with self._faults():
                migrate(self._writing)
        except BaseException:
            self.close()
            raise

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """Open a transaction that writes; it is committed at the end, or leaves nothing behind.

        Raises StoreUnavailable when the database is locked, full or unreachable; the same object
        may be tried again. If the connection to PostgreSQL is lost while committing, nobody knows
        whether it was: read the offset before trying again. Raises StoreError for lasting faults.
        """
        with self._queue(), self._faults(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that reads. Raises as ``begin`` does."""
        with self._faults(), self._engine.connect() as connection:
            yield connection

    def reclaim(self) -> None:
        """Return the pages that a SQLite file no longer needs to the disk, in small steps."""
        if not self.is_sqlite:
            return
        before, free = -1, 0
        while free != before:
            with self._queue(), self._faults(), self._engine.connect() as c:
                before = c.exec_driver_sql("PRAGMA freelist_count").scalar_one()
                c.rollback()
                # The driver runs a script to its end, a statement to its first page.
                connection = cast("sqlite3.Connection", c.connection.driver_connection)
                connection.executescript("PRAGMA incremental_vacuum(2000)")
                free = c.exec_driver_sql("PRAGMA freelist_count").scalar_one()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _queue(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if not self._turn.acquire(timeout=self._timeout):
            raise StoreUnavailable(f"{self._name} is being written by another thread; try again.")
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def _faults(self) -> Iterator[None]:
        """Raise errors of the driver as those of this project."""
        try:
            yield
        except sqlite3.Error as error:
            raise _sqlite_fault(self._name, error) from error
        except DBAPIError as error:
            raise _fault(self._name, error) from error
        except PoolTimeout as error:
            raise StoreUnavailable(f"{self._name} has no free connection; try again.") from error
        except StatementError as error:
            if isinstance(error.orig, TocsinError):
                raise error.orig from None
            raise


def insert(c: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """Return an INSERT that has ON CONFLICT clauses."""
    return sqlite.insert(table) if c.dialect.name == "sqlite" else postgresql.insert(table)


def upsert(c: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, and replace those with the same primary key."""
    if rows:
        statement = insert(c, table)
        keys = [column.name for column in table.primary_key]
        given = {name: statement.excluded[name] for name in rows[0] if name not in keys}
        c.execute(statement.on_conflict_do_update(index_elements=keys, set_=given), rows)


def _sqlite_fault(name: str, error: sqlite3.Error) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _SQLITE:
        return StoreUnavailable(f"{name} {_SQLITE[code]}; nothing was changed ({error}).")
    return StoreError(f"{name} {_SQLITE_FOR_GOOD.get(code, 'refuses this')} ({error}).")


def _fault(name: str, error: DBAPIError) -> StoreError:
    original = error.orig
    if isinstance(original, sqlite3.Error):
        return _sqlite_fault(name, original)
    message = " ".join(str(original).split())
    state = getattr(original, "sqlstate", None)
    if error.connection_invalidated or state is None or state.startswith(_POSTGRES):
        return StoreUnavailable(f"{name} is unreachable, full or locked; try again ({message}).")
    return StoreError(f"{name} refuses this ({message}).")


def _parse(url: str) -> URL:
    parsed = parse_database_url(url.replace("postgres://", "postgresql://", 1))
    try:
        backend = parsed.get_backend_name()
    except ArgumentError as error:
        raise ParameterError(f"The store's URL cannot be used: {error}.") from error
    if backend not in ("sqlite", "postgresql"):
        raise ParameterError(f"The store is sqlite:///file or postgresql://…, not {backend}.")
    if backend == "postgresql":
        check_sslmode(parsed)
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise ParameterError("The store is a file: write sqlite:///tocsin.db.")
    return parsed


def _sqlite(url: URL, timeout: float) -> Engine:
    path = Path(str(url.database))
    if path.is_dir() or not path.absolute().parent.is_dir():
        what = "is a folder" if path.is_dir() else "is in a folder that does not exist"
        raise StoreError(f"The store {path} {what}; give the path of a file.")
    _make_private(path)
    engine = create_engine(url, connect_args={"timeout": timeout, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = None  # "begin" below decides how a transaction begins
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma.format(timeout=round(timeout * 1000))}").fetchall()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))

    return engine


def _make_private(path: Path) -> None:
    """Create a database file that only its owner can read; an existing one stays as it is."""
    with suppress(OSError):  # opening it will report what is wrong
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _postgres(url: URL, timeout: float) -> Engine:
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise MissingExtra("psycopg", extra="postgres") from error
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={
            "connect_timeout": 5,
            "tcp_user_timeout": 30_000,
            "options": f"-c lock_timeout={round(timeout * 1000)}",
        },
    )
