"""From the outbox to the responders: each in its own time, again when it may help."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from tocsin.alarms.policy import SEVERITIES
from tocsin.alarms.routing import Router, lapsed
from tocsin.base.responder import GuardedResponder, Responder
from tocsin.errors import NotInStore, StoreUnavailable
from tocsin.monitor.stores import Stores
from tocsin.store.outbox import Pending
from tocsin.store.schema import notice_alarms, notices
from tocsin.types import Alarm, Delivery, Notice, Severity

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 10
"""After so many a notice is a dead letter; that is about an hour and a half after the first."""

_EVERY = 0.25
_FIRST, _FACTOR, _LONGEST = 2.0, 3.0, 1_800.0
_GRACE = 5.0
_MUTED_FOR = timedelta(seconds=30)


class Dispatcher:
    """Sends the notices of one responder, one after the other, so that none delays another's.

    A notice is leased, rendered once, and sent; a crash before it is marked sends it again with
    the same key. "retry" waits three times as long each time, up to half an hour, give or take a
    quarter; after ten attempts it is a dead letter.
    """

    def __init__(self, name: str, responder: Responder, stores: Stores, router: Router) -> None:
        self.name = name
        self.responder = responder
        self.stores = stores
        self.router = router
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Send what is due until stopped."""
        while True:
            sent = 0
            try:
                sent = await self.send_due()
            except StoreUnavailable as error:
                log.warning("%s: notices wait for the store: %s", self.name, error)
            except Exception:
                log.exception("%s: a notice could not be sent", self.name)
            if not sent:
                if self._stopping.is_set():
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), _EVERY)

    def stop(self) -> None:
        """End when nothing is due any more."""
        self._stopping.set()

    async def send_due(self, now: datetime | None = None) -> int:
        """Send what is due now, and return how many notices that was: none or one."""
        now = now or datetime.now(UTC)
        lease = self.responder.timeout + 2 * _GRACE
        pending = await asyncio.to_thread(
            self.stores.outbox.due, now, self.name, limit=1, lease=lease
        )
        for each in pending:
            await self._send(each, now)
        return len(pending)

    async def _send(self, pending: Pending, now: datetime) -> None:
        notice = pending.notice or await asyncio.to_thread(self._rendered, pending, now)
        if notice is None:
            return
        started = time.monotonic()
        delivery = await self._answer(notice)
        now += timedelta(seconds=time.monotonic() - started)
        retry_at = None
        if delivery.status == "retry" and pending.attempts + 1 < MOST_ATTEMPTS:
            retry_at = now + timedelta(seconds=_pause(notice.key, pending.attempts))
        elif notice.kind == "repeated":
            await asyncio.to_thread(self._repeat, notice, now)
        await asyncio.to_thread(self.stores.outbox.mark, notice.key, delivery, retry_at, now)
        if delivery.status != "delivered":
            again = "" if retry_at is None else f" Tried again at {retry_at:%H:%M:%S} UTC."
            log.warning("%s: %s: %s.%s", self.name, delivery.status, delivery.reason, again)

    async def _answer(self, notice: Notice) -> Delivery:
        """Have the responder respond, and give up waiting after its time-out."""
        limit = self.responder.timeout + _GRACE
        try:
            return await asyncio.wait_for(_in_thread(lambda: self._respond(notice)), limit)
        except TimeoutError:
            return Delivery("unknown", f"no answer within {limit:g} s")
        except Exception as error:
            log.exception("%s: the responder failed", self.name)
            return Delivery("rejected", f"{type(error).__name__}: {error}")

    def _respond(self, notice: Notice) -> Delivery:
        if isinstance(self.responder, GuardedResponder):
            return self.responder.act(notice, self.stores.audit)
        return self.responder.respond(notice)

    def _rendered(self, pending: Pending, now: datetime) -> Notice | None:
        """Return a notice with its alarms as they are now; None if there is no reason any more."""
        stores = self.stores
        alarms = [alarm for id in pending.alarm_ids if (alarm := self._alarm(id)) is not None]
        reasons = {alarm.id: lapsed(pending.kind, alarm) for alarm in alarms}
        if pending.kind == "raised":
            shown, rank = self._shown(pending.alarm_ids), SEVERITIES.index
            reasons |= {
                each.id: "its severity was told already"
                for each in alarms
                if each.id in shown and rank(shown[each.id]) >= rank(each.severity)
            }
        alarms = [alarm for alarm in alarms if reasons[alarm.id] is None]
        if not alarms:
            self._drop(pending, next(filter(None, reasons.values()), "its alarms are gone"))
            return None
        around, silences = stores.alarms.open(), stores.silences.active(now)
        muted = {each.id: self.router.muted(each, now, around, silences) for each in alarms}
        told = [each for each in alarms if muted[each.id] is None]
        later = [each.id for each in alarms if muted[each.id] and each.closed is None]
        if not told:
            reason = next(filter(None, muted.values()), "")
            if later:
                stores.outbox.postpone(pending.key, now + _MUTED_FOR, reason)
            else:
                self._drop(pending, reason)
            return None
        if later:
            with stores.db.begin() as c:
                due = now + _MUTED_FOR
                stores.outbox.enqueue(c, self.name, pending.group, pending.kind, later, due)
        notice = Notice(pending.key, pending.kind, pending.group, tuple(told), now)
        stores.outbox.freeze(pending.key, notice)
        return notice

    def _shown(self, ids: Sequence[str]) -> dict[str, Severity]:
        """Return the severities that this responder was last told of alarms."""
        query = (
            select(notices.c.content)
            .join(notice_alarms, notice_alarms.c.key == notices.c.key)
            .where(
                notices.c.responder == self.name,
                notices.c.sent.is_not(None),
                notice_alarms.c.alarm.in_(ids),
            )
            .order_by(notices.c.sent)
        )
        with self.stores.db.read() as c:
            sent: list[Notice] = [row.content for row in c.execute(query) if row.content]
        return {alarm.id: alarm.severity for notice in sent for alarm in notice.alarms}

    def _drop(self, pending: Pending, reason: str) -> None:
        """Note that a notice has no reason any more: nobody is told, and it is no dead letter."""
        with self.stores.db.begin() as c:
            c.execute(
                update(notices)
                .where(notices.c.key == pending.key)
                .values(status="lapsed", reason=reason, leased_until=None)
            )

    def _repeat(self, notice: Notice, now: datetime) -> None:
        """Have a notice repeated once more, as long as it is not lapsed by then."""
        with self.stores.db.begin() as c:
            for alarm in notice.alarms:
                for route in self.router.again(alarm):
                    if route.responder == self.name:
                        due = route.due(now, None)
                        self.stores.outbox.enqueue(
                            c, self.name, route.group, route.kind, [alarm.id], due
                        )

    def _alarm(self, id: str) -> Alarm | None:
        try:
            return self.stores.alarms.get(id)
        except NotInStore:
            return None


def _in_thread(work: Callable[[], Delivery]) -> asyncio.Future[Delivery]:
    """Start work in a thread that never keeps the process from ending."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Delivery] = loop.create_future()

    def done(result: Delivery | Exception) -> None:
        if future.done():
            return
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)

    def run() -> None:
        result: Delivery | Exception
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            result = error
        with suppress(RuntimeError):  # the loop may be closed
            loop.call_soon_threadsafe(done, result)

    threading.Thread(target=run, name="respond", daemon=True).start()
    return future


def _pause(key: str, attempts: int) -> float:
    """Return the seconds before the next attempt; the jitter is the key's, so that it repeats."""
    digest = hashlib.sha256(f"{key}/{attempts}".encode()).digest()
    jitter = 0.75 + 0.5 * int.from_bytes(digest[:4], "big") / 2**32
    return float(min(_LONGEST, _FIRST * _FACTOR**attempts) * jitter)
