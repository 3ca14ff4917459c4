"""Which events of a batch are processed: not those known already, nor those of impossible times."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tocsin import config
from tocsin.monitor.batches import as_datetime64, chosen, raw
from tocsin.types import Alarm, Batch, BatchDecision, BoolArray, Rejection, RejectionKind

EARLIEST, LATEST = np.datetime64("1900-01-01", "us"), np.datetime64("2200-01-01", "us")
"""Events of other times are malformed: no clock shows them, and few stores can hold them."""
_MOST_ENTITIES = 100_000


@dataclass
class PreparedBatch:
    """A batch on its way, and what became of it: all that one transaction writes."""

    batch: Batch
    rejected: list[Rejection]
    counts: Counter[str] = field(default_factory=Counter)
    decision: BatchDecision | None = None
    alarms: list[Alarm] = field(default_factory=list)
    states: dict[str, Any] = field(default_factory=dict)
    commit: str = field(default_factory=lambda: secrets.token_hex(8))

    def reject(self, which: BoolArray, kind: RejectionKind, reason: str) -> None:
        """Move events to the rejected ones; ``which``: (n,) bool."""
        if not which.any():
            return
        for i in np.flatnonzero(which).tolist():
            self.rejected.append(Rejection(kind, reason, raw(self.batch, i)))
        self.batch = chosen(self.batch, ~which)

    def reject_each(self, reasons: Mapping[int, str]) -> None:
        """Move malformed events to the rejected ones; ``reasons``: why, by their positions."""
        for i, reason in reasons.items():
            self.rejected.append(Rejection("malformed", reason, raw(self.batch, i)))
        fine = np.ones(len(self.batch), dtype=bool)
        fine[list(reasons)] = False
        self.batch = chosen(self.batch, fine)


def drop_known(prepared: PreparedBatch, known: Callable[[Sequence[str]], set[str]]) -> None:
    """Drop events that came before, in an earlier batch or in this one.

    ``known`` returns those of some ids that are stored.
    """
    ids = prepared.batch.ids
    if not ids:
        return
    seen = known(ids)
    if not seen and len(set(ids)) == len(ids):
        return
    fresh = np.ones(len(ids), dtype=bool)
    for i, each in enumerate(ids):
        fresh[i] = each not in seen
        seen.add(each)
    prepared.counts["duplicate"] += int((~fresh).sum())
    prepared.batch = chosen(prepared.batch, fresh)


class NewestTimes:
    """The newest event time of each entity, beside which its older events are late.

    Entities beyond 100,000 are forgotten, those first that were not heard of for longest.
    """

    def __init__(self, batches: Iterable[Batch] = ()) -> None:
        self._newest: dict[str, int] = {}
        for batch in batches:
            self.late(batch, 0)

    def late(self, batch: Batch, limit: int) -> BoolArray:
        """Return which events (n,) are older than their entity's newest by more than ``limit`` µs.

        From now on the newest are those of this batch, where they are newer.
        """
        newest = self._newest
        late = np.zeros(len(batch), dtype=np.bool_)
        times = batch.times.astype("datetime64[us]").astype(np.int64).tolist()
        entities = batch.entities if batch.entities is not None else ("",) * len(batch)
        for i, (entity, time) in enumerate(zip(entities, times, strict=True)):
            last = newest.pop(entity, time)
            late[i] = time < last - limit
            newest[entity] = max(last, time)
        while len(newest) > _MOST_ENTITIES:
            del newest[next(iter(newest))]
        return late


def reject_by_time(
    prepared: PreparedBatch,
    settings: config.Monitor,
    newest: NewestTimes,
    now: datetime | None,
) -> None:
    """Reject events that are too old, too far ahead of the clock, or of no time at all.

    ``now``: the clock, None for history.
    """
    prepared.reject(np.isnat(prepared.batch.times), "malformed", "the event has no time")
    outside = (prepared.batch.times < EARLIEST) | (prepared.batch.times >= LATEST)
    prepared.reject(outside, "malformed", "its time lies outside 1900 to 2200")
    if now is not None and settings.future is not None:
        limit = as_datetime64(now + timedelta(seconds=settings.future))
        reason = (
            f"its time is ahead of the clock by more than {settings.future:g} s; state "
            "fields.time_zone of the source if it is a local time, else set the sender's clock"
        )
        prepared.reject(prepared.batch.times > limit, "future", reason)
    if settings.late is not None and len(prepared.batch):
        late = newest.late(prepared.batch, int(settings.late * 1e6))
        reason = (
            f"it is older than its entity's newest event by more than late, {settings.late:g} s"
        )
        prepared.reject(late, "late", reason)
