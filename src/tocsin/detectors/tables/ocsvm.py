"""One-class support vector machine: a boundary around the region where normal rows lie."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.special import logsumexp
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.svm import OneClassSVM

from tocsin.base import TableDetector
from tocsin.base.declared import Shape
from tocsin.errors import ParameterError
from tocsin.features.sampling import subsample
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.types import Card, FloatArray, IntArray, Scores

_CELLS = 2**21  # kernel values worked on at once


class Ocsvm(TableDetector):
    """−log of a weighted sum of Gaussian kernels on the support vectors, 0 on the boundary.

    Rows (n, d) in any units. The kernel is exp(−gamma ‖x − v‖² / V), V the sum of the variances
    of the standardised columns: ``gamma`` is a multiple of scikit-learn's "scale". At most a
    share ``nu`` of the training rows lies outside the boundary. The score orders rows as
    scikit-learn's decision function does, and still tells rows apart where that function is
    flat, far away. It learns from at most ``max_rows`` rows. Training scores take each support
    vector's own kernel away; other rows do not shape the boundary. Raises ParameterError for a
    nu outside (0, 1], a gamma that is not positive and fewer than two ``max_rows``. Schölkopf
    et al., Estimating the Support of a High-Dimensional Distribution, Neural Computation 2001.

    >>> rng = np.random.default_rng(0)
    >>> machine = Ocsvm().fit(rng.normal(size=(300, 2)))
    >>> (machine.score([[0, 0], [5, 5]]).values > 0).tolist()
    [False, True]
    """

    card = Card(
        name="ocsvm",
        modality="tables",
        family="one-class",
        learning=("one-class", "unlabelled"),
        summary="How far outside of a smooth boundary around the normal rows a row lies.",
        paper="Schölkopf et al., Estimating the Support of a High-Dimensional Distribution, "
        "Neural Computation 2001",
        cost="fit O(m² d) on at most 3,000 rows m; score O(s d) per row for s ≥ nu·m vectors",
        also_known_as=("one-class SVM",),
    )

    mean_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]
    support_vectors_: Annotated[FloatArray, Shape("m", "d")]
    log_weights_: Annotated[FloatArray, Shape("m")]
    log_boundary_: float
    kernel_gamma_: float

    def __init__(
        self, nu: float = 0.1, gamma: float = 10.0, max_rows: int = 3_000, seed: int = 0
    ) -> None:
        self.nu = nu
        self.gamma = gamma
        self.max_rows = max_rows
        self.seed = seed

    def _check_parameters(self) -> None:
        if not 0 < self.nu <= 1 or self.gamma <= 0 or self.max_rows < 2:
            raise ParameterError(
                "ocsvm needs 0 < nu ≤ 1, gamma > 0 and max_rows ≥ 2; "
                f"got {self.nu}, {self.gamma} and {self.max_rows}."
            )

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        rows = subsample(len(X), self.max_rows, self.seed)
        self.mean_, self.scale_ = location_and_scale(X[rows])
        scaled = standardise(X[rows], self.mean_, self.scale_)
        self.kernel_gamma_ = self.gamma / max(float(scaled.var(axis=0).sum()), 1e-12)
        machine = OneClassSVM(nu=self.nu, gamma=self.kernel_gamma_).fit(scaled)
        self.support_vectors_ = np.ascontiguousarray(machine.support_vectors_)
        self.log_weights_ = np.log(machine.dual_coef_[0])
        # A boundary at no kernel at all is met only by degenerate data.
        self.log_boundary_ = float(np.log(max(-float(machine.intercept_[0]), 1e-300)))
        self._support_rows = rows[machine.support_]

    def _log_kernels(self, X: FloatArray) -> FloatArray:
        """Return the logarithms (n, s) of the weighted kernels."""
        scaled = standardise(X, self.mean_, self.scale_)
        squared = euclidean_distances(scaled, self.support_vectors_, squared=True)
        logs: FloatArray = self.log_weights_ - self.kernel_gamma_ * squared
        return logs

    def _values(self, X: FloatArray, own: IntArray) -> FloatArray:
        """Return scores (n,); ``own`` (n,) is the support vector to leave out, −1 for none."""
        values = np.empty(len(X))
        size = max(1, _CELLS // len(self.support_vectors_))
        for start in range(0, len(X), size):
            rows = slice(start, start + size)
            logs = self._log_kernels(X[rows])
            mine = np.flatnonzero(own[rows] >= 0)
            logs[mine, own[rows][mine]] = -np.inf
            values[rows] = self.log_boundary_ - logsumexp(logs, axis=1)
        return values

    def _score(self, X: FloatArray) -> Scores:
        return Scores(self._values(X, np.full(len(X), -1)))

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        if len(self.support_vectors_) < 2:
            return self._score(X).values
        own = np.full(len(X), -1)
        own[self._support_rows] = np.arange(len(self._support_rows))
        return self._values(X, own)
