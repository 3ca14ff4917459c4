"""A monitor over its history: its model is trained from it, its alarms are replayed over it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from tocsin import config
from tocsin.alarms.routing import Router
from tocsin.errors import InputError, NotInStore
from tocsin.monitor.process import Process
from tocsin.monitor.scoring import new_pipeline, open_model, training_data
from tocsin.monitor.stores import Stores
from tocsin.progress import report
from tocsin.store.database import Database
from tocsin.types import Alarm, Batch

MOST_TRAINED = 200_000
"""Events at most that a model learns from, the newest ones."""

_LONGEST_WAIT = 30.0


@dataclass(frozen=True, slots=True)
class Trained:
    """What came of training: where the model is, what it is, and from how many events."""

    model: Path
    detector: str
    events: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a monitor would have done: events a second, anomalies, and alarms as they ended."""

    events: int
    anomalies: int
    alarms: tuple[Alarm, ...]
    notices: int
    seconds: float


def settings_of(settings: config.Config, name: str) -> config.Monitor:
    """Return a monitor's settings. Raises NotInStore for a name that is none."""
    if name not in settings.monitors:
        known = ", ".join(settings.monitors)
        raise NotInStore(f'There is no monitor "{name}"; there are: {known}.')
    return settings.monitors[name]


def train(settings: config.Config, name: str) -> Trained:
    """Fit a monitor's pipeline from its events in the store, or else from its source; save it.

    Raises InputError when there are too few events, and what the pipeline raises.
    """
    monitor = settings_of(settings, name)
    training = monitor.training
    db = Database(settings.store)
    try:
        events = Stores.of(db).events
        batches = [
            Batch(stored.frame, stored.times, entities=stored.entities)
            for stored in events.read(name, newest=MOST_TRAINED)
        ]
    finally:
        db.close()
    if sum(map(len, batches)) < training.after:
        batches = asyncio.run(_from_source(monitor, max(training.after, MOST_TRAINED)))
    n = sum(map(len, batches))
    if n < training.after:
        raise InputError(
            f"{name} has {n:,} events so far; training asks for {training.after:,}. Let it collect "
            "more, or lower training.after."
        )
    own: dict[str, Any] = {"detector": training.detector, "false_alarms": training.false_alarms}
    if training.modality != "series":
        own["training"] = "clean" if training.clean else "mixed"
    report("training", 0, 1)
    pipeline = new_pipeline(training.modality, {**own, **training.settings})
    pipeline.fit(training_data(training.modality, batches))
    pipeline.save(monitor.model, metrics={"trained_events": n})
    return Trained(monitor.model, pipeline.detector_name, n, tuple(pipeline.notes_))


def replay(
    settings: config.Config,
    name: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Replayed:
    """Run a monitor over its events in the store, or else over its source, as fast as it goes.

    The model and the settings are today's. Nothing is sent and the store is left as it is.
    """
    monitor = settings_of(settings, name)
    db = Database(settings.store)
    try:
        with tempfile.TemporaryDirectory(prefix="tocsin-replay-") as folder:
            mine = Stores.of(Database(f"sqlite:///{folder}/replay.db"))
            try:
                router = Router(settings.policies, settings.inhibit, settings.maintenance)
                process = Process(name, monitor, mine, router, settings.storm)
                process.serve(open_model(monitor.model, monitor.context))
                started = time.monotonic()
                for batch in _history(Stores.of(db), monitor, name, since, until):
                    process.take(batch, None)
                took = time.monotonic() - started
                counts = mine.counters.read().get(name, {})
                alarms = tuple(mine.alarms.list(limit=1_000_000))
                notices = len(mine.outbox.pending())
            finally:
                mine.db.close()
    finally:
        db.close()
    return Replayed(
        int(counts.get("events", 0)), int(counts.get("anomalies", 0)), alarms, notices, took
    )


def _history(
    stores: Stores,
    monitor: config.Monitor,
    name: str,
    since: datetime | None,
    until: datetime | None,
) -> Iterator[Batch]:
    if stores.events.count(name):
        for stored in stores.events.read(name, since=since, until=until):
            yield Batch(stored.frame, stored.times, entities=stored.entities)
        return
    yield from asyncio.run(_from_source(monitor, MOST_TRAINED))


async def _from_source(monitor: config.Monitor, most: int) -> list[Batch]:
    """Return the first events of a source, as many as it gives without a long wait."""
    found: list[Batch] = []
    n = 0
    batches = cast("AsyncGenerator[Batch, None]", monitor.source.read(None))
    async with aclosing(batches):
        while n < most:
            try:
                async with asyncio.timeout(_LONGEST_WAIT if not n else 1.0):
                    batch = await anext(batches)
            except (StopAsyncIteration, TimeoutError):
                break
            except OSError as error:
                raise InputError(
                    f"{monitor.source.describe()} cannot be read: {error}. If `tocsin up` reads "
                    "it, wait until there are events enough in the store."
                ) from error
            found.append(batch)
            n += len(batch)
            report("reading", n, most)
    return found
