"""Encoder, decoder and encoder again, trained against a discriminator (GANomaly)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from tocsin.base.parameters import check_least
from tocsin.detectors.images._networks import ImageTraining, NeuralMapDetector, PictureLoss
from tocsin.detectors.images._reconstruction import (
    Reconstruction,
    Standardised,
    Standards,
    decoder,
    encoder,
    error_map,
)
from tocsin.types import Card


class ImageGan(Reconstruction, NeuralMapDetector):
    """Error of rebuilt images, and how far their codes are from those of the images.

    A generator (an encoder, a decoder and a second encoder) rebuilds a picture and encodes it
    again; a discriminator learns to tell pictures from rebuilt ones. The generator's loss is the
    absolute error of pixels, plus ``encoding`` times the squared difference of the two codes, plus
    ``adversarial`` times that of the discriminator's features of the two pictures. The heat is
    the mean of the pixels' error, in cells of 4 × 4 pixels, and of the codes' difference, in
    cells of 32 × 32, each in units of its spread over good images at that position. The other
    parameters are those of ``image_autoencoder``. Raises as ``image_autoencoder`` does.

    Akcay et al., GANomaly: Semi-Supervised Anomaly Detection via Adversarial Training, ACCV 2018.

    >>> import numpy as np
    >>> good = np.random.default_rng(0).integers(90, 110, (8, 64, 64), dtype=np.uint8)
    >>> odd = good[:1].copy()
    >>> odd[0, 20:30, 40:50] = 255
    >>> detector = ImageGan(size=64, width=4, steps=10).fit(good)
    >>> int(detector.score([*good[1:3], *odd]).values.argmax())
    2
    """

    card = Card(
        name="image_gan",
        modality="images",
        family="adversarial",
        learning=("one-class", "unlabelled"),
        summary="Error of images rebuilt by an adversarially trained network, and of their codes.",
        paper="Akcay et al., GANomaly, ACCV 2018",
        cost="fit O(members · steps · batch · size²), score O(members · size²)",
        also_known_as=("GANomaly",),
    )

    maps = ("error", "code")

    def __init__(
        self,
        *,
        latent: int = 32,
        width: int = 16,
        encoding: float = 0.1,
        adversarial: float = 0.1,
        **training: Unpack[ImageTraining],
    ) -> None:
        super().__init__(**training)
        self.latent = latent
        self.width = width
        self.encoding = encoding
        self.adversarial = adversarial

    def _network(self, basis: Standards) -> nn.Module:
        return _Gan(self.width, self.latent, *basis)

    def _objectives(self, net: Any) -> list[tuple[nn.Module, PictureLoss]]:
        return [(net.generator, self._loss), (net.discriminator, self._judge)]

    def _loss(self, net: Any, images: Tensor, targets: Tensor) -> Tensor:
        x = net.standardise(targets)
        rebuilt, code, again = net.generate(x)
        features = (net.features(x) - net.features(rebuilt)).square().mean()
        error, again = (rebuilt - x).abs().mean(), (code - again).square().mean()
        loss: Tensor = error + self.adversarial * features + self.encoding * again
        return loss

    def _judge(self, net: Any, images: Tensor, targets: Tensor) -> Tensor:
        """Return the discriminator's loss on pictures and on the rebuilt ones."""
        x = net.standardise(targets)
        with torch.no_grad():
            rebuilt = net.rebuild(x)
        real, made = net.discriminator(x), net.discriminator(rebuilt)
        loss: Tensor = softplus(-real).mean() + softplus(made).mean()
        return loss

    def _validate(self, net: Any, images: Tensor, targets: Tensor) -> Tensor:
        # Without the discriminator: what it thinks of a picture changes from check to check.
        x = net.standardise(targets)
        rebuilt, code, again = net.generate(x)
        error, again = (rebuilt - x).abs().mean(), (code - again).square().mean()
        loss: Tensor = error + self.encoding * again
        return loss

    def _maps(self, net: Any, images: Tensor, shared: Any) -> Sequence[Tensor]:
        x = net.standardise(images)
        rebuilt, code, again = net.generate(x)
        difference = (code - again).square().mean(1)
        return error_map(x, rebuilt), torch.sqrt(difference + 1e-8)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_sizes()
        check_least(0, encoding=self.encoding, adversarial=self.adversarial)


class _Gan(Standardised):
    """The generator, and a discriminator of places of 32 × 32 pixels."""

    def __init__(self, width: int, code: int, mean: Tensor, spread: Tensor) -> None:
        super().__init__(mean, spread)
        parts = [encoder(width, code), decoder(width, code), encoder(width, code)]
        self.generator = nn.ModuleList(parts)
        self.discriminator = encoder(width, 1)

    def generate(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return standardised pictures as rebuilt, their codes, and the codes of the rebuilt."""
        code = self.generator[0](x)
        rebuilt = self.generator[1](code)
        return rebuilt, code, self.generator[2](rebuilt)

    def rebuild(self, x: Tensor) -> Tensor:
        """Return standardised pictures as rebuilt."""
        return self.generate(x)[0]

    def features(self, x: Tensor) -> Tensor:
        """Return the discriminator's last hidden features."""
        hidden: Tensor = self.discriminator[:-1](x)
        return hidden
