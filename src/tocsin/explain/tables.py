"""Which columns made a table's row anomalous: seen, expected, and how much each weighs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tocsin.base import Detector
from tocsin.types import BoolArray, Explanation, FloatArray, IntArray, Reason, Scores

MOST_SUBSTITUTED = 10
"""Columns tried at most for each row by substitution."""

_MOST_CANDIDATES = 32
_NEIGHBOURS = 15
_MOST_BACKGROUND = 500
_MOST_COMPARED = 256
_FARTHEST = 3.0
_UNCOUNTABLE = 1e100
_CHUNK_VALUES = 4_000_000


class Preparer(Protocol):
    """What explanations need of the preparation of a table.

    ``columns_``: the names of the source columns. ``groups_``: (m,) the source column that each
    column of the prepared matrix comes from.
    """

    columns_: list[str]
    groups_: IntArray

    def seen(self, table: Any, row: int, column: int) -> float | str | None:
        """Return what the table holds there, in its own units."""
        ...

    def to_units(self, row: FloatArray) -> Sequence[float | str | None]:
        """Return one value a source column, in its own units, from a prepared row (m,)."""
        ...


@dataclass(frozen=True, slots=True)
class Attribution:
    """Why r rows are anomalous, in the prepared matrix.

    ``weights``: (r, source columns), each row sums to 1. ``expected``: (r, m), what would have
    been normal in place of each value; columns that no weight falls on may keep what was seen.
    """

    weights: FloatArray
    expected: FloatArray


def explain_rows(
    detector: Detector,
    preparer: Preparer,
    background: FloatArray,
    table: Any,
    matrix: FloatArray,
    rows: IntArray,
    top: int = 5,
) -> dict[int, Explanation]:
    """Return, by position, why these rows of a table are anomalous: ``top`` reasons each.

    ``matrix`` (n, m) is the prepared table, ``background`` (b, m) prepared normal rows.
    Columns without weight give no reason.
    """
    rows = np.asarray(rows, dtype=np.int64)
    if not len(rows):
        return {}
    names = preparer.columns_
    found = attribute(detector, background, matrix[rows], preparer.groups_, len(names))
    explanations = {}
    for row, weights, expected in zip(rows.tolist(), found.weights, found.expected, strict=True):
        usual = preparer.to_units(expected)
        heaviest = [i for i in np.argsort(-weights, kind="stable")[:top] if weights[i] > 0]
        reasons = [
            Reason(str(names[i]), preparer.seen(table, row, int(i)), usual[i], float(weights[i]))
            for i in heaviest
        ]
        explanations[row] = Explanation(row, tuple(reasons))
    return explanations


def attribute(
    detector: Detector,
    background: FloatArray,
    rows: FloatArray,
    groups: IntArray,
    n_columns: int | None = None,
) -> Attribution:
    """Return how much each source column adds to the scores of prepared rows (r, m).

    Where the detector gives parts, a column's weight is what its parts exceed their median
    over the background (b, m) by. Otherwise columns are substituted: what the score falls by
    when the column takes the value that the nearest background rows, by the other columns,
    have there; and what the score of the nearest background row rises by when it takes the
    column's value from the row. Nearness is measured on at most 500 background rows and 256
    columns. Of the 32 columns of a row that are furthest from their median, the 10 furthest
    from their expected value are tried.

    ``groups`` (m,): the source column of each matrix column; ``n_columns``: how many there
    are. A row that nothing of this explains gets the weights of its robust deviations.

    >>> from tocsin.registry import create
    >>> rng = np.random.default_rng(0)
    >>> normal = rng.normal(size=(200, 3))
    >>> detector = create("isolation_forest").fit(normal)
    >>> found = attribute(detector, normal, np.array([[0.0, 8.0, 0.0]]), np.arange(3))
    >>> int(found.weights.argmax())
    1
    """
    n_columns = int(groups.max()) + 1 if n_columns is None else n_columns
    member = groups == np.arange(n_columns)[:, None]
    normal = _Normal(background[_evenly(len(background), _MOST_BACKGROUND)], member)
    weights = np.zeros((len(rows), n_columns))
    expected = np.array(rows, dtype=np.float64)
    values = min(n_columns, MOST_SUBSTITUTED) * rows.shape[1] + 4 * len(normal.rows)
    for chunk in _chunks(len(rows), values):
        weights[chunk], expected[chunk] = _attribute(detector, rows[chunk], normal)
    return Attribution(weights, expected)


class _Normal:
    """Normal rows (b, m) to compare with, and which matrix columns each source column has."""

    def __init__(self, rows: FloatArray, member: BoolArray) -> None:
        self.rows = rows
        self.member = member
        self.median = np.median(rows, axis=0)
        low, high = np.percentile(rows, [25, 75], axis=0)
        spread = np.where(high > low, (high - low) / 1.349, rows.std(axis=0))
        self.scale = np.where(spread > 0, spread, 1.0)
        self.compared = _evenly(rows.shape[1], _MOST_COMPARED)

    def distances(self, rows: FloatArray, others: FloatArray) -> FloatArray:
        """Return (r, source columns): distances from other values in robust units."""
        with np.errstate(over="ignore"):
            distance = np.abs(rows - others) / self.scale
        distance = np.minimum(distance, _UNCOUNTABLE)
        return np.stack([distance[:, own].max(axis=1, initial=0) for own in self.member], axis=1)

    def expected(self, rows: FloatArray, tried: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return expected values (r, m) of the columns tried (r, c), and the nearest rows (r, m).

        A column's value is the one, among the rows nearest by the other columns, that is
        closest to their median: a value that occurs, also of a category.
        """
        total = self._nearness(rows, self.compared)
        # A row that is itself in the background says nothing about what was expected.
        total[total == 0] = np.inf
        expected = rows.copy()
        for column in np.flatnonzero(tried.any(axis=0)):
            own = np.flatnonzero(self.member[column])
            where = np.flatnonzero(tried[:, column])
            shared = own[np.isin(own, self.compared)]
            others = total[where] - self._nearness(rows[where], shared)
            k = min(_NEIGHBOURS, len(self.rows))
            near = np.argpartition(others, k - 1, axis=1)[:, :k]
            values = self.rows[near[:, :, None], own]
            middle = np.median(values, axis=1, keepdims=True)
            closest = np.abs(values - middle).sum(axis=2).argmin(axis=1)
            expected[where[:, None], own] = values[np.arange(len(where)), closest]
        return expected, self.rows[total.argmin(axis=1)]

    def _nearness(self, rows: FloatArray, columns: IntArray) -> FloatArray:
        """Return (r, b): sums over columns of squared differences, each of at most 3 deviations."""
        total = np.zeros((len(rows), len(self.rows)))
        for column in columns:
            with np.errstate(over="ignore"):
                difference = (rows[:, column, None] - self.rows[:, column]) / self.scale[column]
            total += np.clip(difference, -_FARTHEST, _FARTHEST) ** 2
        return total


def _attribute(
    detector: Detector, rows: FloatArray, normal: _Normal
) -> tuple[FloatArray, FloatArray]:
    scores = detector.score(rows)
    deviations = normal.distances(rows, normal.median)
    if scores.parts is not None:
        usual = np.median(_sums(detector.score(normal.rows), normal.member), axis=0)
        weights = np.maximum(_sums(scores, normal.member) - usual, 0)
        if scores.expected is None:
            expected, _ = normal.expected(rows, _largest(weights, MOST_SUBSTITUTED)[1])
        else:
            expected = scores.expected
    else:
        expected, nearest = normal.expected(rows, _largest(deviations, _MOST_CANDIDATES)[1])
        columns, _ = _largest(normal.distances(rows, expected), MOST_SUBSTITUTED)
        own = normal.member[columns]
        added = _substitute(detector, rows, scores.values, expected, nearest, own)
        weights = np.zeros_like(deviations)
        np.put_along_axis(weights, columns, added, axis=1)
        if scores.expected is not None:
            expected = scores.expected
    nothing = weights.sum(axis=1) <= 0
    weights[nothing] = deviations[nothing] + np.finfo(np.float64).tiny
    largest = weights.max(axis=1, keepdims=True)
    weights = weights / largest
    return weights / weights.sum(axis=1, keepdims=True), expected


def _substitute(
    detector: Detector,
    rows: FloatArray,
    values: FloatArray,
    expected: FloatArray,
    nearest: FloatArray,
    own: BoolArray,
) -> FloatArray:
    """Return (r, c): by how much each column of ``own`` (r, c, m) raises the score."""
    shape = own.shape[:2]
    without = np.where(own, expected[:, None], rows[:, None]).reshape(-1, rows.shape[1])
    alone = np.where(own, rows[:, None], nearest[:, None]).reshape(-1, rows.shape[1])
    falls = values[:, None] - detector.score(without).values.reshape(shape)
    rises = detector.score(alone).values.reshape(shape) - detector.score(nearest).values[:, None]
    return np.maximum(falls, 0) + np.maximum(rises, 0)


def _largest(values: FloatArray, most: int) -> tuple[IntArray, BoolArray]:
    """Return the columns (r, at most most) of each row's largest values, also as a mask (r, c)."""
    columns = np.argsort(-values, axis=1, kind="stable")[:, :most]
    mask = np.zeros(values.shape, dtype=bool)
    np.put_along_axis(mask, columns, True, axis=1)
    return columns, mask


def _sums(scores: Scores, member: BoolArray) -> FloatArray:
    """Return the parts (r, source columns), summed over the matrix columns of each."""
    return np.asarray(scores.parts) @ member.T.astype(np.float64)


def _evenly(n: int, most: int) -> IntArray:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))


def _chunks(n: int, values_a_row: int) -> Iterator[slice]:
    size = max(1, _CHUNK_VALUES // values_a_row)
    return (slice(start, start + size) for start in range(0, n, size))
