"""What the networks that reconstruct windows of a series have in common."""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise
from typing import Any, Unpack

import numpy as np
import torch
from torch import Tensor, nn

from tocsin.errors import ParameterError
from tocsin.features.windows import dominant_period, smooth_among
from tocsin.nn.series import NeuralSeriesDetector, SeriesTraining, overlapped
from tocsin.types import FloatArray

_WINDOW = 64

_SHORTEST = 32
"""Residuals are averaged over at least so many points: faster periods are mostly noise."""

_FLOOR = 0.02
"""Added to a channel's usual residual, so that one learned to perfection does not rule."""


class WindowReconstruction(NeuralSeriesDetector):
    """A network that rebuilds windows of the scored channels.

    Windows are taken without their mean, so that a shape is known again at another level. The
    residual of a point is the mean of the absolute errors of all windows over it, and its
    expected value the mean of their reconstructions. The part of a channel is its residual,
    averaged over the dominant period, in units of what one in a hundred held-out points
    exceeds; the score is the largest part.

    ``latent`` is the size of a window's code and ``width`` that of the hidden layers; None
    makes them 8 and 64 for one channel, 16 and 128 for several.

    A subclass gives ``_rebuild``.
    """

    period_: int

    def __init__(
        self,
        *,
        latent: int | None = None,
        width: int | None = None,
        **training: Unpack[SeriesTraining],
    ) -> None:
        super().__init__(**training)
        self.latent = latent
        self.width = width

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
            # One error a window: a point is as odd as the windows that it makes odd.
            error = (rebuilt - actual).abs().mean(1, keepdim=True).expand_as(rebuilt)
            return torch.cat([rebuilt, error], dim=2)

        expected, residuals = x.clone(), torch.zeros_like(x)
        means = overlapped(x, self.window_, rebuilt_and_error, 2 * len(self.scored_))
        expected[:, self.scored_], residuals[:, self.scored_] = means.chunk(2, dim=1)
        return residuals, expected

    def _choose(self, x: FloatArray) -> None:
        periods = [dominant_period(channel) for channel in x[:, self.scored_].T]
        self.period_ = max(int(np.median(periods)), min(_SHORTEST, self.window_))

    def _usual(self, residuals: FloatArray) -> FloatArray:
        usual: FloatArray = np.quantile(residuals, 0.99, axis=0) + _FLOOR
        return usual

    def _point_scores(self, residuals: FloatArray, mean: FloatArray) -> FloatArray:
        return smooth_among(residuals, self.period_, mean)

    def _together(self, parts: FloatArray) -> FloatArray:
        values: FloatArray = parts.max(axis=1)
        return values

    def _check_parameters(self) -> None:
        super()._check_parameters()
        for name, value in (("latent", self.latent), ("width", self.width)):
            if value is not None and value < 1:
                raise ParameterError(f"{name} must be at least 1, or None; got {value}.")


def dense(sizes: list[int]) -> nn.Sequential:
    """Return a fully connected network of these layer sizes, linear at the end."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(sizes):
        layers += [nn.Linear(inputs, outputs), nn.SiLU()]
    return nn.Sequential(*layers[:-1])
