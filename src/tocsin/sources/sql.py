"""Rows of a database table, as they are added."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pandas as pd
from pydantic import Field

from tocsin.base.source import Source
from tocsin.errors import InputError, ParameterError
from tocsin.settings import Duration, Secret
from tocsin.settings.clear_text import check_sslmode
from tocsin.settings.urls import DatabaseUrl, parse_database_url, without_secrets
from tocsin.sources._cells import frame_of_cells
from tocsin.sources._pauses import Pauses
from tocsin.sources._records import Fields, rows_of
from tocsin.types import Batch, Offset, Rejection

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Engine, Label, Select

    Columns = dict[str, Label[Any]]

log = logging.getLogger(__name__)

_LONGEST = 2_000


class Sql(Source):
    """New rows of a ``table`` or view of any database that SQLAlchemy opens, in order.

    ``watermark``: a column that only grows from row to row, such as a serial number or the time
    of insertion; where several rows can share a value, ``tie`` names a column that is unique among
    those, by default the table's key. Where there is neither, all rows of one value are read in one
    transaction, which lasts until they are taken, and come again after a crash in between. A row
    that is added later with a smaller watermark, or without a tie the same one, is never seen: a
    time of insertion is safe only where no transaction stays open for long. A row whose watermark
    is infinite or not a number is quarantined, once per run. ``url`` must not hold a password where
    ``password`` gives it. ``every``: seconds between queries, for ``most`` rows each.
    """

    url: DatabaseUrl
    table: str
    watermark: str
    tie: str | None = None
    password: Secret | None = None
    every: Duration = Field(5.0, ge=0.05)
    most: int = Field(1_000, ge=1, le=100_000)
    fields: Fields = Fields()

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield new rows; the offset is the last row's watermark."""
        engine, pauses = await asyncio.to_thread(self._engine), Pauses(log)
        reader = _Reader(self, engine, offset)
        try:
            while True:
                batches = reader.more()
                try:
                    while (batch := await asyncio.to_thread(next, batches, None)) is not None:
                        yield batch
                    pauses.reset()
                except ConnectionError as error:
                    await pauses.pause(self.describe(), error)
                    continue
                finally:
                    batches.close()
                if reader.at_end:
                    await asyncio.sleep(self.every)
        finally:
            engine.dispose()

    def describe(self) -> str:
        """Return the table and its database, without a password."""
        return f"{self.table} of {without_secrets(parse_database_url(self.url))}"

    def _engine(self) -> Engine:
        from sqlalchemy import create_engine, event
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        url = parse_database_url(self.url)
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        if self.password is not None:
            url = url.set(password=self.password.reveal())
        if url.drivername.startswith("postgresql"):
            check_sslmode(url)
        try:
            engine = create_engine(url, pool_pre_ping=True)
            if engine.driver == "psycopg":
                event.listen(engine, "connect", _take_odd_times)
            return engine
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise ParameterError(
                f"The database of {self.table} cannot be opened: {error}"
            ) from error


class _Reader:
    """Reads a table in the order of its watermark, from an offset on."""

    def __init__(self, settings: Sql, engine: Engine, offset: Offset) -> None:
        self._settings, self._engine, self._offset = settings, engine, offset
        self._refused = 0  # rows without a finite watermark that are in quarantine
        self.at_end = False

    def more(self) -> Generator[Batch]:
        """Yield the next rows, none if there are none, read as they are taken.

        Raises ConnectionError when it may work later, InputError when it will not.
        """
        from sqlalchemy.exc import DBAPIError, OperationalError

        try:
            with self._engine.connect() as c:
                yield from self._more(c, self._columns())
        except OperationalError as error:
            raise ConnectionError(f"the database does not answer: {error.orig}.") from error
        except DBAPIError as error:
            raise InputError(
                f"{self._settings.describe()} cannot be read: {error.orig}."
            ) from error

    def _more(self, c: Connection, columns: Columns) -> Iterator[Batch]:
        most, order = self._settings.most, self._order(columns)
        frame = _frame(c, self._query(columns, order).limit(most))
        self.at_end = len(frame) < most
        if self.at_end:
            if len(frame):
                yield self._moved_on(frame, order)
            yield from self._without_order(c, columns)
            return
        last = frame[order[0]] == frame[order[0]].iloc[-1]
        if len(order) > 1 or self._is_unique(columns):
            yield self._moved_on(frame, order)
        elif last.all():
            yield from self._of_one_watermark(c, columns, order, frame[order[0]].iloc[-1])
        else:  # the last value may have more rows
            yield self._moved_on(frame[~last], order)

    def _of_one_watermark(
        self, c: Connection, columns: Columns, order: list[str], value: Any
    ) -> Iterator[Batch]:
        """Yield all rows of a watermark, which nothing orders; the last batch moves the offset."""
        from sqlalchemy import select

        most = self._settings.most
        query = select(*columns.values()).where(columns[order[0]].element == _value(_mark(value)))
        result = c.execute(query.execution_options(stream_results=True, yield_per=most))
        names, held = list(result.keys()), None
        for part in result.partitions():
            if held is not None:
                yield rows_of(held, self._settings.fields)
            held = frame_of_cells(part, names)
        if held is not None:
            yield self._moved_on(held, order)

    def _moved_on(self, frame: pd.DataFrame, order: list[str]) -> Batch:
        """Return rows as a batch, after which reading goes on."""
        # Taken from its column: a row would turn large whole numbers into floats.
        self._offset = {name: _mark(frame[name].iloc[-1]) for name in order}
        return rows_of(frame.reset_index(drop=True), self._settings.fields, offset=self._offset)

    def _without_order(self, c: Connection, columns: Columns) -> Iterator[Batch]:
        """Yield a batch that refuses the rows whose watermark is not finite, each once."""
        from sqlalchemy import not_, select

        finite = self._finite(columns)
        if finite is None:
            return
        query = select(*columns.values()).where(not_(finite)).offset(self._refused)
        frame = _frame(c, query.limit(self._settings.most))
        if not len(frame):
            return
        self._refused += len(frame)
        name = self._settings.watermark
        rejected = tuple(
            Rejection(
                "malformed",
                f'its watermark "{name}" is {row[name]}, after or before which no row can be '
                "read; give it a finite value",
                str(row.to_json(default_handler=str))[:_LONGEST],
            )
            for _, row in frame.iterrows()
        )
        yield replace(rows_of(frame[:0], self._settings.fields), rejected=rejected)

    def _columns(self) -> Columns:
        """Return the table's columns; SQLite keeps times as texts, which are compared as such."""
        from sqlalchemy import MetaData, String, Table, type_coerce
        from sqlalchemy.exc import NoSuchTableError

        settings = self._settings
        schema, _, name = settings.table.rpartition(".")
        try:
            table = Table(name, MetaData(), schema=schema or None, autoload_with=self._engine)
        except NoSuchTableError as error:
            raise InputError(
                f'There is no table "{settings.table}" in {settings.describe()}.'
            ) from error
        wanted = [settings.watermark, *([settings.tie] if settings.tie else [])]
        if missing := [name for name in wanted if name not in table.c]:
            known = ", ".join(table.c.keys())
            raise InputError(f'{settings.table} has no column "{missing[0]}"; it has: {known}.')
        texts = self._engine.dialect.name == "sqlite"
        return {
            name: (type_coerce(c, String()) if texts and _is_time(c) else c).label(name)
            for name, c in table.c.items()
        }

    def _query(self, columns: Columns, order: list[str]) -> Select[Any]:
        from sqlalchemy import select, tuple_

        keys = [columns[name].element for name in order]
        query = select(*columns.values()).order_by(*keys)
        if (finite := self._finite(columns)) is not None:
            query = query.where(finite)
        if self._offset is None:
            return query.where(keys[0].is_not(None))
        last = [_value(self._offset[name]) for name in order if name in self._offset]
        if len(keys) == len(last) == 2:
            return query.where(tuple_(*keys) > tuple_(*last))
        return query.where(keys[0] > last[0])

    def _order(self, columns: Columns) -> list[str]:
        """Return the watermark, and what orders rows that share one."""
        tie = self._settings.tie
        if tie is None and not self._is_unique(columns):
            keys = [name for name, c in columns.items() if _is_key(c)]
            tie = keys[0] if len(keys) == 1 else None
        return [self._settings.watermark, *([tie] if tie else [])]

    def _is_unique(self, columns: Columns) -> bool:
        """Return whether the watermark is the table's key."""
        keys = [name for name, c in columns.items() if _is_key(c)]
        return keys == [self._settings.watermark]

    def _finite(self, columns: Columns) -> ColumnElement[bool] | None:
        """Return the condition that a watermark is finite, None where all are."""
        from sqlalchemy import Float, Numeric, func, literal_column

        watermark = columns[self._settings.watermark].element
        if self._engine.dialect.name != "postgresql":
            return None
        if _is_time(watermark):
            return func.isfinite(watermark)
        if isinstance(watermark.type, Float):
            infinity: ColumnElement[float] = literal_column("'Infinity'::float8")
            return (watermark < infinity) & (watermark > literal_column("'-Infinity'::float8"))
        if isinstance(watermark.type, Numeric):
            return watermark != literal_column("'NaN'::numeric")
        return None


def _frame(c: Connection, query: Select[Any]) -> pd.DataFrame:
    result = c.execute(query)
    return frame_of_cells(result.fetchall(), list(result.keys()))


def _take_odd_times(connection: Any, _: Any) -> None:
    """Let a connection to PostgreSQL give times that Python has not, such as infinity, as texts."""
    from psycopg import DataError
    from psycopg.types import datetime as known

    for name in ("timestamptz", "timestamp", "date", "timetz", "time", "interval"):
        loader = getattr(known, f"{name.capitalize()}Loader")

        class Lenient(loader):  # type: ignore[misc, valid-type]
            def load(self, data: Any) -> Any:
                try:
                    return super().load(data)
                except DataError:
                    return bytes(data).decode()

        connection.adapters.register_loader(name, Lenient)


def _is_key(label: Label[Any]) -> bool:
    return bool(getattr(label.element, "primary_key", False))


def _is_time(column: ColumnElement[Any]) -> bool:
    from sqlalchemy import Date, DateTime, Time

    return isinstance(column.type, Date | DateTime | Time)


_KINDS: dict[str, tuple[type[Any], Callable[[str], Any]]] = {
    "time": (datetime, datetime.fromisoformat),
    "date": (date, date.fromisoformat),
    "number": (Decimal, Decimal),
    "uuid": (UUID, UUID),
}


def _mark(value: Any) -> Any:
    """Return a watermark as JSON has it."""
    for kind, (cls, _) in _KINDS.items():
        if isinstance(value, cls):
            return {kind: value.isoformat() if isinstance(value, date) else str(value)}
    return value.item() if hasattr(value, "item") else value


def _value(mark: Any) -> Any:
    """Return a watermark as the database expects it."""
    if not isinstance(mark, dict):
        return mark
    ((kind, text),) = mark.items()
    return _KINDS[kind][1](text)
