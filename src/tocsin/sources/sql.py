"""Rows of a database table, as they are added."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pandas as pd
from pydantic import Field

from tocsin.base.source import Source
from tocsin.errors import InputError, ParameterError
from tocsin.settings import Duration, Secret
from tocsin.settings.urls import without_secrets
from tocsin.sources._pauses import Pauses
from tocsin.sources._records import Fields, rows_of
from tocsin.types import Batch, Offset

if TYPE_CHECKING:
    from sqlalchemy import Column, Engine, Label, Select

log = logging.getLogger(__name__)


class Sql(Source):
    """New rows of a ``table`` or view of any database that SQLAlchemy opens, in order.

    ``watermark``: a column that only grows from row to row, such as a serial number or the time
    of insertion; where several rows can share a value, ``tie`` names a column that is unique among
    those. A row that is added later with a smaller watermark is never seen: a time of insertion is
    safe only where no transaction stays open for long. ``url`` must not hold a password where
    ``password`` gives it. ``every``: seconds between queries, for ``most`` rows each.
    """

    url: str
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
        try:
            while True:
                try:
                    frame = await asyncio.to_thread(self._after, engine, offset)
                    pauses.reset()
                except ConnectionError as error:
                    await pauses.pause(self.describe(), error)
                    continue
                if len(frame):
                    offset = self._offset(frame)
                    yield rows_of(frame, self.fields, offset=offset)
                if len(frame) < self.most:
                    await asyncio.sleep(self.every)
        finally:
            engine.dispose()

    def describe(self) -> str:
        """Return the table and its database, without a password."""
        from sqlalchemy.engine import make_url

        return f"{self.table} of {without_secrets(make_url(self.url))}"

    def _engine(self) -> Engine:
        from sqlalchemy import create_engine
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError

        try:
            url = make_url(self.url)
            if url.drivername == "postgresql":
                url = url.set(drivername="postgresql+psycopg")
            if self.password is not None:
                url = url.set(password=self.password.reveal())
            return create_engine(url, pool_pre_ping=True)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise ParameterError(
                f"The database of {self.table} cannot be opened: {error}"
            ) from error

    def _after(self, engine: Engine, offset: Offset) -> pd.DataFrame:
        """Return the next rows. Raises ConnectionError when it may work later."""
        from sqlalchemy.exc import DBAPIError, OperationalError

        try:
            with engine.connect() as c:
                result = c.execute(self._query(self._columns(engine), offset))
                return pd.DataFrame(result.fetchall(), columns=list(result.keys()))
        except OperationalError as error:
            raise ConnectionError(f"the database does not answer: {error.orig}.") from error
        except DBAPIError as error:
            raise InputError(f"{self.describe()} cannot be read: {error.orig}.") from error

    def _columns(self, engine: Engine) -> dict[str, Label[Any]]:
        """Return the table's columns; SQLite keeps times as texts, which are compared as such."""
        from sqlalchemy import MetaData, String, Table, type_coerce
        from sqlalchemy.exc import NoSuchTableError

        schema, _, name = self.table.rpartition(".")
        try:
            table = Table(name, MetaData(), schema=schema or None, autoload_with=engine)
        except NoSuchTableError as error:
            raise InputError(f'There is no table "{self.table}" in {self.describe()}.') from error
        if missing := [name for name in self._order() if name not in table.c]:
            known = ", ".join(table.c.keys())
            raise InputError(f'{self.table} has no column "{missing[0]}"; it has: {known}.')
        texts = engine.dialect.name == "sqlite"
        return {
            name: (type_coerce(c, String()) if texts and _is_time(c) else c).label(name)
            for name, c in table.c.items()
        }

    def _query(self, columns: dict[str, Label[Any]], offset: Offset) -> Select[Any]:
        from sqlalchemy import select, tuple_

        order = [columns[name].element for name in self._order()]
        query = select(*columns.values()).order_by(*order).limit(self.most)
        if offset is None:
            return query.where(order[0].is_not(None))
        last = [_value(offset[name]) for name in self._order()]
        return query.where(tuple_(*order) > tuple_(*last) if len(order) > 1 else order[0] > last[0])

    def _order(self) -> list[str]:
        return [self.watermark] if self.tie is None else [self.watermark, self.tie]

    def _offset(self, frame: pd.DataFrame) -> dict[str, Any]:
        # Taken from its column: a row would turn large whole numbers into floats.
        return {name: _mark(frame[name].iloc[-1]) for name in self._order()}


def _is_time(column: Column[Any]) -> bool:
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
