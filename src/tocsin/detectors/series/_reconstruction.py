"""What the networks that reconstruct windows of a series have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor, nn

from tocsin.base.declared import Shape, Within
from tocsin.errors import ParameterError
from tocsin.features.windows import dominant_period, smooth_among
from tocsin.nn.series import ResidualRule, overlapped
from tocsin.types import FloatArray, IntArray

_WINDOW = 64

_SHORTEST = 32
"""Residuals are averaged over at least this many points: faster periods are mostly noise."""

_FLOOR = 0.02
"""Added to a channel's usual residual, so that one learned to perfection does not dominate."""


class WindowReconstruction(ABC):
    """A neural detector of series that rebuilds windows of the scored channels.

    Windows are taken without their mean, so that a shape is known again at another level. The
    residual of a point is the mean of the absolute errors of all windows over it, and its
    expected value the mean of their reconstructions.

    ``latent`` is the size of a window's code and ``width`` that of the hidden layers; None
    makes them 8 and 64 for one channel, 16 and 128 for several.

    It stands before ``NeuralSeriesDetector`` among the bases of a detector, which gives
    ``_rebuild``.
    """

    latent: int | None
    width: int | None

    window_: Annotated[int, Within(1)]
    scored_: Annotated[IntArray, Shape("s"), Within(0, "d-1", rising=True)]

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a short training on short windows."""
        return {"window": 32, "width": 32, "steps": 150, "batch_size": 64}

    @abstractmethod
    def _rebuild(self, net: Any, x: Tensor) -> Tensor:
        """Return flattened windows (batch, window · scored channels) as rebuilt."""

    def _window_length(self, x: FloatArray) -> int:
        return _WINDOW

    def _sizes(self) -> tuple[int, int, int]:
        """Return the sizes of a network: a flattened window, hidden layers, code."""
        several = len(self.scored_) > 1
        width = self.width or (128 if several else 64)
        return self.window_ * len(self.scored_), width, self.latent or (16 if several else 8)

    def _reconstruct(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scored channels of windows (batch, window, channels), and as rebuilt."""
        actual = x[..., self.scored_]
        level = actual.mean(1, keepdim=True)
        return actual, self._rebuild(net, (actual - level).flatten(1)).view(actual.shape) + level

    def _residuals(self, net: Any, x: Tensor, at: int) -> tuple[Tensor, Tensor]:
        def rebuilt_and_error(windows: Tensor) -> Tensor:
            actual, rebuilt = self._reconstruct(net, windows)
            # One error per window: a point is as odd as the windows that it makes odd.
            error = (rebuilt - actual).abs().mean(1, keepdim=True).expand_as(rebuilt)
            return torch.cat([rebuilt, error], dim=2)

        expected, residuals = x.clone(), torch.zeros_like(x)
        means = overlapped(x, self.window_, rebuilt_and_error, 2 * len(self.scored_))
        expected[:, self.scored_], residuals[:, self.scored_] = means.chunk(2, dim=1)
        return residuals, expected

    def _check_sizes(self) -> None:
        for name, value in (("latent", self.latent), ("width", self.width)):
            if value is not None and value < 1:
                raise ParameterError(f"{name} must be at least 1, or None; got {value}.")


def _period(x: FloatArray, window: int) -> int:
    periods = [dominant_period(channel) for channel in x.T]
    return max(int(np.median(periods)), min(_SHORTEST, window))


def _usual(residuals: FloatArray) -> FloatArray:
    usual: FloatArray = np.quantile(residuals, 0.99, axis=0) + _FLOOR
    return usual


def _parts(residuals: FloatArray, mean: FloatArray, period: int) -> FloatArray:
    return smooth_among(residuals, period, mean)


def _together(parts: FloatArray) -> FloatArray:
    values: FloatArray = parts.max(axis=1)
    return values


LARGEST_OVER_PERIODS = ResidualRule(_period, _usual, _parts, _together)
"""The part of a channel is its residual, averaged over the dominant period, in units of what one
in a hundred held-out points exceeds; the score is the largest part."""


def dense(sizes: list[int]) -> nn.Sequential:
    """Return a fully connected network of these layer sizes, linear at the end."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])
