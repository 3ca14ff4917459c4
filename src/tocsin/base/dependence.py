"""How much neighbouring items depend on each other, and what that leaves a calibration worth.

Items that follow in time are alike: a model that has learned from a row's neighbours in time
knows the row nearly by heart, which says nothing about next week. Where items depend on those
before them, whole blocks are left out, with a gap on either side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.stats import binom, rankdata

from tocsin.types import BoolArray, FloatArray, IntArray

FEWEST_ITEMS = 50
"""Fewer items say nothing about their order."""

_SURE = 5.0
"""Standard errors by which an autocorrelation must exceed that of shuffled items."""
_LEAST = 0.1
"""Autocorrelations below this are of no consequence, and end the gap."""
_RARE = 0.05
"""Columns that leave their most frequent value in a smaller share of the rows say little."""
_MOST_ROWS, _MOST_COLUMNS = 20_000, 200
_BLOCKS = (5, 10)
_LENGTHS_PER_BLOCK = 4
_NEAR, _ASKED = 5, 300
_CHANCE = 3e-7
"""The probability of exceeding a mean by 5 standard errors."""
_MANY_VALUES = 20


@dataclass(frozen=True, slots=True)
class Fold:
    """Items to learn from and items to score: positions, both in the order given."""

    inside: IntArray
    outside: IntArray


def correlation_length(items: FloatArray) -> int:
    """Return over how many items (n, d) dependence reaches, in the order given; 0 for none.

    Dependence is there where the ranks of a column are correlated with those one item earlier,
    or where the nearest neighbours of items are their neighbours in time, beyond what shuffled
    items show. It reaches to the first lag at which no column's autocorrelation exceeds 0.1. Of
    groups of rows (see ``group_starts``) only what depends within them counts. In a table that is
    sorted by a column of many values the order is not time, and says nothing.

    >>> rng = np.random.default_rng(0)
    >>> correlation_length(rng.normal(size=(500, 3)))
    0
    >>> 10 < correlation_length(np.cumsum(rng.normal(size=(500, 1)), axis=0))
    True
    """
    n = len(items)
    if n < FEWEST_ITEMS:
        return 0
    part = _middle(items)
    if _is_sorted(part):
        return 0
    ranks = _within_groups(rankdata(part, axis=0), group_starts(part))
    correlations = _autocorrelations(ranks[:, _telling(part)])
    sure = correlations[1] > max(_LEAST, _SURE / np.sqrt(len(part)))
    if not sure.any():
        return _NEAR if _neighbours_are_near(ranks) else 0
    low = np.flatnonzero((correlations[:, sure] < _LEAST).all(axis=1))
    # What reaches farther than could be looked may reach over everything.
    return int(low[0]) if len(low) else n


def independent_count(scores: FloatArray) -> float:
    """Return how many independent items the scores (n,) in their order are worth, 1 to n.

    n over the integrated autocorrelation time of their ranks, summed over pairs of lags while
    these are positive (Geyer, Practical Markov Chain Monte Carlo, Statistical Science 1992).
    Scores that do not depend on each other are worth n.

    >>> independent_count(np.repeat(np.random.default_rng(0).normal(size=100), 10)) < 200
    True
    """
    n = len(scores)
    if not correlation_length(scores[:, None]):
        return float(n)
    correlations = _autocorrelations(rankdata(scores)[:, None], lags=n // 2)[1:, 0]
    pairs = correlations[: len(correlations) // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    time = 1 + 2 * pairs[: negative[0] if len(negative) else len(pairs)].sum()
    return float(max(n / max(time, 1.0), 1.0))


def group_starts(items: FloatArray) -> list[int]:
    """Return where groups of rows (n, d) begin that stand one after the other, the first at 0.

    They are recognised by a column each of whose values stands in one run of rows, as the name of a
    machine does, or by one that grows and seldom falls back, as the seconds of a recording do.

    >>> group_starts(np.repeat([[8.0], [10.0]], 60, axis=0))
    [0, 60]
    """
    found: set[int] = set()
    for column in items.T:
        steps = np.diff(column)
        changes, falls = np.flatnonzero(steps) + 1, np.flatnonzero(steps < 0) + 1
        in_runs = len(changes) <= _MANY_VALUES and len(changes) <= len(np.unique(column))
        starts = changes if in_runs else falls if len(changes) > _MANY_VALUES else falls[:0]
        if 0 < len(starts) <= len(items) // FEWEST_ITEMS:
            joined = sorted(found.union(starts.tolist()))
            if np.diff([0, *joined, len(items)]).min() >= FEWEST_ITEMS:
                found = set(joined)
    return [0, *sorted(found)]


def blocks(n: int, length: int, starts: Sequence[int] = (0,)) -> list[Fold]:
    """Return folds of n items, each a contiguous block, learning from all but it and a gap.

    There are 5 to 10, as many as are four correlation lengths long; the gap on either side is
    one such length, at most the block's own. Of several groups, which begin at ``starts``, each
    is cut so, and a fold leaves out one block of each, the next one of the next group.

    >>> [len(fold.outside) for fold in blocks(100, 5)]
    [20, 20, 20, 20, 20]
    >>> blocks(100, 5)[0].inside[0]
    np.int64(25)
    """
    sizes = np.diff([*starts, n])
    count = int(np.clip(sizes.min() // max(_LENGTHS_PER_BLOCK * length, 1), *_BLOCKS))
    inside, outside = np.ones((count, n), dtype=np.bool_), np.zeros((count, n), dtype=np.bool_)
    for group, (start, size) in enumerate(zip(starts, sizes.tolist(), strict=True)):
        edges = np.linspace(start, start + size, count + 1).astype(np.int64).tolist()
        for place, (first, end) in enumerate(pairwise(edges)):
            fold, gap = (place + group) % count, min(length, end - first)
            inside[fold, max(first - gap, start) : min(end + gap, start + size)] = False
            outside[fold, first:end] = True
    pairs = zip(inside, outside, strict=True)
    return [Fold(np.flatnonzero(known), np.flatnonzero(new)) for known, new in pairs]


def contiguous_folds(n: int, folds: int, length: int) -> IntArray:
    """Return the fold (n,) of each item: contiguous, with gaps between them that are in none (−1).

    >>> contiguous_folds(16, 2, length=2).tolist()
    [0, 0, 0, 0, 0, 0, 0, -1, -1, 1, 1, 1, 1, 1, 1, 1]
    """
    fold = np.arange(n) * folds // n
    gap = min(length, n // (4 * folds))
    for edge in np.flatnonzero(np.diff(fold)) + 1:
        fold[edge - gap // 2 : edge + (gap + 1) // 2] = -1
    return fold


def _middle(items: FloatArray) -> FloatArray:
    start = max(len(items) - _MOST_ROWS, 0) // 2
    part = items[start : start + _MOST_ROWS]
    if part.shape[1] <= _MOST_COLUMNS:
        return part
    return part[:, np.linspace(0, part.shape[1] - 1, _MOST_COLUMNS).astype(np.int64)]


def _within_groups(ranks: FloatArray, starts: list[int]) -> FloatArray:
    if len(starts) == 1:
        return ranks
    sizes = np.diff([*starts, len(ranks)])
    means = np.add.reduceat(ranks, starts) / sizes[:, None]
    centred: FloatArray = ranks - np.repeat(means, sizes, axis=0)
    return centred


def _telling(items: FloatArray) -> BoolArray:
    """Return which columns (d,) differ from their median often enough to have an order."""
    telling: BoolArray = (items != np.median(items, axis=0)).mean(axis=0) >= _RARE
    return telling


def _is_sorted(items: FloatArray) -> bool:
    """Return whether a column of many values never falls, or never rises."""
    steps = np.diff(items, axis=0)
    one_way = (steps >= 0).all(axis=0) | (steps <= 0).all(axis=0)
    return bool((one_way & ((steps != 0).sum(axis=0) > _MANY_VALUES)).any())


def _autocorrelations(ranks: FloatArray, lags: int | None = None) -> FloatArray:
    """Return the autocorrelations (lags + 1, d) of columns (n, d); constant columns have 0."""
    n = len(ranks)
    lags = n // 3 if lags is None else lags
    centred = ranks - ranks.mean(axis=0)
    size = 1 << (2 * n - 1).bit_length()
    found = np.empty((lags + 1, ranks.shape[1]))
    for column in range(ranks.shape[1]):  # one by one: the transforms of many take much memory
        power = np.abs(np.fft.rfft(centred[:, column], size)) ** 2
        found[:, column] = np.fft.irfft(power, size)[: lags + 1] / max(power.sum(), 1e-300)
    return found / np.where(found[0] > 0, found[0], 1.0)


def _neighbours_are_near(ranks: FloatArray) -> bool:
    """Return whether nearest neighbours of items are neighbours in time more often than not."""
    n = len(ranks)
    asked = np.linspace(0, n - 1, min(_ASKED, n)).astype(np.int64)
    squares = (ranks**2).sum(axis=1)
    distance = squares - 2 * ranks[asked] @ ranks.T
    distance[np.arange(len(asked)), asked] = np.inf
    near = int((np.abs(distance.argmin(axis=1) - asked) <= _NEAR).sum())
    share = 2 * _NEAR / (n - 1)
    return bool(binom.sf(near - 1, len(asked), share) < _CHANCE)
