"""Comparable units of channels, learned in training, which a few glitches do not change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tocsin.types import BoolArray, FloatArray

FAR = 1000.0
"""Scaled values are clipped here, so that squares of them stay finite."""

REACH = 10.0
"""Values count as at most this many usual ranges away from the usual range."""

_GLITCH = 0.5
"""Single values further than this many usual ranges from the usual range are glitches."""

_UNSEEN = 1e-3
"""A channel that was constant takes another value where it is off by a thousandth."""

_COUNTED = 2.0
"""Training values count up to this many usual ranges beyond the usual range."""


@dataclass(frozen=True)
class Units:
    """The middle and the spread of each channel, and which channels are judged.

    ``unit``, ``middle``, ``spread``: (channels,); a value x is (x / unit − middle) / spread.
    ``usual`` (channels,): scaled values further from 0 are beyond all that is usual.
    ``judged``: (channels,) bool, those of more than two values (others are commands and flags,
    which only help to forecast), or those of the most values where no channel has more.
    ``low``, ``high`` (channels,): between which the values lie, but for hardly any of them.
    """

    unit: FloatArray
    middle: FloatArray
    spread: FloatArray
    usual: FloatArray
    judged: BoolArray
    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, X: FloatArray) -> Units:
        """Return the units of a series (n, channels) of any finite values.

        The middle is the median. The spread is the deviation of the values clipped to their
        usual range, without the outermost hundredth at each end, and twice its width beyond.
        """
        low, high = usual_range(X)
        unit = np.maximum(np.abs(low), np.abs(high))
        unit[unit == 0] = 1.0
        with np.errstate(over="ignore"):
            ratio, low, high = X / unit, low / unit, high / unit
        width = high - low
        counted = np.clip(ratio, low - _COUNTED * width, high + _COUNTED * width)
        middle, spread = np.median(ratio, axis=0), counted.std(axis=0)
        spread = np.where(spread > 1e-12, spread, 1.0)
        usual = np.maximum(high - middle, middle - low) + _GLITCH * width
        distinct = np.array([len(np.unique(x)) for x in X.T])
        judged = distinct >= min(3, distinct.max())
        return cls(unit, middle, spread, usual / spread, judged, *_known_range(ratio))

    def scaled(self, X: FloatArray) -> FloatArray:
        """Return values (n, channels) in these units, clipped far out."""
        with np.errstate(over="ignore"):
            scaled = (X / self.unit - self.middle) / self.spread
        return np.clip(scaled, -FAR, FAR, out=scaled)

    def unseen(self, X: FloatArray) -> FloatArray:
        """Return how far values (n, channels) are from those that commands and flags had.

        In units of half the distance of two values, or a thousandth of a constant; 0 within
        their range, and for channels that are judged. A flag of 0 or 1 may take the other value.
        """
        with np.errstate(over="ignore"):
            ratio = X / self.unit
            beyond = np.maximum(np.maximum(self.low - ratio, ratio - self.high), 0.0)
            far = beyond / np.maximum((self.high - self.low) / 2, _UNSEEN)
        flag = _is_flag(self.low * self.unit) & _is_flag(self.high * self.unit)
        return np.where(self.judged | (flag & _is_flag(X)), 0.0, np.minimum(far, FAR))

    def restored(self, Z: FloatArray) -> FloatArray:
        """Return scaled values of all channels in their own units."""
        restored: FloatArray = (Z * self.spread + self.middle) * self.unit
        return restored


def _is_flag(X: FloatArray) -> BoolArray:
    return np.asarray((X == 0) | (X == 1))


def _known_range(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and the highest value (channels,) that are not those of single points.

    Two points, and one more of every 2,000, are as few as may be wrong in training.
    """
    ordered, few = np.sort(X, axis=0), min(2 + len(X) // 2000, (len(X) - 1) // 2)
    return ordered[few], ordered[len(X) - 1 - few]


def usual_range(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and the highest usual value (channels,) of a series (n, channels).

    Without the outermost hundredth at each end, at least one value; where that leaves a constant,
    without the outermost thousandth, or all.
    """
    ordered, n = np.sort(X, axis=0), len(X)
    low, high = ordered[0].copy(), ordered[-1].copy()
    for share in (1000, 100):
        left_out = min(max(1, n // share), (n - 1) // 2)
        inner_low, inner_high = ordered[left_out], ordered[n - 1 - left_out]
        moving = inner_high > inner_low
        low, high = np.where(moving, inner_low, low), np.where(moving, inner_high, high)
    return low, high
