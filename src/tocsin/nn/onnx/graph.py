"""Networks over one image as ONNX graphs, run by onnxruntime: scoring needs no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray

from tocsin.base.declared import Shape, Within
from tocsin.base.state import State, Stateful
from tocsin.errors import CorruptModel
from tocsin.nn.onnx.session import Session, open_session

if TYPE_CHECKING:
    from torch import nn


class OnnxGraph(Stateful):
    """A network from one image (1, size, size, 3), float32 from 0 to 255, to named arrays.

    ``content``: the ONNX model. ``size``: the side of the image in pixels. ``outputs``: the names
    of what it gives, each an array with a leading 1. ``device``: "auto", "cuda", "mps" or "cpu".
    """

    content_: Annotated[NDArray[np.uint8], Shape("bytes")]
    size_: Annotated[int, Within(1, 8192)]
    outputs_: list[str]

    def __init__(
        self,
        content: bytes = b"",
        size: int = 0,
        outputs: Sequence[str] = (),
        device: str = "auto",
    ) -> None:
        self.content_ = np.frombuffer(content, dtype=np.uint8)
        self.size_ = size
        self.outputs_ = list(outputs)
        self._device = device
        self._session: Session | None = None

    def get_state(self) -> State:
        """Return the model as bytes, the size and the names."""
        return {"content_": self.content_, "size_": self.size_, "outputs_": self.outputs_}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        self._session = None
        return super().set_state(state)

    def run(self, image: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return what the network gives for an image (size, size, 3), float32 from 0 to 255.

        Images are run one by one: what it gives for one must not depend on those beside it.
        """
        if self._session is None:
            self._session = open_session(self.content_.tobytes(), 0, self._device)
        found = self._session.run(self.outputs_, {"images": image[None]})
        return {name: array[0] for name, array in zip(self.outputs_, found, strict=True)}


def restored_graph(state: Mapping[str, Any], size: int, device: str) -> OnnxGraph:
    """Return a graph from its state. Raises CorruptModel for one of images of another size."""
    graph = OnnxGraph(device=device).set_state(state)
    if graph.size_ != size:
        raise CorruptModel(f"The graph takes images of {graph.size_} pixels, not of {size}.")
    return graph


def export_graph(
    network: nn.Module, size: int, outputs: Sequence[str], device: str = "auto"
) -> OnnxGraph:
    """Return a module from images (1, size, size, 3) to a tuple of tensors as a graph.

    The module is in eval mode and on the CPU; ``outputs`` names the tensors in their order.
    """
    import torch

    from tocsin.nn.onnx.export import export_onnx

    example = torch.zeros(1, size, size, 3)
    return OnnxGraph(export_onnx(network, example, "images", outputs), size, outputs, device)
