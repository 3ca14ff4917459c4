"""Counters of each monitor, which only ever grow."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, select

from tocsin.store.database import Database, insert
from tocsin.store.schema import counters


class Counters:
    """The counters of all monitors."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, c: Connection, monitor: str, counts: Mapping[str, int]) -> None:
        """Add to counters by name."""
        # In one order, so that two transactions never wait for each other.
        rows = [
            {"monitor": monitor, "name": name, "value": n}
            for name, n in sorted(counts.items())
            if n
        ]
        if rows:
            statement = insert(c, counters)
            total = counters.c.value + statement.excluded.value
            c.execute(
                statement.on_conflict_do_update(
                    index_elements=["monitor", "name"], set_={"value": total}
                ),
                rows,
            )

    def read(self) -> dict[str, dict[str, int]]:
        """Return the counters by monitor and name."""
        found: dict[str, dict[str, int]] = {}
        with self._db.read() as c:
            for monitor, name, value in c.execute(select(counters)):
                found.setdefault(monitor, {})[name] = value
        return found
