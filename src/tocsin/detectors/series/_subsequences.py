"""What detectors of series share: standardised channels, history, and scores of windows."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from sklearn.base import clone

from tocsin.base import SeriesDetector, Stretch, Stretches
from tocsin.detectors.scaling import location_and_scale, standardise
from tocsin.detectors.windows import average_over_windows, dominant_period, smooth, starts
from tocsin.errors import ParameterError
from tocsin.types import FloatArray, IntArray, Scores

LIMIT = 20.0
"""Standardised values are clipped here, so that one spike does not rule all windows."""

USUAL_WINDOW = 100
"""The least window where none is set: long enough to hold a shape in most series."""

_CELLS = 4_000_000
"""So many numbers at most in the windows of one series: 32 MB."""


class ChannelsDetector(SeriesDetector):
    """A detector that standardises channels by the training series and scores some of them.

    Channels of at most two distinct training values (commands, flags) are not scored unless
    there are no others: their jumps are as large as their range, and would drown the rest. A
    channel that is constant in training has no scale of its own, and takes a tenth of the
    deviation that it shows where it is scored.
    """

    scored_: IntArray
    mean_: FloatArray
    scale_: FloatArray

    def _learn_channels(self, X: FloatArray) -> None:
        low, high = X.min(axis=0), X.max(axis=0)
        several = ((low != X) & (high != X)).any(axis=0)
        varied = several if several.any() else low != high
        self.scored_ = np.flatnonzero(varied if varied.any() else np.ones(len(low), dtype=bool))
        self.mean_, self.scale_ = location_and_scale(X)
        self.scale_[low == high] = 0.0

    def _smoothing(self, X: FloatArray, width: int | None) -> int:
        """Return the width, or the period of a single channel, over which scores are smoothed."""
        several = X.shape[1] > 1
        return width or (USUAL_WINDOW if several else max(16, dominant_period(X[:, 0])))

    def _standardise(self, X: FloatArray) -> FloatArray:
        """Return all channels (n, c) of X standardised and clipped."""
        return standardise(X, self.mean_, self._scale(X)).clip(-LIMIT, LIMIT)

    def _scale(self, X: FloatArray) -> FloatArray:
        return np.where(self.scale_ > 0, self.scale_, 0.1 * location_and_scale(X)[1])

    def _in_units(self, Z: FloatArray, X: FloatArray) -> FloatArray:
        """Return X with its scored channels replaced by standardised values Z (n, scored)."""
        own = self.scored_
        expected = X.copy()
        with np.errstate(over="ignore"):
            expected[:, own] = Z * self._scale(X)[own] + self.mean_[own]
        largest = np.finfo(np.float64).max
        return expected.clip(-largest, largest)

    def _by_channel(self, parts: FloatArray) -> FloatArray:
        """Return parts (n, c) from those of the scored channels; 0 for the others."""
        everywhere = np.zeros((len(parts), self.n_features_in_))
        everywhere[:, self.scored_] = parts
        return everywhere


class HistoryDetector(ChannelsDetector):
    """A detector that judges a series together with the training series before it."""

    history_: FloatArray

    def _join(self, X: FloatArray) -> FloatArray:
        """Return X behind the training series, or alone where it begins with that."""
        begins = np.array_equal(X[: len(self.history_)], self.history_)
        return X if begins else np.concatenate([self.history_, X])


class SubsequenceDetector(ChannelsDetector):
    """A detector that compares windows, one vector each, with what it learned from others.

    Vectors are of ``points_`` smoothed points a channel, without each channel's own mean where
    ``centre`` is set. A subclass says in ``_learn`` and ``_compare`` what it does with rows of
    such vectors (windows, points × channels); its scores, parts and expected values of rows
    become those of points: the means over the windows that cover them.
    """

    window: int | None
    centre: bool

    most_windows = 5_000

    window_: int
    points_: int
    tail_: FloatArray

    @abstractmethod
    def _learn(self, V: FloatArray) -> None:
        """Learn from rows V (windows, points × channels)."""

    @abstractmethod
    def _compare(self, V: FloatArray) -> Scores:
        """Score rows V (windows, points × channels)."""

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        check_counts(self, "window", least=2)
        self._learn_channels(X)
        usual = USUAL_WINDOW
        if len(self.scored_) == 1:
            usual = max(usual, dominant_period(X[:, self.scored_[0]]))
        self.window_ = max(2, min(self.window or usual, len(X) // 4))
        self.points_ = min(self.window_, 32 if len(self.scored_) <= 8 else 16)
        self.tail_ = X[1 - self.window_ :].copy()
        begin = starts(len(X), self.window_, self.most_windows)
        self._learn(self._vectors(self._standardise(X), begin)[0])

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        X = np.concatenate([stretch.values for stretch in stretches])
        begin = starts(len(X), self.window_, self.most_windows)
        V, _ = self._vectors(self._standardise(X), begin)
        values = np.empty(len(begin))
        for own in np.array_split(np.arange(len(begin)), 3):
            first, last = begin[own[0]], begin[own[-1]]
            others = (begin <= first - self.window_) | (begin >= last + self.window_)
            copy = clone(self).set_state(self.get_state())
            if others.sum() >= 2:
                copy._learn(V[others])
            values[own] = copy._compare(V[own]).values
        return average_over_windows(values, begin, self.window_, len(X))

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        short = max(0, self.window_ - len(X))
        joined = np.concatenate([self.tail_[len(self.tail_) - short :], X])
        n, k = len(joined), len(self.scored_)
        most = max(1, min(16 * n // self.window_, _CELLS // (self.points_ * k)))
        begin = starts(n, self.window_, most)
        V, level = self._vectors(self._standardise(joined), begin)
        rows = self._compare(V)
        values = average_over_windows(rows.values, begin, self.window_, n)[short:]
        parts = expected = None
        if rows.parts is not None:
            of_windows = rows.parts.reshape(-1, self.points_, k).sum(axis=1)
            spread = [average_over_windows(x, begin, self.window_, n) for x in of_windows.T]
            parts = self._by_channel(np.stack(spread, axis=1)[short:])
        if rows.expected is not None:
            E = rows.expected.reshape(-1, self.points_, k) + level
            at = begin[:, None] + self._offsets()
            overlaid = np.stack([overlay(E[:, :, j], at, n) for j in range(k)], axis=1)
            expected = self._in_units(overlaid, joined)[short:]
        return Scores(values, parts, expected)

    def _offsets(self) -> IntArray:
        step = self.window_ / self.points_
        return ((np.arange(self.points_) + 0.5) * step).astype(np.int64)

    def _vectors(self, Z: FloatArray, begin: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return rows (windows, points × channels) of standardised channels, and their levels."""
        smoothed = smooth(Z[:, self.scored_], round(self.window_ / self.points_))
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
