"""Matrix profile: how far each window is from the one most like it elsewhere in the series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numba import njit

from tocsin.base import SeriesDetector, Stretch, Stretches
from tocsin.base.declared import Shape, Within
from tocsin.base.series import out_of_block_scores
from tocsin.detectors.series._channels import StandardisedChannels, check_counts
from tocsin.detectors.series._subsequences import overlay
from tocsin.errors import CorruptModel, ParameterError
from tocsin.features.windows import average_over_windows, smooth
from tocsin.types import Card, FloatArray, IntArray, Scores

_FLAT = 0.05  # of a channel's deviation: windows flatter than this are not blown up further

_ROUNDING = 1e-12  # squared deviations: what is left of nothing by computing products


class MatrixProfile(StandardisedChannels, SeriesDetector):
    """Distance of each window to its nearest neighbour that begins at least a window away.

    Windows of ``window`` points (None: 100, or the dominant period of a single channel if it is
    longer; at most a quarter of the training series). ``normalize`` says what of a window is
    left out: "mean" keeps its amplitude, "scale" divides by its deviation too, as is usual for
    matrix profiles, "nothing" keeps its level. The training series stands before the one that
    is scored, so that its windows can be neighbours; longer series than ``max_points``, less
    for several channels, are averaged down to that. Profiles are exact and one per channel:
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
        cost="score O(n²) per channel for at most max_points points in all",
        also_known_as=("STOMP", "SCRIMP"),
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

    history_: Annotated[FloatArray, Shape("kept_points", "s")]
    lengths_: Annotated[IntArray, Shape("stretches"), Within(1, "kept_points")]
    step_: Annotated[int, Within(1)]
    window_: Annotated[int, Within(1)]

    def _check_parameters(self) -> None:
        check_counts(self, "window", "max_points", least=2)
        if self.normalize not in ("nothing", "mean", "scale"):
            raise ParameterError(
                f'normalize is {self.normalize!r}; it must be "nothing", "mean" or "scale".'
            )

    def _choose(self, stretches: Stretches) -> None:
        self.window_ = self._usual_window(stretches, self.window)
        self.step_ = self._thinning(sum(map(len, stretches)))

    def _learn_values(self, stretches: Stretches) -> None:
        coarse = [self._coarse(stretch.values, self.step_) for stretch in stretches]
        self.history_ = np.concatenate(coarse)
        self.lengths_ = np.array([len(each) for each in coarse])

    def _derive(self) -> None:
        if self.lengths_.sum() != len(self.history_):
            raise CorruptModel("The stretches of a matrix profile are not those of its history.")

    def _judge_training(self, stretches: Stretches) -> FloatArray:
        values = out_of_block_scores(self, stretches)
        self._leave_out_edges(stretches, self.window_)
        return values

    def _judge(self, stretch: Stretch, severity: FloatArray) -> Scores:
        n, step = len(stretch), min(self.step_, len(stretch))
        coarse = self._coarse(self._standardise(stretch).values, step)
        length = max(1, min(self.window_ // step, len(coarse), int(self.lengths_.max())))
        shape = (n, coarse.shape[1])
        parts, expected = np.empty(shape), np.empty(shape)
        for j, x in enumerate(np.ascontiguousarray(coarse.T)):
            known = np.ascontiguousarray(self.history_[:, j])
            own, theirs = self._moments(x, length), self._moments(known, length)
            squared, nearest = _join(x, own, known, theirs, self.lengths_, length)
            parts[:, j] = self._of_points(squared, length, step, n)
            expected[:, j] = self._nearest(x, known, nearest, length, step, n)
        return self._joined(parts, expected, stretch)

    def _judge_together(
        self, stretches: Stretches, severities: Sequence[FloatArray]
    ) -> list[Scores]:
        step = min(self._thinning(sum(map(len, stretches))), *map(len, stretches))
        coarse = [self._coarse(self._standardise(each).values, step) for each in stretches]
        found = []
        for i, stretch in enumerate(stretches):
            n, others = len(stretch), coarse[:i] + coarse[i + 1 :]
            length = max(1, min(self.window_ // step, len(coarse[i])))
            parts, expected = np.empty((n, len(self.scored_))), np.empty((n, len(self.scored_)))
            for j, x in enumerate(np.ascontiguousarray(coarse[i].T)):
                theirs = [np.ascontiguousarray(other[:, j]) for other in others]
                squared, nearest = self._profile(x, theirs, length)
                parts[:, j] = self._of_points(squared, length, step, n)
                known = np.concatenate([x, *theirs])
                expected[:, j] = self._nearest(x, known, nearest, length, step, n)
            found.append(self._joined(parts, expected, stretch))
        return found

    def _profile(
        self, x: FloatArray, others: list[FloatArray], length: int
    ) -> tuple[FloatArray, IntArray]:
        """Return the distances of windows of x to those elsewhere in x and in other series."""
        own = self._moments(x, length)
        squared, nearest = _profile(x, length, *own)
        known = np.concatenate([np.empty(0), *others])
        if len(known) >= length:
            sizes = np.array(list(map(len, others)))
            theirs = self._moments(known, length)
            elsewhere, where = _join(x, own, known, theirs, sizes, length)
            nearest = np.where(elsewhere < squared, where + len(x), nearest)
            squared = np.minimum(squared, elsewhere)
        # Where there is nothing to compare with, nothing is odd.
        return np.where(np.isfinite(squared), squared, 0.0), nearest

    def _thinning(self, n: int) -> int:
        """Return over how many points a series of n is averaged."""
        step = math.ceil(n * math.sqrt(len(self.scored_)) / self.max_points)
        return min(step, max(1, self.window_ // 4))

    def _coarse(self, Z: FloatArray, step: int) -> FloatArray:
        return smooth(Z[:, self.scored_], step)[step // 2 :: step]

    def _of_points(self, squared: FloatArray, length: int, step: int, n: int) -> FloatArray:
        begin = np.arange(len(squared)) * step
        mean = np.where(squared > _ROUNDING * length, squared / length, 0.0)
        return average_over_windows(np.sqrt(mean), begin, length * step, n)

    def _joined(self, parts: FloatArray, expected: FloatArray, stretch: Stretch) -> Scores:
        in_units = self._in_units(expected, stretch.values)
        return Scores(parts.mean(axis=1), self._by_channel(parts), in_units)

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
        self, x: FloatArray, known: FloatArray, nearest: IntArray, length: int, step: int, n: int
    ) -> FloatArray:
        """Return the mean (n,) of the nearest windows over the points that they stand for."""
        windows = np.lib.stride_tricks.sliding_window_view(x, length)
        others = np.lib.stride_tricks.sliding_window_view(known, length)
        some = np.arange(0, len(windows), max(1, length // 8))
        level = windows[some].mean(axis=1) - others[nearest[some]].mean(axis=1)
        values = others[nearest[some]] + (0 if self.normalize == "nothing" else level[:, None])
        at = (some[:, None] + np.arange(length)) * step + step // 2
        return overlay(values, np.minimum(at, n - 1), n)


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


@njit(cache=True)
def _join(x, own, known, theirs, lengths, length):  # type: ignore[no-untyped-def]
    """Return the same for windows of x, compared with those of known stretches in a row.

    A stretch shorter than a window has none.
    """
    (norm, mean, weight), (norms, means, weights) = own, theirs
    windows = len(x) - length + 1
    least, nearest = np.full(windows, np.inf), np.zeros(windows, dtype=np.int64)
    first = 0
    for size in lengths:
        others = size - length + 1
        for lag in range(1 - windows, others):
            product = 0.0
            start = max(0, -lag)
            for i in range(start, min(windows, others - lag)):
                j = first + i + lag
                if i == start:
                    for k in range(length):
                        product += x[i + k] * known[j + k]
                else:
                    product += x[i + length - 1] * known[j + length - 1] - x[i - 1] * known[j - 1]
                shared = weight[i] * weights[j] * (product - length * mean[i] * means[j])
                squared = norm[i] + norms[j] - 2 * shared
                if squared < least[i]:
                    least[i], nearest[i] = squared, j
        first += size
    return np.maximum(least, 0.0), nearest
