"""Events with their scores and decisions: one row per batch, and each event once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sqlalchemy import Connection, Row, func, insert, select

from tocsin.errors import InputError
from tocsin.store import event_ids, frames
from tocsin.store.archive import archive_old, delete_old
from tocsin.store.database import Database, upsert
from tocsin.store.schema import batches, micros, offsets
from tocsin.types import Batch, BatchDecision, Offset, TimeArray

_PAGE = 32  # batches read at a time


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch as it was stored; ``number`` grows from batch to batch, across all monitors.

    ``frame``, ``times``, ``ids`` and ``entities`` as in Batch, rows numbered from 0.
    ``decision``: None where there was no model yet.
    """

    number: int
    frame: pd.DataFrame
    times: TimeArray
    ids: tuple[str, ...] | None
    entities: tuple[str, ...] | None
    decision: BatchDecision | None

    def __len__(self) -> int:
        return len(self.frame)


class EventStore:
    """The events of all monitors, and the offsets of their sources."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def known(self, c: Connection, monitor: str, ids: Sequence[str]) -> set[str]:
        """Return those of the ids whose events are stored."""
        return event_ids.known(c, monitor, ids)

    def append(
        self, c: Connection, monitor: str, batch: Batch, decision: BatchDecision | None
    ) -> int:
        """Store a batch and return its number; 0 for one without events, which is not stored.

        Raises InputError for a column of mixed types and for a missing time, and StoreError for
        an id that is stored already or comes twice in the batch.
        """
        if not len(batch):
            return 0
        times = batch.times.astype("datetime64[us]")
        if np.isnat(times).any():
            raise InputError("An event has no time; stored events need one.")
        if batch.ids is not None:
            event_ids.remember(c, monitor, batch.ids)
        row = {
            "monitor": monitor,
            "events": len(batch),
            "anomalies": 0 if decision is None else int(decision.is_anomaly.sum()),
            "first": int(times.min().astype(np.int64)),
            "last": int(times.max().astype(np.int64)),
            "threshold": None if decision is None else float(decision.threshold),
            "model": None if decision is None else decision.model,
            "content": frames.encode(batch, decision),
        }
        number: int = c.execute(insert(batches), row).inserted_primary_key[0]  # type: ignore[index]
        return number

    def offset(self, monitor: str) -> Offset:
        """Return where a monitor's source continues, None for the start."""
        with self._db.read() as c:
            found: Offset = c.execute(
                select(offsets.c.position).where(offsets.c.monitor == monitor)
            ).scalar()
        return found

    def set_offset(self, c: Connection, monitor: str, offset: Offset) -> None:
        """Store where a monitor's source continues."""
        upsert(c, offsets, [{"monitor": monitor, "position": offset}])

    def count(self, monitor: str) -> int:
        """Return how many events of a monitor are stored, not counting archived ones."""
        query = select(func.coalesce(func.sum(batches.c.events), 0))
        with self._db.read() as c:
            return int(c.execute(query.where(batches.c.monitor == monitor)).scalar_one())

    def read(
        self,
        monitor: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: int | None = None,
        newest: int | None = None,
        anomalies_only: bool = False,
    ) -> Iterator[StoredBatch]:
        """Yield stored batches in their order, without holding the store meanwhile.

        ``since`` and ``until``: times of events, the second excluded. ``after``: only batches of a
        higher number. ``newest``: only the last N events that fulfil the other conditions, still
        in their order. Events that do not fulfil a condition are cut from their batch. Raises
        StoreError for a batch that cannot be decoded.
        """
        wanted = _Wanted(monitor, since, until, after, anomalies_only)
        if newest is None:
            yield from self._walk(wanted, backwards=False)
            return
        found: list[StoredBatch] = []
        for batch in self._walk(wanted, backwards=True):
            if newest <= 0:
                break
            found.append(_cut(batch, np.arange(max(0, len(batch) - newest), len(batch))))
            newest -= len(batch)
        yield from reversed(found)

    def retain(self, monitor: str, before: datetime, archive: Path | None) -> int:
        """Move batches whose events are all older into Parquet files; return how many events.

        The files are ``archive/monitor/day-number.parquet``, one per day of UTC (more where columns
        change or a day is large), each written whole or not at all; only whole days are moved. A
        crash meanwhile neither loses nor duplicates an event: the next call writes the same file
        again. Without an archive events are deleted. Their ids are deleted with them. Raises
        StoreError when the archive cannot be written.
        """
        moved = (
            delete_old(self._db, monitor, before)
            if archive is None
            else archive_old(self._db, monitor, before, archive)
        )
        if moved:
            self._db.reclaim()
        return moved

    def _walk(self, wanted: _Wanted, *, backwards: bool) -> Iterator[StoredBatch]:
        position: int | None = None
        while True:
            with self._db.read() as c:
                rows = c.execute(wanted.query(position, backwards)).all()
            for row in rows:
                batch = _stored(row)
                rows_wanted = wanted.rows(batch)
                if len(rows_wanted):
                    yield _cut(batch, rows_wanted)
            if len(rows) < _PAGE:
                return
            position = rows[-1].number


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The conditions that events to be read must fulfil."""

    monitor: str
    since: datetime | None
    until: datetime | None
    after: int | None
    anomalies_only: bool

    def query(self, position: int | None, backwards: bool) -> Any:
        """Return the statement for the next page, from the last number read."""
        number = batches.c.number
        query = select(batches).where(batches.c.monitor == self.monitor)
        if self.since is not None:
            query = query.where(batches.c.last >= micros(self.since))
        if self.until is not None:
            query = query.where(batches.c.first < micros(self.until))
        if self.after is not None:
            query = query.where(number > self.after)
        if self.anomalies_only:
            query = query.where(batches.c.anomalies > 0)
        if position is not None:
            query = query.where(number < position if backwards else number > position)
        return query.order_by(number.desc() if backwards else number).limit(_PAGE)

    def rows(self, batch: StoredBatch) -> np.ndarray[Any, Any]:
        """Return which rows of a batch are wanted."""
        keep = np.ones(len(batch), dtype=bool)
        times = batch.times.astype(np.int64)
        if self.since is not None:
            keep &= times >= micros(self.since)
        if self.until is not None:
            keep &= times < micros(self.until)
        if self.anomalies_only:
            keep &= batch.decision is not None and batch.decision.is_anomaly
        return np.flatnonzero(keep)


def _stored(row: Row[Any]) -> StoredBatch:
    table = frames.decode(row.content, row.number)
    decision = None
    if row.model is not None:
        scores, p_values, is_anomaly = (
            frames.values(table, name) for name in ("_score", "_p_value", "_is_anomaly")
        )
        decision = BatchDecision(scores, p_values, is_anomaly, row.threshold, row.model)
    return StoredBatch(
        number=row.number,
        frame=frames.frame_of(table),
        times=frames.values(table, "_time"),
        ids=frames.texts(table, "_id"),
        entities=frames.texts(table, "_entity"),
        decision=decision,
    )


def _cut(batch: StoredBatch, rows: np.ndarray[Any, Any]) -> StoredBatch:
    """Return some rows of a batch."""
    if len(rows) == len(batch):
        return batch
    decision = batch.decision
    return StoredBatch(
        number=batch.number,
        frame=batch.frame.iloc[rows].reset_index(drop=True),
        times=batch.times[rows],
        ids=None if batch.ids is None else tuple(batch.ids[row] for row in rows),
        entities=None if batch.entities is None else tuple(batch.entities[row] for row in rows),
        decision=None
        if decision is None
        else BatchDecision(
            decision.scores[rows],
            decision.p_values[rows],
            decision.is_anomaly[rows],
            decision.threshold,
            decision.model,
        ),
    )
