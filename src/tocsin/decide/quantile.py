"""The plain empirical quantile."""

from __future__ import annotations

import numpy as np

from tocsin.decide.calibration import Calibration
from tocsin.types import FloatArray, IntArray


class Quantile(Calibration):
    """p = calibration scores at least as high / n; the threshold is their empirical quantile.

    Nothing allows for the finite number of scores: with few of them more normal items are flagged
    than the rate says, and a score above all of them gets the smallest positive float as its
    p-value, so it is flagged at every rate.

    >>> calibration = Quantile().fit([1.0, 2.0, 3.0, 4.0])
    >>> calibration.p_values([0.0, 3.0]).tolist(), calibration.threshold(0.25)
    ([1.0, 0.5], 3.0)
    """

    def _p_of_count(self, count: IntArray) -> FloatArray:
        return np.maximum(count / self.n_, np.finfo(np.float64).tiny)
