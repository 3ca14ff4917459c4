"""What detectors of series share that score windows."""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

import numpy as np

from tocsin.base import SeriesDetector, Stretch, Stretches
from tocsin.base.declared import Within
from tocsin.base.series import out_of_block_scores
from tocsin.detectors.series._channels import StandardisedChannels, check_counts
from tocsin.features.windows import average_over_windows, smooth, starts
from tocsin.types import FloatArray, IntArray, Scores

_CELLS = 4_000_000
"""At most this many numbers in the windows that are compared at once: 32 MB."""


class SubsequenceDetector(StandardisedChannels, SeriesDetector):
    """A detector that compares windows, one vector each, with what it learned from others.

    Vectors are of ``points_`` smoothed points per channel, without each channel's own mean where
    ``centre`` is set. A subclass says in ``_learn_rows`` and ``_compare`` what it does with rows
    of such vectors (windows, points × channels); its scores, parts and expected values of rows
    become those of points: the means over the windows that cover them. A stretch shorter than a
    window is seen behind what may have come before it.
    """

    window: int | None
    centre: bool

    most_windows = 5_000

    window_: Annotated[int, Within(1)]
    points_: Annotated[int, Within(1)]
    middle_score_: float | None

    @abstractmethod
    def _learn_rows(self, V: FloatArray) -> None:
        """Learn from rows V (windows, points × channels)."""

    @abstractmethod
    def _compare(self, V: FloatArray) -> Scores:
        """Score rows V (windows, points × channels)."""

    def _check_parameters(self) -> None:
        check_counts(self, "window", least=2)

    def _choose(self, stretches: Stretches) -> None:
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
        values = out_of_block_scores(self, stretches)
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


def overlay(values: FloatArray, at: IntArray, n: int) -> FloatArray:
    """Return the mean (n,) of all values that stand at each point; between them, straight lines.

    >>> overlay(np.array([[1.0, 2.0], [4.0, 6.0]]), np.array([[0, 1], [1, 3]]), 4).tolist()
    [1.0, 3.0, 4.5, 6.0]
    """
    count = np.bincount(at.ravel(), minlength=n)
    covered = np.flatnonzero(count)
    mean = np.bincount(at.ravel(), weights=values.ravel(), minlength=n)[covered] / count[covered]
    return np.interp(np.arange(n), covered, mean)
