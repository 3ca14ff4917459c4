"""All stores of a system of monitors in one place; light to import."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tocsin.store.alarms import AlarmStore
from tocsin.store.audit import Audit
from tocsin.store.counters import Counters
from tocsin.store.database import Database
from tocsin.store.events import EventStore
from tocsin.store.outbox import Outbox
from tocsin.store.quarantine import Quarantine
from tocsin.store.silences import SilenceStore


@dataclass(frozen=True)
class Stores:
    """All that monitors store, in one database."""

    db: Database
    events: EventStore
    alarms: AlarmStore
    silences: SilenceStore
    outbox: Outbox
    quarantine: Quarantine
    counters: Counters
    audit: Audit

    @classmethod
    def of(cls, db: Database) -> Stores:
        """Return the stores of a database."""
        return cls(
            db,
            EventStore(db),
            AlarmStore(db),
            SilenceStore(db),
            Outbox(db),
            Quarantine(db),
            Counters(db),
            Audit(db),
        )

    @classmethod
    @contextmanager
    def opened(cls, url: str) -> Iterator[Stores]:
        """Open the stores of a database for a while."""
        with Database(url) as db:
            yield cls.of(db)
