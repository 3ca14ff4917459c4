"""How the time of a piece of work grows with the size of what it is given."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence

import numpy as np

MOST = 1.2
"""The exponent that counts as linear: constants and caches add to it, a square does not."""


def exponent(work: Callable[[int], Callable[[], object]], sizes: Sequence[int]) -> float:
    """Return the exponent of the CPU time of some work over its sizes, by least squares.

    ``work`` prepares a size and returns what is timed. Each size counts by its best of several,
    taken in turns, until the exponent is linear, so that a busy machine does not matter; sizes are
    to be so large that the work takes milliseconds.
    """
    tasks = [work(size) for size in sizes]
    best = np.full(len(tasks), np.inf)
    found = np.inf
    for _ in range(8):
        for i, task in enumerate(tasks):
            gc.disable()  # else it looks at all that other tests have left
            begin = time.process_time()
            task()
            best[i] = min(best[i], time.process_time() - begin)
            gc.enable()
        found = float(np.polyfit(np.log(sizes), np.log(np.maximum(best, 1e-3)), 1)[0])
        if found <= MOST:
            break
    return found
