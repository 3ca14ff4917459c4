"""Gaussian mixture: how unlikely a row is under a few Gaussian clouds."""

from __future__ import annotations

import warnings
from typing import Annotated

import numpy as np
from scipy.special import logsumexp
from sklearn import mixture
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from tocsin.base import TableDetector, out_of_fold_scores
from tocsin.base.declared import Shape
from tocsin.errors import ParameterError
from tocsin.features.sampling import subsample
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.types import Card, FloatArray, IntArray, Scores

_COMPONENTS = (1, 2, 4, 8)
_CHUNK = 16_384  # rows


class GaussianMixture(TableDetector):
    """Negative log-likelihood of a row under a mixture of Gaussians with full covariances.

    Rows (n, d) in any units; the score is in nats, of standardised columns. ``n_components``
    None takes the one of 1, 2, 4 and 8 with the lowest Bayesian information criterion.
    ``regularisation`` is added to all variances. It learns from at most ``max_rows`` rows.
    Raises ParameterError for fewer than one component, a regularisation that is not positive
    and fewer than two ``max_rows``. McLachlan and Peel, Finite Mixture Models, Wiley 2000.

    >>> rng = np.random.default_rng(0)
    >>> x = np.concatenate([rng.normal(size=(200, 2)), 9 + rng.normal(size=(200, 2))])
    >>> gmm = GaussianMixture().fit(x)
    >>> bool(np.diff(gmm.score([[9, 9], [4.5, 4.5]]).values) > 0)
    True
    """

    card = Card(
        name="gaussian_mixture",
        modality="tables",
        family="density",
        learning=("one-class", "unlabelled"),
        summary="How unlikely a row is under a few Gaussian clouds.",
        paper="McLachlan, Peel, Finite Mixture Models, Wiley 2000",
        cost="fit O(m k d² + k d³) per step on at most 10,000 rows m; score O(k d²) per row",
        also_known_as=("GMM",),
    )

    mean_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]
    centres_: Annotated[FloatArray, Shape("clouds", "d")]
    whitenings_: Annotated[FloatArray, Shape("clouds", "d", "d")]
    log_weights_: Annotated[FloatArray, Shape("clouds")]

    def __init__(
        self,
        n_components: int | None = None,
        regularisation: float = 0.1,
        max_rows: int = 10_000,
        seed: int = 0,
    ) -> None:
        self.n_components = n_components
        self.regularisation = regularisation
        self.max_rows = max_rows
        self.seed = seed

    def _check_parameters(self) -> None:
        known = self.n_components is None or self.n_components >= 1
        if not known or self.regularisation <= 0 or self.max_rows < 2:
            raise ParameterError(
                "gaussian_mixture needs n_components ≥ 1 or None, regularisation > 0 and "
                f"max_rows ≥ 2; got {self.n_components}, {self.regularisation}, {self.max_rows}."
            )

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        X = X[subsample(len(X), self.max_rows, self.seed)]
        self.mean_, self.scale_ = location_and_scale(X)
        scaled = standardise(X, self.mean_, self.scale_)
        if self.n_components is None:
            # A covariance needs more rows than columns to tell anything.
            choices = [k for k in _COMPONENTS if k == 1 or k * (X.shape[1] + 1) <= len(X)]
            best = min((self._mixture(scaled, k) for k in choices), key=lambda m: m.bic(scaled))
        else:
            best = self._mixture(scaled, min(self.n_components, len(X)))
        self.log_weights_ = np.log(np.maximum(best.weights_, 1e-300))
        self.centres_ = best.means_
        self.whitenings_ = best.precisions_cholesky_

    def _mixture(self, Z: FloatArray, n_components: int) -> mixture.GaussianMixture:
        with warnings.catch_warnings():
            # Rows that repeat leave clouds empty; the criterion then takes fewer of them.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return mixture.GaussianMixture(
                n_components, reg_covar=self.regularisation, random_state=self.seed
            ).fit(Z)

    def _score(self, X: FloatArray) -> Scores:
        values = np.empty(len(X))
        diagonals = np.diagonal(self.whitenings_, axis1=1, axis2=2)
        norms = np.log(diagonals).sum(axis=1) - X.shape[1] / 2 * np.log(2 * np.pi)
        for start in range(0, len(X), _CHUNK):
            rows = slice(start, start + _CHUNK)
            scaled = standardise(X[rows], self.mean_, self.scale_)
            logs = np.empty((len(scaled), len(self.centres_)))
            pairs = zip(self.centres_, self.whitenings_, strict=True)
            for component, (centre, whitening) in enumerate(pairs):
                squares = (((scaled - centre) @ whitening) ** 2).sum(axis=1)
                logs[:, component] = norms[component] - squares / 2
            values[rows] = -logsumexp(logs + self.log_weights_, axis=1)
        return Scores(values)

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        chosen = clone(self).set_params(n_components=len(self.centres_))
        return out_of_fold_scores(chosen, X, y)
