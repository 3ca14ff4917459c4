"""What a monitor would have done: today's model and settings over the events so far."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from tocsin import config
from tocsin.errors import NotAModel
from tocsin.monitor.event_processor import EventProcessor
from tocsin.monitor.models import open_model_of
from tocsin.monitor.reading import read_source, read_store, within
from tocsin.monitor.stores import Stores
from tocsin.types import Alarm, Batch


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a monitor would have done: numbers, and alarms as they ended."""

    events: int
    anomalies: int
    alarms: tuple[Alarm, ...]
    notifications: int
    seconds: float


def replay(
    settings: config.Config,
    name: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> ReplayResult:
    """Run a monitor over its events in the store, or else over its source, as fast as it goes.

    The model and the settings are today's. Nothing is sent, and the store is left as it is. Raises
    NotInStore for an unknown monitor, and NotAModel when it has no model yet.
    """
    monitor = settings.monitor(name)
    with (
        Stores.opened(settings.store.reveal()) as stores,
        tempfile.TemporaryDirectory(prefix="tocsin-replay-") as folder,
        Stores.opened(f"sqlite:///{folder}/replay.db") as scratch,
    ):
        processor = EventProcessor(name, monitor, scratch, settings.router(), settings.storm)
        try:
            processor.use_model(open_model_of(monitor))
        except NotAModel as error:
            raise NotAModel(f"{error} `tocsin train {name}` trains one.") from error
        started = time.monotonic()
        for batch in _history(stores, monitor, name, since, until):
            processor.process(batch, None)
        seconds = time.monotonic() - started
        counts = scratch.counters.read().get(name, {})
        return ReplayResult(
            int(counts.get("events", 0)),
            int(counts.get("anomalies", 0)),
            tuple(scratch.alarms.list()),
            len(scratch.outbox.pending()),
            seconds,
        )


def _history(
    stores: Stores,
    monitor: config.Monitor,
    name: str,
    since: datetime | None,
    until: datetime | None,
) -> Iterator[Batch]:
    if stores.events.count(name):
        return read_store(stores, name, since=since, until=until)
    return within(read_source(monitor), since, until)
