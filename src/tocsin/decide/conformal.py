"""Conformal p-values."""

from __future__ import annotations

from tocsin.decide.calibration import Calibration
from tocsin.types import FloatArray, IntArray


class Conformal(Calibration):
    """p = (1 + calibration scores at least as high) / (n + 1).

    If new normal items are exchangeable with the calibration items, P(p ≤ rate) ≤ rate for
    every rate, whatever the detector and the distribution (Vovk, Gammerman & Shafer,
    Algorithmic Learning in a Random World, 2005; Laxhammar & Falkman, 2014). Below
    ``resolution`` nothing can be flagged: 60 scores support no rate below 1.6 %.

    >>> calibration = Conformal().fit([1.0, 2.0, 3.0, 4.0])
    >>> calibration.p_values([0.0, 3.0, 9.0]).tolist()
    [1.0, 0.6, 0.2]
    >>> calibration.threshold(0.2), calibration.resolution
    (4.0, 0.2)
    """

    def _p_of_count(self, count: IntArray) -> FloatArray:
        return (1 + count) / (self.n_ + 1)
