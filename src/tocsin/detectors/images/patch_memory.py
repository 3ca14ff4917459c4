"""Patches by their distance to a memory bank of patches of good images."""

from __future__ import annotations

from typing import Any

from tocsin.detectors.images._patches import PatchDetector, PatchView
from tocsin.encoders.images import DEFAULT
from tocsin.types import Card


class PatchMemory(PatchDetector):
    """Distance of every patch to the nearest patches of good images, by position.

    ``layers``: "fine", "coarse" or both joined by "+", those of the encoder that tell small
    structures or whole parts; each is a bank of its own. ``bank``: patches in a bank at most.
    ``size``, ``encoder``, ``max_images``, ``device`` and ``seed``: see ``PatchDetector``. While it
    learns, 40,000 patches are kept at most, whatever the number of images. Raises ParameterError
    for settings that cannot work, MissingExtra and ModelFolderError for an encoder that is not
    there, and UnreadableFile for an image that cannot be read.

    Roth et al., Towards Total Recall in Industrial Anomaly Detection (PatchCore), CVPR 2022.

    >>> PatchMemory(layers="fine").get_params()["size"]
    256
    """

    card = Card(
        name="patch_memory",
        modality="images",
        family="memory bank",
        learning=("one-class", "unlabelled"),
        summary="Distance of patches to a memory of good ones, seen by a pretrained network.",
        paper="Roth et al., Towards Total Recall in Industrial Anomaly Detection, CVPR 2022",
        cost="fit two passes of the encoder per image, score one and O(cells · bank · channels)",
        also_known_as=("PatchCore",),
    )

    def __init__(
        self,
        size: int = 256,
        layers: str = "coarse",
        encoder: str = DEFAULT,
        bank: int = 2000,
        max_images: int = 2000,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.size = size
        self.layers = layers
        self.encoder = encoder
        self.bank = bank
        self.max_images = max_images
        self.device = device
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"size": 64, "bank": 200}

    def _views(self, fine: tuple[str, ...], coarse: tuple[str, ...]) -> list[PatchView]:
        return [PatchView("memory", layers) for layers in named_layers(self.layers, fine, coarse)]


def named_layers(
    layers: str, fine: tuple[str, ...], coarse: tuple[str, ...]
) -> list[tuple[str, ...]]:
    """Return the groups of layers that are named, each a view's.

    >>> named_layers("coarse+stage2", ("stage2",), ("stage4",))
    [('stage4',), ('stage2',)]
    """
    known = {"fine": fine, "coarse": coarse}
    return [known.get(name, tuple(name.split(","))) for name in layers.split("+")]
