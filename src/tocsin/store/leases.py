"""Leases: of several processes, one at a time does something."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, or_, update

from tocsin.store.database import Database, insert
from tocsin.store.schema import leases


class Lease:
    """The lease ``name``, wanted by ``holder`` for some seconds at a time.

    A holder that is killed loses it when these have passed. Times are of this machine's clock.
    """

    def __init__(self, db: Database, name: str, holder: str, seconds: float) -> None:
        self._db = db
        self._name = name
        self._holder = holder
        self._length = timedelta(seconds=seconds)

    def acquire(self) -> bool:
        """Take the lease if it is free, expired or this holder's; return whether it is held."""
        now = datetime.now(UTC)
        row = {"name": self._name, "holder": self._holder, "until": now + self._length}
        with self._db.begin() as c:
            statement = insert(c, leases)
            free = or_(leases.c.holder == self._holder, leases.c.until <= now)
            taken = statement.on_conflict_do_update(
                index_elements=["name"],
                set_={"holder": statement.excluded.holder, "until": statement.excluded.until},
                where=free,
            ).returning(leases.c.holder)
            return c.execute(taken, row).first() is not None

    def renew(self) -> bool:
        """Extend the lease; return False if it has expired or another process holds it."""
        now = datetime.now(UTC)
        with self._db.begin() as c:
            held = and_(self._mine(), leases.c.until > now)
            renewed = c.execute(update(leases).where(held).values(until=now + self._length))
            return renewed.rowcount == 1

    def release(self) -> None:
        """Give the lease up if it is held."""
        with self._db.begin() as c:
            c.execute(delete(leases).where(self._mine()))

    def _mine(self) -> ColumnElement[bool]:
        return and_(leases.c.name == self._name, leases.c.holder == self._holder)
