"""Linear autoregression: how far each point is from its forecast."""

from __future__ import annotations

import numpy as np

from tocsin.base import Stretch, Stretches
from tocsin.detectors.series._subsequences import ChannelsDetector, check_counts
from tocsin.detectors.windows import dominant_period, smooth, starts
from tocsin.errors import ParameterError
from tocsin.types import Card, FloatArray, IntArray, Scores

_MOST_ROWS = 50_000  # of lags that one fit sees
_CHUNK = 4_096  # points


class Autoregression(ChannelsDetector):
    """Absolute residual of a ridge forecast of the next point from the points before it.

    A single channel is forecast from as many past points as its dominant period, 16 to 64;
    several channels from the values of all of them, scored or not, 1, 2, 4 and 8 points before.
    ``lags`` sets the number of past points instead. Residuals are in units of their training
    mean; the largest over the channels, smoothed over ``width`` points (None: the dominant
    period, at least 16; 100 for several channels), is the score. ``parts`` (n, channels) are the
    smoothed residuals of the channels, ``expected`` (n, channels) the forecasts. Raises
    ParameterError for a number of lags or a width below 1, or a ridge below 0. Box and Jenkins,
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

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        check_counts(self, "lags", "width")
        if self.ridge < 0:
            raise ParameterError(f"ridge is {self.ridge}; it must be 0 or more.")
        self._learn_channels(X)
        single = X.shape[1] == 1
        period = dominant_period(X[:, self.scored_[0]])
        if self.lags is not None or single:
            lags = np.arange(1, (self.lags or int(np.clip(period, 16, 64))) + 1)
        else:
            lags = np.array([1, 2, 4, 8])
        self.lags_ = lags[lags <= len(X) // 2]
        self.width_ = self._smoothing(X, self.width)
        self.head_, self.tail_ = X[: self.lags_[-1]].copy(), X[-self.lags_[-1] :].copy()
        Z = self._standardise(X)
        points = np.arange(self.lags_[-1], len(X))
        self.weights_ = self._weights(Z, points)
        residuals = np.abs(Z[points][:, self.scored_] - self._forecast(Z, points, self.weights_))
        # A floor, so that a series forecast exactly does not ring at rounding errors.
        self.usual_ = residuals.mean(axis=0) + 1e-3

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        past = self.lags_[-1]
        begins = np.array_equal(X[:past], self.head_)
        joined = X if begins else np.concatenate([self.tail_, X])
        Z = self._standardise(joined)
        forecast = self._forecast(Z, np.arange(past, len(Z)), self.weights_)
        if begins:  # what has no past is taken as it is
            forecast = np.concatenate([Z[:past, self.scored_], forecast])
        new = slice(len(joined) - len(X), None)
        residuals = np.abs(Z[new, self.scored_] - forecast) / self.usual_
        parts = self._by_channel(smooth(residuals, self.width_))
        return Scores(self._points(residuals), parts, self._in_units(forecast, X))

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        X = np.concatenate([stretch.values for stretch in stretches])
        Z = self._standardise(X)
        points = np.arange(self.lags_[-1], len(X))
        residuals = np.zeros((len(X), len(self.scored_)))
        for own in np.array_split(points, 3):
            others = np.setdiff1d(points, own)
            weights = self._weights(Z, others) if len(others) else self.weights_
            residuals[own] = np.abs(Z[own][:, self.scored_] - self._forecast(Z, own, weights))
        return self._points(residuals / self.usual_)

    def _points(self, residuals: FloatArray) -> FloatArray:
        return smooth(residuals.max(axis=1), self.width_)

    def _weights(self, Z: FloatArray, points: IntArray) -> FloatArray:
        """Return the weights (1 + lags × channels, scored) that forecast these points of Z."""
        points = points[starts(len(points), 1, _MOST_ROWS)]
        inputs = 1 + len(self.lags_) * Z.shape[1]
        gram, target = np.zeros((inputs, inputs)), np.zeros((inputs, len(self.scored_)))
        for first in range(0, len(points), _CHUNK):
            at = points[first : first + _CHUNK]
            past = self._past(Z, at)
            gram += past.T @ past
            target += past.T @ Z[at][:, self.scored_]
        gram[np.diag_indices_from(gram)] += self.ridge * len(points) + 1e-9
        return np.linalg.solve(gram, target)

    def _forecast(self, Z: FloatArray, points: IntArray, weights: FloatArray) -> FloatArray:
        forecast = np.empty((len(points), len(self.scored_)))
        for first in range(0, len(points), _CHUNK):
            at = points[first : first + _CHUNK]
            forecast[first : first + _CHUNK] = self._past(Z, at) @ weights
        return forecast

    def _past(self, Z: FloatArray, points: IntArray) -> FloatArray:
        """Return rows (points, 1 + lags × channels): a one, and the values before each point."""
        values = Z[points[:, None] - self.lags_].reshape(len(points), -1)
        return np.concatenate([np.ones((len(points), 1)), values], axis=1)
