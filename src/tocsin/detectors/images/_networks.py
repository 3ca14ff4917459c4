"""Detectors that train networks on good images and score by graphs of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ClassVar, Self, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tocsin.base import ImageDetector, State, assign_folds
from tocsin.base.parameters import check_least, check_positive
from tocsin.detectors.images._maps import (
    FEW,
    Picture,
    PositionCalibration,
    ScoresByMap,
    image_scores,
    pictures,
    scores_of_all,
    variants,
)
from tocsin.errors import CorruptModel, ParameterError
from tocsin.features.sampling import subsample
from tocsin.nn.device import pick_device
from tocsin.nn.network import KeywordParameters, seeded
from tocsin.nn.onnx.graph import OnnxGraph, export_graph, restored_graph
from tocsin.nn.single import ItemLoss, train_by_number
from tocsin.nn.training import Schedule
from tocsin.types import BoolArray, FloatArray, ImageArray, IntArray, MapArray

_CHECKS = 8  # of the held-out loss while a network is trained
_HELD_OUT = 32  # pictures that it is taken on, at most
_LEAST_SIZE = 64

PictureLoss = Callable[[Any, Tensor, Tensor], Tensor]
"""A scalar from a network, pictures (k, size, size, 3), 0 to 255, and their targets (k, …)."""


class ImageTraining(TypedDict, total=False):
    """How networks are trained: keywords that every neural detector of images takes."""

    size: int
    members: int
    steps: int
    batch_size: int
    learning_rate: float
    max_images: int
    device: str
    seed: int


class NeuralMapDetector(KeywordParameters, ScoresByMap, ImageDetector):
    """A detector of ``members`` networks, each of which leaves a part of the images out.

    Pictures are ``size`` × ``size`` pixels, a multiple of 32. Each network learns from the
    pictures of all parts but its own, for ``steps`` steps of ``batch_size`` of them at
    ``learning_rate``, which decays; the weights that do best on its own part are kept. A picture's
    training score, and what it tells of what is usual at a position, come from the network that
    has not learned from it. The heat of a new picture is the mean of all networks'.

    At most ``max_images``, drawn by ``seed``, are learned from and held as bytes meanwhile; all
    others are scored as new ones. Of fewer than eight images, shifted and dimmed copies are
    learned from as well. The trained networks are kept as one ONNX graph, which alone scores.

    A subclass takes these parameters as ``**training`` beside its own keywords,
    and gives ``_network``, ``_loss`` and ``_maps``.
    """

    graph_: OnnxGraph
    calibrations_: list[PositionCalibration]

    maps: ClassVar[tuple[str, ...]] = ("error",)
    """The names of the maps that a network gives, the one with the finest grid first."""

    def __init__(
        self,
        *,
        size: int = 128,
        members: int = 2,
        steps: int = 300,
        batch_size: int = 8,
        learning_rate: float = 2e-3,
        max_images: int = 4000,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.size = size
        self.members = members
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.max_images = max_images
        self.device = device
        self.seed = seed

    @abstractmethod
    def _network(self, basis: Any) -> nn.Module:
        """Return a new network; ``basis`` is what ``_begin`` returned."""

    @abstractmethod
    def _loss(self, net: Any, images: Tensor, targets: Tensor) -> Tensor:
        """Return the loss, a scalar, of pictures (k, size, size, 3), and of their targets."""

    @abstractmethod
    def _maps(self, net: Any, images: Tensor, shared: Any) -> Sequence[Tensor]:
        """Return the maps, each (k, rows, columns), of pictures (k, size, size, 3).

        ``shared``: what all networks look at, see ``_shared``.
        """

    def _opened(self) -> Any:
        """Return what is opened before any image is read, nothing by default."""
        return None

    @abstractmethod
    def _begin(self, images: Tensor, opened: Any) -> tuple[Tensor, Any]:
        """Return the target of each picture (n, size, size, 3), uint8, and a basis.

        The basis is what networks are built from, and what they share.
        """

    def _shared(self, basis: Any) -> nn.Module:
        """Return what all networks look at, once for each picture: nothing by default."""
        return nn.Identity()

    def _objectives(self, net: Any) -> list[tuple[nn.Module, PictureLoss]]:
        """Return the parts of a network that learn, and their losses."""
        return [(net, self._loss)]

    def get_state(self) -> State:
        """Return the graph and the calibrations."""
        state = super().get_state()
        if "calibrations_" in state:
            state["calibrations_"] = [each.get_state() for each in self.calibrations_]
        return state

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        if "graph_" in state:
            self.graph_ = restored_graph(state["graph_"], self.size, self.device)
            kept = state["calibrations_"]
            self.calibrations_ = [PositionCalibration().set_state(each) for each in kept]
            given = {f"{name}{m}" for name in self.maps for m in range(self.members)}
            if given != set(self.graph_.outputs_) or len(kept) != len(self.maps):
                raise CorruptModel(f"The graph of {self.card.name} does not give its maps.")
        return self

    def _fit(self, X: ImageArray, y: IntArray | None) -> FloatArray:
        opened = self._opened()
        device = pick_device(self.device)
        learned = subsample(len(X), self.max_images, self.seed)
        own = X[learned]
        copies = -(-FEW // len(own))
        fold = self._folds(len(own), copies)
        images = torch.from_numpy(self._cached(own, copies))
        with seeded(self.seed, device):
            targets, basis = self._begin(images, opened)
            nets = [
                self._trained(self._network(basis).to(device), images, targets, fold != m, device)
                for m in range(self.members)
            ]
            whole = _Members(nets, self._shared(basis), self._maps).eval()
        outputs = [f"{name}{m}" for m in range(self.members) for name in self.maps]
        self.graph_ = export_graph(whole, self.size, outputs, self.device)
        return scores_of_all(X, learned, self._calibrate(own, copies, fold), self._score)

    def _trained(
        self,
        net: nn.Module,
        images: Tensor,
        targets: Tensor,
        inside: BoolArray,
        device: torch.device,
    ) -> nn.Module:
        """Return a network when it has learned from the pictures that are ``inside``."""

        def of_numbers(loss: PictureLoss) -> ItemLoss:
            def value(at: Tensor) -> Tensor:
                return loss(net, images[at].to(device).float(), targets[at].to(device).float())

            return value

        train_by_number(
            net,
            [(part, of_numbers(loss)) for part, loss in self._objectives(net)],
            of_numbers(self._validate),
            np.flatnonzero(inside),
            np.flatnonzero(~inside),
            self._schedule(),
            device,
            self.seed,
        )
        return net.cpu().eval()

    def _validate(self, net: Any, images: Tensor, targets: Tensor) -> Tensor:
        """Return the held-out loss, with the same random draws at every check."""
        with seeded(self.seed, images.device):
            return self._loss(net, images, targets)

    def _schedule(self) -> Schedule:
        return Schedule(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            check_every=max(1, -(-self.steps // _CHECKS)),
            patience=_CHECKS,
            max_held_out=_HELD_OUT,
        )

    def _calibrate(self, X: ImageArray, copies: int, fold: IntArray) -> FloatArray:
        """Learn what is usual at each position from the networks that have not seen an image.

        Returns the scores (n,) of the images by these networks.
        """
        found = []
        for i, picture in enumerate(self._varied(X, copies, "calibrating on")):
            maps = self.graph_.run(picture)
            found.append([maps[f"{name}{fold[i]}"] for name in self.maps])
        kinds = [np.stack(kind) for kind in zip(*found, strict=True)]
        self.calibrations_ = [PositionCalibration().fit(kind) for kind in kinds]
        return image_scores(self._joined(kinds)[::copies])

    def _heat(self, picture: Picture) -> MapArray:
        found = self.graph_.run(picture)
        members = range(self.members)
        means = [np.mean([found[f"{name}{m}"] for m in members], axis=0) for name in self.maps]
        return self._joined(means)

    def _joined(self, maps: Sequence[MapArray]) -> MapArray:
        """Return the mean of calibrated maps (…, rows, columns), on the grid of the first."""
        grid = maps[0].shape[-1]
        total = np.zeros(maps[0].shape, dtype=np.float32)
        for calibration, heat in zip(self.calibrations_, maps, strict=True):
            times = grid // heat.shape[-1]
            total += calibration.transform(heat).repeat(times, axis=-2).repeat(times, axis=-1)
        return total / np.float32(len(maps))

    def _cached(self, X: ImageArray, copies: int) -> NDArray[np.uint8]:
        cached = np.empty((len(X) * copies, self.size, self.size, 3), dtype=np.uint8)
        for i, picture in enumerate(self._varied(X, copies, "reading")):
            cached[i] = np.rint(picture)
        return cached

    def _varied(self, X: ImageArray, copies: int, doing: str) -> Iterator[Picture]:
        for picture in pictures(X, self.size, doing):
            yield from islice(variants(picture, copies, self.seed), copies)

    def _folds(self, n: int, copies: int) -> IntArray:
        """Return the fold of each copy of n images; copies are in the same fold, where they can."""
        if n < self.members:
            return np.arange(n * copies) % self.members
        return np.repeat(assign_folds(n, self.members, self.seed), copies)

    def _check_parameters(self) -> None:
        if self.size < _LEAST_SIZE or self.size % 32:
            raise ParameterError(
                f"size is {self.size}; it must be a multiple of 32, {_LEAST_SIZE} or more."
            )
        if not 2 <= self.members <= FEW:
            raise ParameterError(f"members must be from 2 to {FEW}; got {self.members}.")
        check_least(1, steps=self.steps, batch_size=self.batch_size, max_images=self.max_images)
        check_positive(learning_rate=self.learning_rate)


class _Members(nn.Module):
    """All networks as one module from pictures (1, size, size, 3) to the maps of each."""

    def __init__(
        self, nets: Sequence[nn.Module], shared: nn.Module, maps: Callable[..., Any]
    ) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)
        self.shared = shared
        self.maps = maps

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        seen = self.shared(images)
        return tuple(each for net in self.nets for each in self.maps(net, images, seen))


def kaiming_initialised(network: nn.Sequential) -> nn.Sequential:
    """Return a network with weights that keep the size of values from layer to layer."""
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=0.1, nonlinearity="leaky_relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    return network
