"""Notifications on their way: sent once, again after a failure, and none waits for another."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.monitors import COLUMNS, START, Counting, batch, configured, events, process
from tocsin import config
from tocsin.alarms.lifecycle import change
from tocsin.alarms.routing import Router
from tocsin.errors import StoreUnavailable
from tocsin.monitor.dispatch import MOST_ATTEMPTS, Dispatcher, _pause
from tocsin.monitor.event_processor import EventProcessor
from tocsin.responders.webhook import Webhook
from tocsin.store.outbox import Pending
from tocsin.types import Batch, Delivery, Notification

NOW = datetime(2026, 1, 1, 0, 10, tzinfo=UTC)
TELL = "policies: [{respond: [console], group_wait: 0s, group_interval: 0s, repeat: 4h}]"


def ringing(folder: Path, more: str = TELL, monitor: str = "") -> EventProcessor:
    """Return a monitor with one open alarm of pump 2."""
    one = process(configured(folder, "{type: host}", more=more, monitor=monitor))
    one.process(batch(events(40, bad=[30, 34])), NOW)
    return one


def dispatcher(one: EventProcessor, responder: Counting | Webhook) -> Dispatcher:
    return Dispatcher("console", responder, one.stores, one.router)


def send(sender: Dispatcher, now: datetime) -> int:
    """Send all that is due at a time, and return how many notifications that was."""

    async def all_due() -> int:
        sent = 0
        while await sender.send_due(now):
            sent += 1
        return sent

    return asyncio.run(all_due())


def kinds(responder: Counting) -> list[str]:
    return [notification.kind for notification in responder.notifications]


def test_opened_repeated_and_resolved_are_told(tmp_path: Path) -> None:
    one, told = ringing(tmp_path), Counting()
    sender = dispatcher(one, told)
    send(sender, NOW)
    assert kinds(told) == ["opened"]
    assert [alarm.entity for alarm in told.notifications[0].alarms] == ["pump 2"]
    send(sender, NOW + timedelta(hours=3.9))
    assert kinds(told) == ["opened"]
    for times in (1, 2, 3):
        send(sender, NOW + times * timedelta(hours=4, minutes=1))
    assert kinds(told) == ["opened", *["repeated"] * 3]
    one.process(batch(events(40, start=1_000)), NOW + timedelta(hours=13))
    send(sender, NOW + timedelta(hours=13))
    assert kinds(told)[-1] == "resolved"
    send(sender, NOW + timedelta(hours=30))
    assert len(told.notifications) == 5
    assert one.stores.outbox.dead() == []
    assert one.stores.outbox.pending() == []


def test_a_kill_between_sending_and_noting_sends_again_with_the_same_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, told = ringing(tmp_path), Counting()

    def killed(*_: object) -> None:
        raise StoreUnavailable("killed")

    with monkeypatch.context() as patched:
        patched.setattr(one.stores.outbox, "mark", killed)
        with pytest.raises(StoreUnavailable):
            send(dispatcher(one, told), NOW)
    # Another process, after the lease: the alarm has changed meanwhile, the notification has not.
    one.process(batch(events(40, start=40, bad=[50])), NOW)
    again = process(tmp_path / "tocsin.yaml", kept=one.stores)
    send(dispatcher(again, told), NOW + timedelta(minutes=1))
    opened = [notification for notification in told.notifications if notification.kind == "opened"]
    assert len(opened) == 2
    assert opened[0] == opened[1]


def test_a_responder_that_fails_is_tried_again_with_growing_pauses(tmp_path: Path) -> None:
    one = ringing(tmp_path)
    told = Counting(lambda _: Delivery("retry", "down"))
    sender, now = dispatcher(one, told), NOW
    tried: list[datetime] = []
    while not one.stores.outbox.dead():
        assert send(sender, now) == 1
        tried.append(now)
        now = one.stores.outbox.pending()[0].due
        assert now < NOW + timedelta(hours=5)
    pauses = [(b - a).total_seconds() for a, b in pairwise(tried)]
    assert len(tried) == MOST_ATTEMPTS
    assert all(0.7 * 2 * 3**i <= p <= 1.3 * 2 * 3**i + 1 for i, p in enumerate(pauses[:6]))
    assert max(pauses) <= 1.25 * 1_800 + 1
    assert len({notification.key for notification in told.notifications}) == 1
    (dead,) = one.stores.outbox.dead()
    assert (dead.status, dead.reason, dead.attempts) == ("dead", "down", MOST_ATTEMPTS)
    told2 = Counting()
    one.stores.outbox.requeue(dead.key, now)
    send(dispatcher(one, told2), now)
    assert told2.notifications[0].key == dead.key


def test_pauses_of_several_notices_differ() -> None:
    assert len({round(_pause(f"key {i}", 3), 3) for i in range(20)}) == 20


@pytest.fixture
def slow_answers() -> threading.Event:
    """When the path /slow is answered."""
    return threading.Event()


@pytest.fixture
def receiver(slow_answers: threading.Event) -> Iterator[Callable[[str], str]]:
    """A server that answers as its path says: /200, /500, /slow."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/slow":
                slow_answers.wait(20)
            self.send_response(int(self.path[1:]) if self.path != "/slow" else 503)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield lambda path: f"http://127.0.0.1:{server.server_port}/{path}"
    server.shutdown()


def test_slow_and_failing_responders_delay_no_other(
    tmp_path: Path, receiver: Callable[[str], str], slow_answers: threading.Event
) -> None:
    more = "policies: [{respond: [fine, broken, slow, gone], group_wait: 0s}]\nresponders:\n"
    for name, url in (
        ("fine", receiver("200")),
        ("broken", receiver("500")),
        ("slow", receiver("slow")),
        ("gone", "http://127.0.0.1:9/"),
    ):
        more += f"  {name}: {{type: webhook, url: '{url}', allow: [127.0.0.1], timeout: 20s}}\n"
    one = ringing(tmp_path, more)
    responders = config.read(tmp_path / "tocsin.yaml").responders
    senders = [Dispatcher(n, r, one.stores, one.router) for n, r in responders.items()]

    def opened() -> dict[str, Pending]:
        return {p.responder: p for p in one.stores.outbox.pending() if p.kind == "opened"}

    async def all_at_once() -> None:
        tasks = [asyncio.create_task(sender.run()) for sender in senders]
        while "fine" in opened():
            await asyncio.sleep(0.02)
        assert opened()["slow"].attempts == 0, "it still waits for its answer"
        slow_answers.set()
        while not all(p.attempts for p in opened().values()):
            await asyncio.sleep(0.02)
        for sender in senders:
            sender.stop()
        await asyncio.gather(*tasks)

    asyncio.run(asyncio.wait_for(all_at_once(), 20))
    waiting = opened()
    assert set(waiting) == {"broken", "slow", "gone"}
    assert all(p.attempts >= 1 and p.reason for p in waiting.values())
    assert "500" in waiting["broken"].reason


def test_a_responder_that_hangs_is_unknown_and_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tocsin.monitor.dispatch._GRACE", 0.1)
    one, hanging, forever = ringing(tmp_path), threading.Event(), threading.Event()

    def hang(_: Notification) -> Delivery:
        hanging.set()
        forever.wait(20)
        hanging.clear()
        return Delivery("delivered")

    asyncio.run(dispatcher(one, Counting(hang, timeout=0.2)).send_due(NOW))
    assert hanging.is_set()
    forever.set()
    (dead,) = one.stores.outbox.dead()
    assert dead.status == "unknown"


def test_a_storm_of_anomalies_is_told_in_few_notices(tmp_path: Path) -> None:
    one = process(configured(tmp_path, "{type: host}", more=TELL))
    told = Counting()
    rng = np.random.default_rng(0)
    names = tuple(f"pump {i % 50}" for i in range(2_000))
    took = time.process_time()
    for number in range(50):
        frame = pd.DataFrame(rng.normal(30, 1, (2_000, 3)), columns=list(COLUMNS))
        times = START + np.arange(2_000).astype("timedelta64[ms]")
        now = NOW + timedelta(seconds=number)
        one.process(Batch(frame, times + number * 2_000_000, entities=names), now)
        send(dispatcher(one, told), now)
    counted = one.stores.counters.read()["m"]
    assert counted["anomalies"] == 100_000
    assert len([a for a in one.stores.alarms.list() if a.kind == "anomaly"]) == 50
    send(dispatcher(one, told), NOW + timedelta(hours=1))
    print(f"{len(told.notifications)} notifications of 100,000 anomalies")
    assert 1 <= len(told.notifications) <= 50
    assert time.process_time() - took < 60


def test_more_alarms_than_a_storm_needs_are_told_as_one(tmp_path: Path) -> None:
    more = (
        "policies: [{respond: [console], group_by: [entity], group_wait: 0s}]\n"
        "storm: {alarms: 10, within: 1h}"
    )
    one = process(configured(tmp_path, "{type: host}", more=more))
    told = Counting()
    one.process(batch(events(60, bad=range(60), entities=60)), NOW)
    send(dispatcher(one, told), NOW)
    named = [alarm for notification in told.notifications for alarm in notification.alarms]
    assert len(told.notifications) == 11, "the first ten, and the storm with the model's own"
    assert [alarm.kind for alarm in named].count("storm") == 1


def test_silenced_alarms_are_told_when_the_silence_ends(tmp_path: Path) -> None:
    one, told = ringing(tmp_path), Counting()
    since = NOW - timedelta(minutes=1)
    one.stores.silences.add({"entity": "pump 2"}, since, NOW + timedelta(hours=1), "me")
    one.process(batch(events(24, start=40, bad=[61])), NOW)  # pump 1 is not silenced
    sender = dispatcher(one, told)
    send(sender, NOW)
    assert [a.entity for notification in told.notifications for a in notification.alarms] == [
        "pump 1"
    ]
    send(sender, NOW + timedelta(minutes=30))
    assert len(told.notifications) == 1
    send(sender, NOW + timedelta(hours=1, minutes=5))
    assert [a.entity for a in told.notifications[1].alarms] == ["pump 2"]
    assert told.notifications[1].kind == "opened"


def test_maintenance_and_inhibition_mute(tmp_path: Path) -> None:
    more = (
        f"{TELL}\n"
        "maintenance: [{match: {entity: pump 2}, from: '00:00', to: '01:00'}]\n"
        "inhibit: [{source: {entity: pump 1}, target: {entity: pump 3}}]\n"
    )
    one, told = ringing(tmp_path, more), Counting()
    one.process(batch(events(24, start=40, bad=[61, 63])), NOW)
    sender = dispatcher(one, told)
    send(sender, NOW)
    assert [a.entity for notification in told.notifications for a in notification.alarms] == [
        "pump 1"
    ]
    send(sender, NOW + timedelta(hours=1))
    assert [a.entity for a in told.notifications[-1].alarms] == ["pump 2"]


def test_escalation_reaches_others_unless_somebody_takes_the_alarm(tmp_path: Path) -> None:
    more = (
        "policies: [{respond: [console], group_by: [entity], group_wait: 0s,"
        " escalate: {after: 15m, respond: [console]}}]"
    )
    one, told = ringing(tmp_path, more), Counting()
    one.process(batch(events(24, start=40, bad=[61])), NOW)
    sender = dispatcher(one, told)
    send(sender, NOW)
    taken = next(alarm for alarm in one.stores.alarms.open() if alarm.entity == "pump 2")
    with one.stores.db.begin() as c:
        after = change(taken, "acknowledged", NOW, "me")
        one.stores.alarms.change(c, taken, after, "me", "", NOW)
    send(sender, NOW + timedelta(minutes=16))
    escalated = [
        notification for notification in told.notifications if notification.kind == "escalated"
    ]
    assert [a.entity for notification in escalated for a in notification.alarms] == ["pump 1"]
    assert one.stores.outbox.dead() == [], "what has lapsed is no dead letter"


def test_a_fault_of_one_notice_does_not_end_the_dispatcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = ringing(tmp_path)
    sender = dispatcher(one, Counting())
    calls: list[object] = []

    def broken(*given: object) -> None:
        calls.append(given)
        raise RuntimeError("a fault")

    monkeypatch.setattr(Router, "muted", broken)

    async def run() -> None:
        task = asyncio.create_task(sender.run())
        await asyncio.sleep(0.5)
        assert not task.done()
        sender.stop()
        await task

    asyncio.run(run())
    assert calls


def test_a_rise_that_was_told_already_is_not_told_again(tmp_path: Path) -> None:
    more = "policies: [{respond: [console], group_wait: 10s, group_interval: 5m}]"
    alarms = "    alarms: {open: 1, of: 1, severity: {warning: 0, critical: 1000}}"
    one, told = ringing(tmp_path, more, alarms), Counting()
    (alarm,) = one.stores.alarms.open()
    assert alarm.severity == "warning"

    def rise() -> None:
        severe = replace(one.stores.alarms.get(alarm.id), severity="critical")
        one.tick([severe], NOW)

    sender = dispatcher(one, told)
    rise()  # before "opened" is sent, which thus shows it
    send(sender, NOW + timedelta(minutes=1))
    send(sender, NOW + timedelta(minutes=30))
    assert [(n.kind, n.alarms[0].severity) for n in told.notifications] == [("opened", "critical")]

    (tmp_path / "b").mkdir()
    one, told = ringing(tmp_path / "b", more, alarms), Counting()
    sender = dispatcher(one, told)
    send(sender, NOW + timedelta(minutes=1))
    rise()
    send(sender, NOW + timedelta(minutes=30))
    assert kinds(told) == ["opened", "raised"]
