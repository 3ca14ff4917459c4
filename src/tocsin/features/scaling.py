"""Standard scaling that survives any finite number."""

from __future__ import annotations

import numpy as np

from tocsin.types import FloatArray

LIMIT = 1e100
"""Scaled values are clipped here, so that squares and sums of them stay finite."""


def location_and_scale(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the mean (d,) and the standard deviation (d,) of the columns of X (n, d).

    A column that is constant, up to rounding, gets the scale 1.

    >>> location_and_scale(np.array([[1.0, 7.0], [3.0, 7.0]]))
    (array([2., 7.]), array([1., 1.]))
    """
    unit = np.abs(X).max(axis=0)
    unit[unit == 0] = 1.0
    # Dividing first keeps the squares of huge and of tiny values representable.
    ratio = X / unit
    mean, deviation = ratio.mean(axis=0), ratio.std(axis=0)
    return mean * unit, np.where(deviation > 1e-12, deviation * unit, 1.0)


def standardise(X: FloatArray, mean: FloatArray, scale: FloatArray) -> FloatArray:
    """Return (X − mean) / scale, clipped to ±LIMIT.

    >>> standardise(np.array([[3.0, 1e300]]), np.array([2.0, 0.0]), np.array([0.5, 1.0]))
    array([[2.e+000, 1.e+100]])
    """
    with np.errstate(over="ignore"):
        scaled = X - mean
        scaled /= scale
    return np.clip(scaled, -LIMIT, LIMIT, out=scaled)


def beyond(X: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return by how many ranges each value lies outside of [low, high]; 0 inside.

    A range without width counts as 1.

    >>> beyond(np.array([[-2.0, 3.0, 9.0]]), np.array(0.0), np.array(4.0))
    array([[0.5 , 0.  , 1.25]])
    """
    # Halves, because the difference of two huge numbers overflows.
    half = high / 2 - low / 2
    with np.errstate(over="ignore"):
        distance = np.maximum(low / 2 - X / 2, X / 2 - high / 2)
        distance /= np.where(half > 0, half, 0.5)
    return np.clip(distance, 0.0, LIMIT, out=distance)
