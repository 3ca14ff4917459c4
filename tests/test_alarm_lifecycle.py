"""The life of an alarm: what people may do, what ends by itself, and both at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tocsin.alarms.lifecycle import ACTIVE, ALLOWED, change, end, merge
from tocsin.errors import NotAllowed
from tocsin.types import Alarm, AlarmState

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STATES = tuple(ALLOWED)


def alarm(state: AlarmState = "open", opened: datetime = NOON) -> Alarm:
    closed = None if state in ACTIVE else opened
    return Alarm(
        id="1a2b",
        fingerprint="f",
        monitor="machine",
        entity="",
        kind="anomaly",
        severity="warning",
        state=state,
        opened=opened,
        updated=opened,
        closed=closed,
        summary="machine: odd",
    )


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_every_change_is_made_or_refused_with_what_can_be_done(
    before: AlarmState, after: AlarmState
) -> None:
    later = NOON + timedelta(hours=1)
    if after in ALLOWED[before]:
        changed = change(alarm(before), after, later, "anna")
        assert changed.state == after
        assert (changed.closed is None) == (after in ACTIVE)
        assert changed.owner == ("anna" if after == "acknowledged" else "")
    else:
        with pytest.raises(NotAllowed, match=f"is {before}.*can be made: {ALLOWED[before][0]}"):
            change(alarm(before), after, later)


def test_an_end_is_never_before_the_beginning() -> None:
    early = NOON - timedelta(days=900)
    assert change(alarm(), "resolved", early).closed == NOON
    assert end(alarm(), early).closed == NOON
    assert end(alarm("false alarm"), NOON + timedelta(1)) == alarm("false alarm")


def test_what_a_person_said_stands_until_it_opens_again() -> None:
    taken = change(alarm(), "acknowledged", NOON, "anna")
    going_on = replace(alarm(), events=7)
    assert merge(going_on, taken) == replace(going_on, state="acknowledged", owner="anna")
    over = replace(alarm("resolved"), events=9)
    assert merge(over, taken).state == "resolved"
    wrong = change(alarm(), "false alarm", NOON + timedelta(minutes=1))
    assert merge(going_on, wrong).state == "false alarm"
    assert merge(going_on, wrong).closed == wrong.closed
    assert merge(over, wrong).state == "false alarm"
    reopened = alarm(opened=NOON + timedelta(minutes=2))
    assert merge(reopened, wrong) == reopened
    assert merge(alarm(), None) == alarm()


class Life(RuleBasedStateMachine):
    """An engine, a store and a person at work on one alarm."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.engine = alarm()
        self.stored = alarm()
        self.said: AlarmState | None = None

    def _later(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def _keep(self) -> None:
        self.stored = merge(self.engine, self.stored)

    @rule()
    def go_on(self) -> None:
        self.engine = replace(self.engine, events=self.engine.events + 1, updated=self._later())
        self._keep()

    @rule()
    def close_by_itself(self) -> None:
        self.engine = end(self.engine, self._later())
        self._keep()
        assert self.stored.state not in ACTIVE

    @rule()
    def reopen_by_itself(self) -> None:
        if self.engine.closed is not None:
            self.engine = replace(self.engine, state="open", closed=None, opened=self._later())
            self._keep()
            self.said = None
            assert self.stored.state == "open"

    @rule(state=st.sampled_from(STATES))
    def person(self, state: AlarmState) -> None:
        before = self.stored
        try:
            self.stored = change(before, state, self._later(), "anna")
        except NotAllowed:
            assert state not in ALLOWED[before.state]
            assert self.stored == before
        else:
            assert state in ALLOWED[before.state]
            self.said = state

    @invariant()
    def is_sound(self) -> None:
        stored = self.stored
        assert stored.state in STATES
        assert stored.closed is None or stored.closed >= stored.opened
        if stored.state not in ACTIVE:
            assert stored.closed is not None
        if self.said == "false alarm":
            assert stored.state == "false alarm"
        if self.said == "resolved":
            assert stored.state == "resolved"
        if self.said == "acknowledged" and self.engine.closed is None:
            assert stored.state == "acknowledged"
            assert stored.owner == "anna"
        assert merge(self.engine, stored) == merge(self.engine, merge(self.engine, stored))


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
