"""Convolutional variational autoencoder: places that are unlikely to be drawn from a code."""

from __future__ import annotations

from typing import Any, Unpack

import torch
from torch import Tensor, nn

from tocsin.base.parameters import check_least
from tocsin.detectors.images._networks import ImageTraining, NeuralMapDetector
from tocsin.detectors.images._reconstruction import (
    Reconstruction,
    Standardised,
    Standards,
    decoder,
    encoder,
)
from tocsin.types import Card


class ImageVae(Reconstruction, NeuralMapDetector):
    """Reconstruction error from the mean of the code that a variational autoencoder infers.

    In training, codes are drawn from the inferred normal distributions, whose divergence from a
    standard normal distribution counts by ``beta``, as a share of the squared error of a pixel.
    Scores use the means and draw nothing. The other parameters, and the maps, are those of
    ``image_autoencoder``. Raises as ``image_autoencoder`` does.

    Kingma & Welling, Auto-Encoding Variational Bayes, ICLR 2014; Higgins et al., beta-VAE, ICLR
    2017.

    >>> import numpy as np
    >>> good = np.random.default_rng(0).integers(90, 110, (8, 64, 64), dtype=np.uint8)
    >>> odd = good[:1].copy()
    >>> odd[0, 20:30, 40:50] = 255
    >>> detector = ImageVae(size=64, width=4, steps=10).fit(good)
    >>> int(detector.score([*good[1:3], *odd]).values.argmax())
    2
    """

    card = Card(
        name="image_vae",
        modality="images",
        family="reconstruction",
        learning=("one-class", "unlabelled"),
        summary="Error of a convolutional variational autoencoder at each place of an image.",
        paper="Kingma & Welling, Auto-Encoding Variational Bayes, ICLR 2014",
        cost="fit O(members · steps · batch · size²), score O(members · size²)",
        also_known_as=("beta-VAE",),
    )

    def __init__(
        self,
        *,
        latent: int = 32,
        width: int = 16,
        beta: float = 1e-3,
        **training: Unpack[ImageTraining],
    ) -> None:
        super().__init__(**training)
        self.latent = latent
        self.width = width
        self.beta = beta

    def _network(self, basis: Standards) -> nn.Module:
        return _Variational(self.width, self.latent, *basis)

    def _loss(self, net: Any, images: Tensor, targets: Tensor) -> Tensor:
        x = net.standardise(targets)
        mean, log_variance = net.infer(x)
        drawn = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
        loss: Tensor = (net.decoder(drawn) - x).square().mean() + self.beta * divergence
        return loss

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_sizes()
        check_least(0, beta=self.beta)


class _Variational(Standardised):
    def __init__(self, width: int, code: int, mean: Tensor, spread: Tensor) -> None:
        super().__init__(mean, spread)
        self.encoder = encoder(width, 2 * code)
        self.decoder = decoder(width, code)

    def infer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance of the codes of standardised pictures."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 5)  # so that its exponential stays finite

    def rebuild(self, x: Tensor) -> Tensor:
        """Return standardised pictures as rebuilt from the means of their codes."""
        rebuilt: Tensor = self.decoder(self.infer(x)[0])
        return rebuilt
