"""Monitors killed for real: what was acknowledged is stored once, alarms are the same."""

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from monitors import (
    Client,
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
from servers import free_port

BAD = tuple(n for start in range(150, 60_000, 400) for n in range(start, start + 40, 4))
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
    found = events(400 * kills + 1_000, bad=BAD)
    expected = clean_run(folder / "clean", found)
    port = free_port()
    path = configured(folder, f"{{type: socket, port: {port}}}", monitor=ALARMS)
    draw = random.Random(seed)  # noqa: S311
    client = Client(port, found, window=100).start()
    done, before, up = 0, 0, start(path)
    while not client.is_done:
        if done < kills:
            until(lambda seen=before: client.acknowledged > seen, 60, said(path))
            time.sleep(draw.uniform(0.0, 0.15))
            if client.is_done:
                break
            os.kill(up.pid, signal.SIGKILL)
            up.join()
            done, before, up = done + 1, client.acknowledged, start(path)
        else:
            until(lambda: client.is_done, 60, said(path))
    up.kill()
    up.join()
    kept = stores(path)
    ids = stored(kept)
    assert len(ids) == len(set(ids)) == len(found), "every event once"
    assert ids == [each["id"] for each in found]
    assert told(kept) == expected
    assert len(expected) > kills
    assert done >= min(kills, 2), f"only {done} kills fell into the work"
    assert kept.counters.read()["m"]["events"] == len(found)


def test_killed_thrice_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    killed(tmp_path, 3, seed=1)


@pytest.mark.slow
def test_killed_fifty_times_nothing_is_lost_or_doubled(tmp_path: Path) -> None:
    killed(tmp_path, 50, seed=2)


def test_lines_of_a_file_count_once_through_kills(tmp_path: Path) -> None:
    log, found = tmp_path / "in.jsonl", events(30_000, bad=BAD)
    log.write_text("".join(json.dumps({**e, "id": None}) + "\n" for e in found))
    path = configured(tmp_path, f"{{type: file, path: '{log}'}}", monitor=ALARMS)
    kept, seen = stores(path), 0
    for _ in range(3):
        with running(path):
            until(lambda n=seen: kept.events.count("m") > n, 60, said(path))
        seen = kept.events.count("m")
    assert seen < len(found), "killed at work"
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
            assert said(path).count("watches JSON lines") == 1, "the first renews its lease"
            os.kill(first.pid, signal.SIGKILL)
            killed_at = time.monotonic()
            until(lambda: said(path).count("watches JSON lines") == 2)
            assert time.monotonic() - killed_at < 8
            client = Client(port, found).start()
            until(lambda: client.is_done)
    assert stored(stores(path)) == [each["id"] for each in found]


def test_a_process_that_was_held_up_does_not_write_over_its_successor(tmp_path: Path) -> None:
    port = free_port()
    path = configured(tmp_path, f"{{type: socket, port: {port}}}")
    found = events(400)
    with running(path, lease=0.6) as first:
        client = Client(port, found[:200]).start()
        until(lambda: client.is_done)
        os.kill(first.pid, signal.SIGSTOP)
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
