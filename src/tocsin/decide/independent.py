"""Decisions by calibration scores that depend on each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tocsin.decide.calibration import Calibration
from tocsin.types import Decision, FloatArray

HALF_A_RUN = 0.5
"""A run of scores that exceeds all others does so for about half of its length."""


def decide_dependent(calibration: Calibration, scores: ArrayLike, rate: float) -> Decision:
    """Return which scores (n,) are anomalies, the calibration counted by its independent scores.

    Where m of the n calibration scores are independent, scores come in runs of n/m that are
    alike, and so do those of new items: with a chance of 1/(m + 1) a run of them exceeds all of
    the calibration, by half of its length. A score that k calibration scores reach has the
    p-value (½ + k·m/n)/(m + ½) instead of (1 + k)/(n + 1); what is extrapolated beyond the
    highest is extrapolated from there. Independent scores are counted as ever.

    >>> from tocsin.decide import Conformal
    >>> calibration = Conformal().fit(np.arange(99.0), independent=9)
    >>> decide_dependent(calibration, [97.5, 60.0, 10.0], rate=0.2).p_values.round(2).tolist()
    [0.06, 0.43, 0.9]
    """
    n, m = calibration.n_, calibration.independent_
    own = HALF_A_RUN if m < n else 1.0
    edges = np.array([0.0, 1 / (n + 1), 1.0])
    counted = np.array([0.0, own / (m + own), 1.0])
    p_values: FloatArray = np.interp(calibration.p_values(scores), edges, counted)
    threshold = calibration.threshold(float(np.interp(rate, counted, edges)))
    return Decision(p_values, threshold, np.asarray(scores) > threshold, rate)
