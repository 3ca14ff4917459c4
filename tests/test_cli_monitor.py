"""The commands of monitors, run as a person runs them."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.monitors import model
from support.notifications import EVIL, alarm
from tocsin import cli, config
from tocsin.alarms.routing import Router
from tocsin.monitor.event_processor import EventProcessor
from tocsin.monitor.models import open_model
from tocsin.monitor.stores import Stores
from tocsin.sources._records import Fields, batch_of
from tocsin.store.folder import fingerprint
from tocsin.store.leases import Lease
from tocsin.types import Delivery, Notification, Rejection

FILE = """
monitors:
  pumps:
    source: {type: file, path: events.jsonl, fields: {time: at}}
    model: model
    late: 1h
    training: {detector: neighbours, after: 200, false_alarms: 0.01}
    alarms: {open: 2, of: 3, close_after: 5}
responders:
  ops: {type: log_file, path: notifications.log}
  stop:
    type: action
    target: {type: command, command: [/usr/bin/true], allow: [/usr/bin/true], timeout: 5s}
    do: {name: stop press 4, parameters: {force: true}}
    dry_run: false
policies: [{match: {}, respond: [ops], group_wait: 0s}]
"""


@dataclass
class Told:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Told]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """The command line in an empty folder; the exit code is 0 unless said otherwise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")

    def command(*words: object, code: int = 0) -> Told:
        monkeypatch.setattr(sys, "argv", ["tocsin", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = Told(int(ended.value.code or 0), *capsys.readouterr())
        assert told.code == code, told
        assert "Traceback" not in told.err
        return told

    return command


def event(i: int, **values: object) -> dict[str, object]:
    """One of the events of a pump, a second each; what is given changes it."""
    at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=i)
    heat = 20 + 5 * float(np.sin(i))
    own = {"at": at.isoformat(), "entity": "p7", "id": f"e{i}", "heat": heat, "flow": heat / 2}
    return {**own, **values}


def lines(events: list[dict[str, object]]) -> str:
    return "".join(json.dumps(each) + "\n" for each in events)


@pytest.fixture
def stores(tmp_path: Path) -> Any:
    """The stores of a folder with a configuration and 300 events, of which none is taken yet."""
    (tmp_path / "tocsin.yaml").write_text(FILE, encoding="utf-8")
    calm = [event(i) for i in range(300)]
    (tmp_path / "events.jsonl").write_text(lines(calm), encoding="utf-8")
    with Stores.opened(f"sqlite:///{tmp_path}/tocsin.db") as opened:
        yield opened


def keep(stores: Stores, *alarms: Any) -> None:
    with stores.db.begin() as c:
        stores.alarms.save(c, alarms)


def quarantine(stores: Stores, *rejections: Rejection, monitor: str = "pumps") -> None:
    with stores.db.begin() as c:
        stores.quarantine.add(c, monitor, rejections, datetime(2026, 3, 2, tzinfo=UTC))


def test_init_writes_what_check_approves(run: Run, tmp_path: Path) -> None:
    assert "tocsin check" in run("init").out
    assert "--force" in run("init", code=2).err
    (tmp_path / "tocsin.yaml").write_text("{}", encoding="utf-8")
    run("init", "--force")
    told = run("check", "--json").json
    assert [each["what"] for each in told] == [
        "tocsin.yaml",
        "store",
        "monitor machine",
        "responder console",
    ]
    assert not any(each["problem"] for each in told)
    assert "no model yet; one is trained on the first 500 events" in run("check").out


def test_a_broken_file_is_told_with_its_lines(run: Run, tmp_path: Path) -> None:
    assert "tocsin init" in run("alarms", "list", code=2).err
    broken = "stor: x\nmonitors:\n  m:\n    source: {type: hst}\n    model: m\n"
    (tmp_path / "tocsin.yaml").write_text(broken, encoding="utf-8")
    for command in (("check",), ("up",), ("train", "m"), ("alarms", "list"), ("events",)):
        told = run(*command, code=2)
        assert "line 1: stor:" in told.err
        assert "line 4: monitors.m.source.type: " in told.err


def test_check_tells_what_cannot_work(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(
        "store: sqlite:////proc/tocsin.db\n"
        "monitors: {m: {source: {type: host}, model: m, training: {settings: {colour: red}}}}\n",
        encoding="utf-8",
    )
    told = run("check", code=2)
    assert "store: The store /proc/tocsin.db cannot be opened" in told.out
    assert "training.settings" in told.out
    assert "2 of 4 checks failed" in told.err
    assert "/proc/tocsin.db cannot be opened" in run("alarms", "list", code=2).err


def test_check_looks_at_training_also_where_there_is_a_model(run: Run, tmp_path: Path) -> None:
    own = "training: {detector: neighbours, after: 200, false_alarms: 0.01}"
    text = FILE.replace(own, "training: {detector: neighbours, settings: {nosuch: 1}}")
    (tmp_path / "tocsin.yaml").write_text(text.replace("model: model", f"model: {model()}"))
    assert "nosuch" in run("check", code=2).out


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_may_not_be_written_says_so(run: Run, stores: Stores, tmp_path: Path) -> None:
    stores.db.close()
    (tmp_path / "tocsin.db").chmod(0o400)
    assert "may not be written" in run("events", code=2).err


def test_a_store_of_a_later_version_is_left_alone(run: Run, stores: Stores, tmp_path: Path) -> None:
    stores.db.close()
    with sqlite3.connect(tmp_path / "tocsin.db") as c:
        c.execute("UPDATE tocsin_version SET version_num = '9999'")
    c.close()
    for command in (("events",), ("alarms", "list"), ("up",)):
        assert "Update it" in run(*command, code=2).err
    assert "Update it" in run("check", code=2).out


def test_train_and_replay_take_the_history_of_the_source(
    run: Run, stores: Stores, tmp_path: Path
) -> None:
    assert "tocsin train pumps" in run("replay", "pumps", code=2).err
    assert "there are: pumps" in run("train", "x", code=2).err
    trained = run("train", "pumps", "--json").json
    assert (trained["detector"], trained["events"]) == ("neighbours", 300)
    with (tmp_path / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(lines([event(i, heat=90.0, flow=0.0) for i in range(300, 303)]))
    before = stores.counters.read()
    found = run("replay", "pumps", "--json").json
    assert found["events"] == 303
    (only,) = found["alarms"]
    assert (only["monitor"], only["entity"], only["state"]) == ("pumps", "p7", "open")
    assert only["opened"] == "2026-03-01T00:05:01+00:00"
    part = run(
        "replay", "pumps", "--since", "2026-03-01T00:01:00", "--until", "2026-03-01T00:02:00"
    )
    assert part.out.startswith("60 events (")
    assert "no alarms" in part.out
    assert stores.counters.read() == before
    assert not stores.alarms.list()
    # Once more, over the model that is there: the newest tenth only proves the new one.
    assert "Trained neighbours on 273" in run("train", "pumps").out


def test_a_model_that_learned_from_broken_data_replaces_none(
    run: Run, stores: Stores, tmp_path: Path
) -> None:
    run("train", "pumps")
    old = fingerprint(tmp_path / "model")
    with (tmp_path / "events.jsonl").open("a", encoding="utf-8") as file:
        file.write(lines([event(i, heat=900.0, flow=0.0) for i in range(300, 333)]))
    refused = run("train", "pumps", code=2).err
    assert "33 of the newest 33 events" in refused
    assert fingerprint(tmp_path / "model") == old
    assert "Trained neighbours on 333" in run("train", "pumps", "--force").out
    assert fingerprint(tmp_path / "model") != old


def test_alarms_live_from_open_to_labelled(run: Run, stores: Stores) -> None:
    assert run("alarms", "list").out == "no alarms\n"
    assert run("alarms", "list", "--json").json == []
    keep(stores, alarm("a1"), alarm("b1"), alarm("b2", entity="p8"))
    listed = run("alarms", "list", "--json", "--monitor", "pumps").json
    assert {each["id"] for each in listed} == {"a1", "b1", "b2"}
    assert set(listed[0]) == set(alarm().__slots__)
    assert listed[0]["reasons"] == [{"name": "heat", "seen": 98.2, "expected": 12.1, "weight": 0.8}]
    assert "known: pumps" in run("alarms", "list", "--monitor", "pump", code=2).err
    assert "and more; --top 2" in run("alarms", "list", "--top", 1).out
    assert "Several alarms" in run("alarms", "ack", "b", code=2).err
    assert "alarms list" in run("alarms", "ack", "zzz", code=2).err
    run("alarms", "ack", "a1", "b1", "--who", "ada", "--note", "on my way")
    assert [stores.alarms.get(id).owner for id in ("a1", "b1", "b2")] == ["ada", "ada", ""]
    assert "acknowledged already" in run("alarms", "ack", "b2", "a1", code=2).err
    assert stores.alarms.get("b2").state == "open"  # all or none
    run("alarms", "resolve", "a1", "--who", "ada")
    assert "resolved already" in run("alarms", "resolve", "a1", code=2).err
    run("alarms", "label", "a1", "anomaly")
    run("alarms", "label", "a1", "false-alarm", "--note", "a test")
    history = run("alarms", "show", "a1", "--json").json["history"]
    assert [each["state"] for each in history] == [
        *("acknowledged", "resolved", "resolved", "false alarm"),
    ]
    assert [each["note"] for each in history] == [
        *("on my way", "", "labelled anomaly", "a test"),
    ]
    told = run("alarms", "show", "a1").out
    assert "ada: acknowledged on my way" in told
    assert "heat: 98.2 (expected 12.1)" in told
    assert {each["id"] for each in run("alarms", "list", "--json").json} == {"b1", "b2"}
    assert len(run("alarms", "list", "--all", "--json").json) == 3
    run("alarms", "reopen", "a1")
    assert stores.alarms.get("a1").state == "open"


def test_those_who_were_told_of_an_alarm_are_told_that_it_is_over(run: Run, stores: Stores) -> None:
    keep(stores, alarm("a1"))
    run("alarms", "ack", "a1")
    assert not stores.outbox.pending()
    run("alarms", "resolve", "a1")
    assert [(each.responder, each.kind) for each in stores.outbox.pending()] == [
        ("ops", "resolved")
    ]


def test_silences_begin_and_end(run: Run, stores: Stores) -> None:
    assert run("alarms", "silence").out == "no silences\n"
    told = run("alarms", "silence", "entity=p 7", "severity=critical", "--hours", 2, "--json").json
    assert told[0]["match"] == {"entity": "p 7", "severity": "critical"}
    run("alarms", "silence", "number=1e3", "--note", EVIL.replace("\ud800", ""))
    (other,) = (s for s in stores.silences.list() if s.id != told[0]["id"])
    assert other.match == {"number": "1e3"}
    assert "\x1b" not in run("alarms", "silence").out
    for wrong in ("pumps", "=x", "kind=nonsense", "monitor=(a+)+", "monitor=["):
        run("alarms", "silence", wrong, code=2)
    assert "not both" in run("alarms", "silence", "a=b", "--expire", other.id, code=2).err
    assert told[0]["id"] not in run("alarms", "silence", "--expire", told[0]["id"][:6]).out
    assert "No active silence" in run("alarms", "silence", "--expire", told[0]["id"], code=2).err
    assert "lists them" in run("alarms", "silence", "--expire", "", code=2).err


def test_foreign_text_is_printed_as_text(run: Run, stores: Stores) -> None:
    text = "[red]x[/red] [/nothing] :boom: \x1b[2J\r\n\x00\x9b2J\u202e"
    keep(stores, alarm("a1", entity=text, summary=text, evidence={text: [text], "e": {text: text}}))
    quarantine(stores, Rejection("malformed", text, text))
    for command in (
        ("alarms", "list"),
        ("alarms", "show", "a1"),
        ("alarms", "ack", "a1", "--note", text, "--who", text),
        ("alarms", "show", "a1"),
        ("events", "--quarantine"),
    ):
        out = run(*command).out
        flat = re.sub(r"\s+", "", out)
        assert r"[red]x[/red][/nothing]:boom:\x1b[2J\r\n\x00\x9b2J\u202e" in flat, command
        assert not set(out) & set("\x1b\r\x00\x9b\u202e")


def test_events_are_counted_and_listed(run: Run, stores: Stores) -> None:
    assert run("events", "--json").json == [{"monitor": "pumps", "events": 0}]
    assert run("events", "pumps").out == "nothing\n"
    assert "known: pumps" in run("events", "pump", code=2).err
    assert "one monitor" in run("events", "--anomalies", code=2).err
    assert "not both" in run("events", "--dead", "--quarantine", code=2).err
    run("train", "pumps")
    calm = [event(i) for i in range(20)]
    take(stores, [*calm, event(20, heat=90.0, flow=0.0, score=7)])
    newest, *rest = run("events", "pumps", "--json", "--top", 3).json
    assert newest["event"] == {"heat": 90.0, "flow": 0.0, "score": 7}
    assert rest[0]["event"]["score"] is None
    assert newest["time"] == "2026-03-01T00:00:20+00:00"
    assert newest["entity"] == "p7"
    assert newest["anomaly"] is True
    assert newest["model"].startswith("model@")
    assert [each["anomaly"] for each in rest] == [False, False]
    assert len(run("events", "pumps", "--anomalies", "--json").json) == 1
    assert "heat=90" in run("events", "pumps", "--since", "2026-03-01T00:00:20").out
    assert run("events", "--json").json[0]["anomalies"] == 1


def take(stores: Stores, events: list[dict[str, object]]) -> None:
    """Have the monitor take events as it would while it runs."""
    settings = config.read("tocsin.yaml")
    monitor = settings.monitors["pumps"]
    process = EventProcessor("pumps", monitor, stores, Router(settings.policies), settings.storm)
    process.use_model(open_model(monitor.model, monitor.context))
    raw = [json.dumps(each).encode() for each in events]
    process.process(batch_of(raw, Fields(time="at")), datetime.now(UTC))


def test_events_come_out_of_quarantine(run: Run, stores: Stores) -> None:
    run("train", "pumps")
    late, known = event(1), event(5_000)
    take(stores, [known, late])
    quarantine(
        stores,
        Rejection("malformed", "the model could not", json.dumps(event(2, id=None))),
        Rejection("malformed", "no JSON", "{oops"),
        Rejection("malformed", "known by now", json.dumps(known)),
    )
    quarantine(stores, Rejection("malformed", "of a monitor that was", "{}"), monitor="gone")
    held = run("events", "pumps", "--quarantine", "--json").json
    assert [each["kind"] for each in held] == ["malformed"] * 3 + ["late"]
    assert "9999 in quarantine" in run("events", "--replay", 9999, code=2).err
    assert '"all"' in run("events", "--replay", "some", code=2).err

    lease = Lease(stores.db, "up", "another", 60.0)
    assert lease.acquire()
    assert "tocsin up" in run("events", "--replay", "all", code=2).err
    lease.release()
    assert len(stores.quarantine.list("pumps")) == 4

    one = run("events", "--replay", held[-1]["number"], "--json").json
    assert (one["taken"], one["events"]) == (1, 1)
    assert stores.events.count("pumps") == 2
    times = [str(t) for batch in stores.events.read("pumps") for t in batch.times]
    assert times[-1] == "2026-03-01T00:00:01.000000"
    told = run("events", "--replay", "all", "--json").json
    assert told == {"taken": 3, "events": 1, "anomalies": 0, "duplicates": 1, "refused": 1}
    (left,) = stores.quarantine.list("pumps")
    assert left.raw == "{oops"
    assert "it is not JSON" in left.reason
    assert "Reprocessed 1: 0 accepted" in run("events", "--replay", "all").out
    assert lease.acquire()


def test_what_the_model_refuses_again_raises_no_alarm(run: Run, stores: Stores) -> None:
    run("train", "pumps")
    quarantine(stores, Rejection("malformed", "", '{"at": 0, "colour": "red"}'))
    assert run("events", "--replay", "all", "--json").json["refused"] == 1
    (left,) = stores.quarantine.list("pumps")
    assert "was trained on heat, flow" in left.reason
    assert not stores.alarms.list()


def test_what_a_crash_left_in_quarantine_counts_once(
    run: Run, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("train", "pumps")
    quarantine(stores, Rejection("malformed", "it had no id", json.dumps(event(2, id=None))))
    with monkeypatch.context() as patched:
        patched.setattr("tocsin.store.quarantine.Quarantine.take", lambda *_: 1 / 0)
        run("events", "--replay", "all", code=1)
    assert (stores.events.count("pumps"), len(stores.quarantine.list())) == (1, 1)
    told = run("events", "--replay", "all", "--json").json
    assert (told["taken"], told["events"], told["duplicates"]) == (1, 0, 1)
    assert stores.events.count("pumps") == 1


def test_actions_wait_until_somebody_agrees(run: Run, stores: Stores) -> None:
    assert run("alarms", "approve").out == "no actions wait\n"
    now = datetime.now(UTC)
    keep(stores, alarm("a1"))
    with stores.db.begin() as c:
        key = stores.outbox.enqueue(c, "stop", {}, "opened", ["a1"], now)
    stop = config.read("tocsin.yaml").responders["stop"]
    notification = Notification(key, "opened", {}, (stores.alarms.get("a1"),), now)

    def attempt() -> Delivery:
        assert [each.key for each in stores.outbox.due(datetime.now(UTC), "stop", 9, 60.0)] == [key]
        stores.outbox.freeze(key, notification)
        delivery: Delivery = stop.act(notification, stores.audit)  # type: ignore[attr-defined]
        later = now + timedelta(hours=1) if delivery.status == "retry" else None
        stores.outbox.mark(key, delivery, later)
        return delivery

    assert not run("alarms", "approve", "--json").json  # nobody has tried to yet
    assert f"tocsin alarms approve {key}" in attempt().reason
    (waits,) = run("alarms", "approve", "--json").json
    assert (waits["key"], waits["responder"], waits["action"]) == (key, "stop", "stop press 4")
    assert waits["parameters"] == {"force": True}
    assert "force=True" in run("alarms", "approve").out
    assert "lists those" in run("alarms", "approve", "nothing", code=2).err
    assert "lists those" in run("alarms", "approve", "", code=2).err
    assert "stop press 4" in run("alarms", "approve", key[:8], "--who", "ada").out
    assert "No action waits" in run("alarms", "approve", key, code=2).err
    assert attempt().status == "delivered"
    approved = next(each for each in stores.audit.list() if each.what.endswith(": approved"))
    assert (approved.who, approved.detail["notice"]) == ("ada", key)


def test_dead_notices_are_listed_and_sent_again(run: Run, stores: Stores) -> None:
    with stores.db.begin() as c:
        key = stores.outbox.enqueue(c, "ops", {}, "opened", ["a1"], datetime.now(UTC))
    stores.outbox.mark(key, Delivery("rejected", EVIL[:20]))
    assert run("events", "--dead", "--json").json[0]["key"] == key
    run("events", "--requeue", key)
    assert run("events", "--dead").out == "nothing\n"
    assert "no dead notification" in run("events", "--requeue", key, code=2).err


HOST = """
monitors:
  machine:
    source: {type: host, every: 50ms}
    model: model
    training: {detector: ecod, after: 20}
"""


class Running:
    """``tocsin up`` in a folder, and what it has said so far."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tocsin", "up", *options],
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )

    def wait_for(self, words: str, within: float = 120.0) -> None:
        end = time.monotonic() + within
        while words not in self.log.read_text():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)

    def end(self, how: signal.Signals) -> str:
        """End it, and return all it said."""
        try:
            self.process.send_signal(how)
            assert self.process.wait(20.0) == 0, self.log.read_text()
        finally:
            self.process.kill()
            self.process.wait()
        said = self.log.read_text()
        assert "Traceback" not in said
        return said


@pytest.mark.slow
def test_up_trains_scores_and_ends_in_peace(run: Run, tmp_path: Path) -> None:
    (tmp_path / "tocsin.yaml").write_text(HOST, encoding="utf-8")
    up = Running(tmp_path)
    try:
        up.wait_for("machine: scored by model@")
        assert "end `tocsin up` first" in run("events", "--replay", "all", code=2).err
    except BaseException:
        up.process.kill()
        raise
    started = time.monotonic()
    up.end(signal.SIGINT)
    assert time.monotonic() - started < 15
    (newest,) = run("events", "machine", "--top", 1, "--json").json
    assert newest["model"].startswith("model@")
    assert 0 <= newest["p_value"] <= 1
    assert run("events", "--json").json[0]["events"] >= 20


def test_up_writes_what_it_watches(run: Run, tmp_path: Path) -> None:
    up = Running(tmp_path)
    try:
        up.wait_for("machine: watching this machine")
    except BaseException:
        up.process.kill()
        raise
    said = up.end(signal.SIGTERM)
    assert "tocsin.yaml did not exist; wrote one that watches this machine." in said
    run("check")


def test_commands_start_fast_and_light() -> None:
    code = (
        "import sys, runpy; sys.argv = ['tocsin', '--help']\n"
        "try: runpy.run_module('tocsin', run_name='__main__')\n"
        "except SystemExit: print(*{'numpy', 'pandas', 'rich', 'sqlalchemy'} & set(sys.modules))\n"
        "from tocsin import config; from tocsin.monitor.stores import Stores\n"
        "print(*{'torch', 'numba', 'tocsin.pipeline'} & set(sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n\n\n"), done.stdout[-200:]
