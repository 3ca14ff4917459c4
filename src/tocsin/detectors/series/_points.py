"""What single points show: values far from their neighbours, from other channels, from all known.

Each function gives magnitudes (n, channels), higher = stranger, of a series in comparable units.
None of them spreads what it sees: the points beside a wrong one look as they would without it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from tocsin.types import FloatArray

NEIGHBOURS = 3
"""A point is compared with the median of this many points on either side."""

STEP = 12
"""The means of this many points before and after a point tell whether the level steps there."""

_SORTING = [(0, 5), (1, 3), (2, 4), (1, 2), (3, 4), (0, 3), (2, 5), (0, 1), (2, 3), (4, 5)]
_SORTING += [(1, 2), (3, 4)]
"""Which two of six values to bring in order, one after the other, until all are."""


def beside(X: FloatArray) -> FloatArray:
    """Return how far each value is from the median of the three points on either side."""
    return np.asarray(np.abs(X - _median_beside(X)))


def despiked(X: FloatArray, limit: FloatArray, usual: FloatArray | float = 0.0) -> FloatArray:
    """Return the series without single values further than ``limit`` (c,) from their neighbours.

    They become the median of the three points on either side. Values within ±``usual`` stay.
    """
    medians = _median_beside(X)
    wrong = (np.abs(X - medians) > limit) & (np.abs(X) > usual)
    return np.where(wrong, medians, X)


def between_weights(stretches: Sequence[FloatArray], reach: int) -> FloatArray:
    """Return what each point of 2·reach + 1 adds to the residual of the middle one, (k, channels).

    The residual is that of a ridge regression of the middle point on the others.
    """
    windows = [sliding_window_view(_padded(X, reach), 2 * reach + 1, axis=0) for X in stretches]
    grams = sum(np.einsum("ncj,nck->cjk", w, w, optimize=True) for w in windows)
    return np.stack([residual_weights(gram)[:, reach] for gram in grams], axis=1)


def between(X: FloatArray, clean: FloatArray, weights: FloatArray) -> FloatArray:
    """Return how far each value is from what the clean values on both sides make likely."""
    reach = len(weights) // 2
    windows = sliding_window_view(_padded(clean, reach), len(weights), axis=0)
    residual = np.einsum("nck,kc->nc", windows, weights) + (X - clean) * weights[reach]
    return np.asarray(np.abs(residual))


def across_weights(stretches: Sequence[FloatArray]) -> FloatArray:
    """Return what each channel adds to the residual of each channel (channels, channels).

    The residual is that of a ridge regression of a channel on all others at the same time.
    """
    return residual_weights(np.sum([X.T @ X for X in stretches], axis=0))


def residual_weights(gram: FloatArray, ridge: float = 1e-3) -> FloatArray:
    """Return the weights (d, d) whose columns give the residual of a variable by all others."""
    scale = np.trace(gram) / len(gram) or 1.0
    precision = np.linalg.inv(gram + ridge * scale * np.eye(len(gram)))
    return np.asarray(precision / np.diag(precision))


def step(clean: FloatArray) -> FloatArray:
    """Return by how much the level steps at each point: means of the points before and after."""
    if len(clean) < 2 * STEP:
        return np.zeros_like(clean)
    total = np.concatenate([np.zeros((1, clean.shape[1])), np.cumsum(clean, axis=0)])
    means = (total[STEP:] - total[:-STEP]) / STEP
    steps = np.abs(means[STEP:] - means[:-STEP])
    seen = np.zeros((len(clean) + 1, clean.shape[1]))
    seen[STEP : STEP + len(steps)] = steps
    return np.maximum(seen[:-1], seen[1:])


def _median_beside(X: FloatArray) -> FloatArray:
    """Return the median of the three points on either side of each, mirrored at the ends."""
    if len(X) < 2:
        return X
    padded, n = _padded(X, NEIGHBOURS), len(X)
    others = [padded[at : at + n] for at in range(2 * NEIGHBOURS + 1) if at != NEIGHBOURS]
    for i, j in _SORTING:
        others[i], others[j] = np.minimum(others[i], others[j]), np.maximum(others[i], others[j])
    return np.asarray((others[NEIGHBOURS - 1] + others[NEIGHBOURS]) / 2)


def _padded(X: FloatArray, reach: int) -> FloatArray:
    """Return a series mirrored at both ends, so that each point has neighbours on either side."""
    around = ((reach, reach), (0, 0))
    return np.pad(X, around, mode="reflect") if len(X) > 1 else np.pad(X, around, mode="edge")
