"""Point scores from the residuals of a network, smoothed over the dominant period."""

from __future__ import annotations

import numpy as np

from tocsin.detectors.windows import dominant_period, smooth
from tocsin.nn.series import NeuralSeriesDetector
from tocsin.types import FloatArray

_SHORTEST = 32
"""Residuals are averaged over at least so many points: faster periods are mostly noise."""

_FLOOR = 0.02
"""Added to a channel's held-out residual, so that one learned to perfection does not rule."""


class SmoothedResiduals(NeuralSeriesDetector):
    """A neural detector whose score is its residual, averaged over the dominant period.

    The part of a channel is its smoothed residual in units of the residual that one in a
    hundred held-out points exceeds; the score is the largest part.
    """

    period_: int
    usual_: FloatArray

    def _calibrate(self, x: FloatArray, residuals: FloatArray) -> None:
        periods = [dominant_period(channel) for channel in x.T]
        self.period_ = max(int(np.median(periods)), min(_SHORTEST, self.window_))
        self.usual_ = np.quantile(residuals, 0.99, axis=0) + _FLOOR

    def _point_scores(self, residuals: FloatArray) -> tuple[FloatArray, FloatArray]:
        parts = smooth(residuals / self.usual_, self.period_)
        return parts.max(axis=1), parts
