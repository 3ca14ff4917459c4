"""Storm control: when many alarms open at once, people are notified of one."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import msgspec

from tocsin.alarms.identity import digest, fingerprint
from tocsin.alarms.lifecycle import end
from tocsin.alarms.policy import SEVERITIES, Storm
from tocsin.errors import StoreError
from tocsin.types import Alarm

_SET_BACK = timedelta(days=1)
_NAMED = 20


class _State(msgspec.Struct):
    """``recent``: when the last alarms opened. ``collected``: the storm of each alarm, by ids."""

    recent: list[datetime] = []
    newest: datetime | None = None
    storm: Alarm | None = None
    collected: dict[str, str] = {}


class StormControl:
    """Collects the alarms of one monitor while more than ``settings.alarms`` open ``within``.

    A storm is an alarm of kind "storm". Alarms that open during it are stored with its id as the
    label "storm", and are not notified. It is over when at most half as many have opened within
    that time. How events are cut into batches does not matter where they come in the order of
    their times and no alarm reopens.
    """

    def __init__(
        self, monitor: str, settings: Storm, labels: Mapping[str, str] | None = None
    ) -> None:
        self.monitor = monitor
        self.settings = settings
        self._labels = labels or {}
        self._within = timedelta(seconds=settings.within)
        self._state = _State()
        self._storms: dict[str, Alarm] = {}

    def update(
        self, alarms: Iterable[Alarm], known: Container[str], now: datetime | None
    ) -> list[Alarm]:
        """Return the alarms that changed, those of a storm labelled, and the storm itself.

        ``known``: the ids of alarms stored before. ``now``: the newest event time.
        """
        self._storms = {}
        passed = [self._pass(alarm, alarm.id in known) for alarm in alarms]
        if now is not None:
            self._calm(self._clock(now))
        return [*passed, *self._storms.values()]

    def state(self) -> dict[str, Any]:
        """Return all that ``restore`` needs, as JSON."""
        state: dict[str, Any] = msgspec.to_builtins(self._state)
        return state

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state. Raises StoreError for what ``state`` cannot have returned."""
        try:
            self._state = msgspec.convert(state, _State)
        except msgspec.ValidationError as error:
            raise StoreError(
                f'The state of storms of "{self.monitor}" cannot be read: {error}. '
                "Delete it to start from scratch."
            ) from error

    def _pass(self, alarm: Alarm, known: bool) -> Alarm:
        state = self._state
        # Only alarms that open count; those that go on or close do not make a storm.
        if not known and alarm.kind == "anomaly" and alarm.id not in state.collected:
            at = self._clock(alarm.opened)
            self._calm(at)
            most = self.settings.alarms
            state.recent = [each for each in state.recent[-most:] if at - each < self._within]
            state.recent.append(at)
            if state.storm is not None or len(state.recent) > most:
                self._collect(alarm, at)
        storm = state.collected.get(alarm.id)
        if storm is None:
            return alarm
        if state.storm is not None and storm == state.storm.id:
            worst = max(state.storm.severity, alarm.severity, key=SEVERITIES.index)
            state.storm = self._storms[storm] = replace(state.storm, severity=worst)
        if alarm.closed is not None:
            del state.collected[alarm.id]
        return replace(alarm, labels={**alarm.labels, "storm": storm})

    def _clock(self, time: datetime) -> datetime:
        """Return a time that never goes back, unless a clock was set back by more than a day."""
        newest = self._state.newest
        if newest is not None and newest - time > _SET_BACK:
            self._state.recent = []
        elif newest is not None:
            time = max(time, newest)
        self._state.newest = time
        return time

    def _collect(self, alarm: Alarm, at: datetime) -> None:
        state = self._state
        storm = state.storm or self._storm(alarm, at)
        entities = list(storm.evidence["entities"])
        if alarm.entity not in entities and len(entities) < _NAMED:
            entities.append(alarm.entity)
        count = storm.anomalies + 1
        state.storm = replace(
            storm,
            updated=max(at, storm.updated),
            events=count,
            anomalies=count,
            evidence={"entities": entities},
            summary=f"{self.monitor}: a storm, {count} more alarms than the first "
            f"{self.settings.alarms} within {self.settings.within:g} s",
        )
        state.collected[alarm.id] = storm.id

    def _storm(self, first: Alarm, at: datetime) -> Alarm:
        mark = fingerprint(self.monitor, "", "storm")
        return Alarm(
            id=digest(mark, first.id),
            fingerprint=mark,
            monitor=self.monitor,
            entity="",
            kind="storm",
            severity=first.severity,
            state="open",
            opened=at,
            updated=at,
            closed=None,
            summary="",
            events=0,
            anomalies=0,
            evidence={"entities": []},
            labels=self._labels,
        )

    def _calm(self, at: datetime) -> None:
        """End the storm if by this time at most half of the alarms that make one are recent."""
        storm, recent, few = self._state.storm, self._state.recent, self.settings.alarms // 2
        if storm is None:
            return
        calm = recent[-few - 1] + self._within if len(recent) > few else at
        if at >= calm:
            self._storms[storm.id] = end(storm, calm)
            self._state.storm = None
