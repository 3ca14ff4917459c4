"""Convolutional autoencoder: places that it cannot rebuild from a short code."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from tocsin.detectors.images._reconstruction import (
    Reconstruction,
    Standardised,
    decoder,
    encoder,
)
from tocsin.types import Card


class ImageAutoencoder(Reconstruction):
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
    )

    def __init__(
        self,
        size: int = 128,
        latent: int = 32,
        width: int = 16,
        members: int = 2,
        steps: int = 300,
        batch_size: int = 8,
        learning_rate: float = 2e-3,
        max_images: int = 4000,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.size = size
        self.latent = latent
        self.width = width
        self.members = members
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_images = max_images
        self.device = device
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a short training of small networks on small pictures."""
        return {"size": 64, "width": 4, "steps": 25, "batch_size": 8}

    def _network(self) -> nn.Module:
        return _Autoencoder(self.width, self.latent, self._mean, self._spread)


class _Autoencoder(Standardised):
    def __init__(self, width: int, code: int, mean: Tensor, spread: Tensor) -> None:
        super().__init__(mean, spread)
        self.encoder = encoder(width, code)
        self.decoder = decoder(width, code)

    def rebuild(self, x: Tensor) -> Tensor:
        """Return standardised pictures as rebuilt."""
        rebuilt: Tensor = self.decoder(self.encoder(x))
        return rebuilt
