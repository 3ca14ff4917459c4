"""Actions: only if allowed, once for each alarm, and written down."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from support.notifications import alarm, hostile, notification
from support.receiving import Answer, Receiver
from support.servers import free_port, mosquitto
from tocsin import registry
from tocsin.errors import StoreUnavailable
from tocsin.responders._sending import Sender
from tocsin.responders.action import Action
from tocsin.store.audit import Audit
from tocsin.store.database import Database
from tocsin.types import Alarm, Delivery, Notification


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Audit]:
    with Database(f"sqlite:///{tmp_path}/tocsin.db") as opened:
        yield Audit(opened)


@pytest.fixture
def press() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


class Lever(Sender):
    """A sender of another package that declares that it acts."""

    acts = True

    def send(self, body: bytes, key: str) -> Delivery:
        return Delivery("delivered")


class Bent(Lever):
    """One that derives from it, and declares nothing."""


def action(press: Receiver, **settings: Any) -> Action:
    target = {"type": "webhook", "url": press.url, "allow": ["127.0.0.1"], "timeout": 1}
    given = {"target": target, "do": {"name": "stop press 4", "parameters": {"speed": 0}}}
    free = {"dry_run": False, "approval": False, "cooldown": 0, "timeout": 5}
    return Action.model_validate({**given, **free, **settings})


def now(*alarms: Alarm, **changes: Any) -> Notification:
    return notification(*alarms, **{"created": datetime.now(UTC), **changes})


def outcomes(ledger: Audit) -> list[str]:
    return [row.what.removeprefix("action stop press 4: ") for row in reversed(ledger.list())]


def test_by_default_nothing_is_done(press: Receiver, ledger: Audit) -> None:
    target = {"type": "webhook", "url": press.url, "allow": ["127.0.0.1"]}
    plain = Action.model_validate({"target": target, "do": {"name": "stop press 4"}})
    assert (plain.dry_run, plain.approval, plain.check()) == (True, True, None)
    delivery = plain.act(now(), ledger)
    assert delivery == Delivery("delivered", "dry run: would do stop press 4")
    assert press.requests == []
    assert outcomes(ledger) == ["would do"]
    assert plain.respond(now()).status == "rejected"


def test_a_command_is_fixed_and_alarms_are_data(press: Receiver, ledger: Audit) -> None:
    told = replace(hostile(), created=datetime.now(UTC))
    assert action(press).act(told, ledger).status == "delivered"
    body = json.loads(press.requests[0].body)
    assert body["action"] == "stop press 4"
    assert body["parameters"] == {"speed": 0}
    assert body["key"] == "action:stop press 4:a1"
    assert body["alarm"]["summary"].startswith("x\r\nBcc")
    assert "Bcc" not in press.requests[0].headers
    assert outcomes(ledger) == ["started", "delivered"]
    row = ledger.list(limit=1)[0]
    assert (row.who, row.detail["alarm"], row.detail["notice"]) == ("tocsin", "a1", "k-1")


def test_once_for_each_alarm_however_often_it_is_told(press: Receiver, ledger: Audit) -> None:
    stop = action(press)
    for key in ("k-1", "k-1", "k-2"):
        assert stop.act(now(alarm("a1"), alarm("a2"), key=key), ledger).status == "delivered"
    assert [json.loads(each.body)["alarm"]["id"] for each in press.requests] == ["a1", "a2"]
    assert outcomes(ledger).count("started") == 2
    assert outcomes(ledger).count("done before") == 4


def test_somebody_has_to_agree(press: Receiver, ledger: Audit) -> None:
    stop = action(press, approval=True)
    waits = stop.act(now(), ledger)
    assert waits.status == "retry"
    assert "tocsin alarms approve k-1" in waits.reason
    ledger.claim("approved:k-2")
    assert stop.act(now(), ledger).status == "retry"
    ledger.claim("approved:k-1")
    assert stop.act(now(), ledger).status == "delivered"
    assert outcomes(ledger) == ["waits", "waits", "started", "delivered"]
    assert len(press.requests) == 1


def test_nothing_is_done_again_before_the_cooldown(press: Receiver, ledger: Audit) -> None:
    stop = action(press, cooldown="1h")
    assert stop.act(now(alarm("a1"), alarm("a2")), ledger).status == "delivered"
    cooling = stop.act(now(alarm("a3"), key="k-3"), ledger)
    assert (cooling.status, "less than 3600 s ago" in cooling.reason) == ("rejected", True)
    assert outcomes(ledger) == ["started", "delivered", "cooling down", "cooling down"]
    other = action(press, cooldown="1h", do={"name": "throttle press 4"})
    assert other.act(now(alarm("a3")), ledger).status == "delivered"
    assert action(press).act(now(alarm("a3")), ledger).status == "delivered"


@pytest.mark.parametrize(
    ("alarms", "changes"),
    [
        ((alarm(severity="warning"),), {}),
        ((alarm(kind="no data"),), {}),
        ((alarm(),), {"kind": "resolved"}),
        ((alarm(),), {"kind": "repeated"}),
    ],
)
def test_only_what_is_meant_is_acted_on(
    press: Receiver, ledger: Audit, alarms: tuple[Alarm, ...], changes: dict[str, Any]
) -> None:
    assert action(press).act(now(*alarms, **changes), ledger).status == "delivered"
    assert (press.requests, outcomes(ledger)) == ([], ["not meant"])


def test_an_old_notice_is_not_acted_on(press: Receiver, ledger: Audit) -> None:
    old = now(created=datetime.now(UTC) - timedelta(hours=2))
    assert action(press).act(old, ledger).status == "rejected"
    assert (press.requests, outcomes(ledger)) == ([], ["expired"])


@pytest.mark.parametrize("answer", [Answer(wait=30), Answer(close=True), Answer(504)])
def test_no_clear_answer_is_unknown_and_never_repeated(
    press: Receiver, ledger: Audit, answer: Answer
) -> None:
    press.answer = answer
    target = {"type": "webhook", "url": press.url, "allow": ["127.0.0.1"], "timeout": 0.5}
    stop = action(press, target=target)
    assert stop.act(now(), ledger).status == "unknown"
    press.answer = Answer()
    again = stop.act(now(), ledger)
    assert (again.status, "nobody knows" in again.reason) == ("unknown", True)
    assert len(press.requests) == 1
    assert outcomes(ledger) == ["started", "unknown", "unknown"]


def test_what_surely_reached_nothing_is_tried_again(press: Receiver, ledger: Audit) -> None:
    stop = action(press, cooldown="1h")
    press.answer = Answer(503)
    for _ in range(2):
        assert stop.act(now(), ledger).status == "retry"
    press.answer = Answer()
    assert stop.act(now(), ledger).status == "delivered"
    assert stop.act(now(), ledger).status == "delivered"
    assert len(press.requests) == 3
    assert len({each.headers["Tocsin-Key"] for each in press.requests}) == 1
    assert outcomes(ledger) == ["started", "retry"] * 2 + ["started", "delivered", "done before"]


def test_what_was_refused_is_not_unknown(press: Receiver, ledger: Audit) -> None:
    press.answer = Answer(403)
    for _ in range(2):
        assert action(press).act(now(), ledger).status == "rejected"
    assert len(press.requests) == 1


def test_a_crash_while_acting_is_unknown_afterwards(tmp_path: Path) -> None:
    """Killed for real, while the equipment's program runs."""
    program = tmp_path / "stop.sh"
    above = "read -r _ _ _ tocsin _ < /proc/$PPID/stat"  # its parent only looks after it
    program.write_text(f"#!/bin/sh\necho ran >> {tmp_path}/ran\n{above}\nkill -9 $tocsin\n")
    program.chmod(0o755)
    target = {"type": "command", "command": [str(program)], "allow": [program]}
    free = {"dry_run": False, "approval": False}
    stop = Action.model_validate({"target": target, "do": {"name": "stop press 4"}, **free})
    url, told = f"sqlite:///{tmp_path}/tocsin.db", now()

    def act() -> str:
        with Database(url) as db:
            return stop.act(told, Audit(db)).status

    killed = multiprocessing.get_context("fork").Process(target=act)
    killed.start()
    killed.join(10)
    assert killed.exitcode == -signal.SIGKILL
    assert act() == "unknown"
    assert (tmp_path / "ran").read_text() == "ran\n"
    with Database(url) as db:
        assert outcomes(Audit(db)) == ["started", "unknown"]


def test_a_program_and_a_broker_are_targets(tmp_path: Path, ledger: Audit) -> None:
    program = tmp_path / "stop.sh"
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/in\n")
    program.chmod(0o755)
    target: dict[str, Any] = {"type": "command", "command": [str(program)], "allow": [program]}
    free = {"dry_run": False, "approval": False}
    run = Action.model_validate({"target": target, "do": {"name": "stop"}, **free})
    assert run.act(now(), ledger).status == "delivered"
    assert json.loads((tmp_path / "in").read_bytes())["action"] == "stop"
    with mosquitto(tmp_path) as broker:
        target = {"type": "mqtt", "host": "127.0.0.1", "port": broker.port, "topic": "press/4"}
        publish = Action.model_validate({"target": target, "do": {"name": "slow"}, **free})
        assert publish.act(now(), ledger).status == "delivered"
        assert broker.answers()
    away = publish.act(now(alarm("a2")), ledger)
    assert away.status in ("retry", "rejected")


def test_a_ledger_that_is_away_stops_everything(press: Receiver, ledger: Audit) -> None:
    class Away(Audit):
        def claim(self, key: str) -> bool:
            raise StoreUnavailable("the disk is full")

    away = Away(ledger._db)
    delivery = action(press).act(now(), away)
    assert (delivery.status, "disk is full" in delivery.reason) == ("retry", True)
    assert press.requests == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target": {"type": "email"}}, "command, mqtt, webhook"),
        ({"target": {"type": "webhook", "url": "x", "secret": "hush"}}, "a url is written like"),
        ({"target": {"type": "mqtt", "topic": "a", "timeout": 60}}, "less than that of the target"),
        ({"do": {"name": "stop: all"}}, "do.name"),
        ({"do": {"name": "stop", "parameters": {"x": ["y"]}}}, "do.parameters"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any], message: str) -> None:
    given = {"target": {"type": "mqtt", "topic": "a"}, "do": {"name": "stop"}, **settings}
    with pytest.raises(ValidationError, match=message) as refused:
        Action.model_validate(given)
    told = [each["msg"] for each in refused.value.errors()]
    assert "hush" not in "".join(told)


def test_the_ledger_knows_claims_and_last_times(ledger: Audit) -> None:
    assert not ledger.claimed("k")
    ledger.claim("k")
    assert ledger.claimed("k")
    assert ledger.last("stop") is None
    ledger.add("ada", "stop", {})
    ledger.add("ada", "other", {})
    last = ledger.last("stop")
    assert last == ledger.list()[1].at


def test_check_looks_at_the_target(press: Receiver) -> None:
    target = {"type": "webhook", "url": f"http://127.0.0.1:{free_port()}/", "timeout": 1}
    assert "not public" in str(action(press, target=target).check())


def test_only_senders_that_declare_it_act(monkeypatch: pytest.MonkeyPatch) -> None:
    others = {"lever": Lever, "bent": Bent}
    known, find = registry.part_names("responders"), registry.find_part
    monkeypatch.setattr(registry, "part_names", lambda kind: [*known, *others])
    monkeypatch.setattr(
        registry, "find_part", lambda kind, name: others.get(name) or find(kind, name)
    )
    made = Action.model_validate({"target": {"type": "lever"}, "do": {"name": "pull"}})
    assert isinstance(made.target, Lever)
    for name in ("bent", "console", "email", "action", "nothing", None):
        with pytest.raises(ValidationError, match="one of command, mqtt, webhook, lever, not"):
            Action.model_validate({"target": {"type": name}, "do": {"name": "pull"}})
