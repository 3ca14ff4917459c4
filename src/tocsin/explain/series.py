"""What was expected of a series, in which band, and which channels drove an anomaly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np

from tocsin.base import Stateful
from tocsin.base.declared import Shape
from tocsin.types import FloatArray, Reason, Scores

COVERED = 0.99
"""The share of training values that lie inside the band."""


class Band(Stateful):
    """The band in which normal values are expected, from how far training values strayed.

    Around what the detector expected where it says so, else around each channel's training
    median: the band covers 99 % of the training points. It also remembers how much each channel
    adds to the scores of 99 % of them at most.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(1000, 1))
    >>> band = Band().fit(X, Scores(np.zeros(1000), expected=np.zeros((1000, 1))))
    >>> low, high = band.around(X, Scores(np.zeros(1000), expected=np.full((1000, 1), 5.0)))
    >>> bool(2 < low[0, 0] < 3), bool(7 < high[0, 0] < 8)
    (True, True)
    """

    below_: Annotated[FloatArray, Shape("d")]
    above_: Annotated[FloatArray, Shape("d")]
    middle_: Annotated[FloatArray, Shape("d")]
    usual_: Annotated[FloatArray, Shape("d")]

    def fit(self, X: FloatArray, scores: Scores) -> Band:
        """Learn from the training series (n, channels) and the scores of its points."""
        self.middle_ = np.median(X, axis=0)
        with np.errstate(over="ignore"):
            strayed = np.nan_to_num(X - self._centre(X, scores))
        outside = (1 - COVERED) / 2
        self.below_, self.above_ = np.quantile(strayed, [outside, 1 - outside], axis=0)
        self.usual_ = (
            np.zeros(X.shape[1])
            if scores.parts is None
            else np.quantile(scores.parts, COVERED, axis=0)
        )
        return self

    def around(self, X: FloatArray, scores: Scores) -> tuple[FloatArray, FloatArray]:
        """Return the lower and the upper edge (n, channels) for a series."""
        centre = self._centre(X, scores)
        return centre + self.below_, centre + self.above_

    def reasons(
        self,
        X: FloatArray,
        scores: Scores,
        inside: slice,
        channels: Sequence[str],
        top: int,
    ) -> tuple[Reason, ...]:
        """Return the channels that drove the points of an interval, the heaviest first.

        A channel weighs what its parts exceed those of training by, at their highest in the
        interval; where none does, how far it strays from the band's middle. What was seen is
        its value where it strays most.
        """
        seen, centre = X[inside], self._centre(X, scores)[inside]
        width = np.maximum(self.above_ - self.below_, np.finfo(np.float64).tiny)
        with np.errstate(over="ignore"):
            strayed = np.minimum(np.abs(seen - centre) / width, 1e100)
        weights = strayed.max(axis=0)
        if scores.parts is not None:
            exceeding = np.maximum(scores.parts[inside].max(axis=0) - self.usual_, 0)
            weights = exceeding if exceeding.any() else weights
        if not weights.any():
            weights = np.ones(len(weights))
        weights = weights / weights.max()
        weights = weights / weights.sum()
        furthest = strayed.argmax(axis=0)
        heaviest = [i for i in np.argsort(-weights, kind="stable")[:top] if weights[i] > 0]
        return tuple(
            Reason(
                channels[i],
                float(seen[furthest[i], i]),
                float(centre[furthest[i], i]),
                float(weights[i]),
            )
            for i in heaviest
        )

    def _centre(self, X: FloatArray, scores: Scores) -> FloatArray:
        if scores.expected is not None:
            return scores.expected
        return np.broadcast_to(self.middle_, X.shape)
