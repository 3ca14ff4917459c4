"""The machine that Tocsin runs on: processor, memory, disks and network, every few seconds."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import psutil
from pydantic import Field

from tocsin.base.source import Source
from tocsin.settings import Duration
from tocsin.types import Batch, Offset

_WHOLE_DISKS = Path("/sys/block")
_CLOSEST = 0.75

_Devices = Mapping[Any, float]
"""A counter of each device, by its name."""


class Host(Source):
    """The machine itself, through psutil; needs no settings. ``every``: seconds between events.

    Columns: ``cpu_percent``, ``load`` (runnable tasks per core, of the last minute),
    ``memory_percent``, ``processes``, and per second: bytes ``disk_read``, ``disk_written`` and
    ``disk_filled`` (by how much the use of ``disk`` grew, 0 where it shrank), ``swapped``,
    ``net_received`` and ``net_sent``, and ``context_switches``. Rates are those of each disk and
    each network interface, summed: one that appears or goes away in between adds nothing, and a
    counter that falls was reset and counts from 0. Slow levels, such as how full a disk is, are
    left out: they drift beyond what any training has seen. What a system does not report is 0. The
    entity is the name of the machine. There is no offset: what happened while Tocsin did not run
    is unknown.
    """

    ordered: ClassVar[bool] = True

    every: Duration = Field(5.0, ge=0.05)
    disk: str = "/"

    async def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield one event at a time, without end."""
        import platform

        name = (platform.node() or "host",)
        before = _Sample.of(self.disk)
        due = before.at
        while True:
            # After a late sample the next one is not taken at once.
            due = max(due + self.every, before.at + _CLOSEST * self.every)
            await asyncio.sleep(due - time.monotonic())
            after = _Sample.of(self.disk)
            row = {
                "cpu_percent": after.busy_since(before),
                **_levels(),
                **after.rates_since(before),
            }
            before = after
            clock = np.array([after.time.replace(tzinfo=None)], dtype="datetime64[us]")
            yield Batch(pd.DataFrame([row]), clock, entities=name)

    def describe(self) -> str:
        """Return that it is this machine, and how often it is sampled."""
        return f"this machine, every {self.every:g} s"


@dataclass(frozen=True, slots=True)
class _Sample:
    """What was counted up to a moment.

    ``at``: seconds of the monotonic clock. ``counters``: of each column and device. ``used``:
    bytes of the file system, by its number. ``idle``, ``spent``: seconds of all processors.
    """

    at: float
    time: datetime
    counters: Mapping[str, _Devices]
    used: _Devices
    idle: float
    spent: float

    @classmethod
    def of(cls, disk: str) -> _Sample:
        """Return the counters as they are now."""
        times = psutil.cpu_times()._asdict()
        spent = {key: value for key, value in times.items() if not key.startswith("guest")}
        return cls(
            at=time.monotonic(),
            time=datetime.now(UTC),
            counters=_counters(),
            used={_file_system(disk): float(psutil.disk_usage(disk).used)},
            idle=spent["idle"] + spent.get("iowait", 0.0),
            spent=sum(spent.values()),  # a guest's time is in the user's
        )

    def busy_since(self, before: _Sample) -> float:
        """Return how busy the processors were since another sample, in percent."""
        spent, idle = self.spent - before.spent, self.idle - before.idle
        # Their clocks may step back a little.
        return min(max(100 * (spent - idle) / spent, 0.0), 100.0) if spent > 0 else 0.0

    def rates_since(self, before: _Sample) -> dict[str, float]:
        """Return what happened per second since another sample."""
        growth = {key: _growth(before.counters[key], self.counters[key]) for key in self.counters}
        same = [system for system in self.used if system in before.used]
        growth["disk_filled"] = sum(max(self.used[x] - before.used[x], 0.0) for x in same)
        return {column: grown / (self.at - before.at) for column, grown in growth.items()}


def _growth(before: _Devices, after: _Devices) -> float:
    """Return by how much the counters of the devices grew that are in both samples."""
    growth = {device: after[device] - before[device] for device in after if device in before}
    return sum(grown if grown >= 0 else after[device] for device, grown in growth.items())


def _counters() -> dict[str, _Devices]:
    """Return the counters of each device, as the system reports them."""
    disks, swap = _disks(), psutil.swap_memory()
    nics = psutil.net_io_counters(pernic=True, nowrap=False) or {}
    return {
        "disk_read": {name: float(each.read_bytes) for name, each in disks.items()},
        "disk_written": {name: float(each.write_bytes) for name, each in disks.items()},
        "swapped": {"in": float(swap.sin), "out": float(swap.sout)},
        "net_received": {name: float(each.bytes_recv) for name, each in nics.items()},
        "net_sent": {name: float(each.bytes_sent) for name, each in nics.items()},
        "context_switches": {"all": float(psutil.cpu_stats().ctx_switches)},
    }


def _disks() -> dict[str, Any]:
    """Return the counters of whole disks: Linux lists their partitions beside them."""
    found = psutil.disk_io_counters(perdisk=True, nowrap=False) or {}
    if not _WHOLE_DISKS.is_dir():
        return dict(found)
    return {
        name: each
        for name, each in found.items()
        if (_WHOLE_DISKS / name.replace("/", "!")).exists()
    }


def _file_system(disk: str) -> int:
    """Return the number of the file system that is mounted there."""
    return os.stat(disk).st_dev


def _levels() -> dict[str, float]:
    return {
        "load": psutil.getloadavg()[0] / (psutil.cpu_count() or 1),
        "memory_percent": psutil.virtual_memory().percent,
        "processes": float(len(psutil.pids())),
    }
