"""Who did what, and which actions were carried out already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy import insert as inserting

from tocsin.store.database import Database, insert
from tocsin.store.schema import audit, claims


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One row: when, who, what, and JSON values about it."""

    number: int
    at: datetime
    who: str
    what: str
    detail: Mapping[str, Any]


class Audit:
    """The record of actions; rows are added, never changed or deleted."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, who: str, what: str, detail: Mapping[str, Any]) -> None:
        """Add a row."""
        row = {"at": datetime.now(UTC), "who": who, "what": what, "detail": dict(detail)}
        with self._db.begin() as c:
            c.execute(inserting(audit), row)

    def list(self, limit: int | None = None) -> Sequence[AuditEntry]:
        """Return the rows, the latest first."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit)
        with self._db.read() as c:
            return [AuditEntry(**row) for row in c.execute(query).mappings()]

    def claim(self, key: str) -> bool:
        """Return True to the first caller with a key, False to all later ones."""
        with self._db.begin() as c:
            statement = insert(c, claims).on_conflict_do_nothing().returning(claims.c.key)
            return c.execute(statement, {"key": key}).first() is not None

    def claimed(self, key: str) -> bool:
        """Return whether a key was claimed."""
        with self._db.read() as c:
            return c.execute(select(claims.c.key).where(claims.c.key == key)).first() is not None

    def last(self, what: str) -> datetime | None:
        """Return when a row of this kind was last written, None for never."""
        with self._db.read() as c:
            query = select(func.max(audit.c.at)).where(audit.c.what == what)
            found: datetime | None = c.execute(query).scalar()
        return found
