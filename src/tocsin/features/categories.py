"""Categories in a matrix of numbers: runs of 0/1 columns of which every row has exactly one."""

from __future__ import annotations

import numpy as np

from tocsin.types import BoolArray, FloatArray, IntArray

_FEWEST = 5  # rows
_AS_FREQUENT = 1 / 3  # of what a value of the category has in the median


class Categories:
    """The categories among the columns of X (n, d), as ``TablePreparer`` writes them down.

    ``blocks``: the columns of each, a run in which every row has one value other than 0, and
    all have the same. ``others`` (d,) bool: the columns that belong to no category.

    >>> X = np.array([[1.5, 1, 0], [0.2, 1, 0], [0.7, 0, 1]])
    >>> categories = Categories(X)
    >>> categories.blocks, categories.others.tolist()
    ([slice(1, 3, None)], [True, False, False])
    """

    def __init__(self, X: FloatArray) -> None:
        high = X.max(axis=0)
        indicators = (X.min(axis=0) == 0) & (high > 0) & ((X == 0) | (high == X)).all(axis=0)
        self.blocks: list[slice] = []
        self.others: BoolArray = np.ones(X.shape[1], dtype=bool)
        first = 0
        while first < X.shape[1]:
            end = _end_of_block(X, high, indicators, first)
            if end > first:
                self.blocks.append(slice(first, end))
                self.others[first:end] = False
            first = max(end, first + 1)
        self.sizes = [(X[:, block] > 0).sum(axis=0) for block in self.blocks]

    def ordinary(self, X: FloatArray) -> IntArray:
        """Return how many rows share the value of each row of X in its rarest ordinary category.

        (n, categories): 0 where the value is not ordinary: an ordinary value is one of five rows
        or more, and of at least a third as many as the median value of its category.
        """
        found = np.zeros((len(X), len(self.blocks)), dtype=np.int64)
        for place, (block, sizes) in enumerate(zip(self.blocks, self.sizes, strict=True)):
            usual = sizes >= max(_FEWEST, _AS_FREQUENT * float(np.median(sizes)))
            found[:, place] = (X[:, block] > 0) @ np.where(usual, sizes, 0)
        return found


def _end_of_block(X: FloatArray, high: FloatArray, indicators: BoolArray, first: int) -> int:
    """Return the end of the category that begins with a column, the column itself without one."""
    filled = np.zeros(len(X), dtype=bool)
    for column in range(first, X.shape[1]):
        here = X[:, column] > 0
        if not indicators[column] or high[column] != high[first] or (filled & here).any():
            return first
        filled |= here
        if filled.all():
            return column + 1
    return first
