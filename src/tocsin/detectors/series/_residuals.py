"""What detectors share that expect a value at each point: how its residual becomes a score."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, NamedTuple

import numpy as np
from scipy.ndimage import median_filter

from tocsin.base import SeriesDetector, Stretch, Stretches
from tocsin.base.declared import Shape, Within
from tocsin.base.series import out_of_block_scores
from tocsin.detectors.series._channels import StandardisedChannels
from tocsin.features.windows import smooth_among
from tocsin.types import FloatArray, Scores

_RARE = 0.002
"""This share of the training residuals, and at least one, says nothing of what is usual."""

_BEYOND = 1.5
"""A residual this many times above any usual one in training is a fault of that very point."""

_NEIGHBOURS = 5

_FLOOR = 1e-3
"""Added to usual residuals, in deviations: what is expected exactly has none."""


class Usual(NamedTuple):
    """What residuals are usual, in training: their size, their limit, and their mean.

    ``size`` (scored,) in deviations; ``limit`` (scored,) and ``mean`` (scored + 1,), of each
    channel and of all together, in units of the size.
    """

    size: FloatArray
    limit: FloatArray
    mean: FloatArray


class ResidualDetector(StandardisedChannels, SeriesDetector):
    """A detector whose score is how far each point is from what it expects there.

    Residuals, in units of what is usual in training, are smoothed over ``width_`` points. One
    far above all of training and the others around it is a fault of that very point, too: so
    no peak is moved or drowned.
    """

    width_: Annotated[int, Within(1)]
    usual_: Annotated[FloatArray, Shape("s")]
    limit_: Annotated[FloatArray, Shape("s")]
    mean_residual_: Annotated[FloatArray, Shape("s+1")]

    @abstractmethod
    def _residuals(self, stretch: Stretch) -> tuple[FloatArray, FloatArray | None]:
        """Return residuals (n, scored), at least 0, and what is expected, standardised."""

    @abstractmethod
    def _together(self, residuals: FloatArray) -> FloatArray:
        """Return what all channels (n, scored) say together (n,)."""

    @property
    def _pointed(self) -> bool:
        """Whether a residual belongs to a single point, and not to what is around it."""
        return True

    @property
    def _guessed(self) -> int:
        """How many of the first points of a stretch have an expected value that is hardly known."""
        return 0

    def _learn_residuals(self, residuals: FloatArray, size: FloatArray) -> None:
        """Learn from training residuals (n, scored), of a usual size (scored,)."""
        self.usual_, self.limit_, self.mean_residual_ = self._usual_of(residuals, size)

    def _usual_of(self, residuals: FloatArray, size: FloatArray) -> Usual:
        size = size + _FLOOR
        rare = max(1, int(np.ceil(_RARE * len(residuals))))
        high = np.sort(residuals, axis=0)[max(0, len(residuals) - 1 - rare)]
        limit = _BEYOND * np.maximum(high / size, 1.0)
        clipped = np.minimum(residuals / size, limit)
        mean = np.append(clipped.mean(axis=0), self._together(clipped).mean())
        return Usual(size, limit, mean)

    def _judge_training(self, stretches: Stretches) -> FloatArray:
        return out_of_block_scores(self, stretches)

    def _judge(self, stretch: Stretch, severity: FloatArray) -> Scores:
        residuals, expected = self._residuals(stretch)
        usual = Usual(self.usual_, self.limit_, self.mean_residual_)
        return self._scores(residuals, expected, usual, stretch, severity)

    def _scores(
        self,
        residuals: FloatArray,
        expected: FloatArray | None,
        usual: Usual,
        stretch: Stretch,
        severity: FloatArray,
    ) -> Scores:
        residuals = np.maximum(residuals / usual.size, np.finfo(np.float64).tiny)
        around = median_filter(residuals, size=(_NEIGHBOURS, 1), mode="mirror")
        alone = residuals > np.maximum(usual.limit, 2 * around)
        alone[: self._guessed] = False
        beyond = np.where(alone & self._pointed, np.log2(residuals / usual.limit), 0.0)
        severity[:, self.scored_] = np.maximum(severity[:, self.scored_], beyond)
        each = np.column_stack([residuals, self._together(residuals)])
        smoothed = smooth_among(each, self.width_, usual.mean)
        return Scores(
            smoothed[:, -1],
            self._by_channel(smoothed[:, :-1]),
            None if expected is None else self._in_units(expected, stretch.values),
        )

    def _severity(self, stretch: Stretch) -> FloatArray:
        clean, severity = self._without_glitches(stretch)
        self._judge(clean, severity)
        return severity
