"""The events that a monitor has seen, or that its source gives, to train on or to replay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from datetime import datetime
from typing import cast

import numpy as np

from tocsin import config
from tocsin.errors import InputError
from tocsin.monitor.batches import as_datetime64, chosen
from tocsin.monitor.stores import Stores
from tocsin.progress import report
from tocsin.types import Batch

MOST_READ = 200_000
"""Events at most that are read at once, the newest ones of a store, the first of a source."""

_LONGEST_WAIT, _PAUSE, _ENOUGH = 30.0, 1.0, 10.0


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


def read_context(stores: Stores, name: str, context: int) -> list[Batch]:
    """Return the newest stored events, ``context`` for each entity among the last ones."""
    newest = list(read_store(stores, name, newest=context))
    entities = {entity for batch in newest for entity in batch.entities or ()}
    if len(entities) < 2:
        return newest
    return list(read_store(stores, name, newest=min(context * len(entities), MOST_READ)))


def read_source(monitor: config.Monitor) -> list[Batch]:
    """Return the first events of a source, those that it gives without a pause or within seconds.

    Raises InputError for a source that cannot be read.
    """
    return asyncio.run(_first_batches(monitor))


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


async def _first_batches(monitor: config.Monitor) -> list[Batch]:
    found: list[Batch] = []
    n, started = 0, time.monotonic()
    batches = cast("AsyncGenerator[Batch, None]", monitor.source.read(None))
    async with aclosing(batches):
        while n < MOST_READ:
            # A live source never ends: once there is enough to train on, no longer than that.
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
                    "it, wait until there are enough events in the store."
                ) from error
            found.append(batch)
            n += len(batch)
            report("reading", n, MOST_READ)
    return found
