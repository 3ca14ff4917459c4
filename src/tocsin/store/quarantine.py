"""Rejected events, kept to be inspected and reprocessed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select

from tocsin.store.database import Database
from tocsin.store.schema import quarantine
from tocsin.types import Rejection, RejectionKind


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A rejected event of a monitor, and when it was rejected."""

    number: int
    monitor: str
    at: datetime
    kind: RejectionKind
    reason: str
    raw: str
    known: Mapping[str, Any] | None = None


class Quarantine:
    """The rejected events of all monitors."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self, c: Connection, monitor: str, rejections: Sequence[Rejection], at: datetime
    ) -> None:
        """Keep rejected events."""
        rows = [
            {
                "monitor": monitor,
                "at": at,
                "kind": rejection.kind,
                "reason": rejection.reason,
                "raw": rejection.raw,
                "known": rejection.known,
            }
            for rejection in rejections
        ]
        if rows:
            c.execute(insert(quarantine), rows)

    def list(self, monitor: str | None = None, limit: int | None = None) -> Sequence[Quarantined]:
        """Return the events in quarantine, the latest first."""
        query = select(quarantine).order_by(quarantine.c.number.desc()).limit(limit)
        if monitor is not None:
            query = query.where(quarantine.c.monitor == monitor)
        with self._db.read() as c:
            return _read(c, query)

    def count(self, monitor: str | None = None) -> int:
        """Return how many events are in quarantine."""
        query = select(func.count()).select_from(quarantine)
        if monitor is not None:
            query = query.where(quarantine.c.monitor == monitor)
        with self._db.read() as c:
            return int(c.execute(query).scalar_one())

    def take(self, ids: Sequence[int], c: Connection | None = None) -> Sequence[Quarantined]:
        """Remove events by their numbers, and return those that existed, in their order.

        Within the transaction ``c``, if given: nothing is lost when that fails.
        """
        if c is None:
            with self._db.begin() as own:
                return self.take(ids, own)
        chosen = quarantine.c.number.in_(ids)
        taken = _read(c, select(quarantine).where(chosen).order_by(quarantine.c.number))
        c.execute(delete(quarantine).where(chosen))
        return taken

    def prune(self, before: datetime) -> int:
        """Delete events rejected before this time; return how many."""
        with self._db.begin() as c:
            return c.execute(delete(quarantine).where(quarantine.c.at < before)).rowcount


def _read(c: Connection, query: Select[tuple[object, ...]]) -> Sequence[Quarantined]:
    return [Quarantined(**row) for row in c.execute(query).mappings()]
