"""Autoencoder: rows that do not fit through a bottleneck learned from normal rows."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor, nn

from tocsin.base.abilities import Embeds
from tocsin.base.parameters import check_least
from tocsin.detectors.tables._reconstruction import (
    calibrate_errors,
    reconstruction_loss,
    relative_errors,
)
from tocsin.nn.blocks import mlp
from tocsin.nn.tables import NeuralTableDetector, TableTraining
from tocsin.types import Card, FloatArray


class Autoencoder(NeuralTableDetector, Embeds):
    """An ensemble of autoencoders; the score is how badly they reconstruct a row.

    Rows (n, d) in any units, standardised inside. The score is the mean over columns of the
    squared residual relative to the column's mean squared error on held-out rows + 0.02, so
    columns that are noisy by nature count less. ``parts`` (n, d) add up to the score, ``expected``
    (n, d) is the reconstruction in the units of the rows, and ``embed`` gives the bottleneck.
    ``latent`` is its size, half the columns by default. Raises ParameterError for sizes
    below one, and TrainingFailed when the loss is not finite.
    Sakurada and Yairi, Anomaly Detection Using Autoencoders with Nonlinear Dimensionality
    Reduction, MLSDA 2014; Chen et al., Outlier Detection with Autoencoder Ensembles, SDM 2017.

    >>> import numpy as np
    >>> t = np.random.default_rng(0).normal(size=(300, 1))
    >>> detector = Autoencoder(steps=200).fit(t * [1, -2])
    >>> scores = detector.score([[1, -2], [1, 2]])
    >>> bool(scores.values[1] > scores.values[0])
    True
    """

    card = Card(
        name="autoencoder",
        modality="tables",
        family="reconstruction",
        learning=("one-class", "unlabelled"),
        summary="Reconstruction error of a small ensemble of networks with a bottleneck.",
        paper="Sakurada, Yairi, Anomaly Detection Using Autoencoders, MLSDA 2014",
        cost="fit O(steps · batch · d · width), score O(d · width) per row",
        also_known_as=("AE",),
    )

    def __init__(
        self,
        *,
        latent: int | None = None,
        width: int = 128,
        **training: Unpack[TableTraining],
    ) -> None:
        super().__init__(**training)
        self.latent = latent
        self.width = width

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a small network and a short training."""
        return {"width": 32, "steps": 150, "batch_size": 64}

    def _network(self, n_features: int) -> nn.Module:
        latent = self.latent or max(1, n_features // 2)
        return _Autoencoder(self.members, n_features, self.width, latent)

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        return reconstruction_loss(net, x)

    def _calibrate(self, net: Any, held_out: Tensor) -> None:
        calibrate_errors(net, held_out)

    def _row_scores(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        return relative_errors(net, x)

    def embed(self, X: Any) -> FloatArray:
        """Return the bottleneck (n, latent) of rows X, by the first member.

        Raises NotFitted before ``fit``, and SchemaMismatch for another number of columns.
        """
        return self._embedded(X, lambda net, x: net.encoder(x))

    def _check_parameters(self) -> None:
        super()._check_parameters()
        check_least(1, latent=self.latent, width=self.width)


class _Autoencoder(nn.Module):
    """Encoder and decoder with two hidden layers each, and each column's held-out error."""

    error: Tensor

    def __init__(self, members: int, n_features: int, width: int, latent: int) -> None:
        super().__init__()
        half = max(1, width // 2)
        self.encoder = mlp(members, [n_features, width, half, latent])
        self.decoder = mlp(members, [latent, half, width, n_features])
        self.register_buffer("error", torch.ones(members, 1, n_features))

    def forward(self, x: Tensor) -> Tensor:
        reconstruction: Tensor = self.decoder(self.encoder(x))
        return reconstruction
