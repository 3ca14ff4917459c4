"""Which events of a batch are processed: not those known already, nor those of impossible times."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from tocsin import config
from tocsin.monitor.batches import as_datetime64, chosen, raw
from tocsin.types import Alarm, Batch, BatchDecision, BoolArray, Rejection, RejectionKind

EARLIEST, LATEST = np.datetime64("1900-01-01", "us"), np.datetime64("2200-01-01", "us")
"""Events of other times are malformed: no clock shows them, and few stores can hold them."""


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


def reject_by_time(
    prepared: PreparedBatch,
    settings: config.Monitor,
    newest: np.datetime64,
    now: datetime | None,
) -> None:
    """Reject events that are too old, too far ahead of the clock, or of no time at all.

    ``newest``: the newest event time so far. ``now``: the clock, None for history.
    """
    prepared.reject(np.isnat(prepared.batch.times), "malformed", "the event has no time")
    outside = (prepared.batch.times < EARLIEST) | (prepared.batch.times >= LATEST)
    prepared.reject(outside, "malformed", "its time lies outside 1900 to 2200")
    if now is not None and settings.future is not None:
        limit = as_datetime64(now + timedelta(seconds=settings.future))
        prepared.reject(prepared.batch.times > limit, "future", "its time is ahead of the clock")
    if settings.late is not None and len(prepared.batch):
        micros = np.concatenate(([newest], prepared.batch.times)).astype(np.int64)
        before = np.maximum.accumulate(micros)[:-1]
        late = micros[1:] < before - int(settings.late * 1e6)
        prepared.reject(late, "late", "it is too much older than the newest event")
