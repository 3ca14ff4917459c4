"""The running system: signals, faults of the store, bursts, models that come and change."""

import os
import shutil
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from support import postgres
from support.monitors import (
    Client,
    Endless,
    batch,
    configured,
    events,
    model,
    process,
    running,
    said,
    stored,
    stores,
    told,
    train,
    until,
)
from support.servers import free_port


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Postgres]:
    with postgres.running() as started:
        yield started


@pytest.fixture
def port() -> int:
    return free_port()


def listening(folder: Path, port: int, **given: Any) -> Path:
    return configured(folder, f"{{type: socket, port: {port}}}", **given)


def names(found: list[dict[str, Any]]) -> list[str]:
    return [each["id"] for each in found]


def test_a_stop_processes_what_is_queued(tmp_path: Path, port: int) -> None:
    path = listening(tmp_path, port)
    found = events(20_000)
    with running(path) as up:
        client = Client(port, found, window=10_000).start()
        until(lambda: client.acknowledged > 500, what=said(path))
        os.kill(up.pid, signal.SIGTERM)
        up.join(20)
        assert up.exitcode == 0, said(path)
        ids = stored(stores(path))
        until(lambda: client.acknowledged == len(ids), what="all stored is acknowledged")
        client.stop()
    assert ids == names(found)[: len(ids)]


def test_a_reload_restarts_what_changed_and_loses_nothing(tmp_path: Path, port: int) -> None:
    log = tmp_path / "in.jsonl"
    log.touch()
    path = configured(tmp_path, f"{{type: file, path: '{log}', every: 10ms}}")
    text = path.read_text()
    found = events(3_000)
    writing = threading.Event()

    def write() -> None:
        import json

        with log.open("a") as file:
            for i, each in enumerate(found):
                file.write(json.dumps(each) + "\n")
                if not i % 20:
                    file.flush()
                    time.sleep(0.01)
        writing.set()

    with running(path) as up:
        until(lambda: "watching" in said(path))
        kept = stores(path)
        threading.Thread(target=write, daemon=True).start()
        for late in (1, 2, 3):
            until(lambda n=late: kept.events.count("m") > 600 * n, what=said(path))
            path.write_text(text + f"    late: {late}d\n")
            os.kill(up.pid, signal.SIGHUP)
            until(lambda n=late: said(path).count("read again: 1 monitors") == n, what=said(path))
        path.write_text(text + "    lat: 1d\n")
        os.kill(up.pid, signal.SIGHUP)
        until(lambda: "stays as it was" in said(path), what=said(path))
        until(writing.is_set)
        until(lambda: kept.events.count("m") == len(found), what=said(path))
    assert stored(kept) == names(found)
    assert "line 8: monitors.m.lat" in said(path)


def test_a_reload_of_responders_leaves_monitors_alone(tmp_path: Path, port: int) -> None:
    path = listening(tmp_path, port)
    with running(path) as up:
        client = Client(port, events(400)[:200]).start()
        until(lambda: client.is_done)
        path.write_text(path.read_text() + "responders: {console: {type: console, timeout: 3s}}\n")
        os.kill(up.pid, signal.SIGHUP)
        until(lambda: "read again: 0 monitors" in said(path), what=said(path))
        client = Client(port, events(400)).start()
        until(lambda: client.is_done)
    assert said(path).count("watching JSON") == 1


def test_silence_is_an_alarm_within_two_intervals(tmp_path: Path, port: int) -> None:
    path = listening(tmp_path, port, monitor="    no_data: 1s")
    with running(path):
        client = Client(port, events(50)).start()
        until(lambda: client.is_done)
        heard = time.time()
        kept = stores(path)
        (alarm,) = until(lambda: kept.alarms.open("m"))
        assert time.time() - heard < 2 * 1.0 + 0.5
        assert alarm.kind == "no data"
    # The silence goes on through a restart, and ends with the next event.
    with running(path):
        until(lambda: said(path).count("watching") == 2)
        time.sleep(1)
        assert [each.id for each in kept.alarms.open("m")] == [alarm.id]
        client = Client(port, events(60)).start()
        until(lambda: client.is_done)
        until(lambda: kept.alarms.get(alarm.id).state == "resolved", 3)
    assert len(kept.alarms.list()) == 1


def test_models_are_switched_under_load(tmp_path: Path, port: int) -> None:
    path = listening(tmp_path, port)
    mine = tmp_path / "model"
    shutil.copytree(model(), mine)
    path.write_text(path.read_text().replace(str(model()), "model"))
    with running(path):
        client = Endless(port, window=100).start()
        for seed in (1, 2):
            until(lambda n=seed: said(path).count("scored by") == n, what=said(path))
            train(mine, "hbos", seed)
        until(lambda: said(path).count("scored by") == 3, what=said(path))
        (mine / "arrays.safetensors").write_bytes(b"broken")
        manifest = mine / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"format_version": 1', '"x": 1'))
        until(lambda: "the model cannot be used" in said(path), what=said(path))
        before = client.acknowledged
        until(lambda: client.acknowledged > before + 200)
        client.stop()
    assert said(path).count("the model cannot be used") == 1
    kept = list(stores(path).events.read("m"))
    assert all(each.decision is not None for each in kept), "no gap"
    models = [each.decision.model for each in kept if each.decision]
    changes = [a for a, b in zip(models, [*models[1:], ""], strict=True) if a != b]
    assert len(changes) == len(set(models)) == 3, "in their order, each once"


@pytest.mark.slow
def test_a_missing_model_is_trained_from_the_first_events(tmp_path: Path, port: int) -> None:
    training = "    training: {after: 300, detector: hbos, false_alarms: 0.01}"
    path = listening(tmp_path, port, monitor=training)
    path.write_text(path.read_text().replace(str(model()), "fresh"))
    with running(path):
        client = Client(port, events(400)).start()
        until(lambda: client.is_done)
        until(lambda: "scored by fresh@" in said(path), 90, what=said(path))
        client = Client(port, events(100, start=1_000, bad=[1_050])).start()
        until(lambda: client.is_done)
    kept = stores(path)
    judged = [each for each in kept.events.read("m") if each.decision is not None]
    assert sum(map(len, judged)) == 100
    assert any(alarm.entity == "pump 2" for alarm in kept.alarms.list())


@pytest.mark.slow
def test_a_first_training_that_fails_is_tried_again_and_told_once(
    tmp_path: Path, port: int
) -> None:
    """Until what was wrong is mended, here in the file; the reason is logged once."""
    training = "    training: {after: 100, detector: hbos, settings: {colour: red}}"
    path = listening(tmp_path, port, monitor=training)
    broken = path.read_text().replace(str(model()), "fresh")
    path.write_text(broken)
    with running(path):
        client = Client(port, events(200)).start()
        until(lambda: client.is_done)
        until(lambda: "training failed, and is tried again" in said(path), 60, what=said(path))
        time.sleep(3.0)
        path.write_text(broken.replace("settings: {colour: red}", "false_alarms: 0.01"))
        until(lambda: "scored by fresh@" in said(path), 90, what=said(path))
    assert said(path).count("training failed") == 1


def test_a_locked_store_holds_up_and_loses_nothing(tmp_path: Path, port: int) -> None:
    path = listening(tmp_path, port)
    with running(path):
        client = Endless(port).start()
        until(lambda: client.acknowledged > 500, what=said(path))
        kept = stores(path)
        other = sqlite3.connect(tmp_path / "tocsin.db", isolation_level=None, timeout=20)
        other.execute("BEGIN IMMEDIATE")
        before = kept.events.count("m")
        until(lambda: "is locked" in said(path), what=said(path))
        assert client.acknowledged <= kept.events.count("m") == before
        other.execute("ROLLBACK")
        other.close()
        until(lambda: client.acknowledged > before, what=said(path))
        client.finish()
        until(lambda: client.is_done, what=said(path))
    assert stored(kept) == names(client.found)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(10_000))


def test_a_full_disk_holds_up_and_recovers(tmp_path: Path, small_disk: Path, port: int) -> None:
    ballast = small_disk / "ballast"
    path = listening(tmp_path, port, more=f"store: sqlite:///{small_disk}/tocsin.db")
    with running(path, lease=1.0) as up:
        client = Endless(port).start()
        until(lambda: client.acknowledged > 500, what=said(path))
        kept = stores(path)
        fill(ballast)
        until(lambda: "is full" in said(path), what=said(path))
        time.sleep(2)  # longer than the lease, which cannot be renewed meanwhile
        before = client.acknowledged
        time.sleep(0.5)
        assert client.acknowledged == before == len(stored(kept))
        ballast.unlink()
        until(lambda: client.acknowledged > before, 30, what=said(path))
        client.finish()
        until(lambda: client.is_done, 30, what=said(path))
        assert up.is_alive()
        assert stored(kept) == names(client.found)


def test_a_restart_of_postgresql_loses_nothing(
    tmp_path: Path,
    port: int,
    server: postgres.Postgres,
) -> None:
    alarms = "    alarms: {open: 1, of: 1, close_after: 4, cooldown: 0}"
    path = listening(tmp_path, port, more=f"store: {server.create()}", monitor=alarms)
    found = events(4_000, bad=range(100, 4_000, 150))
    (tmp_path / "calm").mkdir()
    calm = process(listening(tmp_path / "calm", port, monitor=alarms))
    calm.process(batch(found), None)
    with running(path, lease=1.0) as up:
        client = Client(port, found, window=100).start()
        for share in (1, 2, 3):
            until(lambda n=share: client.acknowledged > 1_000 * n, 30, what=said(path))
            server.stop()
            time.sleep(1.2)
            server.start()
        until(lambda: client.is_done, 30, what=said(path))
        assert up.is_alive(), said(path)
    kept = stores(path)
    assert stored(kept) == names(found)
    assert told(kept) == told(calm.stores)
    assert len(told(kept)) == 26
    assert kept.counters.read()["m"]["events"] == len(found)


def test_a_burst_is_held_up_in_bounded_memory(tmp_path: Path, port: int) -> None:
    path = listening(tmp_path, port, monitor="    queue: 4")
    found = events(60_000)
    with running(path) as up:
        small = Client(port, found[:2_000], window=100).start()
        until(lambda: small.is_done, what=said(path))
        memory = psutil.Process(up.pid).memory_info
        before, most = memory().rss, 0
        client = Client(port, found, window=len(found), patience=60).start()
        while not client.is_done:
            most = max(most, memory().rss)
            time.sleep(0.05)
        assert client.connections == 1
    grown = (most - before) / 1e6
    print(f"{most / 1e6:.0f} MB at most, {grown:.0f} MB more than before")
    assert grown < 60
    assert stored(stores(path)) == names(found)


def test_a_monitor_that_fails_begins_anew_and_disturbs_no_other(tmp_path: Path, port: int) -> None:
    path = listening(tmp_path, port)
    with running(path):
        client = Client(port, events(200)[:100]).start()
        until(lambda: client.is_done)
        kept = stores(path)
        # As if another process had written: what is in memory is no longer so.
        progress = {**kept.alarms.states("m")["progress"], "commit": "another"}
        with kept.db.begin() as c:
            kept.alarms.save_states(c, "m", {"progress": progress})
        client = Client(port, events(200)).start()
        until(lambda: "Another process has written" in said(path), what=said(path))
        until(lambda: client.is_done, what=said(path))
    assert stored(kept) == names(events(200))


def test_a_reload_lets_clients_go_on(tmp_path: Path, port: int) -> None:
    path = listening(tmp_path, port)
    text = path.read_text()
    with running(path) as up:
        client = Endless(port, patience=1).start()
        for late in (1, 2):
            until(lambda n=late: client.acknowledged > 2_000 * n, 10, said(path))
            path.write_text(text + f"    late: {late}d\n")
            os.kill(up.pid, signal.SIGHUP)
            until(lambda n=late: said(path).count("read again: 1 monitors") == n, what=said(path))
        client.finish()
        until(lambda: client.is_done, 14, said(path))
    assert stored(stores(path)) == names(client.found)


def test_clients_with_and_without_ids_lose_nothing(tmp_path: Path, port: int) -> None:
    path = listening(tmp_path, port)
    plain = [{k: v for k, v in e.items() if k != "id"} for e in events(1_500, start=10_000)]
    with running(path):
        clients = [Client(port, events(1_500)).start(), Client(port, plain).start()]
        until(lambda: all(client.is_done for client in clients), what=said(path))
    kept = stores(path)
    assert kept.events.count("m") == 3_000
    values = sorted(a for each in kept.events.read("m") for a in each.frame["a"].tolist())
    assert values == sorted(each["a"] for each in [*events(1_500), *plain])


def test_a_source_that_fails_disturbs_no_other(tmp_path: Path, port: int) -> None:
    path = listening(tmp_path, port)
    other = path.read_text().split("  m:\n")[1]
    path.write_text(path.read_text() + "  twin:\n" + other)
    found = events(500)
    with running(path):
        until(lambda: "Reading again in 0.4 s" in said(path), what=said(path))
        client = Client(port, found).start()
        until(lambda: client.is_done, what=said(path))
    kept = stores(path)
    assert kept.events.count("m") + kept.events.count("twin") == 500
    assert "Traceback" not in said(path)
