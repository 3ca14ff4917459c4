"""Deep support vector data description: the distance from a centre in a learned space."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor, nn

from tocsin.base.abilities import Embeds
from tocsin.base.parameters import check_least
from tocsin.errors import ParameterError
from tocsin.nn.blocks import mlp
from tocsin.nn.tables import NeuralTableDetector, TableTraining
from tocsin.types import Card, FloatArray

_AWAY = 0.1
"""A centre's coordinates keep this distance from 0, which is what zero weights give."""


class DeepSvdd(NeuralTableDetector, Embeds):
    """An ensemble of networks that learn to map normal rows near a fixed centre.

    Rows (n, d) in any units, standardised inside. Against the collapse of all rows onto the
    centre, the networks have no bias terms, the centre is the mean of the first pass and away
    from 0, and training is short: on tables many more steps lose more than they gain. For longer
    training ``spread`` weighs a hinge that holds each latent coordinate's standard deviation
    near 1. The score is the squared distance from the centre
    in units of its mean over held-out rows. ``embed`` gives the learned space, of ``latent``
    coordinates. Raises ParameterError for settings that cannot work, and TrainingFailed when
    the loss is not finite.
    Ruff et al., Deep One-Class Classification, ICML 2018; the hinge after Chong et al.,
    Simple and Effective Prevention of Mode Collapse in Deep One-Class Classification, 2020.

    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(300, 4))
    >>> scores = DeepSvdd().fit(rows).score([[0, 0, 0, 0], [9, 9, 9, 9]])
    >>> bool(scores.values[1] > scores.values[0])
    True
    """

    card = Card(
        name="deep_svdd",
        modality="tables",
        family="one-class",
        learning=("one-class",),
        summary="Distance from a centre in a space learned so that normal rows lie close to it.",
        paper="Ruff et al., Deep One-Class Classification, ICML 2018",
        cost="fit O(steps · batch · d · width), score O(d · width) per row",
        also_known_as=("DSVDD",),
    )

    def __init__(
        self,
        *,
        latent: int = 32,
        width: int = 128,
        spread: float = 0.0,
        **training: Unpack[TableTraining],
    ) -> None:
        defaults = TableTraining(members=5, steps=100, learning_rate=1e-3)
        super().__init__(**(defaults | training))
        self.latent = latent
        self.width = width
        self.spread = spread

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a small network and a short training."""
        return {"width": 32, "latent": 8, "steps": 100, "batch_size": 64}

    def _network(self, n_features: int) -> nn.Module:
        return _Svdd(self.members, n_features, self.width, self.latent)

    def _initialise(self, net: Any, x: Tensor) -> None:
        centre = net(x).mean(1, keepdim=True)
        sign = torch.where(centre < 0, -1.0, 1.0)
        net.centre.copy_(torch.where(centre.abs() < _AWAY, sign * _AWAY, centre))

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        latent = net(x)
        loss: Tensor = (latent - net.centre).square().mean((1, 2))
        if x.shape[1] > 1 and self.spread > 0:
            loss = loss + self.spread * (1 - latent.std(1)).clamp_min(0).mean(1)
        return loss

    def _calibrate(self, net: Any, held_out: Tensor) -> None:
        distance = (net(held_out) - net.centre).square().sum(2)
        net.unit.copy_(distance.mean(1).clamp_min(1e-12))

    def _row_scores(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        distance = (net(x) - net.centre).square().sum(2)
        return distance / net.unit.unsqueeze(1), None, None

    def embed(self, X: Any) -> FloatArray:
        """Return the learned space (n, latent) of rows X, by the first member.

        Raises NotFitted before ``fit``, and SchemaMismatch for another number of columns.
        """
        return self._embedded(X, lambda net, x: net(x))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_least(1, latent=self.latent, width=self.width)
        if not self.spread >= 0:
            raise ParameterError(f"spread must not be negative; got {self.spread}.")


class _Svdd(nn.Module):
    """An encoder without bias terms, its centre, and the mean held-out distance from it."""

    centre: Tensor
    unit: Tensor

    def __init__(self, members: int, n_features: int, width: int, latent: int) -> None:
        super().__init__()
        self.encoder = mlp(members, [n_features, width, latent], nn.LeakyReLU, bias=False)
        self.register_buffer("centre", torch.zeros(members, 1, latent))
        self.register_buffer("unit", torch.ones(members))

    def forward(self, x: Tensor) -> Tensor:
        latent: Tensor = self.encoder(x)
        return latent
