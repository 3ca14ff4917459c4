"""Minimum covariance determinant: distance from the densest part of the training rows."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.linalg import eigh

from tocsin.base import TableDetector
from tocsin.base.declared import Shape
from tocsin.errors import ParameterError
from tocsin.features.sampling import subsample
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.types import Card, FloatArray, IntArray, Scores

_CHUNK = 16_384  # rows
_MAX_STEPS = 30


class Mcd(TableDetector):
    """Squared Mahalanobis distance by a mean and covariance that outliers cannot pull away.

    Rows (n, d) in any units. Starting from the rows nearest to the medians, it takes in turn
    the mean and covariance of the share ``support`` of the rows, and the rows nearest to that
    mean, until they stay the same. ``ridge`` times the mean variance is added on the diagonal,
    so that there may be more columns than rows. It learns from at most ``max_rows`` rows.
    ``parts`` (n, d) splits the score over the columns without remainder; ``expected`` (n, d) is
    each value as the row's other values predict it, in its own units. Raises ParameterError for
    a support outside (0, 1], a ridge that is not positive and fewer than two ``max_rows``.
    Boudt et al., The Minimum Regularized Covariance Determinant Estimator, Statistics and
    Computing 2020.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(300, 2))
    >>> x[:60] += 8
    >>> bool(np.diff(Mcd().fit(x).score([[0, 0], [8, 8]]).values) > 0)
    True
    """

    card = Card(
        name="mcd",
        modality="tables",
        family="density",
        learning=("one-class", "unlabelled"),
        summary="Distance from the normal cloud, which outliers among the rows cannot pull.",
        paper="Boudt et al., The Minimum Regularized Covariance Determinant Estimator, 2020",
        cost="fit O(m d² + d³) per step on at most 50,000 rows m; score O(d²) per row",
        also_known_as=("elliptic envelope", "FAST-MCD"),
    )

    mean_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]
    centre_: Annotated[FloatArray, Shape("d")]
    whitening_: Annotated[FloatArray, Shape("d", "d")]

    def __init__(
        self, support: float = 0.5, ridge: float = 0.1, max_rows: int = 50_000, seed: int = 0
    ) -> None:
        self.support = support
        self.ridge = ridge
        self.max_rows = max_rows
        self.seed = seed

    def _check_parameters(self) -> None:
        if not 0 < self.support <= 1 or self.ridge <= 0 or self.max_rows < 2:
            raise ParameterError(
                "mcd needs 0 < support ≤ 1, ridge > 0 and max_rows ≥ 2; "
                f"got {self.support}, {self.ridge} and {self.max_rows}."
            )

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        chosen = subsample(len(X), self.max_rows, self.seed)
        X = X[chosen]
        self.mean_, self.scale_ = location_and_scale(X)
        scaled = standardise(X, self.mean_, self.scale_)
        h = max(2, int(np.ceil(self.support * len(X))))
        distance = ((scaled - np.median(scaled, axis=0)) ** 2).sum(axis=1)
        inside = np.empty(0, dtype=np.int64)
        for _ in range(_MAX_STEPS):
            nearest = np.sort(np.argsort(distance, kind="stable")[:h])
            if np.array_equal(nearest, inside):
                break
            inside = nearest
            self._estimate(scaled[inside])
            distance = (self._white(scaled) ** 2).sum(axis=1)
        self._inside = chosen[inside]

    def _estimate(self, Z: FloatArray) -> None:
        self.centre_ = Z.mean(axis=0)
        centred = Z - self.centre_
        covariance = centred.T @ centred / len(Z)
        # Rows that are all alike have no variance to take a share of.
        added = self.ridge * max(float(np.trace(covariance)) / len(covariance), 1e-6)
        variance, axes = eigh(covariance)
        self.whitening_ = (axes / np.sqrt(np.maximum(variance, 0.0) + added)) @ axes.T

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        """Return the scores, with each row's own pull on mean and covariance taken back."""
        values = self._score(X).values
        others = len(self._inside) - 1
        own = values[self._inside]
        values[self._inside] = (1 + 1 / others) * own / np.maximum(1 - own / others, 1e-9)
        return values

    def _white(self, Z: FloatArray) -> FloatArray:
        """Return Z in coordinates where normal rows have variance 1 in all directions."""
        white: FloatArray = (Z - self.centre_) @ self.whitening_
        return white

    def _score(self, X: FloatArray) -> Scores:
        parts, expected = np.empty(X.shape), np.empty(X.shape)
        precision = (self.whitening_**2).sum(axis=0)  # the diagonal of its square
        for start in range(0, len(X), _CHUNK):
            rows = slice(start, start + _CHUNK)
            scaled = standardise(X[rows], self.mean_, self.scale_)
            white = self._white(scaled)
            parts[rows] = white**2
            predicted = scaled - white @ self.whitening_ / precision
            with np.errstate(over="ignore"):
                expected[rows] = predicted * self.scale_ + self.mean_
        largest = np.finfo(np.float64).max
        np.clip(expected, -largest, largest, out=expected)
        return Scores(parts.sum(axis=1), parts=parts, expected=expected)
