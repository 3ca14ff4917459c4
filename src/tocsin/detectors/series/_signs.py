"""Signs that a point is wrong, whatever the windows around it look like.

A sign gives each point of each channel a magnitude; its limit is what about one training point in
a thousand exceeds. Only what exceeds the limit counts, so that where nothing is odd the windows
alone decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d

from tocsin.detectors.series import _points as points
from tocsin.detectors.series import _spread as spread
from tocsin.types import BoolArray, FloatArray, IntArray

NAMES = (
    "far from its neighbours",
    "far from what lies between its neighbours",
    "far from what the other channels tell",
    "a step",
    "stuck",
    "damped over 20 steps",
    "damped over 50 steps",
    "rounded",
)

_MOST = np.log([np.inf, np.inf, np.inf, 2.0, 4.0, 2.0, 2.0, 2.0])
"""Signs of stretches count no more than at this many times their limits, by their logarithms."""

_MOST_UNSEEN = np.log(4.0)
"""So does a value that a command, a flag or a constant never had."""

DAMPED = (20, 50)
"""Damped sensors are looked for over this many steps."""

_AROUND, _CROWD = 601, 2 / 3
"""Where this share of the points around show a sign, it is another regime, for windows to judge."""

_SPIKE = 2.5
"""Values this many limits from their neighbours are taken out before others are compared."""

_MARGIN = np.array([1.25, 1.25, 1.25, 1.25, 2.0, 1.25, 1.25, 1.6])
"""A sign is what exceeds the highest of training by a quarter. Values that are held for a while
(analysers, slow sensors) are equal by chance: stuck and rounded ones take more."""

SIGNS = len(_MARGIN)

_JUMP, _GROWTH = 0.5, 2.0
"""What a sign adds at its limit, and for each factor of e beyond."""

_LEAST = 1e-3
"""Nothing below a thousandth of a channel's spread is a sign of anything."""


@dataclass(frozen=True)
class Signs:
    """What single points and the spread of training stretches (n, channels) look like.

    ``spike`` (channels,): how far from its neighbours a value is taken out before the values
    beside it are judged. ``between`` and ``across``: weights of residuals. ``still``
    (channels,): what does not count as a change. ``moving`` (channels,): 1 for those that
    change at most steps; others hold their values, and a few equal ones are no sign of being stuck.
    """

    spike: FloatArray
    between: FloatArray
    across: FloatArray
    still: FloatArray
    moving: FloatArray

    @classmethod
    def of(cls, stretches: Sequence[FloatArray]) -> Signs:
        """Return what the training stretches show."""
        n = sum(map(len, stretches))
        spike = spike_limit(stretches)
        clean = [points.despiked(X, spike) for X in stretches]
        changes = np.concatenate([np.abs(np.diff(X, axis=0)) for X in stretches])
        return cls(
            spike,
            points.between_weights(clean, min(8, max(1, n // 12))),
            points.across_weights(clean),
            0.05 * np.maximum(np.mean(changes, axis=0), _LEAST),
            (np.mean(changes > 0, axis=0) > 0.5).astype(np.float64),
        )

    def look(self, X: FloatArray) -> FloatArray:
        """Return the magnitudes (signs, n, channels) in a stretch."""
        clean = points.despiked(X, self.spike)
        alone = X.shape[1] == 1
        return np.stack(
            [
                points.beside(X),
                points.between(X, clean, self.between),
                np.zeros_like(X) if alone else np.abs(X @ self.across),
                points.step(clean),
                spread.stuck(X, self.still) * self.moving,
                *(spread.damped(X, width, self.still) for width in DAMPED),
                spread.rounded(X),
            ]
        )


def spike_limit(stretches: Sequence[FloatArray]) -> FloatArray:
    """Return how far from its neighbours a value (channels,) is to be taken out."""
    return _SPIKE * limit(np.concatenate([points.beside(X) for X in stretches]))


def limit(magnitudes: FloatArray) -> FloatArray:
    """Return what hardly one of the magnitudes (n, ...) of training points exceeds.

    The tail is extrapolated from the median and the 90 % quantile to one in a thousand as an
    exponential one, which anomalies among the values do not change; where more values lie
    beyond, the limit is the third highest of them, one more left out for every 2,000.
    """
    n = len(magnitudes)
    places = [(n - 1) // 2, (9 * (n - 1)) // 10, max(0, n - 3 - n // 2000)]
    ordered = np.partition(np.ascontiguousarray(magnitudes.T), places, axis=-1)
    middle, high, highest = (ordered[..., at] for at in places)
    tail = high + (high - middle) * np.log(100) / np.log(5)
    return np.asarray(np.maximum(np.maximum(tail, highest), _LEAST))


def limits_of(magnitudes: FloatArray) -> FloatArray:
    """Return the limits (signs, channels + 1) of magnitudes (signs, n, channels).

    The last one is the limit of the highest channel, in units of the channels' own limits.
    """
    own = _MARGIN[:, None] * np.stack([limit(sign) for sign in magnitudes])
    highest = (magnitudes / own[:, None]).max(axis=2)
    return np.column_stack([own, np.maximum(1.0, [limit(sign) for sign in highest])])


@dataclass(frozen=True)
class Excess:
    """What signs beyond their limits add to the score, ``values`` (n,), in which ``channel`` (n,).

    Half a 99 % quantile of the views' scores, and two of them for each factor of e beyond the
    limit; signs of stretches add no more than they do at a few times the limit.
    """

    values: FloatArray
    channel: IntArray

    @classmethod
    def of(cls, magnitudes: FloatArray, limits: FloatArray, judged: BoolArray) -> Excess:
        """Return what exceeds ``limits_of`` training in magnitudes (signs, n, judged channels).

        ``judged`` says which of all channels they are of.
        """
        ratio = magnitudes / (limits[:, :-1] * limits[:, -1:])[:, None]
        beyond = np.log(np.maximum(1.0, ratio.max(axis=2)))
        beyond[_crowded(beyond > 0)] = 0.0
        beyond = np.minimum(beyond, _MOST[:, None])
        sign, at = beyond.argmax(axis=0), np.arange(beyond.shape[1])
        channel = np.flatnonzero(judged)[ratio.argmax(axis=2)[sign, at]]
        return cls(_added(beyond[sign, at]), channel)

    @classmethod
    def unseen(cls, far: FloatArray) -> Excess:
        """Return what values add that commands and flags never had, so ``far`` (n, channels)."""
        beyond = np.log(np.maximum(1.0, far.max(axis=1)))
        beyond[_crowded(beyond[None] > 0)[0]] = 0.0
        return cls(_added(np.minimum(beyond, _MOST_UNSEEN)), far.argmax(axis=1))

    @classmethod
    def joined(cls, each: Sequence[Excess]) -> Excess:
        """Return what is added in stretches, one behind the other."""
        values, channels = zip(*((one.values, one.channel) for one in each), strict=True)
        return cls(np.concatenate(values), np.concatenate(channels))

    def or_higher(self, other: Excess) -> Excess:
        """Return what adds most at each point."""
        higher = other.values > self.values
        return Excess(
            np.where(higher, other.values, self.values),
            np.where(higher, other.channel, self.channel),
        )


def _added(beyond: FloatArray) -> FloatArray:
    """Return what is added by logarithms of how many times the limit a magnitude is."""
    return np.where(beyond > 0, _JUMP + _GROWTH * beyond, 0.0)


def _crowded(high: BoolArray) -> BoolArray:
    """Return which points of signs (signs, n) are amid a crowd of them."""
    around = np.minimum(_AROUND, high.shape[1])
    count = uniform_filter1d(high.astype(np.float64), around, axis=1, mode="constant") * around
    return np.asarray(count > _CROWD * _AROUND)
