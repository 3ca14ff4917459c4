"""Anomalous points of a series to intervals."""

from __future__ import annotations

import numpy as np

from tocsin.types import BoolArray


def runs(is_anomaly: BoolArray, merged_within: int = 0) -> list[tuple[int, int]]:
    """Return the first and last position of each run of True; near runs are one.

    Runs with at most ``merged_within`` points of False between them are joined.

    >>> runs(np.array([0, 1, 1, 0, 1, 0, 0, 0, 1], dtype=bool), merged_within=1)
    [(1, 4), (8, 8)]
    """
    at = np.flatnonzero(is_anomaly)
    if not len(at):
        return []
    breaks = np.flatnonzero(np.diff(at) > merged_within + 1)
    first = at[np.concatenate([[0], breaks + 1])]
    last = at[np.concatenate([breaks, [len(at) - 1]])]
    return list(zip(first.tolist(), last.tolist(), strict=True))
