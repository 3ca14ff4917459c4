"""Alarms as they are now, what became of them, and the state of what raises them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from tocsin.errors import NotInStore
from tocsin.store.database import Database, upsert
from tocsin.store.schema import alarm_history, alarm_states, alarms
from tocsin.types import Alarm, AlarmState

_ORDER: tuple[AlarmState, ...] = ("open", "acknowledged", "resolved", "false alarm")
_OPEN = _ORDER[:2]


@dataclass(frozen=True, slots=True)
class AlarmEntry:
    """One change of an alarm's state: when, from what to what, by whom, and what was noted."""

    at: datetime
    before: AlarmState
    state: AlarmState
    who: str
    note: str


class AlarmStore:
    """All alarms."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def save(self, c: Connection, alarms_: Sequence[Alarm]) -> None:
        """Insert alarms, or replace those of the same id.

        What a person did in between stands: the state of a stored alarm never goes back (open,
        acknowledged, resolved, false alarm), and an owner is not lost.
        """
        query = select(alarms.c.content).where(alarms.c.id.in_([alarm.id for alarm in alarms_]))
        stored = {alarm.id: alarm for alarm in c.execute(query.with_for_update()).scalars()}
        merged = [_merge(stored.get(alarm.id), alarm) for alarm in alarms_]
        upsert(c, alarms, [_row(alarm) for alarm in merged])

    def get(self, id: str) -> Alarm:
        """Return an alarm by its id or the beginning of it.

        Raises NotInStore when there is none, or when there are several.
        """
        with self._db.read() as c:
            return _find(c, id)

    def list(
        self,
        *,
        states: Collection[AlarmState] | None = None,
        monitor: str | None = None,
        limit: int | None = None,
    ) -> Sequence[Alarm]:
        """Return alarms, the latest first."""
        query = select(alarms.c.content).order_by(alarms.c.opened.desc(), alarms.c.id).limit(limit)
        if states is not None:
            query = query.where(alarms.c.state.in_(states))
        if monitor is not None:
            query = query.where(alarms.c.monitor == monitor)
        with self._db.read() as c:
            return c.execute(query).scalars().all()

    def open(self, monitor: str | None = None) -> Sequence[Alarm]:
        """Return the alarms that are open or acknowledged, the latest first."""
        return self.list(states=_OPEN, monitor=monitor)

    def change(
        self, c: Connection, id: str, state: AlarmState, who: str, note: str, at: datetime
    ) -> Alarm:
        """Set an alarm's state, note it in its history, and return the alarm.

        Who acknowledges it owns it; an alarm that is over and was not closed is closed ``at``.
        Whether the change is allowed is not asked here. Raises NotInStore.
        """
        found = _find(c, id)
        closed = found.closed if state in _OPEN or found.closed else at
        owner = who if state == "acknowledged" else found.owner
        changed = replace(found, state=state, owner=owner, closed=closed)
        c.execute(update(alarms).where(alarms.c.id == found.id).values(_row(changed)))
        entry = {"before": found.state, "state": state, "who": who, "note": note}
        c.execute(insert(alarm_history), {"alarm": found.id, "at": at, **entry})
        return changed

    def history(self, id: str) -> Sequence[AlarmEntry]:
        """Return the changes of an alarm in their order. Raises NotInStore."""
        columns = alarm_history.c
        with self._db.read() as c:
            query = (
                select(columns.at, columns.before, columns.state, columns.who, columns.note)
                .where(columns.alarm == _find(c, id).id)
                .order_by(columns.number)
            )
            return [AlarmEntry(*row) for row in c.execute(query)]

    def states(self, monitor: str) -> dict[str, Any]:
        """Return the state of each entity of a monitor, JSON values."""
        columns = alarm_states.c
        query = select(columns.entity, columns.state).where(columns.monitor == monitor)
        with self._db.read() as c:
            return {row.entity: row.state for row in c.execute(query)}

    def save_states(self, c: Connection, monitor: str, states: Mapping[str, Any]) -> None:
        """Replace the states of some entities; None removes one."""
        gone = [entity for entity, state in states.items() if state is None]
        if gone:
            columns = alarm_states.c
            c.execute(
                delete(alarm_states).where(columns.monitor == monitor, columns.entity.in_(gone))
            )
        kept = [
            {"monitor": monitor, "entity": entity, "state": state}
            for entity, state in states.items()
            if state is not None
        ]
        upsert(c, alarm_states, kept)


def _merge(stored: Alarm | None, alarm: Alarm) -> Alarm:
    if stored is None:
        return alarm
    state = max(stored.state, alarm.state, key=_ORDER.index)
    return replace(
        alarm,
        state=state,
        owner=alarm.owner or stored.owner,
        closed=alarm.closed if state in _OPEN else alarm.closed or stored.closed,
    )


def _row(alarm: Alarm) -> dict[str, Any]:
    return {
        "id": alarm.id,
        "monitor": alarm.monitor,
        "state": alarm.state,
        "opened": alarm.opened,
        "content": alarm,
    }


def _find(c: Connection, id: str) -> Alarm:
    query = select(alarms.c.id, alarms.c.content)
    found = c.execute(query.where(alarms.c.id == id)).all()
    if not found:
        beginning = alarms.c.id.startswith(id, autoescape=True)
        found = c.execute(query.where(beginning).order_by(alarms.c.id).limit(5)).all()
    if not found or not id:
        raise NotInStore(f'There is no alarm "{id}"; "tocsin alarms list" lists them.')
    if len(found) > 1:
        some = ", ".join(row.id for row in found)
        raise NotInStore(f'Several alarms begin with "{id}": {some} … Give more of the id.')
    alarm: Alarm = found[0].content
    return alarm
