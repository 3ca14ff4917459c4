"""How good scores and decisions are on a series, where anomalies are ranges, not single points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.base import check_labels
from tocsin.errors import ParameterError
from tocsin.evaluate.metrics.items import check_pairs
from tocsin.features.windows import USUAL_PERIOD, autocorrelation
from tocsin.types import FloatArray, IntArray

Bias = Literal["flat", "front", "back"]
"""Which points of a range count more: all alike, the first ones, or the last ones."""


@dataclass(frozen=True, slots=True)
class Vus:
    """Volumes under the surfaces of range-aware PR and ROC curves, fractions from 0 to 1.

    Both are None when the labels hold only one class.
    """

    vus_pr: float | None
    vus_roc: float | None


@dataclass(frozen=True, slots=True)
class RangeMetrics:
    """Precision, recall and their harmonic mean over ranges, fractions from 0 to 1.

    ``precision`` is None when nothing was called an anomaly; ``recall`` and ``f1`` are None
    when there is no range to find.
    """

    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Delays:
    """How soon ranges are found: delays in points, ``found`` the share of ranges with an alarm.

    The delays are over the ranges found, None when there is none; ``found`` is None when
    there is no range to find.
    """

    ranges: int
    found: float | None
    mean: float | None
    median: float | None


def vus(y: ArrayLike, scores: ArrayLike, period: int, thresholds: int = 250) -> Vus:
    """Return how well scores (n,) rank the points of ranges labelled y (n,), 1 = anomaly.

    Around each range lie buffers of up to half a ``period`` of points, in which labels fall
    off with the distance, so that a near miss counts for something. The areas under the
    precision-recall and ROC curves, whose recall also falls with the share of ranges missed,
    are averaged over all widths of the buffers from 0 to ``period``. The curves are drawn at
    that many ``thresholds``, at evenly spaced ranks of the scores: only their order matters.

    Takes O(n log n + period² · thresholds): the points are first counted by distance from
    the nearest range and by the first threshold that finds them. Raises InputError as
    ``ranking`` does, ParameterError for a negative period or less than two thresholds.
    Paparrizos et al., Volume under the surface, VLDB 2022; the form is that of Liu and
    Paparrizos, The elephant in the room (TSB-AD), NeurIPS 2024.

    >>> y = np.repeat([0, 1, 0], [500, 20, 480])
    >>> late = np.roll(y, 5) + np.linspace(0, 0.1, 1000)
    >>> round(vus(y, late, period=40).vus_pr, 2)
    0.78
    """
    labels, values = check_pairs(y, scores)
    if period < 0 or thresholds < 2:
        raise ParameterError(
            "The period is 0 or more points, and there are at least 2 thresholds; "
            f"got {period} and {thresholds}."
        )
    n, anomalies = len(labels), int(labels.sum())
    if anomalies in (0, n):
        return Vus(None, None)
    ranks = np.linspace(0, n - 1, thresholds).astype(np.int64)
    levels = np.searchsorted(np.sort(-values)[ranks], -values)
    begin, end = events(labels)
    called = _cumulated(levels, thresholds)
    inside = _cumulated(levels[labels == 1], thresholds)
    near = _near(labels, levels, begin, end, period, thresholds)
    existence = _existence(levels, begin, end, period, thresholds)

    positives = anomalies + near / 2
    tpr = np.minimum((inside + near) / positives, 1) * existence
    fpr = (called - inside - near) / (n - positives)
    precision = (inside + near) / called
    first, last = np.zeros((period + 1, 1)), np.ones((period + 1, 1))
    tpr, fpr = np.hstack([first, tpr, last]), np.hstack([first, fpr, last])
    return Vus(
        vus_pr=float((np.diff(tpr[:, :-1]) * precision).sum() / (period + 1)),
        vus_roc=float(np.trapezoid(tpr, fpr).sum() / (period + 1)),
    )


def buffer_period(x: ArrayLike) -> int:
    """Return the period of a series (n,) in points that ``vus`` takes in published figures.

    The highest local maximum of the autocorrelation of the first 20,000 points at lags of 4 to
    402; 125 where there is none, or where it is at a lag below 6 or above 303. This is TSB-AD's
    ``find_length_rank``; for windows, ``dominant_period`` is the sounder choice.

    >>> buffer_period(np.sin(np.arange(2000) * 2 * np.pi / 40))
    40
    """
    values = np.asarray(x, dtype=np.float64).ravel()[:20_000]
    correlation = autocorrelation(values, 400)
    lags = np.arange(4, len(correlation) - 1)
    before, here, after = (correlation[lags + step] for step in (-1, 0, 1))
    peaks = lags[(here > before) & (here > after)]
    if not len(peaks):
        return USUAL_PERIOD
    period = int(peaks[correlation[peaks].argmax()])
    return period if 6 <= period <= 303 else USUAL_PERIOD


def range_precision_recall(
    y: ArrayLike, is_anomaly: ArrayLike, bias: Bias = "flat", existence: float = 0.0
) -> RangeMetrics:
    """Return how well the ranges called (n,) bool cover the ranges labelled y (n,), and only them.

    A labelled range earns the share of its points that were called, weighted by ``bias`` and
    divided by the number of pieces it was found in; ``existence`` (0 to 1) is the part of its
    recall that any alarm inside earns at once. A called range earns likewise for precision,
    without ``existence``. Raises InputError for values other than 0 and 1 or unequal lengths,
    ParameterError for an unknown bias or existence beyond 0 to 1.
    Tatbul et al., Precision and recall for time series, NeurIPS 2018.

    >>> y, called = [0, 1, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1]
    >>> range_precision_recall(y, called).recall
    0.5
    >>> range_precision_recall(y, called, bias="front").recall
    0.3
    """
    labels, calls = check_calls(y, is_anomaly)
    if bias not in get_args(Bias):
        raise ParameterError(f"The bias is one of {get_args(Bias)}; got {bias!r}.")
    if not 0 <= existence <= 1:
        raise ParameterError(f"The existence weight is from 0 to 1; got {existence}.")
    return combine(_earned(calls, labels, bias, 0.0), _earned(labels, calls, bias, existence))


def point_adjusted(y: ArrayLike, is_anomaly: ArrayLike) -> RangeMetrics:
    """Return precision, recall and F1 of points after every range touched counts as all called.

    Optimistic, and here only because much of the literature reports it: one alarm anywhere in
    a long range makes all of its points found, so that random alarms reach a high F1 where
    ranges are long. Do not choose a detector by it. Raises as ``range_precision_recall``.
    Xu et al., Unsupervised anomaly detection via variational auto-encoder for seasonal KPIs,
    WWW 2018; Kim et al., Towards a rigorous evaluation of time-series anomaly detection,
    AAAI 2022.

    >>> point_adjusted([0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 0]).f1
    1.0
    """
    labels, calls = check_calls(y, is_anomaly)
    begin, end = events(labels)
    length = end - begin + 1
    found = int(length[_sums(calls, begin, end) > 0].sum())
    false = int(calls[labels == 0].sum())
    return combine(
        found / (found + false) if found + false else None,
        found / int(length.sum()) if len(length) else None,
    )


def detection_delay(y: ArrayLike, is_anomaly: ArrayLike) -> Delays:
    """Return how many points after its start the first alarm inside a labelled range comes.

    An alarm at the first point has delay 0; alarms outside of all ranges count for nothing.
    Raises InputError as ``range_precision_recall``.

    >>> detection_delay([0, 1, 1, 1, 0, 1, 1], [1, 0, 0, 1, 0, 0, 0])
    Delays(ranges=2, found=0.5, mean=2.0, median=2.0)
    """
    labels, calls = check_calls(y, is_anomaly)
    begin, end = events(labels)
    alarms = np.append(np.flatnonzero(calls), len(labels))
    first = alarms[np.searchsorted(alarms, begin)]
    delays = (first - begin)[first <= end]
    if not len(begin):
        return Delays(0, None, None, None)
    if not len(delays):
        return Delays(len(begin), 0.0, None, None)
    share = len(delays) / len(begin)
    return Delays(len(begin), share, float(delays.mean()), float(np.median(delays)))


def check_calls(y: ArrayLike, is_anomaly: ArrayLike) -> tuple[IntArray, IntArray]:
    """Return labels and decisions (n,) as int64, 0 or 1, of the same points, n ≥ 1.

    Raises InputError naming what is wrong.
    """
    labels, calls = check_pairs(y, is_anomaly)
    return labels, check_labels(calls, len(labels))


def combine(precision: float | None, recall: float | None) -> RangeMetrics:
    """Return both with their harmonic mean.

    >>> combine(None, 0.0)
    RangeMetrics(precision=None, recall=0.0, f1=0.0)
    """
    if recall is None:
        return RangeMetrics(precision, None, None)
    if not precision or not recall:
        return RangeMetrics(precision, recall, 0.0)
    return RangeMetrics(precision, recall, 2 * precision * recall / (precision + recall))


def events(labels: IntArray) -> tuple[IntArray, IntArray]:
    """Return the first and last points of the runs of ones in labels (n,), both included.

    >>> [edges.tolist() for edges in events(np.array([1, 0, 0, 1, 1]))]
    [[0, 3], [0, 4]]
    """
    edges = np.diff(np.concatenate([[0], labels, [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1


def _earned(own: IntArray, other: IntArray, bias: Bias, existence: float) -> float | None:
    """Return the mean of what the runs of ``own`` earn by overlap with ``other``, None for none."""
    begin, end = events(own)
    if not len(begin):
        return None
    length = end - begin + 1
    weights = own.astype(np.float64)
    if bias != "flat":
        rising = [np.arange(1.0, n + 1) for n in length]
        weights[own == 1] = np.concatenate([w[::-1] if bias == "front" else w for w in rising])
    overlap = _sums(weights * other, begin, end) / _sums(weights, begin, end)
    entered = np.diff(other, prepend=0) == 1
    pieces = other[begin] + _sums(entered, begin, end) - entered[begin]
    earned = overlap / np.maximum(pieces, 1)
    return float(np.mean(existence * (pieces > 0) + (1 - existence) * earned))


def _sums(values: NDArray[Any], begin: IntArray, end: IntArray) -> FloatArray:
    """Return the sum of values (n,) in each range; exact for whole numbers."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    sums: FloatArray = total[end + 1] - total[begin]
    return sums


def _cumulated(levels: IntArray, thresholds: int) -> FloatArray:
    """Return how many points each threshold calls; ``levels`` is the first one that calls each."""
    return np.cumsum(np.bincount(levels, minlength=thresholds)).astype(np.float64)


def _near(
    labels: IntArray,
    levels: IntArray,
    begin: IntArray,
    end: IntArray,
    period: int,
    thresholds: int,
) -> FloatArray:
    """Return the label mass that each threshold calls in buffers of each width (period + 1, ·).

    A buffer of width w weighs a point at distance d ≤ w // 2 by sqrt(1 − d / w), at least
    sqrt(1 / 2), and weights add up to at most 1: where two buffers meet it is always 1.
    """
    reach = period // 2
    points = np.flatnonzero(labels == 0)
    first, second = _distances(points, begin, end)
    points, first, second = (array[first <= reach] for array in (points, first, second))
    # by (distance of the nearest range, first threshold that calls): points within one buffer
    single = np.zeros((reach + 1, thresholds))
    np.add.at(single, (first, levels[points]), 1.0)
    shared = np.zeros(thresholds)
    mass = np.zeros((period + 1, thresholds))
    for half in range(1, reach + 1):
        met = second == half
        np.subtract.at(single, (first[met], levels[points[met]]), 1.0)
        np.add.at(shared, levels[points[met]], 1.0)
        for width in range(2 * half, min(2 * half + 1, period) + 1):
            weights = np.sqrt(1 - np.arange(1, half + 1) / width)
            mass[width] = weights @ single[1 : half + 1] + shared
    return np.cumsum(mass, axis=1)


def _distances(points: IntArray, begin: IntArray, end: IntArray) -> tuple[IntArray, IntArray]:
    """Return the distances of normal points from the nearest and the second nearest range."""
    far = np.iinfo(np.int64).max // 2
    starts = np.concatenate([begin, [far, far]])
    ends = np.concatenate([[-far, -far], end])
    after = np.searchsorted(begin, points)
    following, preceding = starts[after] - points, points - ends[after + 1]
    others = np.minimum(starts[after + 1] - points, points - ends[after])
    second = np.minimum(np.maximum(following, preceding), others)
    return np.minimum(following, preceding), second


def _existence(
    levels: IntArray, begin: IntArray, end: IntArray, period: int, thresholds: int
) -> FloatArray:
    """Return the share of ranges that each threshold finds, with buffers (period + 1, ·).

    Ranges whose buffers meet count as one.
    """
    last = len(levels) - 1
    runs = np.stack([begin, end + 1], axis=1).ravel()
    found = np.minimum.reduceat(np.append(levels, thresholds), runs)[::2]
    share = np.empty((period + 1, thresholds))
    for half in range(period // 2 + 1):
        left, right = np.maximum(begin - half, 0), np.minimum(end + half, last)
        found = np.minimum(found, np.minimum(levels[left], levels[right]))
        apart = np.flatnonzero(end[:-1] + half < begin[1:] - half) + 1
        merged = np.minimum.reduceat(found, np.concatenate([[0], apart]))
        share[2 * half : 2 * half + 2] = _cumulated(merged, thresholds) / len(merged)
    return share
