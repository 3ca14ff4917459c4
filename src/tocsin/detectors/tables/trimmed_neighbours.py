"""Distance to the nearest rows that are left when the most suspicious ones are dropped."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.stats import rankdata

from tocsin.detectors.column_scalings import ArcsinhScaling
from tocsin.detectors.tables.hbos import Hbos
from tocsin.detectors.tables.isolation_forest import IsolationForest
from tocsin.detectors.tables.neighbours import Neighbours
from tocsin.errors import ParameterError
from tocsin.types import Card, FloatArray, IntArray


class TrimmedNeighbours(Neighbours):
    """Mean distance to the k nearest training rows that look normal; for unlabelled mixed data.

    The rows are ranked by an isolation forest and by histograms; the share ``trim`` with the
    highest mean rank is dropped, the columns are scaled robustly on the rest (arcsinh of the
    distance from the median), and every row, dropped or not, is compared with the rest. It
    takes ``k`` neighbours, or one in 40 of the rest where that is more: clumps of anomalies
    grow with the data. Other parameters, ``parts`` and ``expected`` as in ``neighbours``.
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
        cost="fit O(n m d), score O(m d) a row, m = reference rows",
    )

    _scaling = ArcsinhScaling

    def __init__(
        self,
        k: int = 50,
        aggregate: Literal["mean", "max", "median"] = "mean",
        trim: float = 0.2,
        max_reference: int = 10_000,
        seed: int = 0,
    ) -> None:
        super().__init__(k, aggregate, max_reference, seed)
        self.trim = trim

    def _count(self) -> int:
        return max(self.k, len(self.reference_) // 40)

    def _rows_to_learn(self, X: FloatArray) -> IntArray:
        if not 0 <= self.trim < 1:
            raise ParameterError(f"trim is {self.trim}; it must be in [0, 1).")
        suspicion = sum(
            rankdata(detector.fit(X).training_scores_)
            for detector in (IsolationForest(seed=self.seed), Hbos())
        )
        keep = max(2, round((1 - self.trim) * len(X)))
        return np.sort(np.argsort(suspicion, kind="stable")[:keep])
