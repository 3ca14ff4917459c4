"""Any table detector over embeddings of texts, by its name."""

from __future__ import annotations

from typing import Any

from tocsin import registry
from tocsin.base import TableDetector
from tocsin.detectors.text._encoded import EncodedDetector
from tocsin.encoders.text import DEFAULT
from tocsin.types import Card, FloatArray, IntArray, Scores, TextArray


class Embedded(EncodedDetector):
    """The table detector ``model``, with its own ``parameters``, over embeddings as rows.

    ``registry.create("embedded:pca", "text")`` is ``Embedded("pca")``. A model that learns from
    labels gets those of the texts. ``seed`` is the model's, where it takes one; ``encoder`` and
    ``device``: see ``EncodedDetector``. Raises UnknownName for a model that tables do not have,
    ParameterError for parameters that it does not take, MissingExtra and ModelFolderError for
    an encoder that is not there.

    >>> Embedded("lof", parameters={"k": 10}).get_params()["model"]
    'lof'
    """

    card = Card(
        name="embedded",
        modality="text",
        family="composite",
        learning=("one-class", "unlabelled", "supervised"),
        summary="Any table detector by its name over embeddings of texts, as embedded:pca.",
        paper="Li et al., NLP-ADBench, EMNLP Findings 2025",
        cost="one pass of the encoder per text, and what the detector named costs",
    )
    slow_to_check = True
    uses_labels = True  # the model's own fit knows what to do with them

    rows_: TableDetector

    def __init__(
        self,
        model: str = "pca",
        encoder: str = DEFAULT,
        parameters: dict[str, Any] | None = None,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.model = model
        self.encoder = encoder
        self.parameters = parameters
        self.device = device
        self.seed = seed

    def _fit(self, X: TextArray, y: IntArray | None) -> None:
        parameters = dict(self.parameters or {})
        if "seed" in registry.find(self.model, "tables").parameter_names():
            parameters.setdefault("seed", self.seed)
        self.rows_ = registry.create(self.model, "tables", **parameters)
        self.rows_.fit(self._learn_encoder().embed(X), y)

    def _score(self, X: TextArray) -> Scores:
        return Scores(self.rows_.score(self._embed(X)).values)

    def _score_training(self, X: TextArray, y: IntArray | None) -> FloatArray:
        return self.rows_.training_scores_.copy()
