"""Encoders of images: features of patches, run by onnxruntime.

A network is written as an ONNX graph once, with the layers that are asked for joined on one grid,
and every detector runs that graph: scoring needs neither torch nor the package of the weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, Protocol, cast

from tocsin.encoders import find_encoder
from tocsin.encoders.cache import cache_folder, is_off
from tocsin.errors import ParameterError
from tocsin.files import write_atomically
from tocsin.nn.onnx.graph import OnnxGraph, export_graph

DEFAULT = "efficientnet_lite0"
"""The encoder that detectors take where none is named."""

Layers = Sequence[str]

_FORM = 1
"""Increased whenever the graph that is written for the same weights changes."""


class ImageEncoder(Protocol):
    """A pretrained network over images, in torch."""

    @property
    def fingerprint(self) -> str:
        """A hash of the weights."""

    @property
    def layers(self) -> dict[str, int]:
        """The stride in pixels of each layer, by name."""

    @property
    def fine(self) -> tuple[str, ...]:
        """The layers that show small structures."""

    @property
    def coarse(self) -> tuple[str, ...]:
        """The layers that show whole parts."""

    def network(self) -> Any:
        """Return a module from images (n, size, size, 3), 0 to 255, to maps by layer.

        Each map is (n, channels, rows, columns); "pooled" is (n, channels), one vector per image.
        """


class StagedEncoder(ImageEncoder, Protocol):
    """A pretrained network whose last stages can be fine-tuned."""

    def stages(self) -> list[Any]:
        """Return new modules that one after the other take images to features of cells.

        From images (n, size, size, 3), 0 to 255, to (n, channels, size / 32, size / 32).
        """


@lru_cache(maxsize=2)
def open_encoder(name: str = DEFAULT) -> ImageEncoder:
    """Return an encoder to learn with: a registered one, or a network on the hub or in a folder.

    One on the hub is fetched; a detector that has learned holds a graph of it, and opens none.
    The latter are what transformers' ``AutoModel`` reads: ResNet, DINOv2 and CLIP among them.
    Raises MissingExtra, and ModelFolderError for what cannot be read or was never trained.
    """
    registered = find_encoder("images", name)
    if registered is not None:
        encoder: ImageEncoder = registered()
        return encoder
    from tocsin.encoders.hub import pinned
    from tocsin.encoders.images._vision import VisionModel

    return VisionModel(pinned(name))


def open_staged(name: str = DEFAULT) -> StagedEncoder:
    """Return an encoder that can be fine-tuned.

    Raises as ``open_encoder`` does, and ParameterError for an encoder that does not offer stages.
    """
    if not hasattr(find_encoder("images", name), "stages"):
        raise ParameterError(
            f"encoder is {name!r}, which does not offer stages to fine-tune; "
            f"take a registered one that does, such as {DEFAULT}."
        )
    return cast("StagedEncoder", open_encoder(name))


def export_layers(
    encoder: ImageEncoder, size: int, layers: Layers, stride: int = 8, device: str = "auto"
) -> OnnxGraph:
    """Return the graph of some layers of an encoder, on a grid of one cell per ``stride``.

    For an image it gives each layer as (grid, grid, channels), float32, averaged over 3 × 3 cells
    of the grid; "pooled" as (channels,). A graph once written is kept on disk, unless the
    environment has ``TOCSIN_CACHE=off``. Raises ParameterError for a layer that the encoder does
    not have.
    """
    unknown = [layer for layer in layers if layer not in encoder.layers and layer != "pooled"]
    if unknown or not layers:
        raise ParameterError(
            f"The encoder has no layer {', '.join(unknown) or '(none named)'}; it has: "
            f"{', '.join(encoder.layers)}."
        )
    key = f"{_FORM}:{encoder.fingerprint}:{size}:{stride}:{','.join(layers)}"
    path = cache_folder() / "encoders" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.onnx"
    if not is_off() and path.is_file():
        return OnnxGraph(path.read_bytes(), size, layers, device)
    from tocsin.encoders.images._patch_grid import PatchGrid

    network = PatchGrid(encoder.network(), tuple(layers), size // stride).eval()
    graph = export_graph(network, size, layers, device)
    if not is_off():
        # Where it cannot be kept, it is exported again the next time.
        with suppress(OSError, ParameterError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, graph.content_.tobytes())
    return graph
