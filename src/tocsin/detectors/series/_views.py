"""Views of a series: ways to look at it that each give every point a score."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tocsin.detectors.series._units import REACH, usual_range
from tocsin.features.windows import average_over_windows, smooth, starts
from tocsin.types import BoolArray, FloatArray, IntArray

Scale = Literal["whole", "training"]
Form = Literal["raw", "centred", "shape"]
Among = Literal["whole", "training"]


@dataclass(frozen=True)
class SeriesContext:
    """What the views look at: a series (n, channels), in [-1, 1], that begins with a known one.

    ``known``: the length of the training series. ``ends``: where its stretches end; windows
    do not cross from one to the next. ``judged``: (channels,) bool, the channels whose values
    tell what is normal; the others are only inputs of a forecast.
    """

    series: FloatArray
    unit: FloatArray
    known: int
    ends: IntArray
    judged: BoolArray

    @classmethod
    def of(cls, X: FloatArray, known: int, ends: IntArray | None = None) -> SeriesContext:
        """Return the context of a series of any finite values, of one stretch by default.

        Values far beyond the usual training range, in its units, are clipped.
        Channels of at most two values (commands, flags) are not judged, unless there are no
        others.
        """
        low, high = usual_range(X[:known])
        with np.errstate(over="ignore"):
            reach = np.where(high > low, REACH * (high - low), np.inf)
            X = np.clip(X, low - reach, high + reach)
        unit = np.abs(X).max(axis=0)
        unit[unit == 0] = 1
        distinct = np.array([len(np.unique(x)) for x in X.T])
        for least in (3, 2, 1):
            if (distinct >= least).any():
                break
        ends = np.array([len(X)]) if ends is None else ends
        return cls(X / unit, unit, known, ends, distinct >= least)

    def scaled(self, scale: Scale, *, judged: bool = True) -> FloatArray:
        """Return the judged channels, or all, (n, k) in comparable units."""
        X = self.series[:, self.judged] if judged else self.series
        whole = X.std(axis=0)
        if scale == "whole":
            return clipped((X - X.mean(axis=0)) / _or_one(whole), 1000)
        training = X[: self.known]
        spread = np.maximum(training.std(axis=0), 0.1 * whole)
        return clipped((X - training.mean(axis=0)) / _or_one(spread), 20)

    @property
    def longest(self) -> int:
        """The length of the longest stretch."""
        return int(np.diff(self.ends, prepend=0).max())

    def uncrossed(self, at: IntArray, before: int, after: int) -> IntArray:
        """Return those positions whose span [at − before, at + after) stays in one stretch."""
        stretch = np.searchsorted(self.ends, at - before, "right")
        return at[at + after <= self.ends[stretch]]


@dataclass(frozen=True)
class NearestWindows:
    """Windows of ``length`` points that begin at ``begin`` (w,), and the most similar ones.

    ``nearest`` (w,) is where those begin. With ``centred``, levels are not compared.
    """

    begin: IntArray
    nearest: IntArray
    length: int
    centred: bool

    def expected(self, X: FloatArray, source: FloatArray) -> FloatArray:
        """Return the nearest windows of ``source`` in place of X (n, channels), averaged."""
        own = np.arange(self.length)
        level = np.zeros((len(self.begin), X.shape[1]))
        if self.centred:
            level = _means(X, self.begin, self.length) - _means(source, self.nearest, self.length)
        total, count = np.zeros_like(X), np.zeros((len(X), 1))
        for offset in own:
            total[self.begin + offset] += source[self.nearest + offset] + level
            count[self.begin + offset] += 1
        return np.where(count > 0, total / np.maximum(count, 1), X)


@dataclass(frozen=True)
class ViewScores:
    """What a view sees: how strange each point is, ``values`` (n,), and by which channels.

    ``parts``: (n, judged channels). ``match``: which windows were compared, if any.
    """

    values: FloatArray
    parts: FloatArray
    nearest: NearestWindows | None = None


@dataclass(frozen=True)
class WindowView:
    """The distance of each window to its nearest neighbour outside an exclusion zone.

    Windows of ``length`` points (at most a quarter of what they are compared with), smoothed
    and thinned to ``points``, ``form`` as they are ("raw"), less their mean ("centred"), or
    divided by their deviation, too ("shape"). At most ``windows`` of them are compared with
    at most ``references`` from the whole series or only the training series (``among``).
    """

    length: int
    among: Among = "whole"
    form: Form = "centred"
    scale: Scale = "whole"
    points: int = 48
    windows: int = 4000
    references: int = 2500

    def __call__(self, context: SeriesContext) -> ViewScores:
        """Return the distances, averaged over the windows that cover a point."""
        X = context.scaled(self.scale)
        n = len(X)
        known = context.known if self.among == "training" else n
        length = max(1, min(self.length, known // 4, context.longest))
        begin = context.uncrossed(starts(n, length, self.windows), 0, length)
        among = context.uncrossed(starts(known, length, self.references), 0, length)
        view = replace(self, length=length)
        smoothed = view.smoothed(X)
        Q, R = view.cut(smoothed, begin), view.cut(smoothed, among)
        nearest = nearest_outside(flat(Q), flat(R), begin, among, length)
        parts = ((Q - R[nearest]) ** 2).mean(axis=1, dtype=np.float64)
        values = np.sqrt(parts.sum(axis=1))
        return ViewScores(
            average_over_windows(values, begin, length, n),
            np.stack([average_over_windows(part, begin, length, n) for part in parts.T], axis=1),
            NearestWindows(begin, among[nearest], length, self.form != "raw"),
        )

    def smoothed(self, X: FloatArray) -> FloatArray:
        """Return a series as its windows are cut from it."""
        return smooth(X, self.length // min(self.points, self.length))

    def cut(self, smoothed: FloatArray, begin: IntArray) -> NDArray[np.float32]:
        """Return the windows (w, points, channels) that begin there, in this view's form."""
        points = min(self.points, self.length)
        offsets = np.linspace(0, self.length - 1, points).round().astype(np.int64)
        W: FloatArray = smoothed[begin[:, None] + offsets]
        if self.form != "raw":
            W = W - W.mean(axis=1, keepdims=True)
        if self.form == "shape":
            W = W / np.maximum(W.std(axis=1, keepdims=True), 0.05)
        return W.astype(np.float32)


@dataclass(frozen=True)
class ForecastView:
    """The largest absolute error, over the channels, of a linear forecast of the next point.

    A ridge regression on all channels at ``lags`` points before, learned from the whole or the
    training series (``among``); errors are averaged over ``smoothing`` points.
    """

    lags: tuple[int, ...]
    smoothing: int
    among: Among = "whole"
    ridge: float = 1e-3

    def __call__(self, context: SeriesContext) -> ViewScores:
        """Return the errors."""
        X, inputs = context.scaled(self.among), context.scaled(self.among, judged=False)
        n = len(X)
        known = context.known if self.among == "training" else n
        lags = np.array(
            [lag for lag in self.lags if lag <= max(1, min(known, context.longest) // 4)]
        )
        most = int(lags.max())
        at = context.uncrossed(np.arange(most, n), most, 1)
        learn = at[at < known]
        learn = learn[:: -(-len(learn) // 20_000)]
        weights = Forecast.of(inputs, X, learn, lags, self.ridge)
        errors = np.abs(X[at] - weights(inputs, at))
        parts = np.stack([np.interp(np.arange(n), at, error) for error in errors.T], axis=1)
        return ViewScores(smooth(parts.max(axis=1), self.smoothing), smooth(parts, self.smoothing))


@dataclass(frozen=True)
class Forecast:
    """A linear forecast of the next point (k,) from all channels at ``lags`` points before."""

    lags: IntArray
    centre: FloatArray
    weights: FloatArray
    level: FloatArray

    @classmethod
    def of(
        cls, inputs: FloatArray, X: FloatArray, at: IntArray, lags: IntArray, ridge: float
    ) -> Forecast:
        """Return the ridge regression of X (n, k) at ``at`` on inputs (n, channels) before."""
        A, B = _lagged(inputs, at, lags), X[at]
        centre, level = A.mean(axis=0), B.mean(axis=0)
        A -= centre
        gram = A.T @ A + ridge * len(A) * np.eye(A.shape[1])
        return cls(lags, centre, np.linalg.solve(gram, A.T @ (B - level)), level)

    def __call__(self, inputs: FloatArray, at: IntArray) -> FloatArray:
        """Return the forecasts (len(at), k)."""
        forecasts = np.empty((len(at), len(self.level)))
        for rows in np.array_split(np.arange(len(at)), -(-len(at) // 20_000) or 1):
            past = _lagged(inputs, at[rows], self.lags) - self.centre
            forecasts[rows] = past @ self.weights + self.level
        return forecasts


SeriesView = WindowView | ForecastView
"""A way to look at a series in view."""


def nearest_outside(
    Q: NDArray[np.float32],
    R: NDArray[np.float32],
    begin: IntArray,
    among: IntArray,
    zone: int,
) -> IntArray:
    """Return the nearest row (q,) of R for each row of Q that begins at least ``zone`` away."""
    low, high = np.searchsorted(among, begin - zone, "right"), np.searchsorted(among, begin + zone)
    norms = (R * R).sum(axis=1)
    nearest = np.empty(len(Q), dtype=np.int64)
    for first in range(0, len(Q), 1000):
        rows = slice(first, first + 1000)
        squares = norms - 2 * (Q[rows] @ R.T)
        for row, i, j in zip(squares, low[rows], high[rows], strict=True):
            row[i:j] = np.inf
        nearest[rows] = squares.argmin(axis=1)
    return nearest


def flat(W: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return windows (w, points, channels) as vectors (w, points · channels)."""
    return W.reshape(len(W), -1)


def _lagged(X: FloatArray, at: IntArray, lags: IntArray) -> FloatArray:
    """Return the values (len(at), lags · channels) of a series that many points before."""
    values: FloatArray = X[at[:, None] - lags]
    return values.reshape(len(at), -1)


def _means(X: FloatArray, begin: IntArray, length: int) -> FloatArray:
    """Return the mean (w, channels) of each window."""
    total = np.concatenate([np.zeros((1, X.shape[1])), np.cumsum(X, axis=0)])
    return np.asarray((total[begin + length] - total[begin]) / length)


def clipped(X: FloatArray, limit: float) -> FloatArray:
    """Return values within ±limit."""
    return np.asarray(np.clip(X, -limit, limit), dtype=np.float64)


def _or_one(spread: FloatArray) -> FloatArray:
    return np.where(spread > 1e-12, spread, 1.0)
