"""Scores of normal training items as if they were new: what a threshold is calibrated on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone

from tocsin.base.dependence import (
    blocks,
    correlation_length,
    group_starts,
    independent_count,
)
from tocsin.base.detector import Detector
from tocsin.types import FloatArray, IntArray

Relearn = Callable[[IntArray, IntArray], FloatArray]
"""Learns from scratch from the items at some positions; returns the scores of those at others."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Scores (n,) of normal items that were not learned from, and what they are worth.

    ``independent``: how many independent items tell as much; n where they do not depend on
    each other. ``ordered``: whether whole blocks were left out.
    """

    scores: FloatArray
    independent: float
    ordered: bool = False


def held_out_scores(
    detector: Detector,
    items: Any,
    own: FloatArray,
    relearn: Relearn | None = None,
    *,
    novel: bool = False,
) -> HeldOut:
    """Return how new normal items will score, from the normal items (n,) learned from.

    ``own`` (n,) are the detector's scores of them, each left out by itself. Where items depend
    on those before them, by the columns of a matrix or by these scores, contiguous blocks are
    left out instead, with a gap. ``relearn`` learns from scratch, by default a copy of the
    detector; detectors that hold out blocks by themselves need no more, unless the items are
    ``novel``, prepared by what a preparation of all of them knows.
    """
    length, starts = 0, [0]
    if isinstance(items, np.ndarray) and items.dtype != object:
        length, starts = correlation_length(items), group_starts(items)
    length = length or correlation_length(own[:, None])
    if not length:
        return HeldOut(own, float(len(own)))
    if not novel and detector.holds_out_blocks_:
        return HeldOut(own, independent_count(own), ordered=True)
    learn = _copies(detector, items) if relearn is None else relearn
    scores = np.empty(len(own))
    for fold in blocks(len(own), length, starts):
        scores[fold.outside] = learn(fold.inside, fold.outside)
    return HeldOut(scores, independent_count(scores), ordered=True)


def scores_by_a_copy(detector: Detector, known: Any, new: Any) -> FloatArray:
    """Return the scores of new items by a copy of the detector that learns from known ones.

    Where the detector chose another, that one is copied.
    """
    copy: Detector = clone(detector.chosen)
    copy._fit(copy._check_training(known), None)
    return copy._score(copy._check_scoring(new)).values


def _copies(detector: Detector, items: Any) -> Relearn:
    return lambda inside, outside: scores_by_a_copy(detector, items[inside], items[outside])
