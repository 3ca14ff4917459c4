"""Faults that show without a model: values far from their neighbours, far out, or stuck."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import inf
from typing import Annotated

import numpy as np
from scipy.ndimage import median_filter

from tocsin.base.declared import Shape, Within
from tocsin.base.series import Stretch, Stretches, join_scores
from tocsin.base.state import Stateful
from tocsin.types import BoolArray, FloatArray, IntArray, Scores

_RARE = 0.002
"""This share of the training values, and at least one, says nothing of what is usual."""

_WIDE = 3.0
"""How many times further from its neighbours a glitch is than any usual training value."""

_FAR = 20.0
"""A value is far out this many training deviations from the training median."""

_LONG = 3.0
"""Values are stuck when runs of equal ones are this many times longer than in training."""

_NEIGHBOURS = 5
_HUGE = 1e300


class FaultAware(Stateful, ABC):
    """A series detector that recognises single wrong values, and does not let them spread.

    A *glitch* is a value, or two, much further from the median of the five around it than
    training values usually are; what the model sees, and learns from, is that median in its
    place. Values *stuck* at one another and, in stretches too short to have neighbours, values
    *far out* of the training range are recognised by equally simple means. Each has a severity, the
    logarithm (base 2) of how far it exceeds its limit. To the model's score a fault adds the
    highest usual training score, 1 + severity times: it stands out at its very point, whatever
    the model averages over.

    It stands before ``SeriesDetector`` among the bases of a detector, which says in ``_learn``,
    ``_judge_training`` and ``_judge`` what it does with a series without glitches.
    """

    held_out_: Annotated[BoolArray, Shape("n")]
    median_: Annotated[FloatArray, Shape("d")]
    far_: Annotated[FloatArray, Shape("d"), Within(0, inf)]
    wild_: Annotated[FloatArray, Shape("d"), Within(0, inf)]
    stuck_: Annotated[FloatArray, Shape("d"), Within(0, inf)]
    unit_: float

    @abstractmethod
    def _learn(self, stretches: Stretches) -> FloatArray | None:
        """Learn from stretches without glitches; return training scores if they come with it."""

    @abstractmethod
    def _judge(self, stretch: Stretch, severity: FloatArray) -> Scores:
        """Return the scores of a stretch without glitches.

        ``severity`` (n, channels): how bad the faults are that are known already, 0 for none;
        the detector may add to it what it finds.
        """

    def _judge_training(self, stretches: Stretches) -> FloatArray:
        """Return the scores (n,) of the training points, where learning did not give them."""
        raise NotImplementedError

    def _judge_together(
        self, stretches: Stretches, severities: Sequence[FloatArray]
    ) -> list[Scores]:
        """Return the scores of stretches that begin with those of training, all in view."""
        return [self._judge(*each) for each in zip(stretches, severities, strict=True)]

    def _score_together(self, stretches: Stretches) -> Scores:
        pairs = [self._without_glitches(stretch) for stretch in stretches]
        clean, severities = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        found = self._judge_together(clean, severities)
        return join_scores(
            [self._add_faults(*each) for each in zip(found, severities, strict=True)]
        )

    def _fit(self, stretches: Stretches, y: IntArray | None) -> FloatArray | None:
        self.unit_ = 0.0
        self._learn_faults(stretches)
        own = self._learn([self._without_glitches(stretch)[0] for stretch in stretches])
        return None if own is None else self._with_training_faults(own, stretches)

    def _score(self, stretch: Stretch) -> Scores:
        clean, severity = self._without_glitches(stretch)
        return self._add_faults(self._judge(clean, severity), severity)

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        return self._with_training_faults(self._judge_training(stretches), stretches)

    def _with_training_faults(self, values: FloatArray, stretches: Stretches) -> FloatArray:
        """Set what a fault adds by the scores (n,) of the training points, and add theirs."""
        self.unit_ = float(np.quantile(values[self.held_out_], 1 - _RARE))
        worst = [self._severity(stretch).max(axis=1) for stretch in stretches]
        return values + _added(np.concatenate(worst), self.unit_)

    def _severity(self, stretch: Stretch) -> FloatArray:
        """Return the severity (n, channels) of the faults of a training stretch."""
        return self._without_glitches(stretch)[1]

    def _learn_faults(self, stretches: Stretches) -> None:
        X = np.concatenate([_tame(stretch.values) for stretch in stretches])
        jumps = np.concatenate([_from_neighbours(_tame(s.values))[1] for s in stretches])
        runs = np.concatenate([_runs(stretch.values) for stretch in stretches])
        rare = max(1, int(np.ceil(_RARE * len(X))))
        ordered = np.sort(X, axis=0)
        low, high = ordered[min(rare, len(X) - 1)], ordered[max(0, len(X) - 1 - rare)]
        high = np.maximum(low, high)
        size = np.maximum(np.abs(low), np.abs(high))
        size[size == 0] = 1.0
        spread = (X.clip(low, high) / size).std(axis=0) * size
        usual = np.sort(jumps, axis=0)[max(0, len(X) - 1 - rare)]
        # Commands, flags and constants have no values that could be wrong in themselves.
        several = ((ordered[0] != X) & (ordered[-1] != X)).any(axis=0) & (spread > 0)
        self.median_ = np.median(X, axis=0)
        with np.errstate(over="ignore"):
            self.far_ = np.where(several, _FAR * spread, np.inf)
            self.wild_ = np.where(several, np.maximum(_WIDE * usual, spread / 2), np.inf)
        self.stuck_ = np.where(several, _LONG * (1 + runs.max(axis=0)), np.inf)

    def _without_glitches(self, stretch: Stretch) -> tuple[Stretch, FloatArray]:
        """Return a stretch with medians in place of glitches, and the severity of all faults."""
        X = _tame(stretch.values)
        middle, jumps = _from_neighbours(X)
        excess = np.maximum(jumps / self.wild_, _runs(stretch.values) / self.stuck_)
        if len(X) < _NEIGHBOURS:  # too few to be each other's neighbours
            excess = np.maximum(excess, np.abs(X - self.median_) / self.far_)
        severity = np.log2(np.maximum(excess, 1.0))
        return Stretch(np.where(jumps > self.wild_, middle, stretch.values), stretch.at), severity

    def _add_faults(self, scores: Scores, severity: FloatArray) -> Scores:
        parts = scores.parts
        return Scores(
            scores.values + _added(severity.max(axis=1), self.unit_),
            None if parts is None else parts + _added(severity, self.unit_),
            scores.expected,
        )


def _added(severity: FloatArray, unit: float) -> FloatArray:
    return np.where(severity > 0, unit * (1 + severity), 0.0)


def _tame(X: FloatArray) -> FloatArray:
    """Return values whose differences are finite."""
    return np.asarray(np.clip(X, -_HUGE, _HUGE), dtype=np.float64)


def _from_neighbours(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the median of the five values around each, mirrored at the ends, and how far it is."""
    middle = median_filter(X, size=(_NEIGHBOURS, 1), mode="mirror")
    return middle, np.abs(X - middle)


def _runs(X: FloatArray) -> FloatArray:
    """Return how many equal values (n, channels) in a row each value is one of.

    >>> _runs(np.array([[1.0], [2.0], [2.0], [1.0]])).ravel().tolist()
    [1.0, 2.0, 2.0, 1.0]
    """
    lengths = np.empty(X.shape)
    for own, x in zip(lengths.T, X.T, strict=True):
        edges = np.flatnonzero(np.r_[True, x[1:] != x[:-1], True])
        own[:] = np.repeat(np.diff(edges), np.diff(edges))
    return lengths
