"""Robust seasonal decomposition: what neither the trend nor the neighbouring cycles explain."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

from tocsin.base import Stretch, Stretches
from tocsin.detectors.series._subsequences import HistoryDetector, check_counts
from tocsin.detectors.windows import dominant_period, smooth
from tocsin.types import Card, FloatArray, IntArray, Scores

_CYCLES = (-2, -1, 1, 2)
_SHIFTS = 5  # of each cycle, up to an eighth of the period to either side
_LEAST_SCALE = 0.01  # of a channel's deviation: what is rebuilt exactly has no scale


class Seasonal(HistoryDetector):
    """Absolute residual of each channel from its trend and its season.

    The trend is the running median over the ``period`` (None: the dominant one of each channel's
    training series), the season the median of the two cycles before and the two after, each
    shifted to where it fits best, so that a season may drift and a period need not be a whole
    number. The training series stands before the one that is scored. Residuals, over their
    training median and smoothed over ``width`` points (None: the dominant period, at least 16;
    100 for several channels), are ``parts`` (n, channels); the score is their mean;
    ``expected`` (n, channels) is trend and season. Raises ParameterError for a period below 2
    or a width below 1. After Cleveland et al., STL: A Seasonal-Trend Decomposition Procedure,
    Journal of Official Statistics 1990, with medians.

    >>> wave = np.sin(np.arange(1000) / 5)
    >>> broken = wave.copy()
    >>> broken[700:710] += 1
    >>> abs(int(Seasonal().fit(wave[:500]).score(broken).values.argmax()) - 700) < 20
    True
    """

    card = Card(
        name="seasonal",
        modality="series",
        family="forecast",
        learning=("one-class", "unlabelled"),
        summary="What neither the trend nor the neighbouring cycles explain.",
        paper="Cleveland et al., STL, Journal of Official Statistics 1990",
        cost="fit and score O(n log p) a channel of period p",
    )

    def __init__(self, period: int | None = None, width: int | None = None, seed: int = 0) -> None:
        self.period = period
        self.width = width
        self.seed = seed

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        check_counts(self, "width")
        check_counts(self, "period", least=2)
        self._learn_channels(X)
        self.width_ = self._smoothing(X, self.width)
        most = len(X) // 4
        self.periods_ = np.array(
            [min(self.period or dominant_period(x), most) for x in X[:, self.scored_].T]
        )
        self.history_ = X.copy()
        residuals = np.abs(self._standardise(X)[:, self.scored_] - self._usual(X))
        self.usual_ = np.median(residuals, axis=0) / 0.6745 + _LEAST_SCALE

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        joined = self._join(X)
        new = slice(len(joined) - len(X), None)
        usual = self._usual(joined)
        residuals = np.abs(self._standardise(joined)[:, self.scored_] - usual) / self.usual_
        parts = smooth(residuals[new], self.width_)
        expected = self._in_units(usual, joined)[new]
        return Scores(parts.mean(axis=1), self._by_channel(parts), expected)

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        X = np.concatenate([stretch.values for stretch in stretches])
        return self._score(Stretch(X)).values  # no point is among those that its season is made of

    def _usual(self, X: FloatArray) -> FloatArray:
        Z = self._standardise(X)[:, self.scored_]
        usual = np.empty(Z.shape)
        for j, period in enumerate(self.periods_):
            level = trend(Z[:, j], int(period))
            usual[:, j] = level + season(Z[:, j] - level, int(period))
        return usual


def trend(x: FloatArray, period: int) -> FloatArray:
    """Return the running median (n,) of a series (n,), at the ends that of the last whole period.

    >>> trend(np.array([0.0, 1.0, 0.0, 9.0, 0.0, 1.0, 0.0]), 3).tolist()
    [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    """
    half = period // 2
    level: FloatArray = median_filter(x, size=2 * half + 1)
    return np.pad(level[half : len(x) - half], half, mode="edge")


def season(x: FloatArray, period: int) -> FloatArray:
    """Return the median (n,) of the neighbouring cycles of a series (n,) without trend.

    >>> season(np.tile([0.0, 1.0, 0.0, -1.0], 5), 4)[8:12].tolist()
    [0.0, 1.0, 0.0, -1.0]
    """
    at = np.arange(len(x))
    shifts = np.unique(np.linspace(-(period // 8), period // 8, _SHIFTS).round().astype(int))
    cycles = np.full((len(_CYCLES), len(x)), np.nan)
    for cycle, multiple in zip(cycles, _CYCLES, strict=True):
        least = np.full(len(x), np.inf)
        for shift in shifts:
            there = at + multiple * period + shift
            inside = (there >= 0) & (there < len(x))
            other = x[np.where(inside, there, 0)]
            error = smooth(np.where(inside, np.abs(x - other), 1e3), period)
            better = inside & (error < least)
            least[better], cycle[better] = error[better], other[better]
    cycles[:, np.isnan(cycles).all(axis=0)] = 0.0
    return np.asarray(np.nanmedian(cycles, axis=0))
