"""What detection gives for time series."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.types.detections import Detection, FloatArray, IntArray, Reason, given_labels


@dataclass(frozen=True, slots=True)
class Interval:
    """One anomaly of a series: the points around a peak of the scores.

    ``start``, ``end``, ``peak``: positions among the detection's points, both ends included.
    ``start_time``, ``end_time``, ``peak_time``: their UTC times, None without a time column.
    ``score`` and ``p_value`` are those of the peak. ``reasons``: the channels that drove it,
    with what was seen and expected at the peak.
    """

    start: int
    end: int
    peak: int
    score: float
    p_value: float
    entity: str | None = None
    start_time: np.datetime64 | None = None
    end_time: np.datetime64 | None = None
    peak_time: np.datetime64 | None = None
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesDetection(Detection):
    """The whole answer for n points of one or several series, one entity after the other.

    ``rows`` holds the row of the file that each point comes from, -1 for a point that was
    filled in. ``values``: (n, channels), the points after preparation, in the user's units;
    ``low`` and ``high``: (n, channels), the band in which normal values were expected.
    ``times``: (n,) datetime64[ns], UTC, or None. ``entities``: (n,), the entity of each point,
    or None. ``intervals``: the anomalies, the most anomalous first.
    """

    channels: tuple[str, ...] = ()
    values: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    low: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    high: FloatArray = field(default_factory=lambda: np.empty((0, 0)))
    times: NDArray[np.datetime64] | None = None
    entities: NDArray[Any] | None = None
    intervals: tuple[Interval, ...] = ()

    def labels(self, given: ArrayLike) -> IntArray:
        """Return the label (n,) of each point from those of the rows; 0 where it was filled in."""
        labels = given_labels(given, int(self.rows.max()) + 1)
        return np.where(self.rows >= 0, labels[self.rows], 0)
