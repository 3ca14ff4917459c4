"""Any table detector over embeddings of whole images, by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from tocsin import registry
from tocsin.base import ImageDetector, TableDetector
from tocsin.detectors.images._maps import pictures
from tocsin.encoders.images import DEFAULT, export_layers, open_encoder
from tocsin.errors import ParameterError
from tocsin.nn.onnx.graph import OnnxGraph, restored_graph
from tocsin.types import Card, FloatArray, ImageArray, IntArray, Scores

_FEWEST = 2  # rows that tables learn from


class Embedded(ImageDetector):
    """The table detector ``model``, with its own ``parameters``, over embeddings as rows.

    ``registry.create("embedded:pca", "images")`` is ``Embedded("pca")``. Images are brought to
    ``size`` × ``size`` pixels, a multiple of 32; the embedding of one is the vector "pooled" of
    the ``encoder`` (see ``encoders.images.open_encoder``): it tells what is seen rather than small
    defects, and there are no maps. A model that learns from labels gets those of the images; a
    lone image is learned from twice. ``seed`` is the model's, where it takes one. A saved detector
    holds the encoder as an ONNX graph.

    Raises UnknownName for a model that tables do not have, ParameterError for parameters that it
    does not take, MissingExtra and ModelFolderError for an encoder that is not there, and
    UnreadableFile for an image that cannot be read. Bergman, Cohen & Hoshen, Deep Nearest Neighbor
    Anomaly Detection, 2020.

    >>> Embedded("lof", parameters={"k": 10}).get_params()["model"]
    'lof'
    """

    card = Card(
        name="embedded",
        modality="images",
        family="composite",
        learning=("one-class", "unlabelled", "supervised"),
        summary="Any table detector by its name over embeddings of images, as embedded:pca.",
        paper="Bergman, Cohen & Hoshen, Deep Nearest Neighbor Anomaly Detection, 2020",
        cost="one pass of the encoder per image, and what the detector named costs",
        also_known_as=("DN2",),
    )
    uses_labels = True  # the model's own fit knows what to do with them

    graph_: OnnxGraph
    rows_: TableDetector
    encoder_hash_: str

    def __init__(
        self,
        model: str = "neighbours",
        size: int = 224,
        encoder: str = DEFAULT,
        parameters: dict[str, Any] | None = None,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.model = model
        self.size = size
        self.encoder = encoder
        self.parameters = parameters
        self.device = device
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"size": 64}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        if "graph_" in state:
            self.graph_ = restored_graph(state["graph_"], self.size, self.device)
        return self

    def _check_parameters(self) -> None:
        if self.size < 32 or self.size % 32:
            raise ParameterError(f"size is {self.size}; it must be a multiple of 32.")

    def _fit(self, X: ImageArray, y: IntArray | None) -> None:
        parameters = dict(self.parameters or {})
        if "seed" in registry.find(self.model, "tables").parameter_names():
            parameters.setdefault("seed", self.seed)
        self.rows_ = registry.create(self.model, "tables", **parameters)
        encoder = open_encoder(self.encoder)
        self.encoder_hash_ = encoder.fingerprint
        self.graph_ = export_layers(encoder, self.size, ["pooled"], device=self.device)
        times = -(-_FEWEST // len(X))
        rows = np.repeat(self._embed(X, "learning from"), times, axis=0)
        self.rows_.fit(rows, None if y is None else np.repeat(y, times))

    def _score(self, X: ImageArray) -> Scores:
        return Scores(self.rows_.score(self._embed(X, "scoring")).values)

    def _score_training(self, X: ImageArray, y: IntArray | None) -> FloatArray:
        return self.rows_.training_scores_[: len(X)].copy()

    def _embed(self, X: ImageArray, doing: str) -> FloatArray:
        """Return embeddings (n, d)."""
        found = [self.graph_.run(picture)["pooled"] for picture in pictures(X, self.size, doing)]
        return np.stack(found).astype(float)
