"""Puts notifications of changed alarms into the outbox."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection

from tocsin.alarms.routing import Route, Router
from tocsin.monitor.stores import Stores
from tocsin.types import Alarm

Change = tuple[Alarm, Alarm | None]
"""An alarm as it is now, and as it was before, None if it is new."""


def enqueue_notifications(
    c: Connection, stores: Stores, router: Router, changes: Iterable[Change], at: datetime
) -> None:
    """Put a notification into the outbox for each route that changed alarms take.

    Alarms that take the same route share a notification.
    """
    routed: dict[tuple[object, ...], tuple[Route, list[str]]] = {}
    for alarm, previous in changes:
        for route in router.route(alarm, previous):
            same = (route.responder, route.kind, *route.group.items(), route.wait)
            routed.setdefault(same, (route, []))[1].append(alarm.id)
    for route, ids in routed.values():
        last = stores.outbox.last_sent(c, route.responder, route.group)
        due = route.due(at, last)
        stores.outbox.enqueue(c, route.responder, route.group, route.kind, ids, due)
