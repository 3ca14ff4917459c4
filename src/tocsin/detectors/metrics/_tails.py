"""How rare a statistic is by the readings of training, also beyond all that training held."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from tocsin.detectors.metrics._kernels import MISSING, SPREAD, STUCK
from tocsin.types import FloatArray
from tocsin.types.metrics import VIEWS

LEVELS = np.array([0.0, 0.5, 0.75, 0.9, 0.95, 0.98])
"""The shares of readings whose distances from the middle are kept."""
_LEAST_APART = 3
_UNRELATED = 0.1
_LEAST_SCALE = 0.1
_HEAVIEST = 0.9
_LEAST_UNLIKE = 0.1
_PRIOR_PEAKS = 30
_MOST = 30.0
_HALF_ONE = 0.5
_HALF, _WHOLE = 0.1, 1.0


class Tails(NamedTuple):
    """The distributions of the statistics of E entities with C channels by views V.

    ``centre``: (E, C, V); ``knots``: (E, C, V, levels), the quantiles of the distance from it, and
    ``decades`` of how rare each is.
    ``scale``, ``shape``: (E, C, V), of a generalised Pareto tail beyond the last one.
    ``runs``: (E, C, 2, 3), of values that stay and that lack: the longest run, the decades of one
    more, and those of each further.
    """

    centre: FloatArray
    knots: FloatArray
    decades: FloatArray
    scale: FloatArray
    shape: FloatArray
    runs: FloatArray


class Peaks(NamedTuple):
    """What an entity's training says of a statistic, and its independent peaks beyond the knots."""

    centre: float
    knots: FloatArray
    mean: float
    shape: float
    number: float
    independent: float


def find_peaks(statistic: FloatArray) -> Peaks:
    """Return the peaks of a statistic (n,) over training, one per stretch that is related."""
    n = len(statistic)
    centre = float(np.median(statistic))
    away = np.abs(statistic - centre)
    knots = np.quantile(away, LEVELS)
    beyond = np.flatnonzero(away > knots[-1])
    if not beyond.size:
        return Peaks(centre, knots, 0.0, 0.0, 0, n)
    related = _related(statistic - centre)
    apart = max(related, _LEAST_APART)
    cuts = np.flatnonzero(np.diff(beyond) > apart) + 1
    heights = np.array([away[part].max() for part in np.split(beyond, cuts)]) - knots[-1]
    shape = _shape(heights)
    return Peaks(centre, knots, float(heights.mean()), shape, len(heights), n / related)


def _related(values: FloatArray) -> int:
    """Return after how many readings a statistic is no longer like what it was."""
    n = len(values)
    spectrum = np.abs(np.fft.rfft(values, 2 * n)) ** 2
    alike = np.fft.irfft(spectrum)[:n]
    if alike[0] <= 0:
        return 1
    below = np.flatnonzero(alike < _UNRELATED * alike[0])
    return int(below[0]) if below.size else n // 4


def _shape(heights: FloatArray) -> float:
    """Return the shape of a generalised Pareto distribution by L-moments, drawn to 0."""
    k = len(heights)
    if k < 3:
        return 0.0
    ordered = np.sort(heights)
    mean = float(ordered.mean())
    second = 2 * float((ordered * np.arange(k) / (k - 1)).mean()) - mean
    found = float(np.clip(2 - mean / second, 0.0, _HEAVIEST)) if second > 0 else 0.0
    return found * k / (k + _PRIOR_PEAKS)


def join(peaks: list[list[list[Peaks]]], runs: FloatArray) -> Tails:
    """Return the tails by the peaks of entities, channels and views.

    That k of m independent values lie beyond a knot is taken for (½ + k)/(½ + m), as new ones do.
    A shape is the median of all entities'. A scale is drawn to that of all, as much as entities
    are alike; that it was measured on k peaks makes the tail heavier by 1/k, as what is exponential
    with a scale learned from k values is Pareto.
    """

    def gather(name: str) -> FloatArray:
        return np.array([[[getattr(p, name) for p in views] for views in one] for one in peaks])

    count = np.maximum(gather("number"), 1)
    mean = np.maximum(gather("mean"), _LEAST_SCALE)
    common = (count * mean).sum(axis=0) / count.sum(axis=0)
    unlike = ((mean / common - 1) ** 2).mean(axis=0) - (1 / count).mean(axis=0)
    alike = 0.0 if len(peaks) == 1 else 1 / np.maximum(unlike, _LEAST_UNLIKE)
    mean = (count * mean + alike * common) / (count + alike)
    shape = np.minimum(np.median(gather("shape"), axis=0) + 1 / (count + alike), _HEAVIEST)
    independent = gather("independent")[..., None]
    beyond = (_HALF_ONE + (1 - LEVELS) * independent) / (independent + _HALF_ONE)
    return Tails(
        gather("centre"), gather("knots"), -np.log10(beyond), mean * (1 - shape), shape, runs
    )


def runs_of(statistics: FloatArray) -> FloatArray:
    """Return the runs (C, 2, 3) that training held, from statistics (n, C, views)."""
    n = len(statistics)
    found = np.empty((statistics.shape[1], 2, 3))
    for c in range(len(found)):
        for k, view in enumerate((STUCK, MISSING)):
            lengths = statistics[:, c, view]
            longest, often = float(lengths.max(initial=0)), ((lengths > 0).sum() + 1) / (n + 1)
            further = -np.log10((longest + _HALF) / (longest + _WHOLE))
            by_chance = -np.log10(often)
            if longest * by_chance <= 1.5 * np.log10(n):  # as long as by chance: so they go on
                further = max(further, by_chance)
            found[c, k] = longest, np.log10(n), further
    return found


def rarest_of(t: Tails, e: int, statistics: FloatArray) -> FloatArray:
    """Return the decades (n,) of the rarest of each reading's statistics (n, C, views)."""
    found = np.empty(len(statistics))
    _rarest_of(t, e, statistics, found)
    return found


@njit(cache=True, error_model="numpy")
def _rarest_of(t, e, statistics, found):  # type: ignore[no-untyped-def]
    parts, views = np.zeros(statistics.shape[1]), np.zeros(statistics.shape[1], np.int8)
    for i in range(len(statistics)):
        found[i] = rarest(t, e, statistics[i], parts, views)


@njit(cache=True, error_model="numpy")
def rarest(t, e, found, parts, views):  # type: ignore[no-untyped-def]
    """Return the decades of the rarest statistic (C, V) of entity e.

    Writes the rarest of each channel into ``parts`` (C,), and which view it is of into ``views``.
    """
    best = 0.0
    for c in range(len(found)):
        parts[c], views[c] = 0.0, 0
        for view in range(len(VIEWS)):
            decades = decades_of(t, e, c, view, found[c, view])
            if decades > parts[c]:
                parts[c], views[c] = decades, view
        best = max(best, parts[c])
    return best


@njit(cache=True, error_model="numpy")
def decades_of(t, e, c, view, value):  # type: ignore[no-untyped-def]
    """Return minus the logarithm (base 10) of how likely a statistic is to be as far out."""
    if view > SPREAD:
        longest, first, further = t.runs[e, c, view - STUCK]
        if value <= longest:
            return 0.0
        return min(first + (value - longest - 1) * further, _MOST)
    away = abs(value - t.centre[e, c, view])
    knots, decades = t.knots[e, c, view], t.decades[e, c, view]
    beyond = away - knots[-1]
    if beyond <= 0:
        for k in range(len(knots) - 1, 0, -1):
            if away > knots[k - 1]:
                part = (away - knots[k - 1]) / max(knots[k] - knots[k - 1], 1e-300)
                return decades[k - 1] + part * (decades[k] - decades[k - 1])
        return 0.0
    shape, scale = t.shape[e, c, view], t.scale[e, c, view]
    tail = np.log1p(shape * beyond / scale) / shape / np.log(10.0)
    return min(decades[-1] + tail, _MOST)
