"""How much a series moves: stuck, damped and rounded stretches.

Each function gives magnitudes (n, channels), higher = stranger, of a series in comparable units.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import maximum_filter1d

from tocsin.features.windows import smooth
from tocsin.types import FloatArray

STUCK = 5
"""A value that does not change for this many steps may be stuck."""

SAME = 20
"""Rounded values are looked for over this many points."""


def stuck(X: FloatArray, floor: FloatArray) -> FloatArray:
    """Return how little each point's channel moves in the stillest five steps around it.

    The inverse of the largest change among them, give or take a ``floor`` (channels,).
    """
    changes = np.abs(np.diff(X, axis=0))
    if len(changes) < STUCK:
        return np.zeros_like(X)
    largest = sliding_window_view(changes, STUCK, axis=0).max(axis=-1)
    return _widest(1 / (largest + floor), STUCK + 1, len(X))


def damped(X: FloatArray, width: int, floor: FloatArray) -> FloatArray:
    """Return how little each point's channel moves over ``width`` steps around it.

    The inverse of the mean absolute change, give or take a ``floor`` (channels,).
    """
    changes = np.abs(np.diff(X, axis=0))
    if len(changes) < width:
        return np.zeros_like(X)
    mean = smooth(changes, width)[width // 2 : len(changes) - (width + 1) // 2 + 1]
    return _centred(1 / (mean + floor), len(X))


def rounded(X: FloatArray) -> FloatArray:
    """Return the share of values equal to the one before where there are some, plus a tenth."""
    equal = np.zeros_like(X)
    equal[1:] = np.diff(X, axis=0) == 0
    if len(X) <= SAME:
        return np.zeros_like(X)
    return np.asarray(smooth(equal, SAME) * maximum_filter1d(equal, 7, axis=0) + 0.1)


def _centred(spans: FloatArray, n: int) -> FloatArray:
    """Return for each of n points what the span around it shows, at the ends the nearest one."""
    before = (n - len(spans)) // 2
    return np.pad(spans, ((before, n - len(spans) - before), (0, 0)), mode="edge")


def _widest(spans: FloatArray, width: int, n: int) -> FloatArray:
    """Return for each of n points the highest of the spans of ``width`` points that cover it."""
    padded = np.pad(spans, ((width - 1, width - 1), (0, 0)))
    # The span that begins at b covers b … b + width − 1: a point's begin at p − width + 1 … p.
    highest = maximum_filter1d(padded, width, axis=0, origin=-((width - 1) // 2) - (width - 1) % 2)
    return np.asarray(highest[:n])
