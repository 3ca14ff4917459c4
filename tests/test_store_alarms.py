"""The store of alarms and what follows from them: states, silences, notifications, leases."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from tocsin.errors import InputError, NotInStore, ParameterError
from tocsin.store.alarms import AlarmStore
from tocsin.store.audit import Audit
from tocsin.store.counters import Counters
from tocsin.store.database import Database
from tocsin.store.leases import Lease
from tocsin.store.outbox import Outbox
from tocsin.store.quarantine import Quarantine
from tocsin.store.silences import SilenceStore
from tocsin.types import Alarm, Delivery, Notification, Reason, Rejection

NOW = datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
GROUP = {"monitor": "machine", "site": "a%_'\0"}


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/tocsin.db") as opened:
        yield opened


def make(id: str = "abc1", minutes: int = 0, monitor: str = "machine") -> Alarm:
    opened = NOW + timedelta(minutes=minutes)
    return Alarm(
        id=id,
        fingerprint="f",
        monitor=monitor,
        entity="pump \0 'ü",
        kind="anomaly",
        severity="critical",
        state="open",
        opened=opened,
        updated=opened,
        closed=None,
        summary="The load is high.",
        score=1.5,
        peak=opened,
        reasons=(Reason("load", 1.5, "low", 0.7), Reason("b", None, None, 0.3)),
        evidence={"event": {"load": 1.5}, "lines": ["a", None]},
        labels={"site": "berlin"},
    )


def save(db: Database, *alarms: Alarm) -> AlarmStore:
    store = AlarmStore(db)
    with db.begin() as c:
        store.save(c, alarms)
    return store


def test_an_alarm_comes_back_as_it_was(any_db: Database) -> None:
    store = save(any_db, make(), make("abd2", 1), make("x%", 2, "other"))
    assert store.get("abc1") == make()
    assert store.get("abd") == make("abd2", 1)
    for missing in ("", "z", "%", "abc12"):
        with pytest.raises(NotInStore):
            store.get(missing)
    with pytest.raises(NotInStore, match="abc1, abd2"):
        store.get("ab")


def test_alarms_are_listed_by_state_and_monitor_the_latest_first(any_db: Database) -> None:
    over = replace(make("c", 3), state="resolved", closed=NOW + timedelta(hours=1))
    store = save(any_db, make("a", 1), make("b", 2, "other"), over)
    assert [alarm.id for alarm in store.list()] == ["c", "b", "a"]
    assert [alarm.id for alarm in store.list(limit=2)] == ["c", "b"]
    assert [alarm.id for alarm in store.list(states=["resolved"])] == ["c"]
    assert [alarm.id for alarm in store.list(monitor="machine")] == ["c", "a"]
    assert [alarm.id for alarm in store.open()] == ["b", "a"]
    assert [alarm.id for alarm in store.open("other")] == ["b"]


def test_a_change_is_kept_with_its_history(db: Database) -> None:
    store = save(db, make())
    taken = replace(make(), state="acknowledged", owner="Ada")
    wrong = replace(taken, state="false alarm")
    with db.begin() as c:
        store.change(c, store.find(c, ["abc1"])["abc1"], taken, "Ada", "I look at it", NOW)
        store.change(c, taken, wrong, "Bob", "", NOW + SECOND)
    assert store.get("abc") == wrong
    with db.begin() as c:
        assert store.find(c, ["abc1", "zzz"]) == {"abc1": wrong}
        assert store.find(c, []) == {}
    entries = [(e.at, e.before, e.state, e.who, e.note) for e in store.history("ab")]
    assert entries == [
        (NOW, "open", "acknowledged", "Ada", "I look at it"),
        (NOW + SECOND, "acknowledged", "false alarm", "Bob", ""),
    ]


def test_times_and_evidence_are_json(db: Database) -> None:
    berlin = timezone(timedelta(hours=1))
    numbers = {"score": np.float64(1.5), "row": np.arange(2), "at": NOW}
    store = save(db, replace(make(), opened=NOW.astimezone(berlin), evidence=numbers))
    assert store.get("abc1").opened == NOW
    assert store.get("abc1").evidence["row"] == [0, 1]
    with pytest.raises(InputError, match="no time zone"):
        save(db, replace(make(), opened=NOW.replace(tzinfo=None)))
    with pytest.raises(InputError, match="object"):
        save(db, replace(make(), evidence={"thing": object()}))


def test_states_of_entities(any_db: Database) -> None:
    store = AlarmStore(any_db)
    with any_db.begin() as c:
        store.save_states(c, "machine", {"a": {"bad": 1}, "b\0'": [1, 2.5], "c": 0})
        store.save_states(c, "other", {"a": {"bad": 9}})
        store.save_states(c, "machine", {"a": {"bad": 2}, "c": None, "never": None})
        store.save_states(c, "machine", {})
    assert store.states("machine") == {"a": {"bad": 2}, "b\0'": [1, 2.5]}
    assert store.states("none") == {}


def test_silences_begin_end_and_expire(any_db: Database) -> None:
    store = SilenceStore(any_db)
    first = store.add({"monitor": "web-.*"}, NOW, NOW + 10 * SECOND, "Ada", "repair")
    later = store.add({}, NOW + 5 * SECOND, NOW + 20 * SECOND, "Bob")
    assert store.active(NOW - SECOND) == []
    assert store.active(NOW) == [first]
    assert len(store.active(NOW + 6 * SECOND)) == 2
    assert store.active(NOW + 10 * SECOND) == [later]
    store.expire(later.id, NOW + 12 * SECOND)
    store.expire(first.id, NOW + 12 * SECOND)
    assert [(s.id, s.ends) for s in store.list()] == [
        (later.id, NOW + 12 * SECOND),
        (first.id, first.ends),
    ]
    with pytest.raises(NotInStore):
        store.expire("none", NOW)
    with pytest.raises(ParameterError):
        store.add({}, NOW, NOW, "Ada")


def enqueue(db: Database, *alarms: str, due: datetime = NOW, kind: str = "opened") -> str:
    with db.begin() as c:
        return Outbox(db).enqueue(c, "ops", GROUP, kind, alarms, due)


def test_notices_join_until_a_sender_takes_them(any_db: Database) -> None:
    outbox = Outbox(any_db)
    key = enqueue(any_db, "a", "b", due=NOW + 10 * SECOND)
    assert enqueue(any_db, "b", "c", due=NOW + 5 * SECOND) == key
    assert enqueue(any_db, "d", due=NOW + 9 * SECOND) == key
    assert enqueue(any_db, "a", kind="resolved", due=NOW + 60 * SECOND) != key
    assert outbox.due(NOW, "ops", 10, 30) == []
    assert outbox.due(NOW + 5 * SECOND, "other", 10, 30) == []
    (taken,) = outbox.due(NOW + 5 * SECOND, "ops", 10, 30)
    assert (taken.key, taken.kind, taken.group) == (key, "opened", GROUP)
    assert taken.alarm_ids == ("a", "b", "c", "d")
    assert enqueue(any_db, "e") != key


def test_a_killed_senders_notice_comes_again_with_key_and_content(any_db: Database) -> None:
    outbox = Outbox(any_db)
    key = enqueue(any_db, "abc1")
    (taken,) = outbox.due(NOW, "ops", 10, 30)
    assert taken.notification is None
    notification = Notification(key, "opened", GROUP, (make(),), NOW)
    assert outbox.freeze(key, notification) == notification
    assert outbox.freeze(key, replace(notification, alarms=())) == notification
    assert outbox.due(NOW + 29 * SECOND, "ops", 10, 30) == []
    (again,) = outbox.due(NOW + 30 * SECOND, "ops", 10, 30)
    assert (again.key, again.notification, again.attempts) == (key, notification, 0)
    with pytest.raises(NotInStore):
        outbox.freeze("none", notification)


def test_retries_dead_letters_and_another_try(any_db: Database) -> None:
    outbox = Outbox(any_db)
    key = enqueue(any_db, "a")
    outbox.due(NOW, "ops", 10, 30)
    outbox.mark(key, Delivery("retry", "503"), NOW + 60 * SECOND)
    assert outbox.due(NOW + 59 * SECOND, "ops", 10, 30) == []
    (again,) = outbox.due(NOW + 60 * SECOND, "ops", 10, 30)
    assert (again.attempts, again.reason, again.status) == (1, "503", "pending")
    assert enqueue(any_db, "b", due=NOW + timedelta(days=1)) != key
    outbox.mark(key, Delivery("retry", "503 again"), None)
    (dead,) = outbox.dead()
    assert (dead.key, dead.status, dead.reason, dead.attempts) == (key, "dead", "503 again", 2)
    outbox.mark(key, Delivery("delivered"))
    assert len(outbox.dead()) == 1
    with any_db.read() as c:
        assert outbox.last_sent(c, "ops", GROUP) is None
    outbox.requeue(key, NOW + 70 * SECOND)
    assert [p.key for p in outbox.due(NOW + 70 * SECOND, "ops", 10, 30)] == [key]
    outbox.mark(key, Delivery("delivered"), at=NOW + 71 * SECOND)
    assert outbox.dead() == []
    with any_db.read() as c:
        assert outbox.last_sent(c, "ops", GROUP) == NOW + 71 * SECOND
        assert outbox.last_sent(c, "ops", {}) is None
    with pytest.raises(NotInStore):
        outbox.requeue(key, NOW)


@pytest.mark.parametrize("status", ["rejected", "unknown"])
def test_what_was_not_surely_delivered_is_kept(db: Database, status: str) -> None:
    outbox = Outbox(db)
    key = enqueue(db, "a")
    outbox.mark(key, Delivery(status, "why"))
    assert [(p.key, p.status) for p in outbox.dead()] == [(key, status)]
    enqueue(db, "b")
    assert outbox.prune(datetime.now(UTC) + SECOND) == 1
    assert outbox.dead() == []
    assert len(outbox.due(NOW, "ops", 10, 30)) == 1


def test_two_senders_never_take_the_same_notice(any_db: Database) -> None:
    outbox = Outbox(any_db)
    for number in range(30):
        enqueue(any_db, "a", kind=f"kind {number}")
    taken: list[str] = []

    def send() -> None:
        while found := outbox.due(NOW, "ops", 2, 30):
            taken.extend(pending.key for pending in found)

    senders = [threading.Thread(target=send) for _ in range(3)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert len(taken) == len(set(taken)) == 30


def test_quarantine_is_listed_and_taken(any_db: Database) -> None:
    store = Quarantine(any_db)
    bad = [Rejection("malformed", "no JSON", "\0\ud800{"), Rejection("late", "2 h late", "{}")]
    with any_db.begin() as c:
        store.add(c, "machine", bad, NOW)
        store.add(c, "other", bad[:1], NOW + SECOND)
        store.add(c, "other", [], NOW)
    newest, late, malformed = store.list()
    assert (malformed.kind, malformed.reason, malformed.raw) == ("malformed", "no JSON", bad[0].raw)
    assert (newest.monitor, newest.at) == ("other", NOW + SECOND)
    assert store.list("machine", limit=1) == [late]

    def fail() -> None:
        with any_db.begin() as c:
            assert store.take([late.number], c) == [late]
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert store.take([late.number, malformed.number, 999]) == [malformed, late]
    assert store.take([late.number]) == []
    assert store.prune(NOW + 2 * SECOND) == 1
    assert store.list() == []


def test_counters_grow_from_several_threads(any_db: Database) -> None:
    store = Counters(any_db)

    def count() -> None:
        for _ in range(10):
            with any_db.begin() as c:
                store.add(c, "machine", {"stored": 3, "late": 1, "none": 0})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read() == {"machine": {"stored": 120, "late": 40}}


def test_a_lease_has_one_holder(any_db: Database) -> None:
    ada, bob = (Lease(any_db, "dispatcher", name, 60) for name in ("ada", "bob"))
    assert (ada.acquire(), ada.acquire(), bob.acquire(), bob.renew()) == (True, True, False, False)
    bob.release()
    assert ada.renew()
    short = Lease(any_db, "dispatcher", "ada", 0.05)
    assert short.acquire()
    time.sleep(0.06)
    assert not ada.renew()
    assert bob.acquire()
    assert not ada.acquire()
    bob.release()
    assert ada.acquire()


def test_audit_and_claims(any_db: Database) -> None:
    audit = Audit(any_db)
    audit.add("Ada", "stop", {"machine": "press", "dry run": True})
    audit.add("tocsin", "throttle", {})
    throttle, stop = audit.list()
    assert (stop.who, stop.what, stop.detail) == ("Ada", "stop", {"machine": "press", "dry run": 1})
    assert audit.list(limit=1) == [throttle]
    assert abs(stop.at - datetime.now(UTC)) < timedelta(minutes=1)
    assert [audit.claim("k1"), audit.claim("k1"), audit.claim("k2")] == [True, False, True]
