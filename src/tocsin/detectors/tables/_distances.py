"""Scores by the distances to the nearest reference rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tocsin.base.parameters import check_count
from tocsin.errors import ParameterError
from tocsin.features.neighbour_space import NeighbourSpace
from tocsin.types import FloatArray, IntArray, Scores

_AGGREGATES: dict[str, Callable[..., FloatArray]] = {
    "mean": np.mean,
    "max": np.max,
    "median": np.median,
}


def check_neighbours(k: int, aggregate: str) -> None:
    """Raise ParameterError for a k below 1 and an unknown aggregate."""
    check_count("k", k)
    if aggregate not in _AGGREGATES:
        raise ParameterError(
            f"aggregate is {aggregate!r}; it must be one of {', '.join(_AGGREGATES)}."
        )


def compare(
    space: NeighbourSpace,
    reference: FloatArray,
    X: FloatArray,
    k: int,
    aggregate: str,
    itself: IntArray | None = None,
    counts: IntArray | None = None,
) -> Scores:
    """Return the mean, largest or median distance of rows X (n, d) to their k nearest.

    ``space`` holds the ``reference`` rows (m, d), scaled. With ``itself`` (n,), the rows of X are
    reference rows of these numbers, and each is left out. ``counts`` (n,): how many of the k
    count for each row; all by default.
    ``parts`` and ``expected`` (n, d) are of the centroid of the neighbours: the squared scaled
    differences to it, and the centroid.
    """
    counts = np.full(len(X), k) if counts is None else counts
    values, parts, expected = np.empty(len(X)), np.empty(X.shape), np.empty(X.shape)
    for block, rows, differences, lengths in space.neighbours(X, k, itself):
        for count in np.unique(counts[block]):
            some = counts[block] == count
            at = np.arange(block.start, block.stop)[some]
            values[at] = _AGGREGATES[aggregate](lengths[some, :count], axis=1)
            parts[at] = differences[some, :count].mean(axis=1) ** 2
            expected[at] = reference[rows[some, :count]].mean(axis=1)
    return Scores(values, parts, expected)
