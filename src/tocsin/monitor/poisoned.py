"""Events that cannot be processed or stored, found by halving, so that the others go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Protocol

import numpy as np

from tocsin.errors import NotAllowed, StoreUnavailable
from tocsin.monitor.batches import chosen, raw
from tocsin.monitor.judging import reason_of
from tocsin.types import Batch, Rejection

PASSED_ON = (StoreUnavailable, NotAllowed)
"""Errors that no event causes: the store is unavailable, or another process has taken over."""


class Rehearsing(Protocol):
    """Processes a batch and undoes it all, and raises what that raises."""

    def rehearse(self, batch: Batch, now: datetime | None) -> None:
        """Process a batch and undo it."""


def without_poisoned(processor: Rehearsing, batch: Batch, now: datetime | None) -> Batch:
    """Return a batch whose events that cannot be processed or stored have become rejections.

    Parts of it are tried in transactions that are rolled back. Where the rest still fails as a
    whole, all of it is rejected. Raises StoreUnavailable, and NotAllowed when another process has
    written events of this monitor.
    """
    poisoned = _poisoned(processor, batch, now)
    rest = _without(batch, poisoned)
    if (reason := _failure(processor, rest, now)) is not None:
        rest = _without(rest, dict.fromkeys(range(len(rest)), reason))
    return rest


def _without(batch: Batch, poisoned: dict[int, str]) -> Batch:
    fine = np.ones(len(batch), dtype=np.bool_)
    fine[list(poisoned)] = False
    rejected = [Rejection("malformed", why, raw(batch, i)) for i, why in poisoned.items()]
    return replace(chosen(batch, fine), rejected=(*batch.rejected, *rejected))


def _poisoned(processor: Rehearsing, batch: Batch, now: datetime | None) -> dict[int, str]:
    """Return why events fail, by their positions."""
    if not len(batch) or (reason := _failure(processor, batch, now)) is None:
        return {}
    if len(batch) == 1:
        return {0: reason}
    half = len(batch) // 2
    first = np.arange(len(batch)) < half
    left, right = (_poisoned(processor, chosen(batch, own), now) for own in (first, ~first))
    return {**left, **{i + half: why for i, why in right.items()}}


def _failure(processor: Rehearsing, batch: Batch, now: datetime | None) -> str | None:
    """Return why a batch cannot be processed and stored, None if it can."""
    try:
        processor.rehearse(batch, now)
    except PASSED_ON:
        raise
    except Exception as error:  # noqa: BLE001 - whatever an event does, the others go on
        return reason_of(error)
    return None
