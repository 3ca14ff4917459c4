"""Decisions by calibration scores that depend on each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tocsin.decide.calibration import Calibration
from tocsin.types import Decision, FloatArray

HALF_A_RUN = 0.5
"""A run of scores that exceeds all others does so for about half of its length."""

_BESIDE = (0, 1, 3, 4)
"""A point's neighbours among five: two on either side."""

_TOWERING = 2.0
"""So many times the score that any two points near each other reach is a glitch."""


def without_peaks(scores: FloatArray) -> FloatArray:
    """Return scores (n,) in their order, towering single peaks lowered to what is beside them.

    A single point with twice the score that any two points near each other reach is a glitch,
    and no sign that runs of points go as high.

    >>> without_peaks(np.array([1.0, 2.0, 90.0, 3.0, 1.0, 5.0, 5.0])).tolist()
    [1.0, 2.0, 3.0, 3.0, 1.0, 5.0, 5.0]
    """
    beside = np.pad(scores, 2, mode="edge")
    around = np.stack([beside[k : k + len(scores)] for k in _BESIDE])
    lowered = np.minimum(scores, around.max(axis=0))
    return np.where(scores > _TOWERING * lowered.max(), lowered, scores)


def decide_dependent(
    points: Calibration, runs: Calibration, scores: ArrayLike, rate: float
) -> Decision:
    """Return which scores (n,) are anomalies, calibrated by points and by independent runs.

    Where m of the n calibration scores are independent, scores come in runs of n/m that are
    alike, and so do those of new items: with a chance of 1/(m + 1) a run of them exceeds all of
    the calibration, by half of its length. A score that k calibration scores ``without_peaks``
    reach, those of ``runs``, has the p-value (½ + k·m/n)/(m + ½), or that of ``points``, where it
    counts as one of n, if that is larger; what is extrapolated beyond the highest is extrapolated
    from there. Independent scores are counted as ever.

    >>> from tocsin.decide import Conformal
    >>> points = Conformal().fit(np.arange(99.0))
    >>> runs = Conformal().fit(np.arange(99.0), independent=9)
    >>> decide_dependent(points, runs, [97.5, 60.0, 10.0], rate=0.2).p_values.round(2).tolist()
    [0.06, 0.43, 0.9]
    """
    n, m = runs.n_, runs.independent_
    own = HALF_A_RUN if m < n else 1.0
    edges = np.array([0.0, 1 / (n + 1), 1.0])
    counted = np.array([0.0, own / (m + own), 1.0])
    by_runs = np.interp(runs.p_values(scores), edges, counted)
    p_values: FloatArray = np.maximum(points.p_values(scores), by_runs)
    threshold = max(points.threshold(rate), runs.threshold(float(np.interp(rate, counted, edges))))
    return Decision(p_values, threshold, np.asarray(scores) > threshold, rate)
