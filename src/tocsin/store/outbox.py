"""Notifications on their way to responders; each is sent until its fate is known."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    and_,
    case,
    delete,
    func,
    or_,
    select,
    update,
)

from tocsin.errors import NotInStore
from tocsin.store.database import Database, insert
from tocsin.store.schema import notice_alarms, notices
from tocsin.types import Delivery, Notification, NotificationKind, Severity

_DEAD = ("dead", "rejected", "unknown")


@dataclass(frozen=True, slots=True)
class Pending:
    """A notification of the outbox.

    ``notification``: its content once it was frozen. ``attempts`` have failed so far. ``status``:
    "pending", "delivered", "rejected", "unknown", or "dead" after the last retry; ``reason``: what
    the last attempt ended with.
    """

    key: str
    responder: str
    group: Mapping[str, str]
    kind: NotificationKind
    alarm_ids: tuple[str, ...]
    created: datetime
    due: datetime
    attempts: int
    notification: Notification | None
    status: str
    reason: str


class Outbox:
    """The notifications of all responders."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def enqueue(
        self,
        c: Connection,
        responder: str,
        group: Mapping[str, str],
        kind: NotificationKind,
        alarm_ids: Sequence[str],
        due: datetime,
    ) -> str:
        """Enqueue a notification of alarms to a responder, and return its key.

        A notification of the same responder, group and kind that no sender has taken yet is
        joined; it is due at the earlier of both times.
        """
        statement = insert(c, notices)
        earlier = case(
            (statement.excluded.due < notices.c.due, statement.excluded.due), else_=notices.c.due
        )
        joined = statement.on_conflict_do_update(
            index_elements=["joinable"], set_={"due": earlier}
        ).returning(notices.c.key)
        row = {
            "key": secrets.token_hex(16),
            "responder": responder,
            "group": dict(group),
            "kind": kind,
            "created": datetime.now(UTC),
            "due": due,
            "status": "pending",
            "attempts": 0,
            "reason": "",
            "joinable": _joinable(responder, group, kind),
        }
        key: str = c.execute(joined, row).scalar_one()
        place = select(func.count()).where(notice_alarms.c.key == key)
        start = c.execute(place).scalar_one()
        rows = [
            {"key": key, "place": start + i, "alarm": alarm} for i, alarm in enumerate(alarm_ids)
        ]
        if rows:
            c.execute(insert(c, notice_alarms).on_conflict_do_nothing(), rows)
        return key

    def due(self, now: datetime, responder: str, limit: int, lease: float) -> Sequence[Pending]:
        """Take due notifications, the earliest first; nobody else gets them for ``lease`` seconds.

        A notification whose sender was killed comes again after that, with the same key and, if it
        was frozen, the same content. What has been taken once is joined no more.
        """
        wanted = and_(
            notices.c.responder == responder,
            notices.c.status == "pending",
            notices.c.due <= now,
            or_(notices.c.leased_until.is_(None), notices.c.leased_until <= now),
        )
        query = select(notices.c.key).where(wanted).order_by(notices.c.due).limit(limit)
        with self._db.read() as c:
            if c.execute(query).first() is None:
                return []
        with self._db.begin() as c:
            keys = c.execute(query.with_for_update(skip_locked=True)).scalars().all()
            until = now + timedelta(seconds=lease)
            c.execute(
                update(notices)
                .where(notices.c.key.in_(keys))
                .values(leased_until=until, joinable=None)
            )
            return _pending(c, notices.c.key.in_(keys))

    def freeze(self, key: str, notification: Notification) -> Notification:
        """Keep a notification's content for retries, and return what is kept: the first content.

        Raises NotInStore.
        """
        with self._db.begin() as c:
            free = notices.c.content.is_(None)
            c.execute(
                update(notices)
                .where(notices.c.key == key, free)
                .values(content=notification, joinable=None)
            )
            kept = c.execute(select(notices.c.content).where(notices.c.key == key)).scalar()
        if kept is None:
            raise NotInStore(f'There is no notification "{key}".')
        found: Notification = kept
        return found

    def mark(
        self,
        key: str,
        delivery: Delivery,
        retry_at: datetime | None = None,
        at: datetime | None = None,
    ) -> None:
        """Store what became of an attempt ``at`` a time, by default now.

        With ``retry_at`` it is tried again then, whatever the status. Without, the notification is
        "delivered", "rejected" or "unknown", and "dead" after a "retry". A notification whose fate
        is known already is left as it is.
        """
        at = at or datetime.now(UTC)
        values: dict[str, Any] = {
            "reason": delivery.reason,
            "attempts": notices.c.attempts + int(delivery.status != "delivered"),
            "leased_until": None,
            "joinable": None,
        }
        if retry_at is not None:
            values["due"] = retry_at
        else:
            values["status"] = "dead" if delivery.status == "retry" else delivery.status
        if delivery.status in ("delivered", "unknown"):
            values["sent"] = at
        undecided = notices.c.status == "pending"
        with self._db.begin() as c:
            c.execute(update(notices).where(notices.c.key == key, undecided).values(**values))

    def dead(self) -> Sequence[Pending]:
        """Return the notifications that are not retried and may not have been delivered."""
        with self._db.read() as c:
            return _pending(c, notices.c.status.in_(_DEAD))

    def requeue(self, key: str, due: datetime) -> None:
        """Try a dead notification again, with the same key and content. Raises NotInStore."""
        with self._db.begin() as c:
            changed = c.execute(
                update(notices)
                .where(notices.c.key == key, notices.c.status.in_(_DEAD))
                .values(status="pending", due=due, attempts=0, leased_until=None)
            )
            if not changed.rowcount:
                raise NotInStore(f'There is no dead notification "{key}".')

    def postpone(self, key: str, due: datetime, reason: str) -> None:
        """Make a notification due later, for instance a muted one, without counting an attempt."""
        with self._db.begin() as c:
            c.execute(
                update(notices)
                .where(notices.c.key == key, notices.c.status == "pending")
                .values(due=due, leased_until=None, reason=reason)
            )

    def pending(self) -> Sequence[Pending]:
        """Return the notifications that are still to be sent, the earliest due first."""
        with self._db.read() as c:
            return _pending(c, notices.c.status == "pending")

    def last_sent(self, c: Connection, responder: str, group: Mapping[str, str]) -> datetime | None:
        """Return when a notification of a group was last sent, surely or perhaps."""
        query = select(func.max(notices.c.sent)).where(
            notices.c.responder == responder, notices.c.group == dict(group)
        )
        found: datetime | None = c.execute(query).scalar()
        return found

    def last_severities(self, responder: str, alarm_ids: Sequence[str]) -> dict[str, Severity]:
        """Return the severity of each alarm when a responder was last sent a notification of it."""
        query = (
            select(notices.c.content)
            .join(notice_alarms, notice_alarms.c.key == notices.c.key)
            .where(
                notices.c.responder == responder,
                notices.c.sent.is_not(None),
                notice_alarms.c.alarm.in_(alarm_ids),
            )
            .order_by(notices.c.sent)
        )
        with self._db.read() as c:
            sent: list[Notification] = [row.content for row in c.execute(query) if row.content]
        return {alarm.id: alarm.severity for notification in sent for alarm in notification.alarms}

    def lapse(self, key: str, reason: str) -> None:
        """Mark a notification as no longer needed: it is not sent, nor a dead letter."""
        with self._db.begin() as c:
            c.execute(
                update(notices)
                .where(notices.c.key == key)
                .values(status="lapsed", reason=reason, leased_until=None)
            )

    def prune(self, before: datetime) -> int:
        """Delete notifications created before this time that are settled; return how many."""
        old = and_(notices.c.status != "pending", notices.c.created < before)
        keys = select(notices.c.key).where(old)
        with self._db.begin() as c:
            c.execute(delete(notice_alarms).where(notice_alarms.c.key.in_(keys)))
            return c.execute(delete(notices).where(old)).rowcount


def _joinable(responder: str, group: Mapping[str, str], kind: str) -> str:
    text = msgspec.json.encode([responder, dict(group), kind], order="deterministic")
    return blake2b(text, digest_size=16).hexdigest()


def _pending(c: Connection, which: ColumnElement[bool]) -> list[Pending]:
    rows: Sequence[Row[Any]] = c.execute(
        select(notices).where(which).order_by(notices.c.due, notices.c.created)
    ).all()
    alarms: dict[str, list[str]] = {row.key: [] for row in rows}
    query = select(notice_alarms.c.key, notice_alarms.c.alarm)
    for key, alarm in c.execute(
        query.where(notice_alarms.c.key.in_(alarms)).order_by(notice_alarms.c.place)
    ):
        alarms[key].append(alarm)
    return [
        Pending(
            key=row.key,
            responder=row.responder,
            group=row.group,
            kind=row.kind,
            alarm_ids=tuple(alarms[row.key]),
            created=row.created,
            due=row.due,
            attempts=row.attempts,
            notification=row.content,
            status=row.status,
            reason=row.reason,
        )
        for row in rows
    ]
