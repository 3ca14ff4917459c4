"""Distance to the nearest rows that are left when the most suspicious ones are dropped."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from scipy.stats import rankdata

from tocsin.detectors.tables._distances import check_neighbours, compare
from tocsin.detectors.tables._reference import ReferenceDetector
from tocsin.detectors.tables.hbos import Hbos
from tocsin.detectors.tables.isolation_forest import IsolationForest
from tocsin.errors import ParameterError
from tocsin.features.categories import Categories
from tocsin.features.column_scalings import MixedScaling
from tocsin.features.neighbour_space import NeighbourSpace
from tocsin.types import BoolArray, Card, FloatArray, IntArray, Scores


class TrimmedNeighbours(ReferenceDetector):
    """Mean distance to the k nearest training rows that look normal; for unlabelled mixed data.

    The rows are ranked by an isolation forest and by histograms; the share ``trim`` with the
    highest mean rank is dropped, the columns are scaled robustly on the rest (arcsinh of the
    distance from the median), and every row, dropped or not, is compared with the rest. It
    takes ``k`` neighbours, but at most half of the rest, or one in 40 of the rest where that is
    more: clumps of anomalies grow with the data. Categories, as ``TablePreparer`` writes them
    down, are no reason to drop a row: of each value that is about as frequent as others at least
    half of the rows stay, and a row is compared with half as many rows as share its value, if
    these are fewer than k. Other parameters, ``parts`` and ``expected`` as in ``neighbours``.
    Raises ParameterError for a trim outside [0, 1).

    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(200, 2)), rng.normal(6, 0.1, size=(20, 2))])
    >>> detector = TrimmedNeighbours().fit(X)
    >>> bool(detector.training_scores_[200:].min() > detector.training_scores_[:200].max())
    True
    """

    card = Card(
        name="trimmed_neighbours",
        modality="tables",
        family="neighbours",
        learning=("unlabelled",),
        summary="Distance to the nearest rows left when the most suspicious are dropped.",
        paper="Ramaswamy, Rastogi, Shim, Efficient Algorithms for Mining Outliers, SIGMOD 2000",
        cost="fit O(n m d), score O(m d) per row, m = reference rows",
    )

    def __init__(
        self,
        k: int = 50,
        aggregate: Literal["mean", "max", "median"] = "mean",
        trim: float = 0.2,
        max_reference: int = 10_000,
        seed: int = 0,
    ) -> None:
        self.k = k
        self.aggregate = aggregate
        self.trim = trim
        self.max_reference = max_reference
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"max_reference": 500}

    def _check_parameters(self) -> None:
        check_neighbours(self.k, self.aggregate)
        super()._check_parameters()
        if not 0 <= self.trim < 1:
            raise ParameterError(f"trim is {self.trim}; it must be in [0, 1).")

    def _derive(self) -> None:
        self._space = NeighbourSpace(MixedScaling, self.reference_)
        self._categories = Categories(self.reference_)

    def _compare(self, X: FloatArray, itself: IntArray | None = None) -> Scores:
        rows = len(self.reference_)
        k = max(min(self.k, rows // 2), rows // 40, 1)
        counts = np.full(len(X), k)
        for sizes in self._categories.ordinary(X).T:
            counts = np.where(sizes > 0, np.minimum(counts, np.maximum(sizes // 2, 1)), counts)
        return compare(self._space, self.reference_, X, k, self.aggregate, itself, counts)

    def _rows_to_learn(self, X: FloatArray) -> IntArray:
        categories = Categories(X)
        looked_at = X[:, categories.others] if categories.others.any() else X
        forest, histograms = (
            rankdata(detector.fit(looked_at).training_scores_)
            for detector in (IsolationForest(seed=self.seed), Hbos())
        )
        suspicion = forest + histograms
        keep = max(2, round((1 - self.trim) * len(X)))
        kept = np.zeros(len(X), dtype=bool)
        kept[np.argsort(suspicion, kind="stable")[:keep]] = True
        for block, ordinary in zip(categories.blocks, categories.ordinary(X).T, strict=True):
            kept |= (ordinary > 0) & _least_suspicious_half(X[:, block].argmax(axis=1), suspicion)
        return np.flatnonzero(kept)


def _least_suspicious_half(value: IntArray, suspicion: FloatArray) -> BoolArray:
    """Return which rows (n,) are among the less suspicious half of the rows of their value."""
    order = np.lexsort((suspicion, value))
    size = np.bincount(value)
    first = np.cumsum(size) - size
    rank = np.empty(len(value), dtype=np.int64)
    rank[order] = np.arange(len(value)) - first[value[order]]
    return 2 * rank < size[value]
