"""Networks over images that transformers reads: ResNet, DINOv2, CLIP and their kin."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import torch
from torch import Tensor, nn

from tocsin.encoders.hub import folder_of
from tocsin.encoders.pretrained import read_network
from tocsin.errors import ModelFolderError

_IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}


class VisionModel:
    """A convolutional network or a vision transformer by its name on the hub, or its folder.

    Its layers are "layer1" and so on, the stages of a convolutional network or the blocks of a
    transformer. Images are standardised by the model's preprocessor_config.json, or as
    ImageNet's are. Raises as ``pretrained.read_network`` does, and ModelFolderError for a network
    that takes no images.

    He et al., ResNet, CVPR 2016; Oquab et al., DINOv2, TMLR 2024; Radford et al., CLIP, ICML 2021.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        network, weights = read_network(name)
        self._network = getattr(network, "vision_model", network)
        parts = [hashlib.sha256(w.detach().numpy().tobytes()).digest() for w in weights]
        self.fingerprint = hashlib.sha256(b"".join(sorted(parts))).hexdigest()
        strides = _strides(self._network, name)
        self.layers = {f"layer{i}": stride for i, stride in enumerate(strides, 1)}
        self.fine, self.coarse = _of_use(list(self.layers), strides)

    def network(self) -> nn.Module:
        """Return a module from images (n, size, size, 3), 0 to 255, to maps by layer."""
        return Maps(self._network, *_standards(self.name))


class Maps(nn.Module):
    """The maps of every layer of a network, and its pooled features."""

    mean: Tensor
    spread: Tensor

    def __init__(self, network: Any, mean: list[float], spread: list[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1) * 255)
        self.register_buffer("spread", torch.tensor(spread).view(1, 3, 1, 1) * 255)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return maps (n, channels, rows, columns) by layer, and "pooled" (n, channels)."""
        x = (images.permute(0, 3, 1, 2) - self.mean) / self.spread
        options = {} if _patch(self.network) is None else {"interpolate_pos_encoding": True}
        if type(self.network).__name__.startswith("Dinov2"):
            options = {}  # it always does
        result = self.network(pixel_values=x, output_hidden_states=True, **options)
        maps = {
            f"layer{i}": _as_map(hidden, x.shape[2], _patch(self.network))
            for i, hidden in enumerate(result.hidden_states[1:], 1)
        }
        return {**maps, "pooled": result.pooler_output.flatten(1)}


def _as_map(hidden: Tensor, size: int, patch: int | None) -> Tensor:
    """Return tokens (n, tokens, d) as a map, without those that stand for no patch."""
    if patch is None:
        return hidden
    side = size // patch
    tokens = hidden[:, hidden.shape[1] - side * side :]
    return tokens.transpose(1, 2).reshape(hidden.shape[0], -1, side, side)


def _patch(network: Any) -> int | None:
    """Return the side of a transformer's patches in pixels, None for a convolutional network."""
    patch = getattr(network.config, "patch_size", None)
    return None if patch is None else int(patch)


def _strides(network: Any, name: str) -> list[int]:
    config = network.config
    if (patch := _patch(network)) is not None:
        return [patch] * int(config.num_hidden_layers)
    with torch.no_grad():
        try:
            result = network(pixel_values=torch.zeros(1, 3, 64, 64), output_hidden_states=True)
        except (TypeError, ValueError) as error:
            raise ModelFolderError(f'The model "{name}" takes no images: {error}') from error
    return [64 // hidden.shape[2] for hidden in result.hidden_states[1:]]


def _of_use(names: list[str], strides: list[int]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the layers that show small structures, and those that show whole parts."""
    n = len(names)
    if len(set(strides)) == 1:  # a transformer: from the middle on, where patches have meaning
        middle, late = names[max(0, n // 2 - 1)], names[max(0, (3 * n) // 4 - 1)]
        return (middle,), tuple(dict.fromkeys((middle, late)))
    return tuple(names[: max(1, n // 2)]), tuple(names[n // 4 : max(1, n - 1)])


def _standards(name: str) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation per channel, of values from 0 to 1."""
    path = folder_of(name) / "preprocessor_config.json"
    found = dict(_IMAGENET)
    if path.is_file():
        found |= json.loads(path.read_text(encoding="utf-8"))
    return list(found["image_mean"]), list(found["image_std"])
