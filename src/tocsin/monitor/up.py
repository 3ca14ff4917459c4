"""The running system: monitors, dispatchers and housekeeping in one asyncio loop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tocsin import config, registry
from tocsin.alarms.routing import Router
from tocsin.base.responder import Responder
from tocsin.errors import ConfigError, Refused, StoreUnavailable, TocsinError
from tocsin.monitor.dispatch import Dispatcher
from tocsin.monitor.process import Process
from tocsin.monitor.stores import Stores
from tocsin.monitor.watch import Watch
from tocsin.store.database import Database
from tocsin.store.leases import Lease

log = logging.getLogger(__name__)

_LEASE = 15.0
_RETAIN_EVERY = 3_600.0
_DRAIN = 20.0


class Up:
    """Runs all that a configuration says, until every source ends or ``stop``.

    One process at a time serves a store: a second one waits for the lease of the first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = config.read(path)
        self.stores = Stores.of(Database(self.config.store))
        self._router = _router(self.config)
        self._watches: dict[str, tuple[Watch, asyncio.Task[None]]] = {}
        self._dispatchers: dict[str, tuple[Responder, asyncio.Task[None]]] = {}
        self._stopping = asyncio.Event()
        self._retained = time.monotonic()

    async def run(self) -> None:
        """Run until stopped; raises Refused when another process keeps the store."""
        lease = await self._leased()
        try:
            self._start()
            while not self._stopping.is_set() and self._watches:
                await self._step(lease)
                try:
                    await asyncio.wait_for(self._stopping.wait(), 1.0)
                except TimeoutError:
                    continue
        finally:
            await self._end()
            lease.release()
            self.stores.db.close()

    def stop(self) -> None:
        """Stop reading, process what is queued, and end."""
        self._stopping.set()

    def reload(self) -> None:
        """Read the configuration again, and change what has changed; nothing, if it is wrong."""
        try:
            fresh = config.read(self.path)
        except ConfigError as error:
            log.error("The configuration is kept as it was. %s", error)
            return
        if fresh.store != self.config.store:
            log.error("The store cannot change while Tocsin runs; the rest is taken over.")
        changed = {
            name for name, each in self.config.monitors.items() if fresh.monitors.get(name) != each
        }
        self.config, self._router = fresh, _router(fresh)
        asyncio.get_running_loop().create_task(self._restart(changed))

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
        while not lease.acquire():
            if self._stopping.is_set():
                raise Refused(f"Another process serves {self.config.store}; stopped waiting.")
            if not waited:
                log.warning("Another process serves this store; waiting for it to end.")
            waited = True
            await asyncio.sleep(1.0)
        return lease

    def _start(self) -> None:
        """Start the monitors and dispatchers that do not run yet."""
        for name, settings in self.config.monitors.items():
            if name not in self._watches:
                process = Process(name, settings, self.stores, self._router, self.config.storm)
                watch = Watch(process, self._train)
                self._watches[name] = watch, _supervised(watch.run, f"monitor {name}")
                log.info("%s: watches %s", name, settings.source.describe())
        for name, responder in responders_of(self.config).items():
            if name not in self._dispatchers:
                run = Dispatcher(name, responder, self.stores, self._router).run
                self._dispatchers[name] = responder, _supervised(run, f"responder {name}")

    async def _restart(self, changed: set[str]) -> None:
        for name in changed & set(self._watches):
            await self._stop_watch(name)
        for watch, _ in self._watches.values():
            watch.process.router = self._router
        for _, task in self._dispatchers.values():
            task.cancel()
        self._dispatchers.clear()
        self._start()
        log.info("The configuration was read again: %d monitors changed", len(changed))

    async def _step(self, lease: Lease) -> None:
        """Look after everything once a second; a store that is away is waited for."""
        try:
            if not await asyncio.to_thread(lease.renew):
                log.error("Another process has taken over this store; this one stops.")
                self.stop()
            await self._look_for_silence()
            if time.monotonic() - self._retained > _RETAIN_EVERY:
                self._retained = time.monotonic()
                await asyncio.to_thread(self._retain)
        except StoreUnavailable as error:
            log.warning("The store is away: %s", error)
        for name in [name for name, (_, task) in self._watches.items() if task.done()]:
            del self._watches[name]

    async def _look_for_silence(self) -> None:
        for watch, _ in list(self._watches.values()):
            await watch.mind_silence(datetime.now(UTC))

    def _retain(self) -> None:
        before = datetime.now(UTC) - timedelta(seconds=self.config.retention.events)
        for name in self.config.monitors:
            self.stores.events.retain(name, before, self.config.retention.archive)
        self.stores.outbox.prune(before)
        self.stores.quarantine.prune(before)

    async def _train(self, name: str) -> bool:
        """Train a monitor's model in a process of its own, so that this one stays small."""
        log.info("%s: trains its model from the events so far", name)
        command = [sys.executable, "-m", "tocsin", "train", name, "--config", str(self.path)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        told, _ = await process.communicate()
        said = told.decode(errors="replace").strip()
        if process.returncode:
            log.error("%s: training failed: %s", name, said)
        else:
            log.info("%s: %s", name, said)
        return process.returncode == 0

    async def _stop_watch(self, name: str) -> None:
        watch, task = self._watches.pop(name)
        await watch.stop()
        done, _ = await asyncio.wait([task], timeout=_DRAIN)
        if not done:
            task.cancel()

    async def _end(self) -> None:
        for name in list(self._watches):
            await self._stop_watch(name)
        for _, task in self._dispatchers.values():
            task.cancel()
        await asyncio.gather(
            *(task for _, task in self._dispatchers.values()), return_exceptions=True
        )


def responders_of(settings: config.Config) -> dict[str, Responder]:
    """Return the responders by name, with the console where none has that name."""
    own = dict(settings.responders)
    if "console" not in own:
        own["console"] = registry.find_part("responders", "console")()
    return own


def _router(settings: config.Config) -> Router:
    return Router(settings.policies, settings.inhibit, settings.maintenance)


def _supervised(run: Callable[[], Coroutine[Any, Any, None]], what: str) -> asyncio.Task[None]:
    async def logged() -> None:
        try:
            await run()
        except TocsinError as error:
            log.error("%s ended: %s", what, error)
        except Exception:
            log.exception("%s ended by a fault of Tocsin", what)

    return asyncio.create_task(logged(), name=what)
