"""What people do about alarms: acknowledge, resolve, label, approve actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tocsin import config
from tocsin.alarms.lifecycle import change
from tocsin.errors import NotInStore
from tocsin.monitor.notifications import enqueue_notifications
from tocsin.monitor.stores import Stores
from tocsin.responders.action import Action
from tocsin.store.outbox import Pending
from tocsin.types import Alarm, AlarmState


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notification whose action waits for approval, and until when it may be carried out."""

    notification: Pending
    action: Action
    until: datetime


def decide(
    settings: config.Config,
    stores: Stores,
    ids: Sequence[str],
    state: AlarmState,
    who: str,
    note: str = "",
    *,
    again: bool = False,
) -> list[Alarm]:
    """Set the state of alarms, of all or of none, and return them.

    ``ids`` or prefixes of them. ``again``: an alarm that has this state already may be given it
    once more, which its history keeps. Whoever was notified of an alarm is notified of its end.
    Raises NotInStore, and NotAllowed for a state that an alarm cannot change to.
    """
    now = datetime.now(UTC)
    router = settings.router()
    full = list(dict.fromkeys(stores.alarms.get(id).id for id in ids))
    decided = []
    with stores.db.begin() as c:
        known = stores.alarms.find(c, full)
        for before in map(known.__getitem__, full):
            same = again and before.state == state
            after = before if same else change(before, state, now, who)
            stores.alarms.change(c, before, after, who, note, now)
            enqueue_notifications(c, stores, router, [(after, before)], now)
            decided.append(after)
    return decided


def waiting(settings: config.Config, stores: Stores) -> list[Waiting]:
    """Return the actions that nobody has approved yet, the earliest due first."""
    now = datetime.now(UTC)
    found = []
    for notification in stores.outbox.pending():
        action = settings.responders.get(notification.responder)
        if not isinstance(action, Action) or action.dry_run or not action.approval:
            continue
        # Only an attempt shows whether the action is meant for this notification at all.
        if notification.notification is None or not notification.attempts:
            continue
        until = notification.notification.created + timedelta(seconds=action.expires)
        if now < until and not stores.audit.claimed(f"approved:{notification.key}"):
            found.append(Waiting(notification, action, until))
    return found


def approve(settings: config.Config, stores: Stores, key: str, who: str) -> Waiting:
    """Approve the action of a notification, by its key or a prefix of it, and return it.

    The approval is recorded, and the action carried out once a dispatcher runs. Raises NotInStore.
    """
    found = [each for each in waiting(settings, stores) if each.notification.key.startswith(key)]
    if len(found) != 1 or not key:
        problem = "Several actions wait" if found else "No action waits"
        raise NotInStore(f'{problem} under "{key}"; "tocsin alarms approve" lists those that wait.')
    notification, name = found[0].notification, found[0].action.do.name
    detail = {"notice": notification.key, "alarms": list(notification.alarm_ids)}
    stores.audit.add(who, f"action {name}: approved", detail)
    stores.audit.claim(f"approved:{notification.key}")
    stores.outbox.postpone(notification.key, datetime.now(UTC), f"{name} was approved by {who}")
    return found[0]
