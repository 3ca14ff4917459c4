"""Monitors for tests: a small model, a configuration, a client, processes that can be killed."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from tocsin import Pipeline, config
from tocsin.alarms.routing import Router
from tocsin.base.responder import Responder
from tocsin.monitor.event_processor import EventProcessor
from tocsin.monitor.models import open_model
from tocsin.monitor.stores import Stores
from tocsin.store.database import Database
from tocsin.types import Batch, Delivery, Notification

COLUMNS = ("a", "b", "c")
START = np.datetime64("2026-01-01", "us")


@cache
def model(detector: str = "ecod") -> Path:
    """Return the folder of a model of three columns around 0."""
    path = Path(tempfile.mkdtemp(prefix="tocsin-model-")) / "model"
    train(path, detector)
    return path


def train(path: Path, detector: str = "ecod", seed: int = 0) -> None:
    rows = np.random.default_rng(seed).normal(size=(2_000, len(COLUMNS)))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    Pipeline(detector, training="clean", false_alarms=0.001).fit(frame).save(path)


def configured(folder: Path, source: str, *, monitor: str = "", more: str = "") -> Path:
    """Write a tocsin.yaml with the monitor "m" and return its path."""
    path = folder / "tocsin.yaml"
    path.write_text(
        f"{more}\n"
        "monitors:\n"
        "  m:\n"
        f"    source: {source}\n"
        f"    model: {model()}\n"
        f"    batch: {{events: 50, wait: 5ms}}\n"
        f"{monitor}\n",
        encoding="utf-8",
    )
    return path


def stores(path: Path) -> Stores:
    """Return the stores of a configuration."""
    return Stores.of(Database(config.read(path).store.reveal()))


def process(path: Path, *, scores: bool = True, kept: Stores | None = None) -> EventProcessor:
    """Return the monitor "m" of a configuration, ready to take batches."""
    settings = config.read(path)
    router = Router(settings.policies, settings.inhibit, settings.maintenance)
    made = EventProcessor("m", settings.monitors["m"], kept or stores(path), router, settings.storm)
    if scores:
        made.use_model(open_model(settings.monitors["m"].model, 100))
    return made


def events(
    n: int, *, start: int = 0, bad: Collection[int] = (), entities: int = 4
) -> list[dict[str, Any]]:
    """Return events with ids, a second apart; those whose numbers are ``bad`` are anomalies."""
    rng = np.random.default_rng(start)
    rows = rng.normal(size=(n, len(COLUMNS))).clip(-2, 2) * 0.5
    found = []
    for i, row in enumerate(rows, start=start):
        values = row + 25.0 if i in bad else row
        found.append(
            {
                "time": str(START + np.timedelta64(i, "s")),
                "id": f"e{i}",
                "entity": f"pump {i % entities}",
                **dict(zip(COLUMNS, values.tolist(), strict=True)),
            }
        )
    return found


def batch(found: list[dict[str, Any]], *, ids: bool = True) -> Batch:
    """Return events as a source would give them."""
    from tocsin.sources._records import Fields, batch_of

    kept = found if ids else [{k: v for k, v in each.items() if k != "id"} for each in found]
    return batch_of([json.dumps(each).encode() for each in kept], Fields())


def until(done: Callable[[], Any], seconds: float = 20.0, what: str = "") -> Any:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what or done}"
        time.sleep(0.02)
    return found


class Client:
    """Sends events by TCP, and again what was not acknowledged when the server was lost."""

    def __init__(
        self, port: int, found: Sequence[dict[str, Any]], window: int = 200, patience: float = 3.0
    ) -> None:
        self.port = port
        self.lines = _encoded(found)
        self.window = window
        self.patience = patience
        self.acknowledged = 0
        self.connections = 0
        self.stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    @property
    def is_done(self) -> bool:
        return self.acknowledged == len(self.lines)

    def available(self, wanted: int) -> int:
        """Return how many lines there are to be sent, at most so many as are wanted."""
        return min(len(self.lines), wanted)

    def stop(self) -> None:
        self.stopping = True
        self._thread.join(5)

    def _run(self) -> None:
        while not self.is_done and not self.stopping:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as peer:
                    self.connections += 1
                    self._talk(peer)
            except OSError:
                time.sleep(0.02)

    def _talk(self, peer: socket.socket) -> None:
        first, sent, rest = self.acknowledged, self.acknowledged, b""
        peer.settimeout(self.patience)
        while not self.is_done and not self.stopping:
            until_ = self.available(self.acknowledged + self.window)
            if sent < until_:
                peer.sendall(b"".join(self.lines[sent:until_]))
                sent = until_
            data = peer.recv(65_536)
            if not data:
                return
            *told, rest = (rest + data).split(b"\n")
            if told:
                self.acknowledged = first + json.loads(told[-1])["kept"]


class Endless(Client):
    """Sends events for as long as nobody calls ``finish``, a thousand after the other."""

    def __init__(self, port: int, bad: Collection[int] = (), **given: Any) -> None:
        super().__init__(port, (), **given)
        self.found: list[dict[str, Any]] = []
        self.bad = bad
        self.finished = False
        self._making = threading.Lock()

    @property
    def is_done(self) -> bool:
        return self.finished and self.acknowledged == len(self.lines)

    def available(self, wanted: int) -> int:
        with self._making:
            while len(self.lines) < wanted and not self.finished:
                more = events(1_000, start=len(self.found), bad=self.bad)
                self.found += more
                self.lines += _encoded(more)
        return super().available(wanted)

    def finish(self) -> None:
        """Make no more events; those that there are will still be sent."""
        with self._making:
            self.finished = True


def _encoded(found: Sequence[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(each).encode() + b"\n" for each in found]


class Counting(Responder):
    """Counts what it is told; ``answer`` says what becomes of it."""

    def __init__(
        self, answer: Callable[[Notification], Delivery] | None = None, **given: Any
    ) -> None:
        super().__init__(**given)
        object.__setattr__(self, "notifications", [])
        object.__setattr__(self, "answer", answer or (lambda _: Delivery("delivered")))

    def respond(self, notification: Notification) -> Delivery:
        self.notifications.append(notification)  # type: ignore[attr-defined]
        return self.answer(notification)  # type: ignore[attr-defined, no-any-return]


_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["tocsin.monitor.supervisor", "tocsin.sources.socket", "tocsin.sources.file", "sklearn.base"]
)


def serve(path: str, log: str, lease: float) -> None:
    """Run ``tocsin up`` without the command line."""
    from tocsin.monitor import runner, supervisor

    logging.basicConfig(filename=log, level=logging.INFO)
    supervisor._LEASE, supervisor._REST = lease, 1.0
    runner._MODEL_EVERY, runner._FIRST_TRAIN_PAUSE = 0.2, 0.5

    async def run() -> None:
        running = supervisor.Supervisor(Path(path))
        running.handle_signals()
        await running.run()

    asyncio.run(run())


def start(path: Path, *, lease: float = 0.6) -> BaseProcess:
    """Start a process that watches, from a server that has imported all."""
    log = path.with_suffix(".log")
    started = _CONTEXT.Process(target=serve, args=(str(path), str(log), lease), daemon=True)
    started.start()
    return started


@contextmanager
def running(path: Path, **given: Any) -> Iterator[BaseProcess]:
    """A process that watches, ended at the end."""
    started = start(path, **given)
    try:
        yield started
    finally:
        started.kill()
        started.join()


def said(path: Path) -> str:
    """Return what a process has logged."""
    log = path.with_suffix(".log")
    return log.read_text() if log.exists() else ""


def told(kept: Stores) -> list[tuple[Any, ...]]:
    """Return what matters of all alarms about events."""
    return sorted(
        (a.id, a.entity, a.opened, a.closed, a.events, a.anomalies, a.severity, a.state)
        for a in kept.alarms.list()
        if a.kind in ("anomaly", "storm")
    )


def stored(kept: Stores) -> list[str]:
    """Return the ids of all stored events, in their order."""
    return [id for each in kept.events.read("m") for id in each.ids or ()]
