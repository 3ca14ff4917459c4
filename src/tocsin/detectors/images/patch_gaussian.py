"""Patches by their distance from the distribution of good ones at the same position."""

from __future__ import annotations

from typing import Any

from tocsin.detectors.images._patches import PatchDetector, PatchView
from tocsin.detectors.images.patch_memory import named_layers
from tocsin.encoders.images import DEFAULT
from tocsin.types import Card


class PatchGaussian(PatchDetector):
    """Mahalanobis distance of every patch from what good images show at its position.

    Every cell has its own mean, every sixteenth of a side by side its own covariance. It suits
    images that are aligned: the same part in the same place. ``layers`` and the other parameters
    are those of ``patch_memory``. Raises as ``patch_memory`` does.

    Defard et al., PaDiM: a Patch Distribution Modeling Framework, ICPR Workshops 2021.

    >>> PatchGaussian(encoder="efficientnet_lite2").get_params()["layers"]
    'coarse'
    """

    card = Card(
        name="patch_gaussian",
        modality="images",
        family="density",
        learning=("one-class", "unlabelled"),
        summary="Distance of patches from the distribution of good ones at the same position.",
        paper="Defard et al., PaDiM: a Patch Distribution Modeling Framework, ICPR 2021",
        cost="two passes of the encoder per image to fit, one and O(cells · channels²) to score",
        also_known_as=("PaDiM",),
    )

    bank = 1

    def __init__(
        self,
        size: int = 256,
        layers: str = "coarse",
        encoder: str = DEFAULT,
        max_images: int = 2000,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.size = size
        self.layers = layers
        self.encoder = encoder
        self.max_images = max_images
        self.device = device
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"size": 64, "layers": "fine"}

    def _views(self, fine: tuple[str, ...], coarse: tuple[str, ...]) -> list[PatchView]:
        return [PatchView("gaussian", layers) for layers in named_layers(self.layers, fine, coarse)]
