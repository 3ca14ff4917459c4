"""Several views of patches in one pass of the encoder, joined on one scale."""

from __future__ import annotations

from typing import Any

from tocsin.detectors.images._patches import PatchDetector, PatchView
from tocsin.detectors.images.patch_memory import named_layers
from tocsin.encoders.images import DEFAULT
from tocsin.errors import ParameterError
from tocsin.types import Card


class PatchFusion(PatchDetector):
    """The mean of calibrated maps of memory banks and of Gaussians, over one encoder's features.

    ``memory`` and ``gaussian`` name the layers of the views, as ``layers`` of ``patch_memory``
    does; None takes no such view. The other parameters are those of ``patch_memory``. Raises as
    ``patch_memory`` does, and ParameterError without any view.

    Roth et al., PatchCore, CVPR 2022; Defard et al., PaDiM, ICPR Workshops 2021.

    >>> PatchFusion(size=640, memory="fine+coarse", gaussian=None).get_params()["bank"]
    2000
    """

    card = Card(
        name="patch_fusion",
        modality="images",
        family="composite",
        learning=("one-class", "unlabelled"),
        summary="Memory banks and Gaussians of patches joined, in one pass of the encoder.",
        paper="Roth et al., PatchCore, CVPR 2022; Defard et al., PaDiM, ICPR Workshops 2021",
        cost="two passes of the encoder per image to fit, one and what each view costs to score",
    )

    def __init__(
        self,
        size: int = 256,
        memory: str | None = "coarse",
        gaussian: str | None = "coarse",
        encoder: str = DEFAULT,
        bank: int = 2000,
        max_images: int = 2000,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.size = size
        self.memory = memory
        self.gaussian = gaussian
        self.encoder = encoder
        self.bank = bank
        self.max_images = max_images
        self.device = device
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"size": 64, "memory": "coarse", "gaussian": "fine", "bank": 200}

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not (self.memory or self.gaussian):
            raise ParameterError('Name a view: memory="coarse", gaussian="coarse", or both.')

    def _views(self, fine: tuple[str, ...], coarse: tuple[str, ...]) -> list[PatchView]:
        return [
            PatchView(model, layers)
            for model, named in (("memory", self.memory), ("gaussian", self.gaussian))
            for layers in (named_layers(named, fine, coarse) if named else [])
        ]
