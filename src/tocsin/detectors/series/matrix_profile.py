"""Matrix profile: how far each window is from the one most like it elsewhere in the series."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from tocsin.base import Stretch, Stretches
from tocsin.detectors.series._subsequences import (
    USUAL_WINDOW,
    HistoryDetector,
    check_counts,
    overlay,
)
from tocsin.detectors.windows import average_over_windows, dominant_period, smooth
from tocsin.errors import ParameterError
from tocsin.types import Card, FloatArray, IntArray, Scores

_FLAT = 0.05  # of a channel's deviation: windows flatter than this are not blown up further


class MatrixProfile(HistoryDetector):
    """Distance of each window to its nearest neighbour that begins at least a window away.

    Windows of ``window`` points (None: 100, or the dominant period of a single channel if it is
    longer; at most a quarter of the training series). ``normalize`` says what of a window is
    left out: "mean" keeps its amplitude, "scale" divides by its deviation too, as is usual for
    matrix profiles, "nothing" keeps its level. The training series stands before the one that
    is scored, so that its windows can be neighbours; longer series than ``max_points``, less
    for several channels, are averaged down to that. Profiles are exact and one a channel:
    ``parts`` (n, channels), the mean over the windows that cover a point; their mean is the
    score; ``expected`` (n, channels) is the mean of the nearest windows, moved to the level of
    those that they are compared with. Raises ParameterError for another ``normalize``, or fewer
    than 2 points. Yeh et al., Matrix Profile I, ICDM 2016; Zhu et al., Matrix Profile II, ICDM
    2016.

    >>> wave = np.sin(np.arange(1000) / 5)
    >>> broken = wave.copy()
    >>> broken[700:710] = 0
    >>> scores = MatrixProfile().fit(wave[:500]).score(broken)
    >>> 600 < int(scores.values.argmax()) < 800
    True
    """

    card = Card(
        name="matrix_profile",
        modality="series",
        family="neighbours",
        learning=("one-class", "unlabelled"),
        summary="How far a window is from the one most like it elsewhere in the series.",
        paper="Yeh et al., Matrix Profile I, ICDM 2016",
        cost="score O(n²) a channel for at most max_points points in all",
    )

    def __init__(
        self,
        window: int | None = None,
        normalize: str = "mean",
        max_points: int = 20_000,
        seed: int = 0,
    ) -> None:
        self.window = window
        self.normalize = normalize
        self.max_points = max_points
        self.seed = seed

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        check_counts(self, "window", "max_points", least=2)
        if self.normalize not in ("nothing", "mean", "scale"):
            raise ParameterError(
                f'normalize is {self.normalize!r}; it must be "nothing", "mean" or "scale".'
            )
        self._learn_channels(X)
        usual = USUAL_WINDOW
        if len(self.scored_) == 1:
            usual = max(usual, dominant_period(X[:, self.scored_[0]]))
        self.window_ = max(2, min(self.window or usual, len(X) // 4))
        self.history_ = X.copy()

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        joined = self._join(X)
        n, new = len(joined), slice(len(joined) - len(X), None)
        Z = self._standardise(joined)[:, self.scored_]
        step = math.ceil(n * math.sqrt(Z.shape[1]) / self.max_points)
        step = min(step, max(1, self.window_ // 4))
        length = self.window_ // step
        parts, expected = np.empty(Z.shape), np.empty(Z.shape)
        for j, z in enumerate(Z.T):
            coarse = np.ascontiguousarray(smooth(z, step)[step // 2 :: step])
            squared, nearest = _profile(coarse, length, *self._moments(coarse, length))
            begin = np.arange(len(squared)) * step
            of_windows = np.sqrt(squared / length)
            parts[:, j] = average_over_windows(of_windows, begin, length * step, n)
            expected[:, j] = self._nearest(coarse, nearest, length, step, n)
        spread = self._by_channel(parts[new])
        return Scores(parts[new].mean(axis=1), spread, self._in_units(expected, joined)[new])

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        X = np.concatenate([stretch.values for stretch in stretches])
        return self._score(Stretch(X)).values  # no window is its own neighbour

    def _moments(self, x: FloatArray, length: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return of each window its squared norm, mean and weight, as ``normalize`` has it."""
        windows = np.lib.stride_tricks.sliding_window_view(x, length)
        weight = np.ones(len(windows))
        if self.normalize == "nothing":
            return np.einsum("ij,ij->i", windows, windows), np.zeros(len(windows)), weight
        mean = windows.mean(axis=1)
        norm = np.einsum("ij,ij->i", windows, windows) - length * mean**2
        if self.normalize == "scale":
            weight = 1 / np.sqrt(np.maximum(norm / length, _FLAT**2))
        return norm * weight**2, mean, weight

    def _nearest(
        self, x: FloatArray, nearest: IntArray, length: int, step: int, n: int
    ) -> FloatArray:
        """Return the mean (n,) of the nearest windows over the points that they stand for."""
        windows = np.lib.stride_tricks.sliding_window_view(x, length)
        some = np.arange(0, len(windows), max(1, length // 8))
        level = windows[some].mean(axis=1) - windows[nearest[some]].mean(axis=1)
        values = windows[nearest[some]] + (0 if self.normalize == "nothing" else level[:, None])
        at = (some[:, None] + np.arange(length)) * step + step // 2
        return overlay(values, at, n)


@njit(cache=True)
def _profile(
    x: FloatArray, length: int, norm: FloatArray, mean: FloatArray, weight: FloatArray
) -> tuple[FloatArray, IntArray]:
    """Return the squared distance to each window's nearest neighbour, and where that begins.

    Diagonal by diagonal: the product of two windows follows from that of the two before.
    Windows that overlap are not compared, unless the series is too short for others.
    """
    windows = len(x) - length + 1
    least, nearest = np.full(windows, np.inf), np.zeros(windows, dtype=np.int64)
    for lag in range(max(1, min(length, windows // 2)), windows):
        product = 0.0
        for i in range(length):
            product += x[i] * x[i + lag]
        for i in range(windows - lag):
            j = i + lag
            if i:
                product += x[i + length - 1] * x[j + length - 1] - x[i - 1] * x[j - 1]
            shared = weight[i] * weight[j] * (product - length * mean[i] * mean[j])
            squared = norm[i] + norm[j] - 2 * shared
            if squared < least[i]:
                least[i], nearest[i] = squared, j
            if squared < least[j]:
                least[j], nearest[j] = squared, i
    return np.maximum(least, 0.0), nearest
