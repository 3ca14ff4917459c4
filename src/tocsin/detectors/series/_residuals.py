"""What detectors share that expect a value at each point: how its residual becomes a score."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from tocsin.base import Stretch
from tocsin.detectors.series._subsequences import ChannelsDetector
from tocsin.detectors.windows import smooth
from tocsin.types import FloatArray, Scores

_RARE = 0.002
"""This share of the training residuals, and at least one, says nothing of what is usual."""

_BEYOND = 1.5
"""A residual so many times above any usual one in training is a fault of that very point."""

_FLOOR = 1e-3
"""Added to usual residuals, in deviations: what is expected exactly has none."""


class ResidualDetector(ChannelsDetector):
    """A detector whose score is how far each point is from what it expects there.

    Residuals, in units of what is usual in training, are smoothed over ``width_`` points. One
    far above all of training is counted at its very point, as the fault of a single value, and
    smoothed only as much of it as may be usual: so no peak is moved or drowned.
    """

    width_: int
    usual_: FloatArray
    high_: FloatArray
    middle_: FloatArray

    @abstractmethod
    def _residuals(self, stretch: Stretch) -> tuple[FloatArray, FloatArray]:
        """Return residuals (n, scored), at least 0, and what is expected, both standardised."""

    @abstractmethod
    def _joined(self, residuals: FloatArray) -> FloatArray:
        """Return what all channels (n, scored) say together (n,)."""

    def _learn_residuals(self, residuals: FloatArray, usual: FloatArray) -> None:
        """Learn from training residuals (n, scored) and what is usual of them (scored,)."""
        self.usual_ = usual + _FLOOR
        rare = max(1, int(np.ceil(_RARE * len(residuals))))
        high = np.sort(residuals, axis=0)[max(0, len(residuals) - 1 - rare)]
        self.high_ = _BEYOND * np.maximum(high / self.usual_, 1.0)
        clipped = np.minimum(residuals / self.usual_, self.high_)
        self.middle_ = np.append(clipped.mean(axis=0), self._joined(clipped).mean())

    def _judge(self, stretch: Stretch, severity: FloatArray) -> Scores:
        residuals, expected = self._residuals(stretch)
        return self._scores(residuals, expected, stretch, severity)

    def _scores(
        self, residuals: FloatArray, expected: FloatArray, stretch: Stretch, severity: FloatArray
    ) -> Scores:
        residuals = residuals / self.usual_
        beyond = np.log2(np.maximum(residuals / self.high_, 1.0))
        severity[:, self.scored_] = np.maximum(severity[:, self.scored_], beyond)
        residuals = np.minimum(residuals, self.high_)
        all_ways = np.column_stack([residuals, self._joined(residuals)])
        smoothed = _smooth_among(all_ways, self.width_, self.middle_)
        return Scores(
            smoothed[:, -1],
            self._by_channel(smoothed[:, :-1]),
            self._in_units(expected, stretch.values),
        )

    def _severity(self, stretch: Stretch) -> FloatArray:
        clean, severity = self._without_glitches(stretch)
        self._judge(clean, severity)
        return severity


def _smooth_among(x: FloatArray, width: int, usual: FloatArray) -> FloatArray:
    """Return the centred moving mean of x (n, k); what is not there counts as usual (k,).

    A mean over the few points at an end would be unsteady, and end above any threshold.

    >>> _smooth_among(np.array([[4.0], [1.0]]), 3, np.array([1.0])).ravel().tolist()
    [2.0, 2.0]
    """
    beyond = np.broadcast_to(usual, (width, len(usual)))
    return smooth(np.concatenate([beyond, x, beyond]), width)[width : width + len(x)]
