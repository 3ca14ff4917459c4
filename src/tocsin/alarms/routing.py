"""Who is notified of an alarm's change, in which group and when; and what mutes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from tocsin.alarms.lifecycle import ACTIVE, merge
from tocsin.alarms.policy import (
    SEVERITIES,
    Inhibition,
    Maintenance,
    Matcher,
    RoutingPolicy,
    fields,
)
from tocsin.types import Alarm, NotificationKind

EVERYTHING = RoutingPolicy(respond=("console",), group_wait=0.0)
"""The policy if none is given."""


class Silence(Protocol):
    """What routing needs to know of a silence that is in force."""

    @property
    def id(self) -> str | int:
        """Its id in the store."""

    @property
    def match(self) -> Mapping[str, str]:
        """Which alarms it mutes, as in a Matcher."""


@dataclass(frozen=True, slots=True)
class Route:
    """A notification to send in ``wait`` seconds, at least ``interval`` after the group's last one.

    ``group``: what the alarms of one notification share; an alarm joins the notification of the
    same responder, group and kind.
    """

    responder: str
    group: Mapping[str, str] = field(hash=False)
    kind: NotificationKind
    wait: float
    interval: float = 0.0

    def due(self, now: datetime, last_sent: datetime | None) -> datetime:
        """Return when to send it; ``last_sent``: when the group's last one was, None for never."""
        due = now + timedelta(seconds=self.wait)
        if last_sent is None:
            return due
        return max(due, min(last_sent, now) + timedelta(seconds=self.interval))


class Router:
    """Policies, inhibitions and maintenance of one configuration."""

    def __init__(
        self,
        policies: Sequence[RoutingPolicy] = (),
        inhibitions: Sequence[Inhibition] = (),
        maintenance: Sequence[Maintenance] = (),
    ) -> None:
        self._policies = tuple(policies) or (EVERYTHING,)
        self._inhibitions = tuple(inhibitions)
        self._maintenance = tuple(maintenance)

    def route(self, alarm: Alarm, previous: Alarm | None) -> list[Route]:
        """Return the notifications that an alarm's change causes; ``previous``: as it was stored.

        What people have made of it meanwhile stands (see ``lifecycle.merge``). An alarm that opens
        or reopens also causes its later repetition and escalation, which lapse (see ``lapsed``) if
        it is acknowledged or over by then. A severity that rises is notified by the policies that
        match then. Alarms that a storm has collected cause nothing.
        """
        if alarm.kind != "storm" and "storm" in alarm.labels:
            return []
        kinds = _changes(merge(alarm, previous), previous)
        routes = [
            route
            for policy in self._matching(alarm)
            for kind in kinds
            for route in _routes(policy, alarm, kind)
        ]
        return _once(routes)

    def again(self, alarm: Alarm) -> list[Route]:
        """Return the next repetitions of an alarm after one has been sent."""
        return _once(
            route
            for policy in self._matching(alarm)
            for route in _repeat(policy, _group(policy, alarm))
        )

    def muted(
        self,
        alarm: Alarm,
        now: datetime,
        open_alarms: Iterable[Alarm],
        silences: Iterable[Silence],
    ) -> str | None:
        """Return what mutes an alarm now, None for nothing.

        ``open_alarms``: all that are not over. ``silences``: those in force.
        """
        known = fields(alarm)
        for window in self._maintenance:
            if window.match.matches(known) and window.active(now):
                return f"maintenance from {window.from_} to {window.until or window.to}"
        for silence in silences:
            if Matcher(dict(silence.match)).matches(known):
                return f"silenced by {silence.id}"
        return self._inhibited(alarm, known, open_alarms)

    def _inhibited(
        self, alarm: Alarm, known: Mapping[str, str], open_alarms: Iterable[Alarm]
    ) -> str | None:
        rules = [rule for rule in self._inhibitions if rule.target.matches(known)]
        if rules:
            for other in open_alarms:
                if other.id != alarm.id and any(_inhibits(rule, other, known) for rule in rules):
                    return f"inhibited by {other.id}"
        return None

    def _matching(self, alarm: Alarm) -> Iterable[RoutingPolicy]:
        known = fields(alarm)
        for policy in self._policies:
            if policy.match.matches(known):
                yield policy
                if not policy.continue_:
                    return


def lapsed(kind: NotificationKind, alarm: Alarm) -> str | None:
    """Return why an alarm needs no notification of this kind any more, None if it does."""
    if kind == "resolved":
        return f"it is {alarm.state} again" if alarm.state in ACTIVE else None
    if alarm.state == "false alarm":
        return "it is a false alarm"
    if kind in {"repeated", "escalated"} and alarm.state != "open":
        return f"it is {alarm.state}"
    return None


def _changes(alarm: Alarm, previous: Alarm | None) -> list[NotificationKind]:
    was_active = previous is not None and previous.state in ACTIVE
    is_active = alarm.state in ACTIVE
    reopened = previous is not None and alarm.opened > previous.opened
    kinds: list[NotificationKind] = []
    if is_active and (reopened or not was_active):
        kinds = ["opened", "repeated", "escalated"]
    elif reopened or previous is None:
        kinds = ["opened", "resolved"]
    elif was_active and not is_active:
        kinds = ["resolved"]
    elif is_active and SEVERITIES.index(alarm.severity) > SEVERITIES.index(previous.severity):
        kinds = ["raised"]
    return kinds


def _routes(policy: RoutingPolicy, alarm: Alarm, kind: NotificationKind) -> Iterable[Route]:
    group = _group(policy, alarm)
    if kind == "repeated":
        yield from _repeat(policy, group)
    elif kind == "escalated":
        if policy.escalate is not None:
            for name in policy.escalate.respond:
                yield Route(name, group, kind, policy.escalate.after)
    elif kind != "resolved" or policy.resolved:
        for name in policy.respond:
            yield Route(name, group, kind, policy.group_wait, policy.group_interval)


def _repeat(policy: RoutingPolicy, group: Mapping[str, str]) -> Iterable[Route]:
    if policy.repeat is not None:
        for name in policy.respond:
            yield Route(name, group, "repeated", policy.repeat)


def _group(policy: RoutingPolicy, alarm: Alarm) -> dict[str, str]:
    known = fields(alarm)
    return {name: known.get(name, "") for name in policy.group_by}


def _once(routes: Iterable[Route]) -> list[Route]:
    """Return the routes without those that would join the notification of an earlier one."""
    unique: dict[tuple[object, ...], Route] = {}
    for route in routes:
        unique.setdefault((route.responder, tuple(route.group.items()), route.kind), route)
    return list(unique.values())


def _inhibits(rule: Inhibition, other: Alarm, known: Mapping[str, str]) -> bool:
    theirs = fields(other)
    return (
        other.state in ACTIVE
        and rule.source.matches(theirs)
        and all(theirs.get(name, "") == known.get(name, "") for name in rule.equal)
    )
