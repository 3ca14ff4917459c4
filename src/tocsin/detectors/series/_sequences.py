"""Networks that run along a series: how they see a long one, and how their residuals score."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from tocsin.errors import ParameterError
from tocsin.features.windows import dominant_period, smooth_among
from tocsin.nn.network import to_numpy
from tocsin.nn.series import NeuralSeriesDetector, ResidualRule, SeriesTraining
from tocsin.types import FloatArray, IntArray

_SHORTEST_SMOOTHING = 16  # points
_FLOOR = 0.03  # standard deviations, so that a channel forecast exactly is not flagged for nothing
_AT_ONCE = 2**18  # values that a network sees in one call


SEQUENCE_TRAINING = SeriesTraining(steps=180, batch_size=32, learning_rate=4e-3)
"""How networks that run along a series are trained by default."""

MOST_HELD_OUT = 256
"""Checks on more windows would cost as much as the steps between them."""

Margins = tuple[int, int, int]
"""The points before a stretch that is expected at once, those of the stretch, those after."""


def expected_residuals(
    detector: NeuralSeriesDetector,
    x: Tensor,
    at: int,
    margins: Margins,
    expect: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """Return residuals (n, channels) and expected values (n, channels) of a series x.

    ``at``: the place in time of its first point. ``expect`` takes windows (batch, length,
    channels) to what is expected of the scored channels at each of their points, in one or several
    ways: (batch, length, scored, ways); ``margins`` says how much of a window counts.
    """
    before, size, after = margins
    past = x[:0]
    if after == 0:  # what is expected from the past alone needs one before the first point
        likely = detector._likely_past(to_numpy(x).astype(np.float64), before)
        past = torch.from_numpy(likely).to(x)
    ways = _by_stretches(torch.cat([past, x]), margins, expect, (at - len(past)) % size)
    ways = ways[len(past) :]
    expected, residuals = x.clone(), torch.zeros_like(x)
    expected[:, detector.scored_] = ways.mean(2)
    actual = scored_channels(x, detector.scored_)
    residuals[:, detector.scored_] = (actual[..., None] - ways).abs().mean(2)
    return residuals, expected


def scored_channels(x: Tensor, scored: IntArray) -> Tensor:
    """Return the scored channels of windows x (…, channels)."""
    return x[..., torch.from_numpy(scored).to(x.device)]


def check_task(task: str, tasks: Sequence[str]) -> None:
    """Raise ParameterError unless the task is one of those there are."""
    if task not in tasks:
        raise ParameterError(f"task is one of {', '.join(tasks)}; got {task!r}.")


def _period(x: FloatArray, window: int) -> int:
    return dominant_period(x[:, 0])


def _usual(residuals: FloatArray) -> FloatArray:
    usual: FloatArray = residuals.mean(axis=0) + _FLOOR
    return usual


def _parts(residuals: FloatArray, mean: FloatArray, period: int) -> FloatArray:
    width = max(period, _SHORTEST_SMOOTHING)
    return smooth_among(smooth_among(residuals, width, mean), width, mean)


def _together(parts: FloatArray) -> FloatArray:
    values: FloatArray = parts.mean(axis=1)
    return values


MEAN_OVER_PERIODS = ResidualRule(_period, _usual, _parts, _together)
"""Residuals are in units of their mean over the held-out blocks of the training series, channel
by channel. Each stretch of one dominant period (at least 16 points) takes the mean of its
residuals, each point the mean of the stretches that cover it, and the score is the mean over the
scored channels."""


def _by_stretches(
    x: Tensor,
    margins: Margins,
    expected: Callable[[Tensor], Tensor],
    begun: int = 0,
) -> Tensor:
    """Return what is expected at each point of a series x (n, channels), in parallel stretches.

    ``margins``: each stretch of ``size`` points is seen in a window with points before and after
    it, which at the ends of the series is moved inwards. ``begun``: how many points of the
    first stretch are before the series.
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
