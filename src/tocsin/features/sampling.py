"""Drawing rows at random."""

from __future__ import annotations

import numpy as np

from tocsin.types import IntArray


def subsample(n: int, max_rows: int, seed: int) -> IntArray:
    """Return at most ``max_rows`` of the row numbers 0 … n − 1, drawn at random, ascending.

    >>> subsample(3, 5, seed=0)
    array([0, 1, 2])
    """
    if n <= max_rows:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, size=max_rows, replace=False))
