"""Networks that run along a series: how they see a long one, and how their residuals score."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from tocsin.detectors.series._subsequences import check_counts
from tocsin.errors import ParameterError
from tocsin.features.windows import dominant_period, smooth_among
from tocsin.nn.network import to_numpy
from tocsin.nn.series import NeuralSeriesDetector
from tocsin.nn.training import Schedule
from tocsin.types import FloatArray

_SHORTEST_SMOOTHING = 16  # points
_FLOOR = 0.03  # standard deviations, so that a channel forecast exactly does not ring at nothing
_HELD_OUT_WINDOWS = 256  # checks on more would cost as much as the steps between them
_AT_ONCE = 2**18  # values that a network sees in one call


class SequenceDetector(NeuralSeriesDetector):
    """A neural detector that expects each point of a series from the points around it.

    Residuals are in units of their mean over the held-out blocks of the training series, channel
    by channel. Each stretch of one dominant period (at least 16 points) takes the mean of its
    residuals, each point the mean of the stretches that cover it, and the score is the mean
    over the scored channels.

    A subclass gives the network, its ``_loss``, what is ``_expected`` of a batch of windows,
    and the ``_margins`` that these need around the points which count.
    """

    tasks: ClassVar[tuple[str, ...]] = ()
    counts: ClassVar[tuple[str, ...]] = ()
    """Parameters that are numbers of at least 1."""

    period_: int

    def __init__(
        self,
        *,
        window: int | None = None,
        steps: int = 180,
        batch_size: int = 32,
        learning_rate: float = 4e-3,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__(
            window=window,
            steps=steps,
            batch_size=batch_size,
            learning_rate=learning_rate,
            device=device,
            seed=seed,
        )

    @abstractmethod
    def _expected(self, net: Any, x: Tensor) -> Tensor:
        """Return what a network expects at each point of windows x (batch, length, channels).

        Of the scored channels, in one or several ways: (batch, length, scored, ways).
        """

    @abstractmethod
    def _margins(self) -> tuple[int, int, int]:
        """Return the points before, those of a stretch that is expected at once, those after."""

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_counts(self, *self.counts)
        task = getattr(self, "task", None)
        if self.tasks and task not in self.tasks:
            raise ParameterError(f"task is one of {', '.join(self.tasks)}; got {task!r}.")

    def _schedule(self) -> Schedule:
        return replace(super()._schedule(), max_held_out=_HELD_OUT_WINDOWS)

    def _scored(self, x: Tensor) -> Tensor:
        """Return the scored channels of windows x (batch, length, channels)."""
        return x[..., torch.from_numpy(self.scored_).to(x.device)]

    def _residuals(self, net: Any, x: Tensor, at: int) -> tuple[Tensor, Tensor]:
        before, size, after = self._margins()
        past = x[:0]
        if after == 0:  # what is expected from the past alone needs one before the first point
            likely = self._likely_past(to_numpy(x).astype(np.float64), before)
            past = torch.from_numpy(likely).to(x)
        joined = torch.cat([past, x])
        ways = _by_stretches(
            joined,
            (before, size, after),
            lambda windows: self._expected(net, windows),
            (at - len(past)) % size,
        )[len(past) :]
        expected, residuals = x.clone(), torch.zeros_like(x)
        expected[:, self.scored_] = ways.mean(2)
        residuals[:, self.scored_] = (self._scored(x)[..., None] - ways).abs().mean(2)
        return residuals, expected

    def _choose(self, x: FloatArray) -> None:
        self.period_ = dominant_period(x[:, self.scored_[0]])

    def _usual(self, residuals: FloatArray) -> FloatArray:
        usual: FloatArray = residuals.mean(axis=0) + _FLOOR
        return usual

    def _point_scores(self, residuals: FloatArray, mean: FloatArray) -> FloatArray:
        width = max(self.period_, _SHORTEST_SMOOTHING)
        return smooth_among(smooth_among(residuals, width, mean), width, mean)

    def _together(self, parts: FloatArray) -> FloatArray:
        values: FloatArray = parts.mean(axis=1)
        return values


def _by_stretches(
    x: Tensor,
    margins: tuple[int, int, int],
    expected: Callable[[Tensor], Tensor],
    begun: int = 0,
) -> Tensor:
    """Return what is expected at each point of a series x (n, channels), in parallel stretches.

    ``margins``: each stretch of ``size`` points is seen in a window with points before and after
    it, which at the ends of the series is moved inwards. ``begun``: so many points of the first
    stretch are before the series.
    """
    n, channels = x.shape
    before, size, after = margins
    length = min(before + size + after, n)
    starts = torch.arange(-begun, n, size, device=x.device).sub(before).clamp(0, n - length)
    points = torch.arange(n, device=x.device)
    stretch = (points + begun) // size
    within = points - starts[stretch]
    offsets = torch.arange(length, device=x.device)
    batch = max(1, _AT_ONCE // (length * channels))
    pieces = []
    for first in range(0, len(starts), batch):
        own = (stretch >= first) & (stretch < first + batch)
        windows = x[starts[first : first + batch, None] + offsets]
        pieces.append(expected(windows)[stretch[own] - first, within[own]])
    return torch.cat(pieces)
