"""Moves old batches from the store into Parquet files, which any tool reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, Row, Select, delete, select

from tocsin.errors import ParameterError, StoreError
from tocsin.files import replacing, reporting, sync
from tocsin.store import event_ids, frames
from tocsin.store.database import Database
from tocsin.store.schema import batches, micros, moment

_EVENTS = 1_000_000  # per file, plus at most a batch
_PAGE = 512  # batches in memory
_DAY = timedelta(days=1)

_Page = list[tuple[Row[Any], pa.Table]]


def delete_old(db: Database, monitor: str, before: datetime) -> int:
    """Delete batches whose events are all older; return how many events they held."""
    old = _old(monitor, before)
    deleted = 0
    for page in _pages(db, old, 0):
        with db.begin() as c:
            _forget(c, monitor, page)
            _delete(c, old, page[-1][0].number)
        deleted += _events(page)
    return deleted


def archive_old(db: Database, monitor: str, before: datetime, archive: Path) -> int:
    """Move batches of whole days that are over into files; return how many events they held.

    Raises StoreError when the archive cannot be written.
    """
    folder = archive / quote(monitor, safe="").replace(".", "%2E")
    old = _old(monitor, _midnight(before))
    moved = 0
    while True:
        with db.read() as c:
            first = c.execute(old.order_by(batches.c.number).limit(1)).first()
        if first is None:
            return moved
        day = _midnight(moment(first.last))
        of_day = old.where(batches.c.last >= micros(day), batches.c.last < micros(day + _DAY))
        path = folder / f"{day.date()}-{first.number}.parquet"
        try:
            with reporting(path):
                folder.mkdir(parents=True, exist_ok=True)
                moved += _move(db, monitor, of_day, first.number, path)
        except ParameterError as error:
            raise StoreError(f"The archive {error}") from error


def _move(db: Database, monitor: str, old: Select[Any], number: int, path: Path) -> int:
    """Write one file, and delete its batches in the same step that renames it into place.

    It is named after its first batch: after a crash between the two, the same name is written
    again, with the same batches or more. Ids may be deleted before: they are too old to come again.
    """
    moved = 0
    with ExitStack() as stack:
        new = stack.enter_context(replacing(path))
        new.chmod(0o600)  # as the store, where the events were
        writer: pq.ParquetWriter | None = None
        for page in _pages(db, old, number):
            table = pa.concat_tables([table for _, table in page])
            writer = writer or pq.ParquetWriter(new, table.schema, compression="zstd")
            writer.write_table(table)
            with db.begin() as c:
                _forget(c, monitor, page)
            moved += _events(page)
            number = page[-1][0].number
        if writer is not None:
            writer.close()
        with db.begin() as c:
            _delete(c, old, number)
            stack.close()
            sync(path.parent)
    return moved


def _old(monitor: str, before: datetime) -> Select[Any]:
    return select(batches).where(batches.c.monitor == monitor, batches.c.last < micros(before))


def _pages(db: Database, old: Select[Any], number: int) -> Iterator[_Page]:
    """Yield pages of batches from a number on, until columns change or a file is full."""
    events = 0
    schema: pa.Schema | None = None
    while events < _EVENTS:
        query = old.where(batches.c.number >= number).order_by(batches.c.number).limit(_PAGE)
        with db.read() as c:
            rows = c.execute(query).all()
        page: _Page = []
        for row in rows:
            table = _table(row)
            schema = schema or table.schema
            if events >= _EVENTS or table.schema != schema:
                break
            page.append((row, table))
            events += row.events
        if page:
            yield page
        if len(page) < _PAGE:
            return
        number = page[-1][0].number + 1


def _table(row: Row[Any]) -> pa.Table:
    """Return a batch as the archive holds it: with the same last columns in every file."""
    table = frames.decode(row.content, row.number).replace_schema_metadata(None)
    place = table.num_columns - len(frames.EXTRAS)
    for field in frames.EXTRAS:
        table = table.set_column(place, field, table.column(place).cast(field.type))
        place += 1
    n = table.num_rows
    for name, value, kind in (
        ("_threshold", row.threshold, pa.float64()),
        ("_model", row.model, pa.string()),
        ("_batch", row.number, pa.int64()),
    ):
        table = table.append_column(name, pa.repeat(pa.scalar(value, kind), n))
    return table


def _forget(c: Connection, monitor: str, page: _Page) -> None:
    for _, table in page:
        column = table.column(table.num_columns - 3 - len(frames.EXTRAS) + 1)
        event_ids.forget(c, monitor, column.drop_null().to_pylist())


def _delete(c: Connection, old: Select[Any], last: int) -> None:
    numbers = old.with_only_columns(batches.c.number).where(batches.c.number <= last)
    c.execute(delete(batches).where(batches.c.number.in_(numbers)))


def _events(page: _Page) -> int:
    return sum(row.events for row, _ in page)


def _midnight(time: datetime) -> datetime:
    return moment(micros(time)).replace(hour=0, minute=0, second=0, microsecond=0)
