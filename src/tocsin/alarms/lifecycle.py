"""The life of an alarm: open, acknowledged, resolved or a false alarm, and open again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from tocsin.errors import NotAllowed
from tocsin.types import Alarm, AlarmState

ACTIVE: tuple[AlarmState, ...] = ("open", "acknowledged")
"""The states of alarms that are not over."""

ALLOWED: Mapping[AlarmState, tuple[AlarmState, ...]] = {
    "open": ("acknowledged", "resolved", "false alarm"),
    "acknowledged": ("open", "resolved", "false alarm"),
    "resolved": ("open", "false alarm"),
    "false alarm": ("open", "resolved"),
}
"""What people can make of an alarm in each state, in the order from open to settled."""

_RANK = {state: rank for rank, state in enumerate(ALLOWED)}


def change(alarm: Alarm, state: AlarmState, at: datetime, who: str = "") -> Alarm:
    """Return an alarm in the state that a person gives it.

    Whoever acknowledges it owns it until it is reopened. An alarm that is over was closed ``at``
    this time, if not before. Raises NotAllowed for a change that is not in ``ALLOWED``.
    """
    possible = ALLOWED[alarm.state]
    if state not in possible:
        is_already = " already" if state == alarm.state else ""
        raise NotAllowed(
            f"The alarm {alarm.id} is {alarm.state}{is_already} and cannot be made {state}; "
            f"it can be made: {', '.join(possible)}."
        )
    owner = {"open": "", "acknowledged": who}.get(state, alarm.owner)
    closed = None if state in ACTIVE else alarm.closed or max(at, alarm.opened)
    return replace(alarm, state=state, owner=owner, closed=closed)


def end(alarm: Alarm, at: datetime) -> Alarm:
    """Return an alarm whose cause is gone, as resolved; one that is over stays as it is."""
    if alarm.state not in ACTIVE:
        return alarm
    ended = max(at, alarm.opened)
    return replace(alarm, state="resolved", closed=ended, updated=max(ended, alarm.updated))


def merge(alarm: Alarm, stored: Alarm | None) -> Alarm:
    """Return an alarm of the engine with what people have made of the stored one meanwhile.

    The state only moves forward, from open to acknowledged to resolved to false alarm, unless the
    alarm has reopened since: then it is open, and only its owner is kept.
    """
    if stored is None:
        return alarm
    owner = alarm.owner or stored.owner
    if alarm.opened > stored.opened:
        return replace(alarm, owner=owner)
    state = max(stored.state, alarm.state, key=lambda each: _RANK[each])
    closed = alarm.closed if state in ACTIVE else alarm.closed or stored.closed
    return replace(alarm, state=state, owner=owner, closed=closed)
