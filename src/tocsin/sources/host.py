"""The machine that Tocsin runs on: processor, memory, disks and network, every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import ClassVar

import numpy as np
import pandas as pd
import psutil
from pydantic import Field

from tocsin.base.source import Source
from tocsin.settings import Duration
from tocsin.types import Batch, Offset


class Host(Source):
    """The machine itself through psutil, which needs no setting: an event ``every`` so long.

    Columns: ``cpu_percent``, ``load`` (runnable tasks a core, of the last minute),
    ``memory_percent``, ``processes``, and by the second: bytes ``disk_read``, ``disk_written`` and
    ``disk_filled`` (by how much the use of ``disk`` grew), ``swapped``, ``net_received`` and
    ``net_sent``, and ``context_switches``. Slow levels, such as how full a disk is, are left out:
    they drift beyond what any training has seen. What a system does not tell is 0. The entity is
    the name of the machine. What happened while it did not run is not known: there is no offset.
    """

    ordered: ClassVar[bool] = True

    every: Duration = Field(5.0, ge=0.05)
    disk: str = "/"

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield one event at a time, for ever."""
        import platform

        name = (platform.node() or "host",)
        psutil.cpu_percent()
        before, at = self._totals(), time.monotonic()
        due = at
        while True:
            due = max(due + self.every, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            now, after = time.monotonic(), self._totals()
            rates = {key: (after[key] - before[key]) / (now - at) for key in after}
            before, at = after, now
            row = {**_levels(), **rates}
            clock = np.array([datetime.now(UTC).replace(tzinfo=None)], dtype="datetime64[us]")
            yield Batch(pd.DataFrame([row]), clock, entities=name)

    def describe(self) -> str:
        """Return what is watched."""
        return f"this machine, every {self.every:g} s"

    def _totals(self) -> dict[str, float]:
        """Return counters, of which the change is told."""
        disk, net, swap = psutil.disk_io_counters(), psutil.net_io_counters(), psutil.swap_memory()
        return {
            "disk_read": float(disk.read_bytes if disk else 0),
            "disk_written": float(disk.write_bytes if disk else 0),
            "disk_filled": float(psutil.disk_usage(self.disk).used),
            "swapped": float(swap.sin + swap.sout),
            "net_received": float(net.bytes_recv if net else 0),
            "net_sent": float(net.bytes_sent if net else 0),
            "context_switches": float(psutil.cpu_stats().ctx_switches),
        }


def _levels() -> dict[str, float]:
    return {
        "cpu_percent": psutil.cpu_percent(),
        "load": psutil.getloadavg()[0] / (psutil.cpu_count() or 1),
        "memory_percent": psutil.virtual_memory().percent,
        "processes": float(len(psutil.pids())),
    }
