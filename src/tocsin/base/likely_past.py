"""What may have come before a stretch: found in the training series."""

from __future__ import annotations

from numpy.lib.stride_tricks import sliding_window_view

from tocsin.types import FloatArray, IntArray

REMEMBERED = 4_096
"""So many training points at most are searched."""

_BEGINNING = 16
"""So many points at the beginning of a stretch say what it is like."""

_ALIKE = 0.1
"""Levels are alike that are so far apart, in squared deviations summed over the channels."""


def likely_past(known: FloatArray, X: FloatArray, length: int, own: IntArray) -> FloatArray:
    """Return points (length, channels) that may have come before a series X (n, channels).

    Those before the place in the ``known`` series that is most like the first points of X, by
    the channels ``own``, and at the level of X. Fewer where little is known. All standardised.

    >>> import numpy as np
    >>> wave = np.sin(np.arange(400) * 2 * np.pi / 40)[:, None]
    >>> np.abs(likely_past(wave, wave[207:220], 5, np.array([0])) - wave[202:207]).max() < 1e-9
    np.True_
    """
    length = min(length, len(known) - 1)
    begin = X[: min(_BEGINNING, len(known) - length), own]
    apart = sliding_window_view(known[length:, own], len(begin), axis=0) - begin.T
    level, shape = (apart.mean(axis=2) ** 2).sum(axis=1), apart.var(axis=2).sum(axis=1)
    # A shape of few points is alike in many places: the level counts if it is known at all.
    place = int((shape + level if level.min() <= _ALIKE else shape).argmin())
    past = known[place : place + length].copy()
    past[:, own] -= apart[place].mean(axis=1)
    return past
