"""Silences: alarms that are muted for a while."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, insert, select, update

from tocsin.errors import NotInStore, ParameterError
from tocsin.store.database import Database
from tocsin.store.schema import silences


@dataclass(frozen=True, slots=True)
class Silence:
    """Mutes alarms that ``match`` from ``starts`` until ``ends``, on behalf of ``who``.

    ``match``: as in a policy, over monitor, entity, kind, severity and labels.
    """

    id: str
    match: Mapping[str, str]
    starts: datetime
    ends: datetime
    who: str
    note: str


class SilenceStore:
    """All silences."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(
        self, match: Mapping[str, str], starts: datetime, ends: datetime, who: str, note: str = ""
    ) -> Silence:
        """Add a silence and return it. Raises ParameterError when it ends before it starts."""
        if ends <= starts:
            raise ParameterError(f"A silence must end after it starts: {starts} to {ends}.")
        silence = Silence(secrets.token_hex(8), dict(match), starts, ends, who, note)
        with self._db.begin() as c:
            c.execute(
                insert(silences),
                {name: getattr(silence, name) for name in Silence.__slots__},
            )
        return silence

    def expire(self, id: str, at: datetime) -> None:
        """End a silence that has not ended yet. Raises NotInStore for an unknown id."""
        with self._db.begin() as c:
            if c.execute(select(silences.c.id).where(silences.c.id == id)).first() is None:
                raise NotInStore(f'There is no silence "{id}".')
            late = silences.c.ends > at
            c.execute(update(silences).where(silences.c.id == id, late).values(ends=at))

    def list(self) -> Sequence[Silence]:
        """Return all silences, the last to end first."""
        return self._read(select(silences).order_by(silences.c.ends.desc()))

    def active(self, at: datetime) -> Sequence[Silence]:
        """Return the silences in force at a time."""
        columns = silences.c
        return self._read(select(silences).where(columns.starts <= at, columns.ends > at))

    def _read(self, query: Select[tuple[object, ...]]) -> Sequence[Silence]:
        with self._db.read() as c:
            return [Silence(**row) for row in c.execute(query).mappings()]
