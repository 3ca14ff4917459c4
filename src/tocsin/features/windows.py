"""Windows of a series: its dominant period, cutting it up, and combining scores again."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from tocsin.types import FloatArray, IntArray

SHORTEST_PERIOD, LONGEST_PERIOD = 6, 300
USUAL_PERIOD = 125
"""Taken where the autocorrelation shows no period, as is usual in the field's benchmarks."""


def dominant_period(x: FloatArray, most: int = 20_000) -> int:
    """Return the dominant period of a series (n,) in points, from its autocorrelation.

    The highest local maximum of the autocorrelation of the first ``most`` points at lags of 3
    to 300; 125 without one or if it is below 6, and never more than a quarter of the series.

    >>> dominant_period(np.sin(np.arange(2000) * 2 * np.pi / 40))
    40
    """
    x = np.asarray(x, dtype=np.float64)[:most]
    limit = max(1, len(x) // 4)
    correlation = autocorrelation(x, LONGEST_PERIOD + 1)
    lags = np.arange(SHORTEST_PERIOD // 2, min(len(correlation) - 1, LONGEST_PERIOD + 1))
    peaks = lags[
        (correlation[lags] > correlation[lags - 1]) & (correlation[lags] >= correlation[lags + 1])
    ]
    period = int(peaks[correlation[peaks].argmax()]) if len(peaks) else 0
    return min(period if period >= SHORTEST_PERIOD else USUAL_PERIOD, limit)


def autocorrelation(x: FloatArray, lags: int) -> FloatArray:
    """Return the autocorrelation of a series (n,) at lags 0 to ``lags`` (at most n − 1).

    All zeros for a constant series.
    """
    centred = x - x.mean()
    largest = np.abs(centred).max(initial=0)
    if largest == 0:
        return np.zeros(min(lags, len(x) - 1) + 1)
    size = 1 << (2 * len(x) - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(centred / largest, size)) ** 2
    correlation = np.fft.irfft(spectrum, size)[: min(lags, len(x) - 1) + 1]
    return np.asarray(correlation / correlation[0], dtype=np.float64)


def windows(X: NDArray[np.floating], length: int) -> NDArray[np.floating]:
    """Return all windows (n − length + 1, length, channels) of a series, as a view.

    >>> windows(np.zeros((10, 2)), 4).shape
    (7, 4, 2)
    """
    return sliding_window_view(X, length, axis=0).transpose(0, 2, 1)


def starts(n: int, length: int, most: int) -> IntArray:
    """Return at most ``most`` starts of windows, evenly spread, the first and last among them."""
    last = n - length
    return np.unique(np.linspace(0, last, min(most, last + 1)).round().astype(np.int64))


def average_over_windows(scores: FloatArray, begin: IntArray, length: int, n: int) -> FloatArray:
    """Return one score per point (n,): the mean over the windows that cover it.

    ``scores`` (w,) of windows that begin at ``begin`` (w,), ascending. A point that no window
    covers takes the score of the nearest point that one does.

    >>> average_over_windows(np.array([0.0, 2.0]), np.array([0, 2]), 3, 5).tolist()
    [0.0, 0.0, 1.0, 2.0, 2.0]
    """
    total, count = np.zeros(n + 1), np.zeros(n + 1)
    for array, step in ((total, scores), (count, np.ones(len(scores)))):
        np.add.at(array, begin, step)
        np.subtract.at(array, np.minimum(begin + length, n), step)
    count = np.cumsum(count)[:n].round()
    covered = np.flatnonzero(count)
    mean = np.cumsum(total)[:n][covered] / count[covered]
    return np.interp(np.arange(n), covered, mean)


def smooth(x: FloatArray, width: int) -> FloatArray:
    """Return the centred moving mean of a series (n,) or (n, channels); shorter at the ends.

    >>> smooth(np.array([0.0, 3.0, 0.0]), 3).tolist()
    [1.5, 1.0, 1.5]
    """
    if width <= 1:
        return x
    n = len(x)
    total = np.concatenate([np.zeros((1, *x.shape[1:])), np.cumsum(x, axis=0)])
    left = np.maximum(np.arange(n) - width // 2, 0)
    right = np.minimum(np.arange(n) + (width + 1) // 2, n)
    mean = (total[right] - total[left]) / (right - left).reshape(-1, *[1] * (x.ndim - 1))
    return np.asarray(mean, dtype=np.float64)


def smooth_among(x: FloatArray, width: int, usual: FloatArray) -> FloatArray:
    """Return the centred moving mean of x (n, k); what is beyond its ends counts as usual (k,).

    A mean over the few points at an end would be unsteady, and exceed any threshold.

    >>> smooth_among(np.array([[4.0], [1.0]]), 3, np.array([1.0])).ravel().tolist()
    [2.0, 2.0]
    """
    beyond = np.broadcast_to(usual, (width, len(usual)))
    return smooth(np.concatenate([beyond, x, beyond]), width)[width : width + len(x)]
