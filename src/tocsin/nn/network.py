"""What every detector with a network has in common: its parameters, weights and scaling."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tocsin.base import Detector, State
from tocsin.base.declared import Within
from tocsin.errors import CorruptModel
from tocsin.nn.device import pick_device
from tocsin.types import FloatArray


class KeywordParameters:
    """A detector whose constructors pass keywords on to those of its bases as ``**training``."""

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """Return the names of the keywords of this class and of those it derives from."""
        constructors = [vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base)]
        signatures = map(inspect.signature, constructors)
        keywords = (each for signature in signatures for each in signature.parameters.values())
        return sorted({each.name for each in keywords if each.kind is each.KEYWORD_ONLY})


class NetworkDetector(KeywordParameters, Detector):
    """A detector that keeps a network ``net_``, which is rebuilt from its parameters."""

    net_: nn.Module
    n_features_in_: Annotated[int, Within(1)]
    device: str

    scores_in: ClassVar[torch.dtype] = torch.float64
    """Precision of scoring; training is in float32. Metal knows no float64."""

    @abstractmethod
    def _network(self, n_features: int) -> nn.Module:
        """Return a new network; its sizes follow from n_features and the parameters alone."""

    def _built(self) -> nn.Module:
        """Return what ``net_`` is before its weights are loaded."""
        return self._network(self.n_features_in_)

    def get_state(self) -> State:
        """Return the fitted arrays, the weights among them as float32 by their names."""
        state = {k: v for k, v in vars(self).items() if k.endswith("_") and k != "net_"}
        if hasattr(self, "net_"):
            weights = self.net_.state_dict()
            state["net_"] = {name: to_numpy(value.float()) for name, value in weights.items()}
        return state

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Rebuild the network for the saved number of columns and load its weights."""
        super().set_state({name: value for name, value in state.items() if name != "net_"})
        if "net_" not in state:
            return self
        weights = {name: torch.from_numpy(value.copy()) for name, value in state["net_"].items()}
        self._check_weights({name: tuple(value.shape) for name, value in weights.items()})
        self.net_ = self._built()
        self.net_.load_state_dict(weights)
        self.net_ = self._ready(self.net_, pick_device(self.device))
        return self

    def _check_weights(self, given: Mapping[str, tuple[int, ...]]) -> None:
        """Raise CorruptModel unless weights are those of the network; allocates none of them."""
        with torch.device("meta"):
            wanted = {name: tuple(w.shape) for name, w in self._built().state_dict().items()}
        if given != wanted:
            raise CorruptModel(
                f"The weights of {self.card.name} are not those of a network with its parameters. "
                "Restore the model from a copy, or train and save it again."
            )

    def _ready(self, net: nn.Module, device: torch.device) -> nn.Module:
        """Return the network as it scores: on the device, in the precision of scoring."""
        return net.to(device, torch.float32 if device.type == "mps" else self.scores_in).eval()


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draw from this seed, and give the generators back as they were."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """Return the values of a tensor on any device."""
    return np.asarray(tensor.detach().cpu().numpy())


def mean_and_scale(X: FloatArray, size: int = 65_536) -> tuple[FloatArray, FloatArray]:
    """Return the mean and standard deviation of columns in chunks; 1 for constant columns."""
    chunks = range(0, len(X), size)
    # In units of each column's largest value, so that no square overflows.
    largest = np.max([np.abs(X[i : i + size]).max(axis=0) for i in chunks], axis=0)
    unit = np.where(largest > 0, largest, 1.0)
    mean = sum((X[i : i + size] / unit).sum(axis=0) for i in chunks) / len(X)
    square = sum(np.square(X[i : i + size] / unit - mean).sum(axis=0) for i in chunks) / len(X)
    scale = np.sqrt(square)
    scale[~(scale > 1e-12 * np.abs(mean))] = 1.0 / unit[~(scale > 1e-12 * np.abs(mean))]
    return mean * unit, scale * unit
