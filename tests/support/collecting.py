"""Sources at work for tests: read here, or by a monitor in a process that can be killed."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

from tocsin.base.source import Source
from tocsin.registry import find_part
from tocsin.store.database import Database
from tocsin.store.events import EventStore
from tocsin.types import Batch, Offset

MONITOR = "m"


def taken(batches: list[Batch]) -> int:
    """How many events came, refused ones too."""
    return sum(len(batch) + len(batch.rejected) for batch in batches)


async def collect(
    source: Source,
    n: int,
    offset: Offset = None,
    *,
    acknowledge: bool = True,
    within: float = 30.0,
    after_each: Callable[[int], object] | None = None,
) -> list[Batch]:
    """Read until n events have come, each batch acknowledged at once."""
    batches: list[Batch] = []
    async with asyncio.timeout(within), aclosing(source.read(offset)) as reading:  # type: ignore[type-var]
        async for batch in reading:
            batches.append(batch)
            if acknowledge and batch.acknowledge is not None:
                await batch.acknowledge()
            if taken(batches) >= n:
                break
            if after_each is not None:
                after_each(taken(batches))
    return batches


def read(source: Source, n: int, offset: Offset = None, **options: Any) -> list[Batch]:
    """Read until n events have come, as one who has no loop."""
    return asyncio.run(collect(source, n, offset, **options))


def rows(batches: list[Batch]) -> list[dict[str, Any]]:
    """The values of all events."""
    return [row for batch in batches for row in batch.frame.to_dict("records")]


def until(condition: Callable[[], Any], what: str, within: float = 30.0) -> Any:
    """Wait until something holds, and return it."""
    end = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < end, f"in {within:g} s there was no {what}"
        time.sleep(0.05)
    return found


class Monitored:
    """A monitor of one source in a process of its own, and what it has stored."""

    def __init__(self, folder: Path, source: dict[str, Any], name: str = "store") -> None:
        self.url = f"sqlite:///{folder}/{name}.db"
        self.source = source
        self.log = folder / f"{name}-{len(list(folder.glob(f'{name}-*.log')))}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._db = Database(self.url, timeout=10.0)

    def __enter__(self) -> Monitored:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, __file__, self.url, json.dumps(self.source)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._db.close()

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stored(self, column: str) -> list[Any]:
        """The values of a column in the store."""
        store = EventStore(self._db)
        return [v for b in store.read(MONITOR) if column in b.frame for v in b.frame[column]]

    def wait(self, column: str, n: int, within: float = 60.0) -> list[Any]:
        """Wait until the store holds n different values, and return all that it holds."""
        try:
            until(lambda: len(set(self.stored(column))) >= n, f"{n} events", within)
        except AssertionError as error:
            stored = len(set(self.stored(column)))
            raise AssertionError(
                f"{error}, but {stored}:\n{self.log.read_text()[-3000:]}"
            ) from None
        return self.stored(column)


async def monitor(url: str, settings: dict[str, Any]) -> None:
    """MonitorRunner a source for ever."""
    from tocsin import config
    from tocsin.alarms.policy import Storm
    from tocsin.alarms.routing import Router
    from tocsin.monitor.event_processor import EventProcessor, Stores
    from tocsin.monitor.runner import MonitorRunner

    kind = settings.pop("type")
    source = find_part("sources", kind)(**settings)
    training = config.Training(after=10_000_000)
    monitor = config.Monitor(source=source, model=Path("none"), training=training, future=None)

    async def train(_: str) -> bool:
        return False

    with Database(url, timeout=10.0) as db:
        process = EventProcessor(MONITOR, monitor, Stores.of(db), Router((), (), ()), Storm())
        await MonitorRunner(process, train).run()


if __name__ == "__main__":
    logging.basicConfig(level="INFO")
    asyncio.run(monitor(sys.argv[1], json.loads(sys.argv[2])))
