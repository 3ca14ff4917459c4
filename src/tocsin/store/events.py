"""Events with what a model said of them: one row a batch, and each event once."""

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
    """A batch as it was stored: ``number`` grows from batch to batch, over all monitors.

    ``frame``, ``times``, ``ids`` and ``entities`` as in Batch, rows numbered from 0.
    ``decision``: None where no model was there yet.
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
    """The events of all monitors, and where their sources go on."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def known(self, c: Connection, monitor: str, ids: Sequence[str]) -> set[str]:
        """Return those of the ids whose events are stored."""
        return event_ids.known(c, monitor, ids)

    def append(
        self, c: Connection, monitor: str, batch: Batch, decision: BatchDecision | None
    ) -> int:
        """Store a batch, and return its number; 0 for one without events, which is not stored.

        Raises InputError for a column whose values are of no single type and for a time that is
        missing, and StoreError when an id is stored already or comes twice in the batch.
        """
        if not len(batch):
            return 0
        times = batch.times.astype("datetime64[us]")
        if np.isnat(times).any():
            raise InputError("An event has no time; a batch in the store has one for each.")
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
        """Return where the monitor's source goes on, None for the start."""
        with self._db.read() as c:
            found: Offset = c.execute(
                select(offsets.c.position).where(offsets.c.monitor == monitor)
            ).scalar()
        return found

    def set_offset(self, c: Connection, monitor: str, offset: Offset) -> None:
        """Note where the monitor's source goes on."""
        upsert(c, offsets, [{"monitor": monitor, "position": offset}])

    def count(self, monitor: str) -> int:
        """Return how many events of a monitor are stored, without those archived."""
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

        ``since`` and ``until``: times of events, the second not included. ``after``: the number
        of a batch; only later ones come. ``newest``: at most so many events, the last ones that
        the other conditions leave, still in their order. Events that a condition leaves out
        are cut from their batch. Raises StoreError for a batch that cannot be decoded.
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
        """Move batches whose events are all older into Parquet files, and return their events.

        The files are ``archive/monitor/day-number.parquet``, one a day of UTC (more where the
        columns change or a day is large), each whole or not there; only whole days are moved. A
        crash meanwhile neither loses nor doubles an event: the next call writes the same file
        again. Without an archive events are deleted. Their ids are forgotten with them. Raises
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
    """Which events a reader asks for."""

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
    """Return a batch of some rows of another."""
    if len(rows) == len(batch):
        return batch
    said = batch.decision
    return StoredBatch(
        number=batch.number,
        frame=batch.frame.iloc[rows].reset_index(drop=True),
        times=batch.times[rows],
        ids=None if batch.ids is None else tuple(batch.ids[row] for row in rows),
        entities=None if batch.entities is None else tuple(batch.entities[row] for row in rows),
        decision=None
        if said is None
        else BatchDecision(
            said.scores[rows],
            said.p_values[rows],
            said.is_anomaly[rows],
            said.threshold,
            said.model,
        ),
    )
