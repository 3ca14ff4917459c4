"""The machine itself, and recorded counters of machines whose devices come and go."""

import asyncio
import os
import time
from contextlib import aclosing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from support.collecting import read
from tocsin.sources import host
from tocsin.sources.host import Host

SWITCHES = 1_000.0
"""Context switches of recorded machines between two samples: what rates are compared with."""


def test_the_machine_is_measured_evenly() -> None:
    began, spent = time.monotonic(), time.process_time()
    batches = read(Host(every=0.1), 5)
    assert time.monotonic() - began > 0.45
    assert time.process_time() - spent < 5
    frame = batches[-1].frame
    assert np.isfinite(frame.to_numpy(dtype=float)).all()
    assert 0 < frame["memory_percent"].iloc[0] <= 100
    assert frame["processes"].iloc[0] >= 1
    assert (frame.to_numpy(dtype=float) >= 0).all()
    times = np.concatenate([batch.times for batch in batches])
    assert (np.diff(times) > np.timedelta64(50, "ms")).all()
    assert batches[0].entities == batches[-1].entities


def test_what_is_written_read_and_deleted_is_never_a_rate_below_zero(tmp_path: Path) -> None:
    async def watched() -> list[Any]:
        rows = []
        async with aclosing(Host(every=0.05, disk=str(tmp_path)).read(None)) as reading:
            async for batch in reading:
                rows.append(batch.frame.iloc[0])
                file = tmp_path / "large"
                if file.exists():
                    file.unlink()
                else:
                    with file.open("wb") as large:
                        large.write(os.urandom(8_000_000))
                        os.fsync(large.fileno())
                if len(rows) == 10:
                    return rows
        raise AssertionError("the machine is watched for ever")

    rows = asyncio.run(watched())
    assert all((row.to_numpy(dtype=float) >= 0).all() for row in rows)
    assert any(row["disk_filled"] > 0 for row in rows)
    assert all(0 <= row["cpu_percent"] <= 100 for row in rows)


def test_all_that_happens_to_whole_disks_and_interfaces_is_counted() -> None:
    """The sums are those that psutil makes of all disks and all interfaces."""
    counters = host._counters()
    disks, nics = psutil.disk_io_counters(), psutil.net_io_counters()
    assert list(counters["disk_read"]) == list(counters["disk_written"])
    for column, total in {
        "disk_read": disks.read_bytes if disks else 0,
        "net_received": nics.bytes_recv if nics else 0,
    }.items():
        seen = sum(counters[column].values())
        assert seen <= total
        assert total - seen < max(1e8, 0.01 * total)  # what came in between


@pytest.mark.parametrize(
    ("samples", "grown"),
    [
        ([{"sda": 100}, {"sda": 150}, {"sda": 150}, {"sda": 450}], [50, 0, 300]),
        ([{"sda": 10, "sdb": 9e9}, {"sda": 30}, {"sda": 35}], [20, 5]),  # vanishes
        ([{"sda": 10}, {"sda": 30, "sdb": 9e9}, {"sda": 35, "sdb": 9e9 + 7}], [20, 12]),  # appears
        ([{"sda": 10}, {}, {"sda": 9e9}, {"sda": 9e9 + 1}], [0, 0, 1]),  # away, then there again
        ([{"sda": 9e9}, {"sda": 40}, {"sda": 60}], [40, 20]),  # reset
        ([{"sda": 2**32 - 10}, {"sda": 25}, {"sda": 26}], [25, 1]),  # wraps: from 0 on at least
        ([{"sda": 9e9, "sdb": 5}, {"sda": 0, "sdb": 6}], [1]),  # reset beside one that grows
        ([{}, {}, {"sda": 5}], [0, 0]),
    ],
)
@pytest.mark.parametrize("column", ["disk_read", "disk_written", "net_received", "net_sent"])
def test_devices_appear_vanish_wrap_and_are_reset(
    samples: list[dict[str, float]],
    grown: list[float],
    column: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attributes = {
        "disk_read": ("disk_io_counters", "read_bytes", "write_bytes"),
        "disk_written": ("disk_io_counters", "write_bytes", "read_bytes"),
        "net_received": ("net_io_counters", "bytes_recv", "bytes_sent"),
        "net_sent": ("net_io_counters", "bytes_sent", "bytes_recv"),
    }
    function, counted, other = attributes[column]
    recorded(
        monkeypatch,
        **{
            function: [
                {name: SimpleNamespace(**{counted: n, other: 0}) for name, n in sample.items()}
                for sample in samples
            ]
        },
    )
    monkeypatch.setattr(host, "_WHOLE_DISKS", Path("/nowhere"))
    rows = watched(len(grown))
    assert [row[column] for row in rows] == pytest.approx(grown, abs=1e-3)
    assert all(value >= 0 for row in rows for value in row.values())


def test_partitions_are_not_counted_beside_their_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nvme0n1").mkdir()
    (tmp_path / "cciss!c0d0").mkdir()
    monkeypatch.setattr(host, "_WHOLE_DISKS", tmp_path)
    names = ("nvme0n1", "nvme0n1p1", "nvme0n1p2", "cciss/c0d0")
    samples = [
        {name: SimpleNamespace(read_bytes=n, write_bytes=0) for name in names} for n in (100, 130)
    ]
    recorded(monkeypatch, disk_io_counters=samples)
    assert watched(1)[0]["disk_read"] == pytest.approx(60, abs=1e-3)


@pytest.mark.parametrize(
    ("samples", "percents"),
    [
        ([(10, 90), (20, 180), (40, 170)], [10, 100]),  # idle time steps back
        ([(10, 90), (10, 90), (9, 90), (19, 100)], [0, 0, 50]),  # nothing, busy time steps back
        ([(1e6, 9e6), (5, 5), (10, 10)], [0, 50]),  # reset
    ],
)
def test_clocks_of_processors_stand_still_step_back_and_are_reset(
    samples: list[tuple[float, float]], percents: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Times(SimpleNamespace):
        def _asdict(self) -> dict[str, float]:
            return vars(self)

    times = [Times(user=busy, idle=idle - 1, iowait=1, guest=busy / 2) for busy, idle in samples]
    recorded(monkeypatch, cpu_times=times)
    found = [row["cpu_percent"] for row in watched(len(percents), scaled=False)]
    assert found == pytest.approx(percents)


def test_a_file_system_mounted_anew_fills_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    used = [SimpleNamespace(used=n) for n in (100, 150, 9e9, 9e9 + 5, 9e9 - 100)]
    recorded(monkeypatch, disk_usage=used)
    numbers = iter([1, 1, 2, 2, 2])
    monkeypatch.setattr(host, "_file_system", lambda _: next(numbers))
    assert [row["disk_filled"] for row in watched(4)] == pytest.approx([50, 0, 5, 0], abs=1e-3)


def recorded(monkeypatch: pytest.MonkeyPatch, **samples: list[Any]) -> None:
    """Let psutil tell what was recorded, and context switches at an even rate."""
    switches = [SimpleNamespace(ctx_switches=n * SWITCHES) for n in range(100)]
    for function, told in {"cpu_stats": switches, **samples}.items():
        each = iter(told)
        monkeypatch.setattr(psutil, function, lambda *_, each=each, **__: next(each))


def watched(n: int, *, scaled: bool = True) -> list[dict[str, float]]:
    """Return n events; with ``scaled``, rates by context switches, however long a step took."""
    rows = [batch.frame.iloc[0].to_dict() for batch in read(Host(every=0.05), n)]
    factors = [SWITCHES / row["context_switches"] if scaled else 1.0 for row in rows]
    return [
        {key: value * factor for key, value in row.items()}
        for row, factor in zip(rows, factors, strict=True)
    ]
