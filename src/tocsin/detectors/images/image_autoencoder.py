"""Convolutional autoencoder: places that it cannot rebuild from a short code."""

from __future__ import annotations

from typing import Unpack

from torch import Tensor, nn

from tocsin.detectors.images._networks import ImageTraining, NeuralMapDetector
from tocsin.detectors.images._reconstruction import (
    Reconstruction,
    Standardised,
    Standards,
    decoder,
    encoder,
)
from tocsin.types import Card


class ImageAutoencoder(Reconstruction, NeuralMapDetector):
    """Reconstruction error of an autoencoder that was trained on good images.

    Images of any size, brought to ``size`` × ``size`` pixels; the maps have cells of 4 × 4 of
    these. ``latent`` numbers are the code of 32 × 32 pixels, ``width`` channels are next to the
    picture. ``members``, ``steps``, ``batch_size``, ``learning_rate``, ``max_images``, ``device``
    and ``seed``: see ``NeuralMapDetector``. Raises ParameterError for settings that cannot work,
    TrainingFailed when the loss is not finite, and UnreadableFile for an image that cannot be
    read.

    Masci et al., Stacked Convolutional Auto-Encoders, ICANN 2011; for images of products Bergmann
    et al., Improving Unsupervised Defect Segmentation, VISAPP 2019.

    >>> import numpy as np
    >>> good = np.random.default_rng(0).integers(90, 110, (8, 64, 64), dtype=np.uint8)
    >>> odd = good[:1].copy()
    >>> odd[0, 20:30, 40:50] = 255
    >>> detector = ImageAutoencoder(size=64, width=4, steps=10).fit(good)
    >>> scores = detector.score([*good[1:3], *odd])
    >>> int(scores.values.argmax()), scores.parts.shape
    (2, (3, 16, 16))
    """

    card = Card(
        name="image_autoencoder",
        modality="images",
        family="reconstruction",
        learning=("one-class", "unlabelled"),
        summary="Error of a convolutional autoencoder at each place of an image.",
        paper="Masci et al., Stacked Convolutional Auto-Encoders, ICANN 2011",
        cost="fit O(members · steps · batch · size²), score O(members · size²)",
        also_known_as=("CAE",),
    )

    def __init__(
        self,
        *,
        latent: int = 32,
        width: int = 16,
        **training: Unpack[ImageTraining],
    ) -> None:
        super().__init__(**training)
        self.latent = latent
        self.width = width

    def _network(self, basis: Standards) -> nn.Module:
        return _Autoencoder(self.width, self.latent, *basis)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._check_sizes()


class _Autoencoder(Standardised):
    def __init__(self, width: int, code: int, mean: Tensor, spread: Tensor) -> None:
        super().__init__(mean, spread)
        self.encoder = encoder(width, code)
        self.decoder = decoder(width, code)

    def rebuild(self, x: Tensor) -> Tensor:
        """Return standardised pictures as rebuilt."""
        rebuilt: Tensor = self.decoder(self.encoder(x))
        return rebuilt
