"""The events that a monitor has seen, or that its source gives, to train on or to replay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from datetime import datetime
from typing import cast

import numpy as np

from tocsin import config
from tocsin.alarms.tracks import as_time
from tocsin.errors import InputError
from tocsin.monitor.batches import as_datetime64, chosen
from tocsin.monitor.stores import Stores
from tocsin.progress import report
from tocsin.types import Batch

MOST_READ = 200_000
"""Events at most that a model learns from where nothing else is stated."""

MOST_LEARNED = 2_000_000
"""Events at most that a model learns from where it learns from a span of time."""

_LONGEST_WAIT, _PAUSE, _ENOUGH = 30.0, 1.0, 10.0
_FEW = 100


def read_store(
    stores: Stores,
    name: str,
    *,
    newest: int | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[Batch]:
    """Yield a monitor's events of the store, as its source gave them."""
    for stored in stores.events.read(name, since=since, until=until, newest=newest):
        yield Batch(stored.frame, stored.times, entities=stored.entities)


def read_span(stores: Stores, name: str, seconds: float) -> Iterator[Batch]:
    """Yield a monitor's newest events of so many seconds, 2,000,000 at most."""
    newest = [batch.times.max() for batch in read_store(stores, name, newest=1)]
    if newest:
        since = as_time(int(max(newest).astype(np.int64) - seconds * 1e6))
        yield from read_store(stores, name, since=since, newest=MOST_LEARNED)


def read_context(stores: Stores, name: str, context: int) -> list[Batch]:
    """Return the newest stored events, ``context`` for each entity among the last ones."""
    newest = list(read_store(stores, name, newest=context))
    entities = {entity for batch in newest for entity in batch.entities or ()}
    if len(entities) < 2:
        return newest
    return list(read_store(stores, name, newest=min(context * len(entities), MOST_READ)))


def read_source(
    monitor: config.Monitor, *, most: int | None = None, enough: int = 0
) -> Iterator[Batch]:
    """Yield the events of a source from its beginning, at most so many, None for no limit.

    A live source ends when it has caught up: after a pause of a second, or 10 seconds spent on
    waiting for few events once there are ``enough``. Raises InputError for a source that cannot
    be read.
    """
    with asyncio.Runner() as runner:
        batches = cast("AsyncGenerator[Batch, None]", monitor.source.read(None))
        n, waited = 0, 0.0
        try:
            while (most is None or n < most) and (waited < _ENOUGH or n < enough):
                started = time.monotonic()
                batch = runner.run(_next(batches, monitor, _PAUSE if n else _LONGEST_WAIT))
                if batch is None:
                    return
                if monitor.source.live and len(batch) < _FEW:
                    waited += time.monotonic() - started
                n += len(batch)
                if most is not None:
                    report("reading", n, most)
                yield batch
        finally:
            runner.run(batches.aclose())


async def _next(
    batches: AsyncGenerator[Batch, None], monitor: config.Monitor, patience: float
) -> Batch | None:
    """Return the next batch, None where none comes in time. Raises InputError."""
    try:
        async with asyncio.timeout(patience):
            return await anext(batches)
    except (StopAsyncIteration, TimeoutError):
        return None
    except OSError as error:
        raise InputError(
            f"{monitor.source.describe()} cannot be read: {error}. If `tocsin up` reads "
            "it, wait until there are enough events in the store."
        ) from error


def within(
    batches: Iterable[Batch], since: datetime | None, until: datetime | None
) -> Iterator[Batch]:
    """Yield batches cut to the events from a time on, and before another."""
    for batch in batches:
        wanted = np.ones(len(batch), dtype=bool)
        if since is not None:
            wanted &= batch.times >= as_datetime64(since)
        if until is not None:
            wanted &= batch.times < as_datetime64(until)
        yield chosen(batch, wanted)
