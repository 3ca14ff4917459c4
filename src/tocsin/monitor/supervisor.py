"""The running system: monitors, dispatchers and housekeeping in one asyncio loop."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tocsin import config, registry
from tocsin.base.responder import Responder
from tocsin.errors import NotAllowed, StoreUnavailable, TocsinError
from tocsin.monitor.dispatch import Dispatcher
from tocsin.monitor.event_processor import EventProcessor
from tocsin.monitor.runner import MonitorRunner
from tocsin.monitor.stores import Stores
from tocsin.store.database import Database
from tocsin.store.leases import Lease

log = logging.getLogger(__name__)

_LEASE = 15.0
_LOOK_EVERY = 1.0
_TIDY_EVERY = 3_600.0
_REST = 30.0
_DRAIN = 20.0


class Supervisor:
    """Runs all that a configuration states, until every source ends or ``stop``.

    One process at a time serves a store: a second one waits for the lease of the first. A monitor
    that fails starts again from the store after a pause, as after a crash.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = config.read(path)
        self.stores = Stores.of(Database(self.config.store.reveal()))
        self._router = self.config.router()
        self._runners: dict[str, tuple[MonitorRunner, asyncio.Task[bool]]] = {}
        self._dispatchers: dict[str, tuple[Dispatcher, asyncio.Task[bool]]] = {}
        self._ended: set[str] = set()
        self._rests: dict[str, float] = {}
        self._untrained: dict[str, str] = {}  # why training failed last
        self._stopping = False
        self._reloading = False
        self._wake = asyncio.Event()

    async def run(self) -> None:
        """Run until stopped. Raises NotAllowed if another process serves the store until then."""
        lease = await self._leased()
        gc.freeze()  # imported modules stay: the collector need not visit them again and again
        helpers = [asyncio.create_task(work) for work in (self._hold(lease), self._tidy())]
        try:
            while not self._stopping and not self._ended >= set(self.config.monitors):
                if self._reloading:
                    self._reloading = False
                    await self._reload()
                self._start()
                self._wake.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), _LOOK_EVERY)
                self._remove_ended()
        finally:
            await self._end()
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            with suppress(StoreUnavailable):
                lease.release()
            self.stores.db.close()

    def stop(self) -> None:
        """Stop reading, process what is queued, and end."""
        self._stopping = True
        self._wake.set()

    def reload(self) -> None:
        """Read the configuration again and apply what has changed, nothing if it is invalid."""
        self._reloading = True
        self._wake.set()

    def handle_signals(self) -> None:
        """Stop at SIGINT and SIGTERM, reload at SIGHUP."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        if hasattr(signal, "SIGHUP"):
            loop.add_signal_handler(signal.SIGHUP, self.reload)

    async def _leased(self) -> Lease:
        holder = f"{socket.gethostname()}:{os.getpid()}"
        lease = Lease(self.stores.db, "up", holder, _LEASE)
        waited = False
        while not await self._holds(lease):
            if self._stopping:
                raise NotAllowed(f"Another process serves {self.stores.db.url}; stopped waiting.")
            if not waited:
                log.warning("Another process serves this store; waiting for it to end.")
            waited = True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), min(1.0, _LEASE / 3))
        return lease

    async def _holds(self, lease: Lease) -> bool | None:
        """Acquire or extend the lease; None if the store is unavailable, so that nobody knows."""
        try:
            return await asyncio.to_thread(lease.acquire)
        except StoreUnavailable as error:
            log.warning("The store is unavailable: %s", error)
            return None

    async def _hold(self, lease: Lease) -> None:
        while await self._holds(lease) is not False:
            await asyncio.sleep(_LEASE / 3)
        log.error("Another process has taken over this store; this one stops.")
        self.stop()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_EVERY)
            try:
                await asyncio.to_thread(self._retain)
            except TocsinError as error:
                log.warning("Old events could not be removed: %s", error)
            except Exception:
                log.exception("Old events could not be removed")

    def _retain(self) -> None:
        before = datetime.now(UTC) - timedelta(seconds=self.config.retention.events)
        for name in self.config.monitors:
            self.stores.events.retain(name, before, self.config.retention.archive)
        self.stores.outbox.prune(before)
        self.stores.quarantine.prune(before)

    def _start(self) -> None:
        """Start the monitors and dispatchers that are not running."""
        now = time.monotonic()
        for name, settings in self.config.monitors.items():
            if name in self._runners or name in self._ended or self._rests.get(name, now) > now:
                continue
            try:
                processor = EventProcessor(
                    name, settings, self.stores, self._router, self.config.storm
                )
                runner = MonitorRunner(processor, self._train)
            except TocsinError as error:
                log.error("monitor %s cannot start: %s", name, error)
                self._rests[name] = now + _REST
                continue
            self._runners[name] = runner, _start_logged(runner.run, f"monitor {name}")
            log.info("%s: watching %s", name, settings.source.describe())
        for name, responder in responders_of(self.config).items():
            if name not in self._dispatchers:
                dispatcher = Dispatcher(name, responder, self.stores, self._router)
                running = _start_logged(dispatcher.run, f"responder {name}")
                self._dispatchers[name] = dispatcher, running

    def _remove_ended(self) -> None:
        """Remove the monitors that have ended; those that failed start again after a pause."""
        for name, (_, task) in list(self._runners.items()):
            if task.done():
                del self._runners[name]
                if task.result():
                    self._ended.add(name)
                else:
                    self._rests[name] = time.monotonic() + _REST

    async def _reload(self) -> None:
        try:
            fresh = config.read(self.path)
        except TocsinError as error:
            log.error("The configuration stays as it was. %s", error)
            return
        old = self.config
        if fresh.store != old.store:
            log.error("The store cannot change while Tocsin runs; all other changes are applied.")
            fresh = fresh.model_copy(update={"store": old.store})
        changed = {
            name
            for name, each in old.monitors.items()
            if fresh.monitors.get(name) != each or fresh.storm != old.storm
        }
        responders = responders_of(fresh)
        stale = {
            name
            for name, (running, _) in self._dispatchers.items()
            if responders.get(name) != running.responder
        }
        await _stopped([self._runners.pop(name) for name in changed & set(self._runners)])
        await _stopped([self._dispatchers.pop(name) for name in stale])
        self.config, self._router = fresh, fresh.router()
        self._ended -= changed
        self._rests.clear()
        for runner, _ in self._runners.values():
            runner.processor.router = self._router
        for dispatcher, _ in self._dispatchers.values():
            dispatcher.router = self._router
        log.info("The configuration was read again: %d monitors changed", len(changed))

    async def _train(self, name: str) -> bool:
        """Train a monitor's model in another process, so that this one stays small."""
        if not self._untrained.get(name):
            log.info("%s: training a model on the events so far", name)
        command = [sys.executable, "-m", "tocsin", "train", name, "--config", str(self.path)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.terminate()
        message = output.decode(errors="replace").strip()
        if not process.returncode:
            for line in message.split("\n"):
                log.info("%s: %s", name, line)
        elif self._untrained.get(name) != message:  # the same reason is told once
            for line in message.split("\n"):
                log.error("%s: training failed, and is tried again later: %s", name, line)
        self._untrained[name] = message if process.returncode else ""
        return process.returncode == 0

    async def _end(self) -> None:
        await _stopped(list(self._runners.values()))
        await _stopped(list(self._dispatchers.values()))


async def _stopped(
    running: Sequence[tuple[MonitorRunner | Dispatcher, asyncio.Task[bool]]],
) -> None:
    """Stop runners or dispatchers; they finish what they have begun if that takes no longer."""
    for each, _ in running:
        each.stop()
    tasks = [task for _, task in running]
    if tasks:
        await asyncio.wait(tasks, timeout=_DRAIN)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def responders_of(settings: config.Config) -> dict[str, Responder]:
    """Return the responders by name, with the console where none has that name."""
    own = dict(settings.responders)
    if "console" not in own:
        own["console"] = registry.find_part("responders", "console")()
    return own


def _start_logged(run: Callable[[], Coroutine[Any, Any, None]], what: str) -> asyncio.Task[bool]:
    """Start a task whose result is whether it ended without an error."""

    async def logged() -> bool:
        try:
            await run()
        except TocsinError as error:
            log.error("%s ended: %s", what, error)
            return False
        except Exception:
            log.exception("%s ended by an internal error (please report it)", what)
            return False
        return True

    return asyncio.create_task(logged(), name=what)
