"""Alarms as they are now, their history, and the state of the engine that raises them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from tocsin.errors import NotInStore
from tocsin.store.database import Database, upsert
from tocsin.store.schema import alarm_history, alarm_states, alarms
from tocsin.types import Alarm, AlarmState

_OPEN: tuple[AlarmState, ...] = ("open", "acknowledged")


@dataclass(frozen=True, slots=True)
class AlarmEntry:
    """One change of an alarm's state: when, from what to what, by whom, and a note."""

    at: datetime
    before: AlarmState
    state: AlarmState
    who: str
    note: str


class AlarmStore:
    """The alarms of all monitors."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def save(self, c: Connection, alarms_: Sequence[Alarm]) -> None:
        """Insert alarms, or replace those of the same id; see ``find``."""
        upsert(c, alarms, [_row(alarm) for alarm in alarms_])

    def find(self, c: Connection, ids: Collection[str]) -> dict[str, Alarm]:
        """Return the alarms of these ids that exist; nobody changes them before ``c`` ends."""
        query = select(alarms.c.content).where(alarms.c.id.in_(ids)).with_for_update()
        return {alarm.id: alarm for alarm in c.execute(query).scalars()} if ids else {}

    def get(self, id: str) -> Alarm:
        """Return an alarm by its id or a prefix of it.

        Raises NotInStore for none or several.
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
        self, c: Connection, before: Alarm, after: Alarm, who: str, note: str, at: datetime
    ) -> None:
        """Save an alarm as a person has changed it, and note the change in its history."""
        self.save(c, [after])
        entry = {"before": before.state, "state": after.state, "who": who, "note": note}
        c.execute(insert(alarm_history), {"alarm": after.id, "at": at, **entry})

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

    def locked_state(self, c: Connection, monitor: str, entity: str) -> Any:
        """Return the state of an entity, or None; nobody else writes it within the transaction."""
        columns = alarm_states.c
        query = select(columns.state).where(columns.monitor == monitor, columns.entity == entity)
        return c.execute(query.with_for_update()).scalar()

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
        raise NotInStore(f'Several alarms begin with "{id}": {some} … Use a longer prefix.')
    alarm: Alarm = found[0].content
    return alarm
