"""What detectors of series share: standardised channels, and scores of windows."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
from sklearn.base import clone

from tocsin.base import SeriesDetector, Stretch, Stretches
from tocsin.base.faults import FaultAware
from tocsin.base.likely_past import REMEMBERED, likely_past
from tocsin.base.series import blocks_of
from tocsin.errors import ParameterError
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.features.windows import average_over_windows, dominant_period, smooth, starts
from tocsin.types import FloatArray, IntArray, Scores

LIMIT = 20.0
"""Standardised values are clipped here, so that one spike does not rule all windows."""

USUAL_WINDOW = 100
"""The least window where none is set: long enough to hold a shape in most series."""

_CELLS = 4_000_000
"""So many numbers at most in the windows that are compared at once: 32 MB."""


class ChannelsDetector(FaultAware):
    """A detector that standardises channels by the training series and scores some of them.

    Channels of at most two distinct training values (commands, flags) are not scored unless
    there are no others: their jumps are as large as their range, and would drown the rest. Where
    a channel is constant in training, any other value is as far out as values can be.

    A subclass learns in ``_choose`` how long its windows and lags are, and in ``_learn_values``
    all else: models that calibrate on blocks have the former in common.
    """

    scored_: IntArray
    mean_: FloatArray
    scale_: FloatArray
    remembered_: FloatArray

    @abstractmethod
    def _choose(self, stretches: Stretches) -> None:
        """Set lengths from the stretches, standardised; raise ParameterError for bad ones."""

    @abstractmethod
    def _learn_values(self, stretches: Stretches) -> None:
        """Learn from stretches, standardised."""

    def _learn(self, stretches: Stretches) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        low, high = X.min(axis=0), X.max(axis=0)
        several = ((low != X) & (high != X)).any(axis=0)
        varied = several if several.any() else low != high
        self.scored_ = np.flatnonzero(varied if varied.any() else np.ones(len(low), dtype=bool))
        self._learn_scale(stretches)
        self._choose([self._standardise(stretch) for stretch in stretches])
        self._learn_values([self._standardise(stretch) for stretch in stretches])

    def _refitted(self, stretches: Stretches) -> Self:
        copy: Self = clone(self).set_state(self.get_state())
        copy._learn_faults(stretches)
        clean = [copy._without_glitches(stretch)[0] for stretch in stretches]
        copy._learn_scale(clean)
        copy._learn_values([copy._standardise(stretch) for stretch in clean])
        return copy

    def _learn_scale(self, stretches: Stretches) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        self.mean_, self.scale_ = location_and_scale(X)
        constant = X.min(axis=0) == X.max(axis=0)
        self.scale_[constant] = 1e-6 * np.where(X[0] == 0, 1.0, np.abs(X[0]))[constant]
        longest = max(stretches, key=len)
        self.remembered_ = self._standardise(longest).values[-REMEMBERED:]

    def _standardise(self, stretch: Stretch) -> Stretch:
        """Return a stretch with all channels standardised and clipped."""
        Z = standardise(stretch.values, self.mean_, self.scale_).clip(-LIMIT, LIMIT)
        return Stretch(Z, stretch.at)

    def _likely_past(self, Z: FloatArray, length: int) -> FloatArray:
        """Return points (length, c) that may have come before a standardised series Z (n, c)."""
        return likely_past(self.remembered_, Z, length, self.scored_)

    def _in_units(self, Z: FloatArray, X: FloatArray) -> FloatArray:
        """Return X with its scored channels replaced by standardised values Z (n, scored)."""
        own = self.scored_
        expected = X.copy()
        with np.errstate(over="ignore"):
            expected[:, own] = Z * self.scale_[own] + self.mean_[own]
        largest = np.finfo(np.float64).max
        return expected.clip(-largest, largest)

    def _by_channel(self, parts: FloatArray) -> FloatArray:
        """Return parts (n, c) from those of the scored channels; 0 for the others."""
        everywhere = np.zeros((len(parts), self.n_features_in_))
        everywhere[:, self.scored_] = parts
        return everywhere

    def _leave_out_edges(self, stretches: Stretches, window: int) -> None:
        """Leave the ends of blocks, which few windows cover, out of what calibrates."""
        held_out = []
        for stretch in stretches:
            own = np.ones(len(stretch), dtype=np.bool_)
            for start, end in blocks_of(len(stretch)):
                if end - start > 3 * window:
                    own[start : start + window] = own[end - window : end] = False
            held_out.append(own)
        self.held_out_ = np.concatenate(held_out)

    def _usual_width(self, stretches: Stretches, width: int | None) -> int:
        """Return the width, or the period of a single channel, over which scores are smoothed."""
        several = self.n_features_in_ > 1
        return width or (USUAL_WINDOW if several else max(16, self._period(stretches)))

    def _period(self, stretches: Stretches) -> int:
        """Return the dominant period of the first scored channel in the longest stretch."""
        return dominant_period(max(stretches, key=len).values[:, self.scored_[0]])

    def _usual_window(self, stretches: Stretches, window: int | None) -> int:
        """Return the window, or the usual one, at most a quarter of the longest stretch."""
        usual = USUAL_WINDOW
        if len(self.scored_) == 1:
            usual = max(usual, self._period(stretches))
        return max(2, min(window or usual, max(map(len, stretches)) // 4))


class SubsequenceDetector(ChannelsDetector):
    """A detector that compares windows, one vector each, with what it learned from others.

    Vectors are of ``points_`` smoothed points a channel, without each channel's own mean where
    ``centre`` is set. A subclass says in ``_learn_rows`` and ``_compare`` what it does with rows
    of such vectors (windows, points × channels); its scores, parts and expected values of rows
    become those of points: the means over the windows that cover them. A stretch shorter than a
    window is seen behind what may have come before it.
    """

    window: int | None
    centre: bool

    most_windows = 5_000

    window_: int
    points_: int
    middle_score_: float | None

    @abstractmethod
    def _learn_rows(self, V: FloatArray) -> None:
        """Learn from rows V (windows, points × channels)."""

    @abstractmethod
    def _compare(self, V: FloatArray) -> Scores:
        """Score rows V (windows, points × channels)."""

    def _choose(self, stretches: Stretches) -> None:
        check_counts(self, "window", least=2)
        self.window_ = self._usual_window(stretches, self.window)
        self.points_ = min(self.window_, 32 if len(self.scored_) <= 8 else 16)

    def _learn_values(self, stretches: Stretches) -> None:
        self.window_ = min(self.window_, max(map(len, stretches)))
        self.points_ = min(self.points_, self.window_)
        whole = [stretch for stretch in stretches if len(stretch) >= self.window_]
        counts = [len(stretch) - self.window_ + 1 for stretch in whole]
        share = min(1.0, self.most_windows / sum(counts))
        rows = []
        for stretch, count in zip(whole, counts, strict=True):
            begin = starts(len(stretch), self.window_, max(1, int(count * share)))
            rows.append(self._vectors(self._smoothed(stretch.values), begin)[0])
        self._learn_rows(np.concatenate(rows))
        self.middle_score_ = None

    def _judge_training(self, stretches: Stretches) -> FloatArray:
        values = super()._judge_training(stretches)
        self.middle_score_ = float(np.median(values))
        self._leave_out_edges(stretches, self.window_)
        return values

    def _judge(self, stretch: Stretch, severity: FloatArray) -> Scores:
        Z = self._standardise(stretch).values
        short = max(0, self.window_ - len(Z))
        if short:
            Z = np.concatenate([self._likely_past(Z, short), Z])
            short = len(Z) - len(stretch)
        n, k = len(Z), len(self.scored_)
        length = min(self.window_, n)
        smoothed = self._smoothed(Z)
        begin = np.arange(n - length + 1)
        values, parts = np.empty(len(begin)), np.empty((len(begin), k))
        chunk = max(1, _CELLS // (self.points_ * k))
        for first in range(0, len(begin), chunk):
            own = begin[first : first + chunk]
            rows = self._compare(self._vectors(smoothed, own)[0])
            values[own] = rows.values
            if rows.parts is not None:
                parts[own] = rows.parts.reshape(-1, self.points_, k).sum(axis=1)
        spread = None
        if rows.parts is not None:
            of_points = [average_over_windows(x, begin, length, n) for x in parts.T]
            spread = self._by_channel(np.stack(of_points, axis=1)[short:])
        expected = self._expected(smoothed)
        means = average_over_windows(values, begin, length, n)
        return Scores(
            self._steadied(means, len(begin), length)[short:],
            spread,
            None if expected is None else self._in_units(expected[short:], stretch.values),
        )

    def _steadied(self, means: FloatArray, windows: int, length: int) -> FloatArray:
        """Return means (n,) nearer to the usual score where few windows cover a point."""
        if self.middle_score_ is None:  # a model of some of the blocks
            return means
        n = len(means)
        covering = np.minimum(np.minimum(np.arange(1, n + 1), np.arange(n, 0, -1)), windows)
        weight = 1 - np.minimum(covering, length) / length
        return np.asarray(means + (self.middle_score_ - means) * weight / (covering + weight))

    def _expected(self, smoothed: FloatArray) -> FloatArray | None:
        """Return the expected values (n, scored), if any: the means over windows, some of all."""
        n, k = smoothed.shape
        length = min(self.window_, n)
        begin = starts(n, length, max(1, min(16 * n // length, _CELLS // (self.points_ * k))))
        V, level = self._vectors(smoothed, begin)
        rows = self._compare(V)
        if rows.expected is None:
            return None
        E = rows.expected.reshape(-1, self.points_, k) + level
        at = begin[:, None] + self._offsets()
        return np.stack([overlay(E[:, :, j], at, n) for j in range(k)], axis=1)

    def _offsets(self) -> IntArray:
        step = self.window_ / self.points_
        return ((np.arange(self.points_) + 0.5) * step).astype(np.int64)

    def _smoothed(self, Z: FloatArray) -> FloatArray:
        return smooth(Z[:, self.scored_], round(self.window_ / self.points_))

    def _vectors(self, smoothed: FloatArray, begin: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return rows (windows, points × channels) of smoothed channels, and their levels."""
        V = smoothed[begin[:, None] + self._offsets()]
        level = V.mean(axis=1, keepdims=True) if self.centre else np.zeros((1, 1, 1))
        return (V - level).reshape(len(begin), -1), level


def check_counts(detector: SeriesDetector, *names: str, least: int = 1) -> None:
    """Raise ParameterError unless the parameters of these names are None, or at least so much."""
    for name in names:
        if (value := getattr(detector, name)) is not None and value < least:
            raise ParameterError(f"{name} is {value}; it must be {least} or more.")


def overlay(values: FloatArray, at: IntArray, n: int) -> FloatArray:
    """Return the mean (n,) of all values that stand at each point; between them, straight lines.

    >>> overlay(np.array([[1.0, 2.0], [4.0, 6.0]]), np.array([[0, 1], [1, 3]]), 4).tolist()
    [1.0, 3.0, 4.5, 6.0]
    """
    count = np.bincount(at.ravel(), minlength=n)
    covered = np.flatnonzero(count)
    mean = np.bincount(at.ravel(), weights=values.ravel(), minlength=n)[covered] / count[covered]
    return np.interp(np.arange(n), covered, mean)
