"""The fusion of several views of a series into one score."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import astuple
from typing import Any

import numpy as np

from tocsin.base import SeriesDetector, Stretch, Stretches
from tocsin.detectors.series._views import Scene, Sight, View
from tocsin.detectors.windows import dominant_period, smooth
from tocsin.types import FloatArray, IntArray, Scores

_MOST_WEIGHT = 2.0
"""A view whose peak is twice as high as its second one counts twice; more counts no more."""

_BEND = 3.0
"""From so many training spreads on, a view's scores grow by their logarithm."""


class FusedViews(SeriesDetector):
    """A detector that looks at a series in several ways and adds up what it sees.

    All that is learned is the training series: a series is scored together with it, and is
    itself among what its windows are compared with. Each view's scores s become
    log1p(max(0, (s − m) / (q − m + .02·range)) / 3), where m and q are the median and the 99 %
    quantile of the training part. The mean of them, weighted by how far each view's highest
    peak stands out, is smoothed over an eighth of the dominant period and divided by its own
    99 % quantile of the training part, so scores of training and of new points have one unit,
    whatever they were compared with.
    """

    series_: FloatArray

    @abstractmethod
    def _views(self, scene: Scene) -> list[View]:
        """Return the ways to look at a scene, one with windows among them."""

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        self.series_ = X.copy()

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        X = np.concatenate([stretch.values for stretch in stretches])
        return self._fused(Scene.of(X, len(X))).values

    def score_together(self, X: Any) -> Scores:
        """Return the scores of a series that begins with the training series, all in view."""
        (series,) = self._check_scoring(X)
        return self._fused(Scene.of(series.values, len(self.series_)))

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        known = len(self.series_)
        joined = np.concatenate([self.series_, X])
        scores = self._fused(Scene.of(joined, known, seam=True))
        return Scores(*(part[known:] for part in astuple(scores)))

    def _fused(self, scene: Scene) -> Scores:
        sights = [view(scene) for view in self._views(scene)]
        values, weighted = fuse(sights, scene.known, scene_period(scene))
        parts = np.zeros_like(scene.series)
        for sight, share in zip(sights, weighted, strict=True):
            own = sight.parts + np.finfo(np.float64).tiny
            parts[:, scene.judged] += own / own.sum(axis=1, keepdims=True) * share[:, None]
        first = next(sight.match for sight in sights if sight.match)
        return Scores(values, parts, first.expected(scene))


def fuse(sights: list[Sight], known: int, period: int) -> tuple[FloatArray, FloatArray]:
    """Return the fused scores (n,) and what each view adds to them (views, n)."""
    weighted = np.stack([_normalised(sight.values, known) for sight in sights])
    weights = np.array([_peak(values, period) for values in weighted])
    weighted *= weights[:, None] / weights.sum()
    weighted = smooth(weighted.T, period // 8).T
    values = weighted.sum(axis=0)
    usual = float(np.quantile(values[:known], 0.99)) or 1.0
    return values / usual, weighted / usual


def scene_period(scene: Scene) -> int:
    """Return the dominant period of the first channel that is judged."""
    return dominant_period(scene.series[:, scene.judged][:, 0])


def _normalised(values: FloatArray, known: int) -> FloatArray:
    """Return a view's scores in units of how they spread over the training series."""
    middle, high = np.quantile(values[:known], [0.5, 0.99])
    spread = high - middle + 0.02 * np.ptp(values)
    above: FloatArray = np.maximum(0, (values - middle) / (spread or 1.0))
    return np.log1p(above / _BEND)


def _peak(values: FloatArray, period: int) -> float:
    """Return how far the highest peak stands out from the others, at most 2."""
    at, middle = int(values.argmax()), float(np.median(values))
    others = np.r_[values[: max(0, at - 3 * period)], values[at + 3 * period :]]
    second = float(others.max(initial=middle)) - middle
    height = float(values[at]) - middle
    return height / second if height < _MOST_WEIGHT * second else _MOST_WEIGHT
