"""Distance to the nearest training rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np

from tocsin.base.parameters import check_count
from tocsin.detectors.tables._reference import ReferenceDetector
from tocsin.errors import ParameterError
from tocsin.features.column_scalings import ColumnScaling, StandardScaling
from tocsin.features.neighbour_space import NeighbourSpace
from tocsin.types import Card, FloatArray, IntArray, Scores

_AGGREGATES: dict[str, Callable[..., FloatArray]] = {
    "mean": np.mean,
    "max": np.max,
    "median": np.median,
}


class Neighbours(ReferenceDetector):
    """Mean distance to the k nearest training rows, in standardised columns.

    ``aggregate``: "mean", "max" (the distance to the k-th) or "median" of the k distances.
    ``max_reference``: compare with at most so many training rows, drawn at random by ``seed``.

    ``parts`` (n, d) are the squared differences to the centroid of the neighbours in
    standardised units, ``expected`` (n, d) is that centroid. Raises ParameterError for a k
    below 1 and an unknown aggregate.

    >>> detector = Neighbours(k=1).fit([[0.0], [0.1], [0.2]])
    >>> bool(np.diff(detector.score([[0.1], [9.0]]).values) > 0)
    True
    """

    card = Card(
        name="neighbours",
        modality="tables",
        family="neighbours",
        learning=("one-class", "unlabelled"),
        summary="Distance to the nearest training rows.",
        paper="Ramaswamy, Rastogi, Shim, Efficient Algorithms for Mining Outliers, SIGMOD 2000",
        cost="fit O(n m d), score O(m d) a row, m = reference rows",
    )

    _scaling: ClassVar[type[ColumnScaling]] = StandardScaling

    def __init__(
        self,
        k: int = 5,
        aggregate: Literal["mean", "max", "median"] = "mean",
        max_reference: int = 10_000,
        seed: int = 0,
    ) -> None:
        self.k = k
        self.aggregate = aggregate
        self.max_reference = max_reference
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"max_reference": 500}

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        check_count("k", self.k)
        if self.aggregate not in _AGGREGATES:
            raise ParameterError(
                f"aggregate is {self.aggregate!r}; it must be one of {', '.join(_AGGREGATES)}."
            )
        super()._fit(X, y)

    def _count(self) -> int:
        """Return how many neighbours to take."""
        return self.k

    def _counts(self, X: FloatArray) -> IntArray:
        """Return how many of these count for each row of X, (n,)."""
        return np.full(len(X), self._count())

    def _prepare(self) -> None:
        self._space = NeighbourSpace(self._scaling, self.reference_)

    def _compare(self, X: FloatArray, itself: IntArray | None = None) -> Scores:
        values = np.empty(len(X))
        parts, expected = np.empty(X.shape), np.empty(X.shape)
        counts = self._counts(X)
        for block, rows, differences, lengths in self._space.neighbours(X, self._count(), itself):
            for k in np.unique(counts[block]):
                some = counts[block] == k
                at = np.arange(block.start, block.stop)[some]
                values[at] = _AGGREGATES[self.aggregate](lengths[some, :k], axis=1)
                parts[at] = differences[some, :k].mean(axis=1) ** 2
                expected[at] = self.reference_[rows[some, :k]].mean(axis=1)
        return Scores(values, parts, expected)
