"""What classifiers share that train on labelled items with few anomalies among them."""

from __future__ import annotations

import numpy as np

from tocsin.types import IntArray

_SHARE = 0.1
"""Of anomalies to normal items in an epoch: rarer ones are shown more than once."""


def times_shown(y: IntArray) -> int:
    """Return how often an epoch shows each anomaly of labels (n,).

    >>> times_shown(np.repeat([0, 1], [400, 1]))
    40
    """
    return max(1, int(_SHARE * (y == 0).sum() / (y == 1).sum()))


def shown(y: IntArray, items: IntArray, times: int) -> IntArray:
    """Return the items that an epoch shows, anomalies so often that few steps lack one."""
    return np.repeat(items, np.where(y[items] == 1, times, 1))
