"""Distance to the nearest training rows."""

from __future__ import annotations

from typing import Any, Literal

from tocsin.detectors.tables._distances import check_neighbours, compare
from tocsin.detectors.tables._reference import ReferenceDetector
from tocsin.features.column_scalings import StandardScaling
from tocsin.features.neighbour_space import NeighbourSpace
from tocsin.types import Card, FloatArray, IntArray, Scores


class Neighbours(ReferenceDetector):
    """Mean distance to the k nearest training rows, in standardised columns.

    ``aggregate``: "mean", "max" (the distance to the k-th) or "median" of the k distances.
    ``max_reference``: compare with at most this many training rows, drawn at random by ``seed``.

    ``parts`` (n, d) are the squared differences to the centroid of the neighbours in
    standardised units, ``expected`` (n, d) is that centroid. Raises ParameterError for a k
    below 1 and an unknown aggregate.

    >>> import numpy as np
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
        cost="fit O(n m d), score O(m d) per row, m = reference rows",
        also_known_as=("kNN", "kth-NN", "nearest neighbours"),
    )

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

    def _check_parameters(self) -> None:
        check_neighbours(self.k, self.aggregate)
        super()._check_parameters()

    def _derive(self) -> None:
        self._space = NeighbourSpace(StandardScaling, self.reference_)

    def _compare(self, X: FloatArray, itself: IntArray | None = None) -> Scores:
        return compare(self._space, self.reference_, X, self.k, self.aggregate, itself)
