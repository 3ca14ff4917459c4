"""Principal components: how unlikely a row is under the correlations of normal rows."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from sklearn import decomposition

from tocsin.base import TableDetector
from tocsin.base.declared import Shape
from tocsin.errors import ParameterError
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.types import Card, FloatArray, IntArray, Scores

_MAX_COMPONENTS = 256
_CHUNK = 16_384  # rows


class Pca(TableDetector):
    """Squared Mahalanobis distance under probabilistic PCA: along the components and off them.

    Rows (n, d) in any units. The components that explain the share ``explained`` of the
    variance, at most 256, are weighed by their own variances, the residual by its mean variance.
    ``parts`` (n, d) splits the score over the columns without remainder; ``expected`` (n, d) is
    the row's projection on the components, in its own units. Raises ParameterError for a share
    outside (0, 1]. Tipping and Bishop, Probabilistic Principal Component Analysis, JRSS B 1999.

    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=300)
    >>> pca = Pca().fit(np.column_stack([x, x + rng.normal(size=300) / 9]))
    >>> bool(np.diff(pca.score([[2, 2], [1, -1]]).values) > 0)
    True
    """

    card = Card(
        name="pca",
        modality="tables",
        family="projection",
        learning=("one-class", "unlabelled"),
        summary="How far a row breaks the linear correlations of normal rows.",
        paper="Tipping, Bishop, Probabilistic Principal Component Analysis, JRSS B 1999",
        cost="fit O(n d min(n, d)), score O(d k) per row for k ≤ 256 components",
        also_known_as=("PPCA", "principal components"),
    )

    mean_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]
    components_: Annotated[FloatArray, Shape("kept", "d")]
    deviations_: Annotated[FloatArray, Shape("kept")]
    residual_deviation_: float

    def __init__(self, explained: float = 0.9, seed: int = 0) -> None:
        self.explained = explained
        self.seed = seed

    def _check_parameters(self) -> None:
        if not 0 < self.explained <= 1:
            raise ParameterError(f"pca needs 0 < explained ≤ 1; got {self.explained}.")

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self.mean_, self.scale_ = location_and_scale(X)
        scaled = standardise(X, self.mean_, self.scale_)
        n, d = scaled.shape
        model = decomposition.PCA(n_components=min(n, d, _MAX_COMPONENTS), random_state=self.seed)
        with np.errstate(invalid="ignore"):  # shares of no variance, of constant columns
            variance = model.fit(scaled).explained_variance_
        total = max(float(scaled.var(axis=0, ddof=1).sum()), 1e-12)
        enough = np.cumsum(variance) >= self.explained * total * (1 - 1e-9)
        kept = int(enough.argmax()) + 1 if enough.any() else len(variance)
        # Directions without any variance would outweigh all others: they get a little.
        floor = 1e-6 * total / d
        rest = (total - variance[:kept].sum()) / max(d - kept, 1)
        self.components_ = np.ascontiguousarray(model.components_[:kept])
        self.deviations_ = np.sqrt(np.maximum(variance[:kept], floor))
        self.residual_deviation_ = float(np.sqrt(max(rest, floor)))

    def _score(self, X: FloatArray) -> Scores:
        parts, expected = np.empty(X.shape), np.empty(X.shape)
        for start in range(0, len(X), _CHUNK):
            rows = slice(start, start + _CHUNK)
            scaled = standardise(X[rows], self.mean_, self.scale_)
            along = scaled @ self.components_.T
            projected = along @ self.components_
            # The row in coordinates where normal rows have variance 1 in all directions,
            # turned back to the columns: its squares are the columns' parts.
            white = (along / self.deviations_) @ self.components_
            white += (scaled - projected) / self.residual_deviation_
            parts[rows] = white**2
            with np.errstate(over="ignore"):
                expected[rows] = projected * self.scale_ + self.mean_
        largest = np.finfo(np.float64).max
        np.clip(expected, -largest, largest, out=expected)
        return Scores(parts.sum(axis=1), parts=parts, expected=expected)
