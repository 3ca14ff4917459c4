"""One monitor at work: reads its source, processes batches, follows its model."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, TypeVar, cast

from tocsin import config
from tocsin.alarms.conditions import no_data
from tocsin.alarms.lifecycle import end
from tocsin.errors import NotAllowed, NotAModel, StoreUnavailable, TocsinError
from tocsin.monitor.admission import PreparedBatch
from tocsin.monitor.batches import merge
from tocsin.monitor.event_processor import EventProcessor
from tocsin.monitor.models import open_model_of
from tocsin.monitor.poisoned import without_poisoned
from tocsin.monitor.training import is_due
from tocsin.store.folder import fingerprint
from tocsin.types import Alarm, Batch

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
_LONGEST_WAIT = 5.0
_MODEL_EVERY = 2.0
_FIRST_TRAIN_PAUSE, _LONGEST_TRAIN_PAUSE = 60.0, 3_600.0
_SILENCE_EVERY = 0.5

_Out = TypeVar("_Out")

Trainer = Callable[[str], Awaitable[bool]]
"""Trains the model of the monitor of a name, and returns whether that worked."""


class MonitorRunner:
    """Runs a monitor until it is stopped, or its source ends.

    A source that fails is read again from the committed offset, after a growing pause; while the
    store is unavailable, the source has to wait. Nothing is acknowledged before it is committed.
    """

    def __init__(self, processor: EventProcessor, train: Trainer) -> None:
        self.processor = processor
        self.name = processor.name
        self.settings: config.Monitor = processor.settings
        self._silence = _silence(processor)
        # By a clock that nobody sets; a silence that began in an earlier run goes on.
        self._heard = time.monotonic() if self._silence is None else -math.inf
        self._train = train
        self._queue: asyncio.Queue[Batch | None] = asyncio.Queue(self.settings.queue)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"monitor-{self.name}")
        self._between = asyncio.Lock()  # held while a batch is processed
        self._stopping = asyncio.Event()
        self._model: str | None = None
        self._unusable: str | None = None
        self._train_pause = _FIRST_TRAIN_PAUSE
        self._train_from = -math.inf  # by the clock of ``time.monotonic``

    async def run(self) -> None:
        """Collect, process and follow the model, until the source ends or ``stop``."""
        tasks: list[asyncio.Task[Any]] = []

        def begin(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
            tasks.append(asyncio.create_task(work, name=self.name))
            return tasks[-1]

        try:
            await self._switch_model()
            # The first of the three to end decides: the source, a fault, or a request to stop.
            work, stopping = begin(self._work()), begin(self._stopping.wait())
            collect = begin(self._collect())
            begin(self._follow_model())
            begin(self._watch_silence())
            await asyncio.wait([collect, work, stopping], return_when=asyncio.FIRST_COMPLETED)
            # What is queued is still processed, and the source stays open, since acknowledging may
            # need it. If the work has failed, nobody takes the last entry: hence both waits.
            last = begin(self._queue.put(None))
            await asyncio.wait([last, work], return_when=asyncio.FIRST_COMPLETED)
            await work
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(self._thread.shutdown)

    def stop(self) -> None:
        """Stop reading; what is queued is still processed."""
        self._stopping.set()

    async def _watch_silence(self) -> None:
        while True:
            await asyncio.sleep(_SILENCE_EVERY)
            try:
                await self._check_silence()
            except StoreUnavailable as error:
                log.warning("%s: %s", self.name, error)
            except Exception:
                log.exception("%s: silence could not be checked", self.name)

    async def _check_silence(self) -> None:
        """Raise an alarm when the source is silent for too long, and end it when events come.

        A source that has to wait is not silent.
        """
        limit, now = self.settings.longest_silence, datetime.now(UTC)
        lasts = time.monotonic() - self._heard
        silent = limit is not None and lasts > limit
        if silent == (self._silence is not None) or (silent and self._queue.full()):
            return
        if self._silence is not None:
            alarm = end(self._silence, now)
        else:
            last, labels = now - timedelta(seconds=lasts), self.settings.alarms.labels
            alarm = no_data(self.name, last, now, labels=labels)
        async with self._between:
            await self._in_thread(self.processor.tick, [alarm], now)
        self._silence = alarm if silent else None

    async def _collect(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                offset = await asyncio.to_thread(self.processor.stores.events.offset, self.name)
                async with aclosing(_generator(self.settings.source.read(offset))) as batches:
                    async for batch in batches:
                        await self._queue.put(batch)
                        pause = _FIRST_PAUSE
                        if len(batch):
                            self._heard = time.monotonic()
                if not self.settings.source.live:
                    return
                log.warning("%s: the source ended and is read again", self.name)
            except (TocsinError, OSError) as error:
                log.error("%s: %s Reading again in %.1f s.", self.name, error, pause)
            except Exception:
                log.exception("%s: the source failed; reading again in %.1f s", self.name, pause)
            await self._queue.join()  # so that the offset covers all that was read
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _work(self) -> None:
        ended = False
        while not ended:
            batches, ended = await self._gather()
            for _, alike in groupby(batches, key=_is_anonymous):
                await self._process(list(alike))
            for _ in range(len(batches) + ended):
                self._queue.task_done()

    async def _gather(self) -> tuple[list[Batch], bool]:
        """Return the batches to process as one, and whether the source has ended.

        They are those that come within ``batch.wait``, until there are ``batch.events`` events.
        """
        first = await self._queue.get()
        if first is None:
            return [], True
        batches, n = [first], len(first)
        deadline = time.monotonic() + self.settings.batch.wait
        while n < self.settings.batch.events:
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    batch = await self._queue.get()
            except TimeoutError:
                break
            if batch is None:
                return batches, True
            batches.append(batch)
            n += len(batch)
        return batches, False

    async def _process(self, batches: list[Batch]) -> None:
        """Process batches as one, and acknowledge each."""
        now = datetime.now(UTC)
        async with self._between:
            await self._commit(merge(batches), now)
        for batch in batches:
            if batch.acknowledge is not None:
                try:
                    await batch.acknowledge()
                except Exception as error:  # noqa: BLE001 - all is committed; it comes again
                    log.warning("%s: the source could not be acknowledged: %s", self.name, error)

    async def _commit(self, batch: Batch, now: datetime) -> None:
        """Prepare and commit a batch in the monitor's thread, repeatedly while the store fails."""
        prepared: list[PreparedBatch] = []  # prepared once, however often a commit is tried
        cleared = False

        def step() -> None:
            if not prepared:
                prepared.append(self.processor.prepare(batch, now))
            self.processor.commit(prepared[0], now)

        pause = _FIRST_PAUSE
        while True:
            try:
                return await self._in_thread(step)
            except StoreUnavailable as error:
                log.warning("%s: %s Trying again in %.1f s.", self.name, error, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_WAIT)
            except Exception as error:
                # A batch that fails again without the events at fault is a fault of Tocsin.
                if cleared or isinstance(error, NotAllowed):
                    raise
                log.warning("%s: events cannot be processed: %r", self.name, error)
                batch, cleared = await self._without_poisoned(batch, now), True
                prepared.clear()

    async def _without_poisoned(self, batch: Batch, now: datetime) -> Batch:
        """Return a batch without the events that cannot be processed; waits for the store."""
        while True:
            try:
                return await self._in_thread(without_poisoned, self.processor, batch, now)
            except StoreUnavailable as error:
                log.warning("%s: %s", self.name, error)
                await asyncio.sleep(_LONGEST_WAIT)

    async def _in_thread(self, step: Callable[..., _Out], *given: Any) -> _Out:
        return await asyncio.get_running_loop().run_in_executor(self._thread, step, *given)

    async def _follow_model(self) -> None:
        while True:
            await asyncio.sleep(_MODEL_EVERY)
            try:
                await self._train_if_due(trained=await self._switch_model())
            except StoreUnavailable as error:
                log.warning("%s: %s", self.name, error)
            except Exception:
                log.exception("%s: the model could not be checked", self.name)

    async def _switch_model(self) -> bool:
        """Switch to the model on disk if it has changed; return whether there is one at all.

        One that cannot be used is logged once, and the one before stays in use.
        """
        path = self.settings.model
        wanted = None
        try:
            wanted = fingerprint(path)
            if wanted in (self._model, self._unusable):
                return True
            scorer = await asyncio.to_thread(open_model_of, self.settings)
            if fingerprint(path) != wanted:
                return True  # it was replaced meanwhile: the next look takes it
        except NotAModel:
            return self._model is not None
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the old one stays
            reason = wanted or str(error)
            if reason != self._unusable:
                log.error("%s: the model cannot be used: %s", self.name, error)
            self._unusable = reason
            return True
        async with self._between:
            await self._in_thread(self.processor.use_model, scorer)
        self._model, self._unusable = wanted, None
        log.info("%s: scored by %s", self.name, scorer.name)
        return True

    async def _train_if_due(self, *, trained: bool) -> None:
        """Train the first model once there are enough events, and again as the settings state.

        Where that fails it is tried again, after pauses that double from a minute to an hour.
        """
        if time.monotonic() < self._train_from:
            return
        if trained:
            newest = self.processor.episodes.newest
            if not await asyncio.to_thread(is_due, self.settings, newest):
                return
        else:
            seen = await asyncio.to_thread(self.processor.stores.events.count, self.name)
            if seen < self.settings.training.after:
                return
        if await self._train(self.name):
            self._train_pause = _FIRST_TRAIN_PAUSE
        else:
            self._train_from = time.monotonic() + self._train_pause
            self._train_pause = min(2 * self._train_pause, _LONGEST_TRAIN_PAUSE)


def _silence(processor: EventProcessor) -> Alarm | None:
    """Return the alarm "no data" that an earlier run left open."""
    found = processor.stores.alarms.open(processor.name)
    return next((alarm for alarm in found if alarm.kind == "no data" and not alarm.entity), None)


def _is_anonymous(batch: Batch) -> bool:
    """Return whether a batch holds events without ids, so that it cannot be merged with others."""
    return len(batch) > 0 and batch.ids is None


def _generator(batches: AsyncIterator[Batch]) -> AsyncGenerator[Batch, None]:
    """Return what ``read`` returns as the generator that it is, so that it can be closed."""
    return cast("AsyncGenerator[Batch, None]", batches)
