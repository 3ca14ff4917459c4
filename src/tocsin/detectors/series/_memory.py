"""What views keep of the training series, and how a stretch is judged by that alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tocsin.detectors.series._views import (
    Forecast,
    ForecastView,
    NearestWindows,
    SeriesView,
    ViewScores,
    WindowView,
    flat,
    nearest_outside,
)
from tocsin.features.windows import average_over_windows, smooth, starts
from tocsin.types import BoolArray, FloatArray, IntArray

_LIMIT = 20.0
"""Windows are compared within this many spreads of the middle."""

_SAMPLE = 300
"""So many training windows tell what is usual for a stretch shorter than a window."""


@dataclass(frozen=True)
class Training:
    """Training stretches one behind the other, in comparable units, without single spikes.

    ``series`` (n, channels); ``ends``: where each stretch ends; ``judged`` (channels,): whose
    values tell what is normal.
    """

    series: FloatArray
    ends: IntArray
    judged: BoolArray

    @classmethod
    def of(cls, stretches: Sequence[FloatArray], judged: BoolArray) -> Training:
        """Return the training of stretches (n, channels), clipped."""
        ends = np.cumsum([len(X) for X in stretches])
        return cls(within(np.concatenate(stretches)), ends, judged)

    @property
    def longest(self) -> int:
        """The length of the longest stretch."""
        return int(np.diff(self.ends, prepend=0).max())

    def stretches(self) -> list[FloatArray]:
        """Return the stretches apart from each other."""
        return np.split(self.series, self.ends[:-1])

    def spans(self, before: int, after: int, most: int) -> IntArray:
        """Return at most ``most`` positions, evenly spread, with room before and after them.

        Their spans [at − before, at + after) stay within a stretch.
        """
        first = np.r_[0, self.ends[:-1]]
        rooms = zip(first + before, self.ends - after + 1, strict=True)
        at = np.concatenate([np.arange(low, max(low, high)) for low, high in rooms])
        return at[starts(len(at), 1, most)] if len(at) else at


def within(X: FloatArray) -> FloatArray:
    """Return values within what is compared."""
    return np.asarray(np.clip(X, -_LIMIT, _LIMIT))


class WindowMemory:
    """The training windows of a view, and how far other windows are from the nearest of them."""

    def __init__(self, view: WindowView, training: Training) -> None:
        self.view = replace(view, length=max(1, min(view.length, training.longest)))
        self.training = training
        self._begin = training.spans(0, self.view.length, view.references)
        own = [self.view.smoothed(X[:, training.judged]) for X in training.stretches()]
        self._smoothed = np.concatenate(own)
        self._windows = self.view.cut(self._smoothed, self._begin)

    def look(self, X: FloatArray, most: int | None = None) -> ViewScores | None:
        """Return the distances in a stretch (n, channels), averaged over covering windows.

        ``most``: windows to look at, at most; by default at all of them, so that a point's
        distance does not depend on the stretch's length. None where no window fits.
        """
        length, n = self.view.length, len(X)
        if n < length:
            return None
        begin = starts(n, length, n if most is None else most)
        Q = self.view.cut(self.view.smoothed(X[:, self.training.judged]), begin)
        nearest = nearest_outside(flat(Q), flat(self._windows), begin, self._begin, 0)
        parts = ((Q - self._windows[nearest]) ** 2).mean(axis=1, dtype=np.float64)
        return ViewScores(
            average_over_windows(np.sqrt(parts.sum(axis=1)), begin, length, n),
            np.stack([average_over_windows(part, begin, length, n) for part in parts.T], axis=1),
            NearestWindows(begin, self._begin[nearest], length, self.view.form != "raw"),
        )

    def shortened(self, length: int, usual: float) -> tuple[WindowMemory, FloatArray]:
        """Return the memory of shorter windows, and the scale of their distances.

        It is such that 1 of 200 training windows rises above ``usual``: a stretch of one window
        has no others to average, and all its views may be alike.
        """
        short = WindowMemory(replace(self.view, length=length), self.training)
        begin = self.training.spans(0, length, _SAMPLE)
        Q = short.view.cut(short._smoothed, begin)
        nearest = nearest_outside(flat(Q), flat(short._windows), begin, short._begin, length)
        parts = ((Q - short._windows[nearest]) ** 2).mean(axis=1, dtype=np.float64)
        values = np.sqrt(parts.sum(axis=1))
        scale, high = scale_of(values), np.quantile(values, 0.995)
        scale[1] = max(scale[1], (high - scale[0]) / (BEND * np.expm1(usual)))
        return short, scale


class ForecastMemory:
    """A view's forecast, learned from the training series."""

    def __init__(self, view: ForecastView, training: Training) -> None:
        self.view, self.judged = view, training.judged
        lags = np.array([lag for lag in view.lags if lag <= max(1, training.longest // 4)])
        at = training.spans(int(lags.max()), 1, 20_000)
        X = training.series
        self._forecast = Forecast.of(X, X[:, self.judged], at, lags, view.ridge)

    def look(self, X: FloatArray, most: int | None = None) -> ViewScores | None:
        """Return the errors in a stretch (n, channels), averaged; None where none can be made."""
        first, n = int(self._forecast.lags.max()), len(X)
        if n <= first:
            return None
        at = np.arange(first, n)
        errors = np.abs(X[at][:, self.judged] - self._forecast(X, at))
        # The first points have no past: the errors after them stand for theirs, mirrored.
        parts = np.pad(errors, ((first, 0), (0, 0)), mode="symmetric")
        return ViewScores(
            smooth(parts.max(axis=1), self.view.smoothing), smooth(parts, self.view.smoothing)
        )


Memory = WindowMemory | ForecastMemory


def memories(views: Sequence[SeriesView], training: Training) -> list[Memory]:
    """Return what each view keeps of the training series."""
    made: list[Memory] = []
    for view in views:
        if isinstance(view, WindowView):
            made.append(WindowMemory(view, training))
        elif isinstance(view, ForecastView):
            made.append(ForecastMemory(view, training))
    return made


def scale_of(values: FloatArray) -> FloatArray:
    """Return the middle of a view's scores (n,) and the unit in which they rise above it, (2,)."""
    low, middle, high, highest = np.quantile(values, [0, 0.5, 0.99, 0.999])
    return np.array([middle, high - middle + 0.02 * (highest - low) + 0.01])


def rise(values: FloatArray, scale: FloatArray) -> FloatArray:
    """Return a view's scores in that unit; high ones grow by their logarithm only."""
    return np.asarray(np.log1p(np.maximum(0, (values - scale[0]) / scale[1]) / BEND))


BEND = 3.0
"""From this many units on, a view's scores grow by their logarithm."""
