"""Who is told of what and when, and when nobody is; storms, with the whole way to notifications."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from tocsin.alarms.episodes import Episodes
from tocsin.alarms.policy import AlarmPolicy, Inhibition, Maintenance, RoutingPolicy, Storm
from tocsin.alarms.routing import Route, Router, lapsed
from tocsin.alarms.storm import StormControl
from tocsin.types import Alarm, BatchDecision

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def alarm(**changes: Any) -> Alarm:
    made = Alarm(
        id="1a2b",
        fingerprint="f",
        monitor="machine",
        entity="fan",
        kind="anomaly",
        severity="warning",
        state="open",
        opened=NOON,
        updated=NOON,
        closed=None,
        summary="machine: odd",
        labels={"site": "berlin"},
    )
    return replace(made, **changes)


def over(**changes: Any) -> Alarm:
    return alarm(state="resolved", closed=NOON, **changes)


def policies(*each: Mapping[str, Any]) -> list[RoutingPolicy]:
    return [RoutingPolicy.model_validate(policy) for policy in each]


def told(routes: list[Route]) -> list[tuple[str, str]]:
    return [(route.responder, route.kind) for route in routes]


def test_everything_goes_to_the_console_if_nobody_says_otherwise() -> None:
    routes = Router().route(alarm(), None)
    assert told(routes) == [("console", "opened"), ("console", "repeated")]
    assert (routes[0].group, routes[0].wait) == ({"monitor": "machine"}, 0)
    assert routes[1].wait == 4 * 3600


def test_the_first_policy_that_matches_wins_unless_it_lets_go_on() -> None:
    router = Router(
        policies(
            {"match": {"severity": "critical"}, "respond": ["pager"], "continue": True},
            {"match": {"site": "ber.*"}, "respond": ["ops", "log"], "repeat": None},
            {"respond": ["console"]},
        )
    )
    routes = router.route(alarm(severity="critical"), None)
    assert told(routes) == [
        ("pager", "opened"),
        ("pager", "repeated"),
        ("ops", "opened"),
        ("log", "opened"),
    ]
    assert told(router.route(alarm(labels={}), None))[0] == ("console", "opened")
    nobody = Router(policies({"match": {"severity": "critical"}, "respond": ["pager"]}))
    assert nobody.route(alarm(), None) == []


@pytest.mark.parametrize(
    ("now", "before", "kinds"),
    [
        (alarm(), None, ["opened", "repeated", "escalated"]),
        (over(), None, ["opened", "resolved"]),
        (alarm(events=9), alarm(), []),
        (alarm(severity="critical"), alarm(), ["raised"]),
        (alarm(severity="critical"), alarm(state="acknowledged", owner="anna"), ["raised"]),
        (over(), alarm(), ["resolved"]),
        (over(), alarm(state="acknowledged"), ["resolved"]),
        (alarm(state="false alarm"), alarm(), ["resolved"]),
        (alarm(state="acknowledged"), alarm(), []),
        # A person resolved it or called it false while it goes on: it stays quiet, even if worse.
        (alarm(events=9), over(), []),
        (alarm(severity="critical"), alarm(state="false alarm"), []),
        (over(), over(), []),
        # It opened again.
        (alarm(opened=NOON + timedelta(1)), over(), ["opened", "repeated", "escalated"]),
        (alarm(opened=NOON + timedelta(1)), alarm(), ["opened", "repeated", "escalated"]),
        (over(opened=NOON + timedelta(1)), over(), ["opened", "resolved"]),
    ],
)
def test_which_changes_are_told(now: Alarm, before: Alarm | None, kinds: list[str]) -> None:
    policy = {"respond": ["a"], "escalate": {"after": "15m", "respond": ["b"]}}
    routes = Router(policies(policy)).route(now, before)
    assert [route.kind for route in routes] == kinds
    waits = {"opened": 10, "raised": 10, "resolved": 10, "repeated": 4 * 3600, "escalated": 900}
    assert [route.wait for route in routes] == [waits[kind] for kind in kinds]
    assert all((route.responder == "b") == (route.kind == "escalated") for route in routes)


def test_ends_are_not_told_to_those_who_do_not_want_it() -> None:
    router = Router(policies({"respond": ["a"], "resolved": False}))
    assert router.route(over(), alarm()) == []


def test_groups_and_when_they_are_due() -> None:
    policy = {"respond": ["a"], "group_by": ["monitor", "site", "rack"], "repeat": None}
    (route,) = Router(policies(policy)).route(alarm(), None)
    assert route.group == {"monitor": "machine", "site": "berlin", "rack": ""}
    assert route.due(NOON, None) == NOON + timedelta(seconds=10)
    assert route.due(NOON, NOON - timedelta(seconds=60)) == NOON + timedelta(seconds=240)
    assert route.due(NOON, NOON - timedelta(hours=1)) == NOON + timedelta(seconds=10)
    in_the_future = NOON + timedelta(days=900)
    assert route.due(NOON, in_the_future) == NOON + timedelta(seconds=300)


def test_repetitions_and_escalations_lapse() -> None:
    assert told(Router().again(alarm())) == [("console", "repeated")]
    assert lapsed("repeated", alarm()) is None
    assert lapsed("repeated", alarm(state="acknowledged")) == "it is acknowledged"
    assert lapsed("escalated", over()) == "it is resolved"
    assert lapsed("opened", over()) is None
    assert lapsed("opened", alarm(state="false alarm")) == "it is a false alarm"
    assert lapsed("resolved", over()) is None
    assert lapsed("resolved", alarm()) == "it is open again"


@dataclass(frozen=True)
class Quiet:
    id: str
    match: Mapping[str, str]


def test_silences_inhibitions_and_maintenance_mute() -> None:
    rules = [
        Inhibition.model_validate(
            {"source": {"kind": "no data"}, "target": {"kind": "anomaly"}, "equal": ["monitor"]}
        )
    ]
    windows = [Maintenance.model_validate({"match": {"entity": "pump"}, "from": 690, "to": 750})]
    router = Router((), rules, windows)
    silent = alarm(id="3c", kind="no data", entity="")
    assert router.muted(alarm(), NOON, [alarm()], []) is None
    assert router.muted(alarm(), NOON, [silent], []) == "inhibited by 3c"
    assert router.muted(silent, NOON, [silent, alarm()], []) is None
    assert router.muted(alarm(), NOON, [replace(silent, monitor="other")], []) is None
    ended = replace(silent, state="resolved", closed=NOON)
    assert router.muted(alarm(), NOON, [ended], []) is None
    silences = [Quiet("q1", {"entity": "p.*"}), Quiet("q2", {"site": "ber.*"})]
    assert router.muted(alarm(), NOON, [], silences) == "silenced by q2"
    pump = alarm(entity="pump")
    assert router.muted(pump, NOON, [], []) == "maintenance from 11:30 to 12:30"
    assert router.muted(pump, NOON + timedelta(hours=1), [], []) is None


class Joining:
    """The rule of the outbox: a notification that is not yet sent is joined, and none is made."""

    def __init__(self) -> None:
        self.pending: dict[tuple[Any, ...], datetime] = {}
        self.sent: list[tuple[Any, ...]] = []

    def enqueue(self, route: Route, now: datetime) -> None:
        key = (route.responder, *route.group.items(), route.kind)
        due = route.due(now, None)
        self.pending[key] = min(due, self.pending.get(key, due))

    def send(self, now: datetime) -> None:
        for key, due in list(self.pending.items()):
            if due <= now:
                self.sent.append(key)
                del self.pending[key]


@pytest.mark.parametrize(
    ("policy", "storm", "most"),
    [
        ({"respond": ["ops"]}, Storm(), 2),
        ({"respond": ["ops"], "group_by": ["monitor", "entity"]}, Storm(alarms=20), 42),
    ],
)
def test_a_hundred_thousand_anomalies_of_fifty_entities_are_few_notices(
    policy: dict[str, Any], storm: Storm, most: int
) -> None:
    engine = Episodes("plant", AlarmPolicy())
    control, router, outbox = StormControl("plant", storm), Router(policies(policy)), Joining()
    stored: dict[str, Alarm] = {}
    entities = tuple(f"sensor {i % 50}" for i in range(2_000))
    p_values = np.full(2_000, 1e-4)
    decision = BatchDecision(-np.log10(p_values), p_values, p_values < 1e-3, 3.0, "m")
    start, anomalies = np.datetime64(NOON.replace(tzinfo=None), "us"), 0
    for step in range(50):
        now = NOON + timedelta(milliseconds=100 * step)
        times = start + np.timedelta64(100 * step, "ms") + np.arange(2_000).astype("m8[us]")
        changed = engine.update(times, entities, decision)
        for each in control.update(changed, stored, engine.newest):
            for route in router.route(each, stored.get(each.id)):
                outbox.enqueue(route, now)
            stored[each.id] = each
        outbox.send(now)
        anomalies += 2_000
    outbox.send(NOON + timedelta(minutes=10))
    singles = [each for each in stored.values() if each.kind == "anomaly"]
    assert sum(each.anomalies for each in singles) == anomalies == 100_000
    assert len(singles) == 50
    assert 0 < len(outbox.sent) <= most


def opened(number: int, seconds: float) -> Alarm:
    return alarm(id=f"id{number}", entity=f"fan {number}", opened=NOON + timedelta(seconds=seconds))


def test_a_storm_is_one_alarm_until_it_calms_down() -> None:
    control = StormControl("machine", Storm(alarms=4, within=10), {"site": "berlin"})
    burst = [opened(i, i / 10) for i in range(30)]
    *singles, storm = control.update(burst, {}, NOON + timedelta(seconds=3))
    assert [each.labels.get("storm") for each in singles] == [None] * 4 + [storm.id] * 26
    assert (storm.kind, storm.state, storm.anomalies) == ("storm", "open", 26)
    assert storm.summary == "machine: a storm, 26 more alarms than the first 4 within 10 s"
    assert len(storm.evidence["entities"]) == 20
    router = Router()
    assert router.route(singles[9], None) == []
    assert told(router.route(storm, None))[0] == ("console", "opened")

    known = {each.id for each in [*burst, storm]}
    worse = replace(burst[9], severity="critical")
    again, storm = control.update([worse], known, NOON + timedelta(seconds=12))
    assert again.labels["storm"] == storm.id
    assert (storm.severity, storm.state) == ("critical", "open")

    (storm,) = control.update([], known, NOON + timedelta(seconds=30))
    assert storm.state == "resolved"
    assert storm.closed == NOON + timedelta(seconds=2.7 + 10)
    (single,) = control.update([opened(99, 31)], known, NOON + timedelta(seconds=31))
    assert "storm" not in single.labels
    (single,) = control.update([burst[9]], known, NOON + timedelta(seconds=32))
    assert single.labels["storm"] == storm.id


def test_a_storm_ends_even_if_clocks_jump() -> None:
    for jump in (timedelta(days=9_000), timedelta(days=-9_000)):
        control = StormControl("machine", Storm(alarms=2, within=10))
        control.update([opened(i, 0) for i in range(9)], {}, NOON)
        (storm,) = control.update([], {}, NOON + jump)
        assert storm.state == "resolved"
        assert storm.closed is not None
        assert storm.closed >= storm.opened
        assert control.update([], {}, NOON) == []


def test_alarms_that_no_event_causes_pass_a_storm() -> None:
    control = StormControl("machine", Storm(alarms=1, within=10))
    control.update([opened(i, 0) for i in range(9)], {}, NOON)
    silent = alarm(id="3c", kind="no data")
    assert control.update([silent], {}, NOON) == [silent]
