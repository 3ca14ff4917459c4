"""Decisions by calibration scores that depend on each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tocsin.decide.calibration import Calibration
from tocsin.types import Decision, FloatArray


def decide_dependent(calibration: Calibration, scores: ArrayLike, rate: float) -> Decision:
    """Return which scores (n,) are anomalies, the calibration counted by its independent scores.

    Where m of the calibration scores are independent and each stands for n/m others like it, new
    items come in such runs too: one of them exceeds all m with a chance of 1/(m + 1), not
    1/(n + 1). A p-value p of n scores becomes that of m, (1 + k·m/n)/(m + 1) where k scores are
    at least as high; what is extrapolated beyond the highest is extrapolated from there.

    >>> from tocsin.decide import Conformal
    >>> calibration = Conformal().fit(np.arange(99.0), independent=9)
    >>> decide_dependent(calibration, [97.5, 60.0, 10.0], rate=0.2).p_values.round(2).tolist()
    [0.11, 0.45, 0.91]
    """
    n, m = calibration.n_, calibration.independent_
    edges = np.array([0.0, 1 / (n + 1), 1.0])
    counted = np.array([0.0, 1 / (m + 1), 1.0])
    p_values: FloatArray = np.interp(calibration.p_values(scores), edges, counted)
    asked = float(np.interp(rate, counted, edges))
    threshold = calibration.threshold(asked)
    return Decision(p_values, threshold, np.asarray(scores) > threshold, rate)
