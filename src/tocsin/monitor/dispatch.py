"""From the outbox to the responders: each in its own time, again when it may help."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from tocsin.alarms.routing import Router, lapsed
from tocsin.base.responder import GuardedResponder, Responder
from tocsin.errors import NotInStore, StoreUnavailable
from tocsin.monitor.stores import Stores
from tocsin.store.outbox import Pending
from tocsin.types import Alarm, Delivery, Notice

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 10
"""After so many a notice is a dead letter; that is about two hours after the first."""

_EVERY = 0.25
_FIRST, _LONGEST = 2.0, 1_800.0
_AT_ONCE = 20
_GRACE = 5.0
_MUTED_FOR = timedelta(seconds=30)


class Dispatcher:
    """Sends the notices of one responder, one after the other, so that none delays another's.

    A notice is leased, rendered once, and sent; a crash before it is marked sends it again with
    the same key. "retry" waits twice as long each time, up to half an hour, give or take a
    quarter; after ten attempts it is a dead letter.
    """

    def __init__(self, name: str, responder: Responder, stores: Stores, router: Router) -> None:
        self.name = name
        self.responder = responder
        self.stores = stores
        self.router = router
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"respond-{name}")

    async def run(self) -> None:
        """Send what is due until cancelled."""
        try:
            while True:
                try:
                    sent = await self.send_due()
                except StoreUnavailable as error:
                    log.warning("%s: notices wait for the store: %s", self.name, error)
                    sent = 0
                if not sent:
                    await asyncio.sleep(_EVERY)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    async def send_due(self, now: datetime | None = None) -> int:
        """Send what is due now, and return how many notices that was."""
        now = now or datetime.now(UTC)
        lease = _AT_ONCE * (self.responder.timeout + _GRACE)
        pending = await asyncio.to_thread(
            self.stores.outbox.due, now, self.name, limit=_AT_ONCE, lease=lease
        )
        for each in pending:
            await self._send(each, now)
        return len(pending)

    async def _send(self, pending: Pending, now: datetime) -> None:
        notice = pending.notice or await asyncio.to_thread(self._rendered, pending, now)
        if notice is None:
            return
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._thread, self._respond, notice)
        try:
            limit = self.responder.timeout + _GRACE
            delivery = await asyncio.wait_for(asyncio.shield(work), limit)
        except TimeoutError:
            delivery = Delivery("unknown", f"no answer within {limit:g} s")
            self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"respond-{self.name}")
        except Exception as error:
            log.exception("%s: the responder failed", self.name)
            delivery = Delivery("rejected", f"{type(error).__name__}: {error}")
        retry_at = None
        if delivery.status == "retry" and pending.attempts + 1 < MOST_ATTEMPTS:
            retry_at = datetime.now(UTC) + timedelta(seconds=_pause(notice.key, pending.attempts))
        await asyncio.to_thread(self.stores.outbox.mark, notice.key, delivery, retry_at)
        if delivery.status == "delivered" and notice.kind == "repeated":
            await asyncio.to_thread(self._repeat, notice)
        if delivery.status != "delivered":
            again = "" if retry_at is None else f" Tried again at {retry_at:%H:%M:%S} UTC."
            log.warning("%s: %s: %s.%s", self.name, delivery.status, delivery.reason, again)

    def _respond(self, notice: Notice) -> Delivery:
        if isinstance(self.responder, GuardedResponder):
            return self.responder.act(notice, self.stores.audit)
        return self.responder.respond(notice)

    def _rendered(self, pending: Pending, now: datetime) -> Notice | None:
        """Return a notice with its alarms as they are now; None if there is no reason any more."""
        stores = self.stores
        alarms = [alarm for id in pending.alarm_ids if (alarm := self._alarm(id)) is not None]
        reasons = {alarm.id: lapsed(pending.kind, alarm) for alarm in alarms}
        alarms = [alarm for alarm in alarms if reasons[alarm.id] is None]
        if not alarms:
            reason = next(filter(None, reasons.values()), "its alarms are gone")
            stores.outbox.mark(pending.key, Delivery("rejected", reason))
            return None
        around, silences = stores.alarms.open(), stores.silences.active(now)
        muted = {each.id: self.router.muted(each, now, around, silences) for each in alarms}
        told = [each for each in alarms if muted[each.id] is None]
        if not told:
            over = all(each.closed is not None for each in alarms)
            reason = next(iter(muted.values())) or ""
            if over:
                stores.outbox.mark(pending.key, Delivery("rejected", reason))
            else:
                stores.outbox.postpone(pending.key, now + _MUTED_FOR, reason)
            return None
        notice = Notice(pending.key, pending.kind, pending.group, tuple(told), now)
        stores.outbox.freeze(pending.key, notice)
        return notice

    def _repeat(self, notice: Notice) -> None:
        """Have a notice repeated once more, as long as it is not lapsed by then."""
        now = datetime.now(UTC)
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


def _pause(key: str, attempts: int) -> float:
    """Return the seconds before the next attempt; the jitter is the key's, so that it repeats."""
    digest = hashlib.sha256(f"{key}/{attempts}".encode()).digest()
    jitter = 0.75 + 0.5 * int.from_bytes(digest[:4], "big") / 2**32
    return float(min(_LONGEST, _FIRST * 2.0**attempts) * jitter)
