"""One monitor at work: its source is read, its batches are processed, its model is kept fresh."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TypeVar, cast

from tocsin import config
from tocsin.alarms.conditions import no_data
from tocsin.alarms.lifecycle import end
from tocsin.errors import ModelFolderError, NotAModel, StoreUnavailable, TocsinError
from tocsin.monitor.process import Process, merge
from tocsin.monitor.scoring import open_model
from tocsin.store.folder import fingerprint
from tocsin.types import Alarm, Batch

log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 30.0
_MODEL_EVERY = 2.0

_In = TypeVar("_In")
_Out = TypeVar("_Out")

Trainer = Callable[[str], Awaitable[bool]]
"""Trains the model of the monitor named, and returns whether there is one now."""


class Watch:
    """Runs a monitor until it is stopped, or its source ends.

    A source that fails is read again from the committed offset, after a pause that grows; a store
    that is away holds the source up. Nothing is acknowledged before it is committed.
    """

    def __init__(self, process: Process, train: Trainer) -> None:
        self.process = process
        self.name = process.name
        self.settings: config.Monitor = process.settings
        self._heard = datetime.now(UTC)
        self._silence = _silence(process)
        self._train = train
        self._queue: asyncio.Queue[Batch | None] = asyncio.Queue(self.settings.queue)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"monitor-{self.name}")
        self._trained: str | None = None
        self._refused: str | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Collect, process and look after the model, until the source ends or ``stop``."""
        await self._refresh_model()
        work = asyncio.create_task(self._work(), name=f"work {self.name}")
        keep = asyncio.create_task(self._keep_model(), name=f"model {self.name}")
        collect = asyncio.create_task(self._collect(), name=f"collect {self.name}")
        self._tasks = [collect, keep, work]
        try:
            await asyncio.wait([collect, work], return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
            await self._queue.put(None)
            await work
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._thread.shutdown(wait=True)

    async def stop(self) -> None:
        """Stop reading; what is queued is still processed."""
        for task in self._tasks[:1]:
            task.cancel()

    async def mind_silence(self, now: datetime) -> None:
        """Raise an alarm when the source is silent for too long, and end it when it speaks."""
        limit = self.settings.no_data
        if limit is None:
            return
        silent = (now - self._heard).total_seconds() > limit
        if silent == (self._silence is not None):
            return
        if self._silence is not None:
            alarm = end(self._silence, now)
        else:
            labels = self.settings.alarms.labels
            alarm = no_data(self.name, self._heard, now, labels=labels)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self.process.tick, [alarm], now)
        self._silence = alarm if silent else None

    async def _collect(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                offset = await asyncio.to_thread(self.process.stores.events.offset, self.name)
                async with aclosing(_generator(self.settings.source.read(offset))) as batches:
                    async for batch in batches:
                        await self._queue.put(batch)
                        pause = _FIRST_PAUSE
                        if len(batch):
                            self._heard = datetime.now(UTC)
                if not self.settings.source.live:
                    return
                log.warning("%s: the source ended; it is read again", self.name)
            except TocsinError as error:
                log.error("%s: %s Read again in %.0f s.", self.name, error, pause)
            except Exception:
                log.exception("%s: the source failed; read again in %.0f s", self.name, pause)
            await self._queue.join()  # so that the offset is that of all that was read
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _work(self) -> None:
        ended = False
        while not ended:
            batches, ended = await self._gather()
            if batches:
                await self._processed(merge(batches))
            for _ in range(len(batches) + ended):
                self._queue.task_done()

    async def _gather(self) -> tuple[list[Batch], bool]:
        """Return the batches of one step: those there are, up to so many events or so long."""
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

    async def _processed(self, batch: Batch) -> None:
        now = datetime.now(UTC)
        work = await self._until_kept(self.process.prepare, batch, now)
        await self._until_kept(self.process.keep, work, now)
        if batch.acknowledge is not None:
            try:
                await batch.acknowledge()
            except (OSError, TocsinError) as error:
                log.warning("%s: the source was not told of what is kept: %s", self.name, error)

    async def _until_kept(
        self, step: Callable[[_In, datetime], _Out], given: _In, now: datetime
    ) -> _Out:
        """Take a step in the monitor's thread, again and again while the store is away."""
        loop, pause = asyncio.get_running_loop(), _FIRST_PAUSE
        while True:
            try:
                return await loop.run_in_executor(self._thread, step, given, now)
            except StoreUnavailable as error:
                log.warning("%s: %s Tried again in %.1f s.", self.name, error, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE / 6)

    async def _keep_model(self) -> None:
        while True:
            await asyncio.sleep(_MODEL_EVERY)
            try:
                await self._refresh_model()
            except StoreUnavailable as error:
                log.warning("%s: %s", self.name, error)
            except Exception:
                log.exception("%s: the model could not be looked after", self.name)

    async def _refresh_model(self) -> None:
        """Train the first model once there are events enough; switch to one that has changed."""
        path = self.settings.model
        try:
            wanted = fingerprint(path)
        except NotAModel:
            await self._train_first()
            return
        except ModelFolderError as error:
            self._refuse_model(str(error))
            return
        if wanted in (self._trained, self._refused):
            return
        loop = asyncio.get_running_loop()
        try:
            scorer = await asyncio.to_thread(open_model, path, self.settings.context)
        except TocsinError as error:
            self._refuse_model(str(error))
            self._refused = wanted
            return
        await loop.run_in_executor(self._thread, self.process.serve, scorer)
        self._trained = wanted
        log.info("%s: scores by %s", self.name, scorer.name)

    async def _train_first(self) -> None:
        if self._trained is not None or self._refused == "training":
            return
        seen = await asyncio.to_thread(self.process.stores.events.count, self.name)
        if seen >= self.settings.training.after and not await self._train(self.name):
            self._refused = "training"

    def _refuse_model(self, reason: str) -> None:
        if self._refused is None:
            log.error("%s: the model is not taken: %s", self.name, reason)


def _silence(process: Process) -> Alarm | None:
    """Return the alarm "no data" that is open since an earlier run."""
    found = process.stores.alarms.open(process.name)
    return next((alarm for alarm in found if alarm.kind == "no data"), None)


def _generator(batches: AsyncIterator[Batch]) -> AsyncGenerator[Batch, None]:
    """Return what ``read`` gives as the generator that it is, so that it can be closed."""
    return cast("AsyncGenerator[Batch, None]", batches)
