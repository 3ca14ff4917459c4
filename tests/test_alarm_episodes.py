"""The alarm engine: what opens, holds and closes an episode, whatever the batches and clocks."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.alarms.conditions import model_trouble, no_data
from tocsin.alarms.episodes import OTHERS, Episodes
from tocsin.alarms.lifecycle import end
from tocsin.alarms.policy import AlarmPolicy, Storm
from tocsin.alarms.storm import StormControl
from tocsin.errors import ParameterError, StoreError
from tocsin.types import Alarm, BatchDecision, Reason

START = np.datetime64("2026-01-01", "us")
NORMAL, ALMOST, ODD, EXTREME = 0.5, 0.002, 1e-4, 1e-8


def at(seconds: Any) -> Any:
    return START + (np.asarray(seconds, dtype=float) * 1e6).astype("timedelta64[us]")


def judged(p_values: Any) -> BatchDecision:
    p = np.asarray(p_values, dtype=float)
    return BatchDecision(-np.log10(p), p, p <= 0.001, 3.0, "autoencoder 1a2b")


def run(
    engine: Episodes,
    p_values: list[float],
    seconds: list[float] | None = None,
    entities: Any = None,
) -> list[Alarm]:
    times = at(range(len(p_values)) if seconds is None else seconds)
    return engine.update(times, entities, judged(p_values))


def test_three_of_five_open_and_ten_quiet_events_close() -> None:
    engine = Episodes("machine", AlarmPolicy())
    assert run(engine, [ODD, NORMAL, ODD, NORMAL, NORMAL, NORMAL]) == []
    (alarm,) = run(engine, [ODD, NORMAL, ODD, NORMAL, ODD, NORMAL], [10, 11, 12, 13, 14, 15])
    assert (alarm.state, alarm.severity, alarm.events, alarm.anomalies) == ("open", "warning", 6, 3)
    assert alarm.opened == datetime(2026, 1, 1, 0, 0, 14, tzinfo=UTC)
    (alarm,) = run(engine, [NORMAL] * 12, list(range(16, 28)))
    assert alarm.state == "resolved"
    assert alarm.closed == datetime(2026, 1, 1, 0, 0, 24, tzinfo=UTC)
    assert run(engine, [NORMAL] * 5, list(range(28, 33))) == []


def test_a_lone_event_opens_only_if_it_is_extreme_or_stands_for_itself() -> None:
    assert run(Episodes("m", AlarmPolicy()), [NORMAL, ODD, NORMAL]) == []
    (alarm,) = run(Episodes("m", AlarmPolicy()), [NORMAL, EXTREME, NORMAL])
    assert alarm.severity == "critical"
    assert run(Episodes("m", AlarmPolicy(open=2, of=3)), [NORMAL, EXTREME, NORMAL]) == []
    assert len(run(Episodes("m", AlarmPolicy(), ordered=False), [NORMAL, ODD, NORMAL])) == 1


def test_nearly_anomalous_events_hold_an_alarm_open_but_do_not_open_it() -> None:
    policy = AlarmPolicy(open=1, close_after=2)
    assert run(Episodes("m", policy), [ALMOST] * 9) == []
    (alarm,) = run(Episodes("m", policy), [ODD, NORMAL, ALMOST, NORMAL, ALMOST, NORMAL])
    assert alarm.state == "open"
    strict = AlarmPolicy(open=1, close_after=2, hysteresis=1)
    (alarm,) = run(Episodes("m", strict), [ODD, NORMAL, ALMOST, NORMAL])
    assert alarm.state == "resolved"


def test_severity_rises_with_rarity_and_number_and_never_falls() -> None:
    policy = AlarmPolicy(open=1, severity={"warning": 1.5, "critical": 3})
    engine = Episodes("m", policy)
    assert run(engine, [ODD])[0].severity == "info"
    assert run(engine, [ODD] * 9, list(range(1, 10)))[0].severity == "warning"
    assert run(engine, [EXTREME], [11])[0].severity == "critical"
    assert run(engine, [ODD], [12])[0].severity == "critical"
    assert run(Episodes("m", AlarmPolicy(open=1)), [9e-4] * 1100)[0].severity == "critical"


def test_what_flaps_reopens_the_same_alarm_as_new() -> None:
    policy = AlarmPolicy(open=1, close_after=1, cooldown="1m")
    engine = Episodes("m", policy)
    (first,) = run(engine, [ODD, NORMAL])
    (again,) = run(engine, [ODD], [50])
    assert (again.id, again.state, again.closed) == (first.id, "open", None)
    assert again.opened > first.opened
    assert again.anomalies == 2
    run(engine, [NORMAL], [51])
    (other,) = run(engine, [ODD], [200])
    assert other.id != first.id
    assert other.fingerprint == first.fingerprint
    never = Episodes("m", AlarmPolicy(open=1, close_after=1, cooldown=0))
    assert len({alarm.id for alarm in run(never, [ODD, NORMAL, ODD], [0, 0, 0])}) == 2


def test_an_alarm_is_described_by_its_most_anomalous_event_once_for_each_batch() -> None:
    asked: list[int] = []

    def describe(i: int) -> tuple[tuple[Reason, ...], dict[str, int], str]:
        asked.append(i)
        return (Reason("cpu", 98.2, 12.1, 0.8),), {"row": i}, ""

    engine = Episodes("machine", AlarmPolicy(open=1))
    (alarm,) = engine.update(at(range(4)), None, judged([ODD, 1e-5, ODD, NORMAL]), describe)
    assert asked == [1]
    assert alarm.summary == "machine: cpu 98.2 (expected 12.1)"
    assert alarm.peak == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    (alarm,) = engine.update(at([4, 5]), None, judged([ODD, ODD]), describe)
    assert asked == [1]
    assert (alarm.evidence, alarm.anomalies) == ({"row": 1}, 5)
    (alarm,) = engine.update(at([6]), None, judged([EXTREME]), describe)
    assert (asked, alarm.p_value) == ([1, 0], EXTREME)
    hostile = Episodes("m\x1b[2J", AlarmPolicy(open=1))
    assert "\x1b" not in run(hostile, [ODD])[0].summary


def test_entities_have_episodes_of_their_own() -> None:
    engine = Episodes("m", AlarmPolicy(open=2, of=2), ordered=True)
    alarms = run(engine, [ODD] * 5, entities=("a", "b", "a", "c", "b"))
    assert [alarm.entity for alarm in alarms] == ["a", "b"]
    chosen = Episodes("m", AlarmPolicy(open=1, entities=["b"]))
    assert [alarm.entity for alarm in run(chosen, [ODD] * 3, entities=("a", "b", "c"))] == ["b"]


def test_entities_beyond_the_bound_share_one_alarm_and_room_comes_back() -> None:
    policy = AlarmPolicy(max_entities=2, close_after_time="1m", cooldown=0)
    engine = Episodes("m", policy, ordered=False)
    alarms = run(engine, [ODD] * 5, entities=tuple("abcde"))
    assert [alarm.entity for alarm in alarms] == ["a", "b", OTHERS]
    assert alarms[2].anomalies == 3
    later = run(engine, [ODD], [100], ("f",))
    assert {alarm.entity: alarm.state for alarm in later} == {
        "f": "open",
        "a": "resolved",
        "b": "resolved",
        OTHERS: "resolved",
    }
    state = engine.state()
    assert state["entity:a"] is None
    assert state["entity:f"] is not None


def test_time_closes_what_events_do_not() -> None:
    engine = Episodes("m", AlarmPolicy(close_after_time="1m"), ordered=False)
    run(engine, [ODD], [0], ("gone",))
    assert run(engine, [NORMAL], [60], ("other",)) == []
    (alarm,) = run(engine, [NORMAL], [61], ("other",))
    assert (alarm.entity, alarm.state) == ("gone", "resolved")
    assert alarm.closed == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize("jump", [-3e9, -1e6, 1e6, 3e9, 1e12, -1e12])
def test_clock_jumps_neither_crash_nor_keep_alarms_open(jump: float) -> None:
    engine = Episodes("m", AlarmPolicy(close_after_time="1m"), ordered=False)
    run(engine, [ODD], [0], ("a",))
    run(engine, [NORMAL, NORMAL], [jump, jump + 1], ("b", "b"))
    closed = run(engine, [NORMAL] * 8, [3600 + 30 * i for i in range(8)], ("b",) * 8)
    closed += run(engine, [NORMAL], [jump + 7200], ("b",))
    assert not any(value["episode"]["closed"] is None for value in _tracks(engine))
    json.dumps(engine.state())


def _tracks(engine: Episodes) -> list[dict[str, Any]]:
    state = engine.state()
    return [value for key, value in state.items() if key.startswith("entity:") and value]


def test_not_a_time_and_years_beyond_the_calendar_do_not_crash() -> None:
    times = np.array(["NaT", "2026-01-01", "20000-01-01", "-0500-01-01"], dtype="datetime64[us]")
    engine = Episodes("m", AlarmPolicy(close_after_time="1m"), ordered=False)
    alarms = engine.update(times, None, judged([ODD] * 4))
    assert alarms
    assert run(engine, [NORMAL], [10])[0].state == "resolved"


def test_late_events_count_when_they_come() -> None:
    engine = Episodes("m", AlarmPolicy(open=2, of=2))
    (alarm,) = run(engine, [ODD, ODD], [100, 40])
    assert alarm.opened == datetime(2026, 1, 1, 0, 0, 40, tzinfo=UTC)
    assert engine.newest == datetime(2026, 1, 1, 0, 1, 40, tzinfo=UTC)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 1, 5, 30, -20, 200, 90_000, -200_000]),
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from([NORMAL, NORMAL, ALMOST, ODD, ODD, EXTREME]),
    ),
    min_size=1,
    max_size=60,
)
POLICIES = st.builds(
    AlarmPolicy,
    open=st.sampled_from([None, 1, 2]),
    close_after=st.sampled_from([None, 1, 3]),
    close_after_time=st.sampled_from([20, 100]),
    cooldown=st.sampled_from([0, 15, 400]),
    max_entities=st.sampled_from([2, 3, 100]),
)


@settings(max_examples=100, deadline=None)
@given(
    events=EVENTS,
    policy=POLICIES,
    ordered=st.booleans(),
    named=st.booleans(),
    stormy=st.booleans(),
    cuts=st.sets(st.integers(1, 59)),
    failing=st.sets(st.integers(0, 59)),
)
def test_batches_crashes_and_failed_commits_change_nothing(
    events: list[tuple[int, str, float]],
    policy: AlarmPolicy,
    ordered: bool,
    named: bool,
    stormy: bool,
    cuts: set[int],
    failing: set[int],
) -> None:
    if stormy:  # what reopens within a batch counts once for a storm
        policy = policy.model_copy(update={"cooldown": 0.0})
    steps = [abs(event[0]) if stormy else event[0] for event in events]
    seconds = np.cumsum(steps)

    def play(bounds: list[int], crash: bool) -> dict[str, Alarm]:
        kept: dict[str, Any] = {}
        storms: dict[str, Any] = {}
        stored: dict[str, Alarm] = {}
        engine = Episodes("m", policy, ordered=ordered)
        storm = StormControl("m", Storm(alarms=2, within=30))
        for first, last in pairwise(bounds):
            part = events[first:last]
            names = tuple(event[1] for event in part) if named else None
            batch = (at(seconds[first:last]), names, judged([event[2] for event in part]))

            def describe(i: int, first: int = first) -> tuple[tuple[()], dict[str, int], str]:
                return (), {"event": first + i}, f"event {first + i}"

            if crash and first in failing:
                engine.update(*batch, describe)
                engine.undo()
            alarms = engine.update(*batch, describe)
            told = storm.update(alarms, stored.copy(), engine.newest) if stormy else alarms
            for alarm in told:
                stored[alarm.id] = alarm
            kept.update(json.loads(json.dumps(engine.state())))
            storms = json.loads(json.dumps(storm.state()))
            if crash:
                kept = {key: value for key, value in kept.items() if value is not None}
                engine = Episodes("m", policy, ordered=ordered)
                engine.restore(kept)
                storm = StormControl("m", Storm(alarms=2, within=30))
                storm.restore(storms)
        return stored

    n = len(events)
    clean = play([0, n], crash=False)
    assert play([0, *sorted(cut for cut in cuts if cut < n), n], crash=True) == clean
    assert play(list(range(n + 1)), crash=True) == clean


def test_a_state_that_cannot_be_read_is_said() -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        Episodes("m", AlarmPolicy()).restore({"entity:a": {"held": "soon"}})
    with pytest.raises(StoreError, match="cannot be read"):
        StormControl("m", Storm()).restore({"recent": 3})
    with pytest.raises(ParameterError, match="budget"):
        Episodes("m", AlarmPolicy(), budget=0)


def test_ids_are_those_of_every_other_run() -> None:
    (alarm,) = run(Episodes("m", AlarmPolicy(open=1)), [ODD])
    assert (alarm.id, alarm.fingerprint) == ("19a7e4c5871244b5", "dc0c41bba7d2aca8")


def test_batches_are_quick() -> None:
    entities = tuple(f"entity {i}" for i in range(500))
    times, quiet, loud = at(range(500)), judged([NORMAL] * 500), judged([ODD] * 500)

    def cost(decision: BatchDecision, repeats: int) -> float:
        spent = []
        for _ in range(repeats):
            engine = Episodes("m", AlarmPolicy(), ordered=False)
            begun = time.process_time()
            engine.update(times, entities, decision)
            spent.append(time.process_time() - begun)
        return min(spent)

    assert cost(quiet, 50) < 0.000_4
    assert cost(loud, 10) < 0.05


def test_silence_and_models_ring_with_the_same_id_every_time() -> None:
    last, now = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    silent = no_data("machine", last, now)
    assert silent.id == no_data("machine", last, now.replace(minute=9)).id
    assert silent.kind == "no data"
    assert end(silent, now).state == "resolved"
    assert no_data("machine", now, last).opened == now
    scoring = model_trouble("machine", "scoring", now, "machine: the model fails")
    drift = model_trouble("machine", "drift", now, "machine: 9 % flagged, 0.1 % expected")
    assert scoring.id != drift.id
    assert scoring.fingerprint == drift.fingerprint
