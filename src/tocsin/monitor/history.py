"""A monitor over its history: replayed over it, and what was refused let in."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

import msgspec
import numpy as np

from tocsin import config
from tocsin.errors import InputError, NotAllowed, NotAModel, NotInStore
from tocsin.monitor.batches import chosen
from tocsin.monitor.event_processor import EventProcessor
from tocsin.monitor.models import open_model
from tocsin.monitor.stores import Stores
from tocsin.progress import report
from tocsin.sources._records import Fields, batch_of
from tocsin.store.leases import Lease
from tocsin.store.quarantine import Quarantined
from tocsin.types import Alarm, Batch

MOST_TRAINED = 200_000
"""Events at most that a model learns from, the newest ones."""

_LONGEST_WAIT, _PAUSE, _ENOUGH = 30.0, 1.0, 10.0
_LEASE = 60.0


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a monitor would have done: events a second, anomalies, and alarms as they ended."""

    events: int
    anomalies: int
    alarms: tuple[Alarm, ...]
    notifications: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Again:
    """What became of events taken out of quarantine."""

    taken: int
    events: int
    anomalies: int
    duplicates: int
    refused: int


def settings_of(settings: config.Config, name: str) -> config.Monitor:
    """Return a monitor's settings. Raises NotInStore for a name that is none."""
    if name not in settings.monitors:
        known = ", ".join(settings.monitors)
        raise NotInStore(f'There is no monitor "{name}"; there are: {known}.')
    return settings.monitors[name]


def replay(
    settings: config.Config,
    name: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Replayed:
    """Run a monitor over its events in the store, or else over its source, as fast as it goes.

    The model and the settings are today's. Nothing is sent and the store is left as it is. Raises
    NotAModel when there is none yet.
    """
    monitor = settings_of(settings, name)
    with (
        Stores.opened(settings.store) as stores,
        tempfile.TemporaryDirectory(prefix="tocsin-replay-") as folder,
        Stores.opened(f"sqlite:///{folder}/replay.db") as mine,
    ):
        process = EventProcessor(name, monitor, mine, settings.router(), settings.storm)
        try:
            process.use_model(open_model(monitor.model, monitor.context, monitor.source))
        except NotAModel as error:
            raise NotAModel(f"{error} `tocsin train {name}` trains one.") from error
        started = time.monotonic()
        for batch in _history(stores, monitor, name, since, until):
            process.process(batch, None)
        took = time.monotonic() - started
        counts = mine.counters.read().get(name, {})
        alarms = tuple(mine.alarms.list())
        notifications = len(mine.outbox.pending())
    return Replayed(
        int(counts.get("events", 0)), int(counts.get("anomalies", 0)), alarms, notifications, took
    )


def again(
    settings: config.Config,
    stores: Stores,
    name: str | None,
    numbers: Sequence[int] | None = None,
) -> Again:
    """Take events out of quarantine, of one monitor or all, and process them as if they came now.

    ``numbers``: those, or None for all. How late they are does not matter; all else does, and
    what is refused once more goes back with its reason. After a crash, what was processed counts
    once. Raises NotInStore, and NotAllowed while another process serves the store.
    """
    known = settings.monitors if name is None else [name]
    held = [
        each
        for each in stores.quarantine.list(name)
        if each.monitor in known and (numbers is None or each.number in numbers)
    ]
    if missing := set(numbers or ()) - {each.number for each in held}:
        told = ", ".join(map(str, sorted(missing)))
        raise NotInStore(
            f"There is no {told} in quarantine; `tocsin events --quarantine` lists it."
        )
    lease = Lease(stores.db, "up", f"{socket.gethostname()}:{os.getpid()}", _LEASE)
    if not lease.acquire():
        raise NotAllowed(
            "Events are taken out of quarantine when nothing else serves the store: end "
            "`tocsin up` first. After it was killed that takes some seconds."
        )
    counts: Counter[str] = Counter()
    try:
        for monitor in dict.fromkeys(each.monitor for each in held):
            mine = [each for each in reversed(held) if each.monitor == monitor]
            for part in _let_in(settings, stores, monitor, mine):
                counts.update(part)
                report("events", counts["taken"], len(held))
                if not lease.renew():
                    raise NotAllowed("Another process has taken over the store; the rest stays.")
    finally:
        lease.release()
    return Again(**{field: counts[field] for field in Again.__slots__})


def _let_in(
    settings: config.Config, stores: Stores, name: str, held: Sequence[Quarantined]
) -> Iterator[dict[str, int]]:
    """Process events of one monitor, and yield what became of those of each transaction."""
    monitor = settings_of(settings, name)
    # An event that was too late is let in on purpose; one ahead of the clock would make all
    # others late.
    eased = monitor.model_copy(update={"late": None})
    process = EventProcessor(name, eased, stores, settings.router(), settings.storm)
    with suppress(NotAModel):
        process.use_model(open_model(monitor.model, monitor.context, monitor.source))
    fields = getattr(monitor.source, "fields", Fields())
    size = monitor.batch.events
    for some in (held[i : i + size] for i in range(0, len(held), size)):
        now = datetime.now(UTC)
        for part in _decoded(some, fields):
            work = process.prepare(part, now)
            # What was refused before says nothing of how the model does today.
            work.alarms = [alarm for alarm in work.alarms if alarm.kind != "model"]
            process.commit(work, now)
            judged = work.decision
            yield {
                "events": len(work.batch),
                "anomalies": 0 if judged is None else int(judged.is_anomaly.sum()),
                "duplicates": work.counts["duplicate"],
                "refused": len(work.rejected),
            }
        yield {"taken": len(stores.quarantine.take([each.number for each in some]))}


def _decoded(held: Sequence[Quarantined], fields: Fields) -> Iterator[Batch]:
    """Yield events as they came; those that a monitor wrote down have fields of the usual names.

    Their ids tell them apart from what was taken out of quarantine before.
    """
    usual = Fields(largest=fields.largest)
    theirs = [_names(each.raw, fields.time) for each in held]
    for own in (True, False):
        some = [each for each, is_theirs in zip(held, theirs, strict=True) if is_theirs is own]
        if some:
            yield batch_of(
                [each.raw.encode("utf-8", "replace") for each in some],
                fields if own else usual,
                times=np.array([_micros(each.at) for each in some]),
                ids=[f"quarantine {each.number}" for each in some],
            )


def _names(raw: str, field: str) -> bool:
    """Return whether an event is no JSON object, or one with this field."""
    try:
        event = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return True
    return not isinstance(event, dict) or field in event


def _micros(time: datetime) -> np.datetime64:
    return np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "us")


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
    yield from _between(asyncio.run(from_source(monitor, MOST_TRAINED)), since, until)


def _between(
    batches: Iterable[Batch], since: datetime | None, until: datetime | None
) -> Iterator[Batch]:
    for batch in batches:
        wanted = np.ones(len(batch), dtype=bool)
        if since is not None:
            wanted &= batch.times >= _micros(since)
        if until is not None:
            wanted &= batch.times < _micros(until)
        yield chosen(batch, wanted)


async def from_source(monitor: config.Monitor, most: int) -> list[Batch]:
    """Return the first events of a source: those it gives without a pause, or in some seconds."""
    found: list[Batch] = []
    n, started = 0, time.monotonic()
    batches = cast("AsyncGenerator[Batch, None]", monitor.source.read(None))
    async with aclosing(batches):
        while n < most:
            long = time.monotonic() - started > _ENOUGH
            if long and monitor.source.live and n >= monitor.training.after:
                break
            try:
                async with asyncio.timeout(_PAUSE if n else _LONGEST_WAIT):
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
