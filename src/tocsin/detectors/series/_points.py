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
"""A point is compared with the median of so many points on either side."""

STEP = 12
"""The medians of so many points before and after a point tell whether the level steps there."""


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
    return np.abs(residual)


def across_weights(stretches: Sequence[FloatArray]) -> FloatArray:
    """Return what each channel adds to the residual of each channel (channels, channels).

    The residual is that of a ridge regression of a channel on all others at the same time.
    """
    return residual_weights(sum(X.T @ X for X in stretches))


def residual_weights(gram: FloatArray, ridge: float = 1e-3) -> FloatArray:
    """Return the weights (d, d) whose columns give the residual of a variable by all others."""
    scale = np.trace(gram) / len(gram) or 1.0
    precision = np.linalg.inv(gram + ridge * scale * np.eye(len(gram)))
    return np.asarray(precision / np.diag(precision))


def step(X: FloatArray) -> FloatArray:
    """Return by how much the level steps at each point: medians of the points before and after."""
    if len(X) < 2 * STEP:
        return np.zeros_like(X)
    medians = np.median(sliding_window_view(X, STEP, axis=0), axis=-1)
    steps = np.abs(medians[STEP:] - medians[:-STEP])
    seen = np.zeros((len(X) + 1, X.shape[1]))
    seen[STEP : STEP + len(steps)] = steps
    return np.maximum(seen[:-1], seen[1:])


def _median_beside(X: FloatArray) -> FloatArray:
    """Return the median of the three points on either side of each, mirrored at the ends."""
    if len(X) < 2:
        return X
    windows = sliding_window_view(_padded(X, NEIGHBOURS), 2 * NEIGHBOURS + 1, axis=0)
    others = np.delete(windows, NEIGHBOURS, axis=-1)
    return np.asarray(np.median(others, axis=-1))


def _padded(X: FloatArray, reach: int) -> FloatArray:
    """Return a series mirrored at both ends, so that each point has so many on either side."""
    mode = "reflect" if len(X) > 1 else "edge"
    return np.pad(X, ((reach, reach), (0, 0)), mode=mode)
