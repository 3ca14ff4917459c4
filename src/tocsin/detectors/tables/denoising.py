"""Denoising over several noise scales: rows that a learned denoiser moves away from themselves."""

from __future__ import annotations

import math
from typing import Any, Unpack

import torch
from torch import Tensor, nn

from tocsin.base.parameters import check_least
from tocsin.errors import ParameterError
from tocsin.nn.blocks import mlp
from tocsin.nn.tables import NeuralTableDetector, TableTraining
from tocsin.types import Card

_FLOOR = 0.02
"""Added to a column's held-out error, so that a perfectly learned column does not dominate."""

_LEAST = 1e-9


class Denoising(NeuralTableDetector):
    """An ensemble of denoisers for noise of several scales, given the scale.

    Rows (n, d) in any units, standardised inside. TableTraining adds Gaussian noise of a standard
    deviation σ drawn log-uniformly from ``[low, high]``, in standard deviations of a column,
    and learns to undo it. The score is how far the networks move a row itself, to which
    nothing is added, when given each of ``scales`` values of σ: the mean over these of the
    logarithm of the mean squared residual relative to that on held-out rows. So scoring
    draws nothing at random. ``expected`` (n, d) is the mean denoised row, ``parts`` (n, d)
    are each column's relative squared residuals. Raises ParameterError for settings that cannot
    work, and TrainingFailed when the loss is not finite.
    Vincent, A Connection Between Score Matching and Denoising Autoencoders, Neural
    Computation 2011; Livernoche et al., On Diffusion Modeling for Anomaly Detection, ICLR 2024.

    >>> import numpy as np
    >>> t = np.random.default_rng(0).normal(size=(300, 1))
    >>> detector = Denoising(steps=200).fit(t * [1, -2])
    >>> scores = detector.score([[1, -2], [1, 2]])
    >>> bool(scores.values[1] > scores.values[0])
    True
    """

    card = Card(
        name="denoising",
        modality="tables",
        family="reconstruction",
        learning=("one-class", "unlabelled"),
        summary="Log reconstruction error of denoisers over several scales of noise.",
        paper="Vincent, A Connection Between Score Matching and Denoising Autoencoders, 2011",
        cost="fit O(steps · batch · d · width), score O(scales · d · width) per row",
        also_known_as=("DAE",),
    )

    def __init__(
        self,
        *,
        low: float = 0.1,
        high: float = 1.0,
        scales: int = 5,
        width: int = 128,
        **training: Unpack[TableTraining],
    ) -> None:
        super().__init__(**training)
        self.low = low
        self.high = high
        self.scales = scales
        self.width = width

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a small network and a short training."""
        return {"width": 32, "steps": 150, "batch_size": 64, "scales": 3}

    def _network(self, n_features: int) -> nn.Module:
        return _Denoiser(self.members, n_features, self.width, self.scales)

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        share = torch.rand(*x.shape[:2], 1, device=x.device)
        sigma = self.low * (self.high / self.low) ** share
        noisy = x + sigma * torch.randn_like(x)
        loss: Tensor = (net(noisy, sigma) - x).square().mean((1, 2))
        return loss

    def _sigmas(self) -> list[float]:
        span = max(self.scales - 1, 1)
        return [self.low * (self.high / self.low) ** (i / span) for i in range(self.scales)]

    def _calibrate(self, net: Any, held_out: Tensor) -> None:
        for i, sigma in enumerate(self._sigmas()):
            residual = net(held_out, torch.full_like(held_out[..., :1], sigma)) - held_out
            net.error[:, i] = residual.square().mean(1)

    def _row_scores(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        score, parts, expected = x.new_zeros(x.shape[:2]), torch.zeros_like(x), torch.zeros_like(x)
        for i, sigma in enumerate(self._sigmas()):
            denoised = net(x, torch.full_like(x[..., :1], sigma))
            relative = (denoised - x).square() / (net.error[:, i : i + 1] + _FLOOR)
            score += relative.mean(2).clamp_min(_LEAST).log() / self.scales
            parts += relative / self.scales
            expected += denoised / self.scales
        return score, parts, expected

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_least(1, width=self.width, scales=self.scales)
        if not 0 < self.low <= self.high < math.inf:
            raise ParameterError(
                f"The noise needs 0 < low ≤ high; got low={self.low}, high={self.high}."
            )


class _Denoiser(nn.Module):
    """Maps a noisy row and its noise level to the clean row; each column's error by level."""

    error: Tensor

    def __init__(self, members: int, n_features: int, width: int, scales: int) -> None:
        super().__init__()
        self.body = mlp(members, [n_features + 1, width, width, n_features])
        self.register_buffer("error", torch.ones(members, scales, n_features))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        shrunk = x / (1 + sigma.square()).sqrt()
        denoised: Tensor = self.body(torch.cat([shrunk, sigma.log()], 2))
        return denoised
