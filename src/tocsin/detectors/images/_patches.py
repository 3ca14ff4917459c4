"""Detectors over features of patches: which views of an image they take, and how these join."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, NamedTuple, Self

import numpy as np

from tocsin.base import ImageDetector, State, Stateful
from tocsin.base.declared import Shape
from tocsin.base.parameters import check_least
from tocsin.detectors.images._bank import Features, PatchBank
from tocsin.detectors.images._gaussian import PositionGaussian
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
from tocsin.encoders.images import export_layers, open_encoder
from tocsin.errors import CorruptModel, ParameterError
from tocsin.features.sampling import subsample
from tocsin.nn.onnx.graph import OnnxGraph, restored_graph
from tocsin.types import FloatArray, ImageArray, IntArray, MapArray

_STRIDE = 8  # pixels of a cell
_SCALED_BY = 16  # images that the scale of the features is taken from


class PatchView(NamedTuple):
    """What is looked at: features of some layers, by a "memory" or a "gaussian" model."""

    model: str
    layers: tuple[str, ...]


class PatchDetector(ScoresByMap, ImageDetector):
    """A detector over the features that a pretrained network gives of patches.

    Images are brought to ``size`` × ``size`` pixels, a multiple of 32. It learns from at most
    ``max_images``, drawn by ``seed``; all others are scored as new ones. Each half of them is
    scored by a model of the other half: from these maps come the calibration of positions and the
    training scores. ``encoder``: see ``encoders.images.open_encoder``. A saved detector holds the
    encoder as an ONNX graph, and needs neither torch nor the encoder's package.

    A subclass says which views it takes.
    """

    encoder: str
    bank: int
    max_images: int
    device: str
    seed: int

    graph_: OnnxGraph
    encoder_hash_: str
    scale_: Annotated[Features, Shape("c")]
    views_: list[FittedView]

    def _views(self, fine: tuple[str, ...], coarse: tuple[str, ...]) -> list[PatchView]:
        """Return the views, given the layers that tell small structures and whole parts."""
        raise NotImplementedError

    def get_state(self) -> State:
        """Return the graph, the scale and the models of all views."""
        state = super().get_state()
        if "views_" in state:
            state["views_"] = [view.get_state() for view in self.views_]
        return state

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        if "graph_" in state:
            self.graph_ = restored_graph(state["graph_"], self.size, self.device)
            self.views_ = [FittedView().set_state(view) for view in state["views_"]]
        return self

    def _fit(self, X: ImageArray, y: IntArray | None) -> FloatArray:
        encoder = open_encoder(self.encoder)
        self.encoder_hash_ = encoder.fingerprint
        views = self._views(encoder.fine, encoder.coarse)
        wanted = {layer for view in views for layer in view.layers}
        if unknown := sorted(wanted - set(encoder.layers)):
            raise ParameterError(
                f'The encoder has no layer {", ".join(unknown)}; name "fine", "coarse", or of '
                f"{', '.join(encoder.layers)}."
            )
        layers = [layer for layer in encoder.layers if layer in wanted]
        stride = max(_STRIDE, min(encoder.layers[layer] for layer in layers))
        self.graph_ = export_layers(encoder, self.size, layers, stride, self.device)
        learned = subsample(len(X), self.max_images, self.seed)
        return scores_of_all(X, learned, self._learn(X[learned], views), self._score)

    def _learn(self, X: ImageArray, views: Sequence[PatchView]) -> FloatArray:
        """Learn each half, score it by the other, learn the whole, and return the scores (n,)."""
        copies = -(-FEW // len(X))
        n = len(X) * copies
        half = _halves(len(X), copies, self.seed)
        self.scale_ = self._scale(X, copies)
        every = [_ViewFitter(view, n, half, self.bank, self.seed) for view in views]
        for i, features in enumerate(self._features(X, copies, "learning from")):
            for view in every:
                view.add(i, features)
        for view in every:
            view.finish()
        for i, features in enumerate(self._features(X, copies, "calibrating on")):
            for view in every:
                view.calibrate(i, features)
        self.views_ = [view.fitted() for view in every]
        maps = np.mean([view.calibrated() for view in every], axis=0)
        every_score = image_scores(maps)
        if copies > 1:
            self.copies_scores_ = every_score
        return every_score[::copies]

    def _heat(self, picture: Picture) -> MapArray:
        try:
            features = self._patches(picture)
            heat: MapArray = np.mean([view.heat(features) for view in self.views_], axis=0)
            return heat.astype(np.float32)
        except ValueError as error:  # pictures are all of one size: what was learned does not fit
            raise CorruptModel(f"The parts of {self.card.name} do not fit: {error}.") from error

    def _patches(self, picture: Picture) -> dict[str, Features]:
        """Return the features by layer, in units of their spread over good images."""
        found = self.graph_.run(picture)
        begin, scaled = 0, {}
        for name, features in found.items():
            end = begin + features.shape[-1]
            scaled[name] = features * self.scale_[begin:end]
            begin = end
        return scaled

    def _features(self, X: ImageArray, copies: int, doing: str) -> Iterator[dict[str, Features]]:
        for picture in pictures(X, self.size, doing):
            for variant in variants(picture, copies, self.seed):
                yield self._patches(variant)

    def _scale(self, X: ImageArray, copies: int) -> Features:
        """Return one over the standard deviation of each channel."""
        total, squares, count = 0.0, 0.0, 0
        for picture in pictures(X[: max(1, _SCALED_BY // copies)], self.size, "looking at"):
            joined = np.concatenate(list(self.graph_.run(picture).values()), axis=-1)
            rows = joined.reshape(-1, joined.shape[-1]).astype(float)
            total, squares = total + rows.sum(0), squares + (rows**2).sum(0)
            count += len(rows)
        variance = np.asarray(squares / count - (total / count) ** 2)
        floor = 1e-3 * np.sqrt(variance.max()) + 1e-6
        spread = np.maximum(np.sqrt(np.maximum(variance, 0)), floor)
        return np.asarray(1 / spread, dtype=np.float32)

    def _check_parameters(self) -> None:
        if self.size < 64 or self.size % 32:
            raise ParameterError(f"size is {self.size}; it must be a multiple of 32, 64 or more.")
        check_least(1, bank=self.bank, max_images=self.max_images)


class FittedView(Stateful):
    """A trained view: the model, and what its heat is on good images."""

    calibration_: PositionCalibration
    kind_: str
    layers_: list[str]
    model_: PatchBank | PositionGaussian

    def __init__(
        self, view: PatchView | None = None, model: Any = None, calibration: Any = None
    ) -> None:
        if view is not None:
            self.kind_ = view.model
            self.layers_ = list(view.layers)
            self.model_ = model
            self.calibration_ = calibration

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self.model_ = _model(self.kind_).set_state(state["model_"])
        self.calibration_ = PositionCalibration().set_state(state["calibration_"])
        return self

    def heat(self, features: Mapping[str, Features]) -> MapArray:
        """Return the calibrated map of an image, from its features by layer."""
        heat: MapArray = self.model_.heat(_join(features, self.layers_))
        return self.calibration_.transform(heat)


class _ViewFitter:
    """A view while it learns: a model of each half and of the whole, and their maps."""

    def __init__(self, view: PatchView, n: int, half: IntArray, bank: int, seed: int) -> None:
        self.view = view
        self.half = half
        sizes = (int((half == 0).sum()), int((half == 1).sum()), n)
        self.models = [_model(view.model, bank, seed).expect(size) for size in sizes]
        self.maps: list[MapArray] = []

    def add(self, i: int, features: Mapping[str, Features]) -> None:
        joined = _join(features, self.view.layers)
        self.models[self.half[i]].add(joined)
        self.models[2].add(joined)

    def finish(self) -> None:
        for model in self.models:
            model.finish()

    def calibrate(self, i: int, features: Mapping[str, Features]) -> None:
        """Keep the map of an image by the model that has not seen it."""
        self.maps.append(self.models[1 - self.half[i]].heat(_join(features, self.view.layers)))

    def fitted(self) -> FittedView:
        maps = np.stack(self.maps)
        # A Gaussian knows positions itself; a second time they would only add noise.
        self.calibration = PositionCalibration(by_position=self.view.model == "memory").fit(maps)
        return FittedView(self.view, self.models[2], self.calibration)

    def calibrated(self) -> MapArray:
        calibrated: MapArray = self.calibration.transform(np.stack(self.maps))
        return calibrated


def _model(kind: str, bank: int = 1, seed: int = 0) -> Any:
    return PatchBank(bank, seed=seed) if kind == "memory" else PositionGaussian()


def _join(features: Mapping[str, Features], layers: Sequence[str]) -> Features:
    return np.concatenate([features[layer] for layer in layers], axis=-1)


def _halves(n: int, copies: int, seed: int) -> IntArray:
    """Return the half of each copy of n images; copies of one image are in the same half."""
    if n == 1:
        return np.arange(copies) % 2
    half = np.random.default_rng(seed).permutation(n) % 2
    return np.repeat(half, copies)
