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

from tocsin.alarms.policy import SEVERITIES
from tocsin.alarms.routing import Router, lapsed
from tocsin.base.responder import GuardedResponder, Responder
from tocsin.errors import NotInStore, StoreUnavailable
from tocsin.monitor.stores import Stores
from tocsin.store.outbox import Pending
from tocsin.types import Alarm, Delivery, Notification

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 10
"""Attempts after which a notification is a dead letter, about 90 minutes after the first."""

_EVERY = 0.25
_FIRST, _FACTOR, _LONGEST = 2.0, 3.0, 1_800.0
_GRACE = 5.0
_MUTED_FOR = timedelta(seconds=30)


class Dispatcher:
    """Sends the notifications of one responder, one after the other, so that none delays another's.

    A notification is leased, rendered once, and sent; a crash before it is marked sends it again
    with the same key. "retry" waits three times as long each time, up to half an hour, give or take
    a quarter; after ten attempts it is a dead letter.
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
                log.warning("%s: notifications wait for the store: %s", self.name, error)
            except Exception:
                log.exception("%s: a notification could not be sent", self.name)
            if not sent:
                if self._stopping.is_set():
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), _EVERY)

    def stop(self) -> None:
        """End when nothing is due any more."""
        self._stopping.set()

    async def send_due(self, now: datetime | None = None) -> int:
        """Send what is due now, and return how many notifications that was: none or one."""
        now = now or datetime.now(UTC)
        lease = self.responder.timeout + 2 * _GRACE
        pending = await asyncio.to_thread(
            self.stores.outbox.due, now, self.name, limit=1, lease=lease
        )
        for each in pending:
            await self._send(each, now)
        return len(pending)

    async def _send(self, pending: Pending, now: datetime) -> None:
        notification = pending.notification or await asyncio.to_thread(self._rendered, pending, now)
        if notification is None:
            return
        started = time.monotonic()
        delivery = await self._answer(notification)
        now += timedelta(seconds=time.monotonic() - started)
        retry_at = None
        if delivery.status == "retry" and pending.attempts + 1 < MOST_ATTEMPTS:
            retry_at = now + timedelta(seconds=_pause(notification.key, pending.attempts))
        elif notification.kind == "repeated":
            await asyncio.to_thread(self._repeat, notification, now)
        await asyncio.to_thread(self.stores.outbox.mark, notification.key, delivery, retry_at, now)
        if delivery.status != "delivered":
            again = "" if retry_at is None else f" Tried again at {retry_at:%H:%M:%S} UTC."
            log.warning("%s: %s: %s.%s", self.name, delivery.status, delivery.reason, again)

    async def _answer(self, notification: Notification) -> Delivery:
        """Have the responder respond, and give up waiting after its time-out."""
        limit = self.responder.timeout + _GRACE
        try:
            return await asyncio.wait_for(_in_thread(lambda: self._respond(notification)), limit)
        except TimeoutError:
            return Delivery("unknown", f"no answer within {limit:g} s")
        except Exception as error:
            log.exception("%s: the responder failed", self.name)
            return Delivery("rejected", f"{type(error).__name__}: {error}")

    def _respond(self, notification: Notification) -> Delivery:
        if isinstance(self.responder, GuardedResponder):
            return self.responder.act(notification, self.stores.audit)
        return self.responder.respond(notification)

    def _rendered(self, pending: Pending, now: datetime) -> Notification | None:
        """Return a notification with its alarms as they are now, None if there is none to send."""
        alarms = self._relevant(pending)
        due, muted = self._unmuted(alarms, now) if alarms else ([], {})
        later = [each.id for each in alarms if each.id in muted and each.closed is None]
        if not due:
            reason = next(iter(muted.values()), "")
            if later:
                self.stores.outbox.postpone(pending.key, now + _MUTED_FOR, reason)
            elif alarms:
                self.stores.outbox.lapse(pending.key, reason)
            return None
        if later:
            self._split_off(pending, later, now)
        notification = Notification(pending.key, pending.kind, pending.group, tuple(due), now)
        self.stores.outbox.freeze(pending.key, notification)
        return notification

    def _relevant(self, pending: Pending) -> list[Alarm]:
        """Return the alarms that there is still reason to report; if none is left, it lapses."""
        alarms = [alarm for id in pending.alarm_ids if (alarm := self._alarm(id)) is not None]
        reasons = {alarm.id: lapsed(pending.kind, alarm) for alarm in alarms}
        if pending.kind == "raised":
            reasons |= self._already_reported(alarms)
        relevant = [alarm for alarm in alarms if reasons[alarm.id] is None]
        if not relevant:
            reason = next(filter(None, reasons.values()), "its alarms are gone")
            self.stores.outbox.lapse(pending.key, reason)
        return relevant

    def _already_reported(self, alarms: Sequence[Alarm]) -> dict[str, str]:
        """Return why alarms need no notification that they were raised, by their ids."""
        last = self.stores.outbox.last_severities(self.name, [alarm.id for alarm in alarms])
        rank = SEVERITIES.index
        return {
            alarm.id: "its severity was reported already"
            for alarm in alarms
            if alarm.id in last and rank(last[alarm.id]) >= rank(alarm.severity)
        }

    def _unmuted(
        self, alarms: Sequence[Alarm], now: datetime
    ) -> tuple[list[Alarm], dict[str, str]]:
        """Return the alarms that nothing mutes, and by what each of the others is muted."""
        around, silences = self.stores.alarms.open(), self.stores.silences.active(now)
        found = {each.id: self.router.muted(each, now, around, silences) for each in alarms}
        muted = {id: reason for id, reason in found.items() if reason is not None}
        return [each for each in alarms if each.id not in muted], muted

    def _split_off(self, pending: Pending, ids: Sequence[str], now: datetime) -> None:
        """Put alarms that are muted now into a notification of their own, due later."""
        with self.stores.db.begin() as c:
            due = now + _MUTED_FOR
            self.stores.outbox.enqueue(c, self.name, pending.group, pending.kind, ids, due)

    def _repeat(self, notification: Notification, now: datetime) -> None:
        """Have a notification repeated once more, as long as it is not lapsed by then."""
        with self.stores.db.begin() as c:
            for alarm in notification.alarms:
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
