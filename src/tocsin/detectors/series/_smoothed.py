"""Point scores from the residuals of a network, smoothed over the dominant period."""

from __future__ import annotations

from tocsin.detectors.windows import dominant_period, smooth
from tocsin.nn.series import NeuralSeriesDetector
from tocsin.types import FloatArray


class SmoothedResiduals(NeuralSeriesDetector):
    """A neural detector whose score is its residual, averaged over the dominant period.

    The part of a channel is its smoothed residual, and the score the mean of the parts.
    """

    period_: int

    def _calibrate(self, x: FloatArray, residuals: FloatArray) -> None:
        self.period_ = dominant_period(x[:, 0])

    def _point_scores(self, residuals: FloatArray) -> tuple[FloatArray, FloatArray]:
        parts = smooth(residuals, self.period_)
        return parts.mean(axis=1), parts
