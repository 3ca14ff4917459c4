"""Linear autoregression: how far each point is from its forecast."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numba import njit

from tocsin.base import Stretch, Stretches
from tocsin.base.declared import Shape, Within
from tocsin.base.series import BLOCKS, blocks_of
from tocsin.detectors.series._channels import check_channels, check_counts
from tocsin.detectors.series._residuals import ResidualDetector
from tocsin.errors import ParameterError
from tocsin.features.windows import starts
from tocsin.types import Card, FloatArray, IntArray

_MOST_ROWS = 50_000  # of lags that one fit sees
_CHUNK = 4_096  # points


class Autoregression(ResidualDetector):
    """Absolute residual of a ridge forecast of the next point from the points before it.

    A single channel is forecast from as many past points as its dominant period, 16 to 64;
    several channels from the values of all of them, scored or not, 1, 2, 4 and 8 points before.
    ``lags`` sets the number of past points instead. Residuals are in units of their training
    mean; the largest over the channels, smoothed over ``width`` points (None: the dominant
    period, at least 16; 100 for several channels), is the score. ``parts`` (n, channels) are the
    smoothed residuals of the channels, ``expected`` (n, channels) the forecasts. Raises
    ParameterError for a number of lags or a width below 1, or a ridge below 0, and InputError for
    more than 2,000 channels. Box and Jenkins,
    Time Series Analysis: Forecasting and Control, 1970.

    >>> wave = np.sin(np.arange(1000) / 5)
    >>> broken = wave.copy()
    >>> broken[700] += 1
    >>> int(abs(Autoregression().fit(wave[:500]).score(broken).values.argmax() - 708)) < 16
    True
    """

    card = Card(
        name="autoregression",
        modality="series",
        family="forecast",
        learning=("one-class", "unlabelled"),
        summary="How far a point is from a linear forecast.",
        paper="Box, Jenkins, Time Series Analysis: Forecasting and Control, 1970",
        cost="fit O(n p² + p³) for p lags in all, score O(n p)",
        also_known_as=("AR", "VAR"),
    )

    def __init__(
        self,
        lags: int | None = None,
        width: int | None = None,
        ridge: float = 1e-3,
        seed: int = 0,
    ) -> None:
        self.lags = lags
        self.width = width
        self.ridge = ridge
        self.seed = seed

    lags_: Annotated[IntArray, Shape("places"), Within(1, "n", rising=True)]
    weights_: Annotated[FloatArray, Shape("places*d+1", "s")]

    def _check_parameters(self) -> None:
        check_counts(self, "lags", "width")
        if self.ridge < 0:
            raise ParameterError(f"ridge is {self.ridge}; it must be 0 or more.")

    def _choose(self, stretches: Stretches) -> None:
        check_channels(self.n_features_in_)
        self.width_ = self._usual_width(stretches, self.width)
        if self.lags is not None or self.n_features_in_ == 1:
            most = self.lags or int(np.clip(self._period(stretches), 16, 64))
            lags = np.arange(1, most + 1)
        else:
            lags = np.array([1, 2, 4, 8])
        self.lags_ = lags[lags <= max(map(len, stretches)) // 2]

    def _learn_values(self, stretches: Stretches) -> None:
        longest = max(map(len, stretches))
        self.lags_ = self.lags_[self.lags_ < longest]
        past = int(self.lags_[-1])
        Z = np.concatenate([stretch.values for stretch in stretches])
        ends = np.cumsum([len(stretch) for stretch in stretches])
        inside = [
            np.arange(end - len(stretch) + past, end)
            for stretch, end in zip(stretches, ends, strict=True)
        ]
        points = np.concatenate(inside)
        folds = [points[start:end] for start, end in blocks_of(len(points))]
        sums = [self._sums(Z, fold) for fold in folds]
        gram, target = (np.sum(each, axis=0) for each in zip(*sums, strict=True))
        self.weights_ = self._weights(gram, target, len(points))
        # What is usual is the error at points that have not been learned from.
        residuals = []
        for fold, (own_gram, own_target) in zip(folds, sums, strict=True):
            rest = len(points) - len(fold)
            weights = self._weights(gram - own_gram, target - own_target, max(1, rest))
            forecast = np.concatenate([self._past(Z, at) @ weights for at in _chunks(fold)])
            residuals.append(np.abs(Z[fold][:, self.scored_] - forecast))
        errors = np.concatenate(residuals)
        self._learn_residuals(errors, errors.mean(axis=0))

    def _residuals(self, stretch: Stretch) -> tuple[FloatArray, FloatArray]:
        Z = self._standardise(stretch).values
        joined = np.concatenate([self._likely_past(Z, int(self.lags_[-1])), Z])
        limit = self.limit_ * self.usual_
        forecast = _forecast(joined, self.lags_, self.scored_, self.weights_, limit)
        return np.abs(Z[:, self.scored_] - forecast[-len(Z) :]), forecast[-len(Z) :]

    @property
    def _guessed(self) -> int:
        return int(self.lags_[-1])

    def _together(self, residuals: FloatArray) -> FloatArray:
        values: FloatArray = residuals.max(axis=1)
        return values

    def _weights(self, gram: FloatArray, target: FloatArray, points: int) -> FloatArray:
        """Return the weights (1 + lags × channels, scored) that forecast ``points`` points."""
        ridge = (self.ridge * points + 1e-9) * np.eye(len(gram))
        return np.asarray(np.linalg.solve(gram + ridge, target), dtype=np.float64)

    def _sums(self, Z: FloatArray, points: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return the products of inputs with each other, and with what they are to forecast."""
        some = points[starts(len(points), 1, _MOST_ROWS // BLOCKS)]
        inputs = 1 + len(self.lags_) * Z.shape[1]
        gram, target = np.zeros((inputs, inputs)), np.zeros((inputs, len(self.scored_)))
        for at in _chunks(some):
            past = self._past(Z, at)
            gram += past.T @ past
            target += past.T @ Z[at][:, self.scored_]
        share = len(points) / len(some)
        return gram * share, target * share

    def _past(self, Z: FloatArray, points: IntArray) -> FloatArray:
        """Return rows (points, 1 + lags × channels): a one, and the values before each point."""
        values = Z[points[:, None] - self.lags_].reshape(len(points), -1)
        return np.concatenate([np.ones((len(points), 1)), values], axis=1)


def _chunks(points: IntArray) -> list[IntArray]:
    return [points[first : first + _CHUNK] for first in range(0, len(points), _CHUNK)]


@njit(cache=True)
def _forecast(Z, lags, scored, weights, limit):  # type: ignore[no-untyped-def]
    """Return the forecast (n − last lag, scored) of each point from the points before it.

    A value further from its forecast than the ``limit`` (scored,) is not believed, and the
    forecast stands in its place where it is a lag: but not if the two before were such, too.
    """
    past, channels = lags[-1], Z.shape[1]
    believed = Z.copy()
    forecast = np.empty((len(Z) - past, len(scored)))
    doubted = np.zeros(len(scored), np.int64)
    for t in range(past, len(Z)):
        for j in range(len(scored)):
            total = weights[0, j]
            for i in range(len(lags)):
                for c in range(channels):
                    total += weights[1 + i * channels + c, j] * believed[t - lags[i], c]
            forecast[t - past, j] = total
        for j in range(len(scored)):
            if abs(Z[t, scored[j]] - forecast[t - past, j]) <= limit[j]:
                doubted[j] = 0
            elif doubted[j] < 2:
                believed[t, scored[j]] = forecast[t - past, j]
                doubted[j] += 1
    return forecast
