"""Affiliation precision and recall: how near alarms and labelled ranges are, against chance."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from tocsin.evaluate.metrics.ranges import RangeMetrics, check_calls, combine, events
from tocsin.types import FloatArray


def affiliation(y: ArrayLike, is_anomaly: ArrayLike) -> RangeMetrics:
    """Return how near the points called (n,) bool are to the ranges labelled y (n,), and back.

    The series is cut into zones halfway between ranges. Precision is the mean chance, over
    what was called in a zone, that a random point of the zone lies further from the range;
    recall the mean chance, over the points of the range, that a random point lies further
    from them than the nearest alarm of the zone. Random alarms so reach about 0.5, and more
    within long ranges. Precision is averaged over zones with an alarm, recall over all.
    Raises InputError for values other than 0 and 1 or unequal lengths.
    Huet et al., Local evaluation of time series anomaly detection algorithms, KDD 2022.

    >>> y = np.repeat([0, 1, 0], [50, 10, 40])
    >>> near, far = np.roll(y, 10), np.roll(y, 35)
    >>> [round(affiliation(y, called).f1, 2) for called in (y, near, far)]
    [1.0, 0.85, 0.34]
    """
    labels, calls = check_calls(y, is_anomaly)
    begin, end = events(labels)
    if not len(begin):
        return combine(None, None)
    # in continuous time, point i takes the interval from i to i + 1
    ranges = np.stack([begin, end + 1], axis=1).astype(np.float64)
    cuts = (ranges[:-1, 1] + ranges[1:, 0]) / 2
    cuts = np.concatenate([[0.0], cuts, [len(labels)]])
    begin, end = events(calls)
    called = np.stack([begin, end + 1], axis=1).astype(np.float64)
    precision, recall = [], []
    for zone, own in zip(pairwise(cuts), ranges, strict=True):
        first = np.searchsorted(called[:, 1], zone[0], side="right")
        last = np.searchsorted(called[:, 0], zone[1], side="left")
        inside = np.clip(called[first:last], *zone)
        if len(inside):
            precision.append(_precision(inside, own, zone))
        recall.append(_recall(inside, own, zone) if len(inside) else 0.0)
    return combine(float(np.mean(precision)) if precision else None, float(np.mean(recall)))


def _precision(called: FloatArray, own: FloatArray, zone: tuple[float, float]) -> float:
    """Return the mean over the called intervals (k, 2) of the chance to lie further away."""
    rooms = own[0] - zone[0], zone[1] - own[1]
    hit = np.clip(called, *own)
    total = float(np.diff(hit, axis=1).sum())
    for distances in (own[0] - called[:, ::-1], called - own[1]):
        near, far = np.maximum(distances, 0).T
        for room in rooms:
            total += float((_area(far, room) - _area(near, room)).sum()) / (zone[1] - zone[0])
    return total / float(np.diff(called, axis=1).sum())


def _area(distance: FloatArray, room: float) -> FloatArray:
    """Return the integral, from 0 to each distance, of what is left of the room beyond it."""
    reached = np.minimum(distance, room)
    return room * reached - reached**2 / 2


def _recall(called: FloatArray, own: FloatArray, zone: tuple[float, float]) -> float:
    """Return the mean over the range of the chance to lie further away than the nearest alarm.

    The chance is linear between the edges of alarms, the middles between alarms, and where the
    distance reaches an end of the zone; so the trapezoidal rule on these knots is exact.
    """
    edges = called.ravel()
    middles = (called[:-1, 1] + called[1:, 0]) / 2
    ends = np.concatenate([(edges + side) / 2 for side in zone])
    knots = np.unique(np.clip(np.concatenate([edges, middles, ends, own]), *own))
    after = np.searchsorted(called[:, 0], knots, side="right")
    before = np.where(after > 0, called[after - 1, 1], -np.inf)
    following = np.append(called[:, 0], np.inf)[after]
    distance = np.maximum(np.minimum(knots - before, following - knots), 0)
    nearer = np.minimum(distance, knots - zone[0]) + np.minimum(distance, zone[1] - knots)
    chance = 1 - nearer / (zone[1] - zone[0])
    return float(np.trapezoid(chance, knots) / (own[1] - own[0]))
