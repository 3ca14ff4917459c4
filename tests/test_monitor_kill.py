"""Monitors killed for real: what was acknowledged is stored once, alarms are the same."""

import json
import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from support.monitors import (
    Client,
    Endless,
    batch,
    configured,
    events,
    process,
    running,
    said,
    start,
    stored,
    stores,
    told,
    until,
)
from support.servers import free_port

BAD = frozenset(n for start in range(150, 200_000, 400) for n in range(start, start + 40, 4))
ALARMS = "    alarms: {open: 2, of: 4, close_after: 6, cooldown: 0}"


def clean_run(folder: Path, found: list[dict[str, object]]) -> list[tuple[object, ...]]:
    folder.mkdir()
    port = free_port()
    path = configured(folder, f"{{type: socket, port: {port}}}", monitor=ALARMS)
    with running(path):
        client = Client(port, found).start()
        until(lambda: client.is_done, 120, said(path))
    kept = stores(path)
    assert stored(kept) == [each["id"] for each in found]
    return told(kept)


def killed(folder: Path, kills: int, seed: int) -> None:
    """Kill a process at random points of its work, and compare with a run that nothing disturbs."""
    port = free_port()
    path = configured(folder, f"{{type: socket, port: {port}}}", monitor=ALARMS)
    draw = random.Random(seed)  # noqa: S311
    client = Endless(port, BAD, window=100).start()  # so that every kill falls into the work
    for _ in range(kills):
        before, up = client.acknowledged, start(path)
        until(lambda seen=before: client.acknowledged > seen, 60, said(path))
        time.sleep(draw.uniform(0.0, 0.15))
        os.kill(up.pid, signal.SIGKILL)
        up.join()
    with running(path):
        until(lambda: client.acknowledged >= 400 * kills + 1_000, 60, said(path))
        client.finish()
        until(lambda: client.is_done, 60, said(path))
    expected = clean_run(folder / "clean", client.found)
    kept = stores(path)
    ids = stored(kept)
    assert len(ids) == len(set(ids)) == len(client.found), "every event once"
    assert ids == [each["id"] for each in client.found]
    assert told(kept) == expected
    assert len(expected) > kills
    assert kept.counters.read()["m"]["events"] == len(client.found)


def test_killed_thrice_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    killed(tmp_path, 3, seed=1)


@pytest.mark.slow
def test_killed_fifty_times_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    killed(tmp_path, 50, seed=2)


def test_lines_of_a_file_count_once_through_kills(tmp_path: Path) -> None:
    log, found = tmp_path / "in.jsonl", []
    path = configured(tmp_path, f"{{type: file, path: '{log}'}}", monitor=ALARMS)
    kept, seen, kills = stores(path), 0, 0
    while kills < 3:
        more = events(10_000, start=len(found), bad=BAD)
        with log.open("a") as file:
            file.write("".join(json.dumps({**each, "id": None}) + "\n" for each in more))
        found += more
        with running(path):
            until(lambda n=seen: kept.events.count("m") > n, 60, said(path))
        seen = kept.events.count("m")
        kills += seen < len(found)  # else the work was done before
    with running(path):
        until(lambda: kept.events.count("m") >= len(found), 60, said(path))
    values = [a for each in kept.events.read("m") for a in each.frame["a"].tolist()]
    assert values == [each["a"] for each in found]
    assert kept.counters.read()["m"]["events"] == len(found)
    (tmp_path / "calm").mkdir()
    calm = configured(tmp_path / "calm", "{type: host}", monitor=ALARMS)
    once = process(calm)
    for i in range(0, len(found), 1_000):
        once.process(batch(found[i : i + 1_000], ids=False), None)
    assert told(kept) == told(once.stores)
    assert len(told(kept)) > 50


def test_a_second_process_waits_and_takes_over(tmp_path: Path) -> None:
    port = free_port()
    path = configured(tmp_path, f"{{type: socket, port: {port}}}")
    found = events(600)
    with running(path, lease=1.0) as first:
        client = Client(port, found[:300]).start()
        until(lambda: client.is_done)
        with running(path, lease=1.0):
            until(lambda: "Another process serves this store" in said(path))
            time.sleep(1.5)
            assert said(path).count("watching JSON lines") == 1, "the first renews its lease"
            os.kill(first.pid, signal.SIGKILL)
            killed_at = time.monotonic()
            until(lambda: said(path).count("watching JSON lines") == 2)
            assert time.monotonic() - killed_at < 8
            client = Client(port, found).start()
            until(lambda: client.is_done)
    assert stored(stores(path)) == [each["id"] for each in found]


def stop_between_transactions(pid: int, store: Path) -> None:
    """Stop a process while it does not hold the lock of its store, so that others can write."""

    def is_stopped() -> bool:
        os.kill(pid, signal.SIGSTOP)
        until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        try:
            with closing(sqlite3.connect(store, timeout=0, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            os.kill(pid, signal.SIGCONT)
            return False
        return True

    until(is_stopped)


def test_a_process_that_was_held_up_does_not_write_over_its_successor(tmp_path: Path) -> None:
    port = free_port()
    path = configured(tmp_path, f"{{type: socket, port: {port}}}")
    found = events(400)
    with running(path, lease=0.6) as first:
        client = Client(port, found[:200]).start()
        until(lambda: client.is_done)
        stop_between_transactions(first.pid, tmp_path / "tocsin.db")
        text = path.read_text().replace(str(port), str(other := free_port()))
        path.write_text(text)
        with running(path, lease=0.6):
            client = Client(other, found[200:]).start()
            until(lambda: client.is_done)
            os.kill(first.pid, signal.SIGCONT)
            client = Client(port, [{**each, "id": f"late {each['id']}"} for each in found]).start()
            first.join(20)
            assert first.exitcode == 0
            client.stop()
            assert client.acknowledged == 0
    assert stored(stores(path)) == [each["id"] for each in found]
