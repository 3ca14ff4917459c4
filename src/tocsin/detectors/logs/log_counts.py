"""Log sessions by how far their template counts are from any known session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from scipy.sparse import csr_array

from tocsin.base import LogDetector
from tocsin.base.declared import Shape, Within
from tocsin.detectors.logs._counts import Counts, find
from tocsin.errors import ParameterError
from tocsin.features.sparse_neighbours import SparseSearch
from tocsin.types import Card, FloatArray, IntArray, Scores, SessionArray


class LogCounts(LogDetector):
    """Compare a session's template counts with those of the most similar training session.

    The score is the Euclidean distance of log(1 + count) to the nearest distinct training
    session, so a template that is there once too often adds log 2, plus ``new_weight`` for
    each template that was unknown or never seen in training. A session with an exact twin in
    training scores 0. Training sessions are scored without themselves: 0 where a twin remains.
    Learn from normal sessions; repeated anomalies in the training set excuse each other.

    ``max_reference``: distinct sessions kept at most, drawn by ``seed``. Raises
    ParameterError for a negative ``new_weight`` and for ``max_reference`` below 2.

    >>> import numpy as np
    >>> from tocsin.types import LogSession
    >>> normal = [LogSession(np.array([1, 2, 3])), LogSession(np.array([1, 2, 2, 3]))]
    >>> detector = LogCounts().fit(normal * 5)
    >>> new = [LogSession(np.array([3, 2, 1])), LogSession(np.array([1, 2, 3, 9]))]
    >>> detector.score(new).values.tolist()
    [0.0, 3.0]
    """

    card = Card(
        name="log_counts",
        modality="logs",
        family="neighbours",
        learning=("one-class",),
        summary="Distance of template counts to the nearest known session, plus new templates.",
        paper="Lin et al., Log Clustering Based Problem Identification, ICSE-SEIP 2016, with "
        "nearest neighbours in place of clusters",
        cost="O(distinct sessions x distinct training sessions x templates per session)",
        also_known_as=("LogCluster",),
    )

    templates_: Annotated[IntArray, Shape("kinds", empty=True), Within(rising=True)]
    reference_templates_: Annotated[IntArray, Shape("cells", empty=True), Within(0, "kinds")]
    reference_logs_: Annotated[FloatArray, Shape("cells", empty=True)]
    reference_starts_: Annotated[IntArray, Shape("m+1"), Within(0, "cells", rising=True)]
    reference_sessions_: Annotated[IntArray, Shape("m"), Within(0)]

    def __init__(self, new_weight: float = 3.0, max_reference: int = 10_000, seed: int = 0) -> None:
        self.new_weight = new_weight
        self.max_reference = max_reference
        self.seed = seed

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        if hasattr(self, "templates_"):
            self._prepare()
        return self

    def _check_parameters(self) -> None:
        if not self.new_weight >= 0:
            raise ParameterError(f"new_weight is {self.new_weight}; it must be 0 or more.")
        if self.max_reference < 2:
            raise ParameterError(f"max_reference is {self.max_reference}; it must be 2 or more.")

    def _fit(self, X: SessionArray, y: IntArray | None) -> None:
        counts = Counts.of(X)
        self.templates_ = np.unique(counts.template[counts.template >= 0])
        first, _ = counts.same()
        if len(first) > self.max_reference:
            chosen = np.random.default_rng(self.seed).permutation(len(first))
            first = first[np.sort(chosen[: self.max_reference])]
        reference, _ = self._rows(counts)
        reference = reference[first]
        self.reference_templates_ = reference.indices.astype(np.int64)
        self.reference_logs_ = reference.data
        self.reference_starts_ = reference.indptr.astype(np.int64)
        self.reference_sessions_ = first
        self._prepare()

    def _prepare(self) -> None:
        shape = (len(self.reference_starts_) - 1, max(1, len(self.templates_)))
        self._search = SparseSearch(
            csr_array(
                (self.reference_logs_, self.reference_templates_, self.reference_starts_), shape
            )
        )

    def _rows(self, counts: Counts) -> tuple[csr_array, IntArray]:
        """Return log counts (n, templates) of the known templates, and the number of others."""
        column = find(self.templates_, counts.template)
        known = column >= 0
        shape = (counts.n, max(1, len(self.templates_)))
        at = (counts.session[known], column[known])
        return csr_array((np.log1p(counts.lines[known]), at), shape), counts.number(~known)

    def _score(self, X: SessionArray) -> Scores:
        counts = Counts.of(X)
        first, kind = counts.same()
        rows, new = self._rows(counts)
        distance, _ = self._search.nearest(rows[first], 1)
        return Scores((distance[:, 0] + self.new_weight * new[first])[kind])

    def _score_training(self, X: SessionArray, y: IntArray | None) -> FloatArray:
        counts = Counts.of(X)
        first, kind = counts.same()
        rows, new = self._rows(counts)
        scores = self.new_weight * new.astype(np.float64)
        alone = first[np.bincount(kind) == 1]
        if not len(alone):
            return scores
        # A template that no other session has is new to the session that is left out.
        only_here = rows.count_nonzero(axis=0) == 1
        rows = rows[alone]
        scores[alone] += self.new_weight * (rows != 0)[:, only_here].sum(axis=1)
        rows.data[only_here[rows.indices]] = 0.0
        itself = np.full(counts.n, -1)
        itself[self.reference_sessions_] = np.arange(len(self.reference_sessions_))
        distance, _ = self._search.nearest(rows, 1, itself[alone])
        scores[alone] += distance[:, 0]
        return scores
