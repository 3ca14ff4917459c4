"""What moved where more rows are flagged than the budget allows, and how to follow it."""

from __future__ import annotations

import numpy as np

from tocsin.types import FloatArray, IntArray

_MOVED = 0.15
"""How far the chance of exceeding a training value must be from even for a column to have moved."""
_MOST_ROWS = 2_000
_MOST_NAMED = 5


def moved_columns(
    background: FloatArray, rows: FloatArray, groups: IntArray, names: list[str]
) -> list[str]:
    """Return the source columns that lie elsewhere in rows (k, m) than before, the farthest first.

    ``background`` (b, m) are training rows; ``groups`` (m,) is the source column of each column.
    A column has moved when a value exceeds one of training with a probability, ties counted
    half, outside of 0.35 to 0.65 (Mann and Whitney, Annals of Mathematical Statistics 1947): a
    few anomalies do not move it, a new level does.
    """
    moved = np.abs(_chance_to_exceed(background, rows) - 0.5)
    farthest = np.zeros(len(names))
    np.maximum.at(farthest, groups, moved)
    order = np.argsort(-farthest, kind="stable")[:_MOST_NAMED]
    return [names[column] for column in order if farthest[column] >= _MOVED]


def rebased(background: FloatArray, rows: FloatArray, numeric: int) -> FloatArray:
    """Return rows (k, m) whose columns that moved are shifted to the median of training.

    Only the first ``numeric`` columns, those of numbers, are shifted.
    """
    moved = np.abs(_chance_to_exceed(background, rows) - 0.5) >= _MOVED
    moved[numeric:] = False
    shift = np.median(background, axis=0) - np.median(rows, axis=0)
    return rows + np.where(moved, shift, 0.0)


def _chance_to_exceed(background: FloatArray, rows: FloatArray) -> FloatArray:
    """Return for each column (m,) the probability that a row's value exceeds a training one."""
    some = rows[np.linspace(0, len(rows) - 1, min(len(rows), _MOST_ROWS)).astype(np.int64)]
    chance = np.empty(rows.shape[1])
    for column, (known, new) in enumerate(zip(np.sort(background.T), some.T, strict=True)):
        below = np.searchsorted(known, new, side="left") + np.searchsorted(known, new, side="right")
        chance[column] = below.mean() / 2 / len(known)
    return chance
