"""Texts by their distance to the nearest training texts, as an encoder sees them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray

from tocsin.base import check_texts
from tocsin.base.declared import Shape, Within
from tocsin.base.parameters import check_count
from tocsin.detectors.text._encoded import EncodedDetector
from tocsin.encoders.text import DEFAULT
from tocsin.errors import NotFitted
from tocsin.features.neighbour_search import NeighbourSearch, norm
from tocsin.features.sampling import subsample
from tocsin.types import Card, FloatArray, IntArray, Scores, TextArray

_BLOCK = 1024  # texts


class TextNeighbours(EncodedDetector):
    """Mean distance to the ``k`` nearest training texts among embeddings of length 1.

    ``max_reference``: compare with at most this many training texts, drawn at random by ``seed``.
    Training texts are scored without themselves. ``encoder`` and ``device``: see
    ``EncodedDetector``. Raises ParameterError for a k or max_reference below 1, MissingExtra
    and ModelFolderError for an encoder that is not there.

    >>> TextNeighbours(k=3).get_params()["encoder"]
    'minilm'
    """

    card = Card(
        name="text_neighbours",
        modality="text",
        family="neighbours",
        learning=("one-class", "unlabelled"),
        summary="Distance to the nearest training texts, as a pretrained encoder sees them.",
        paper="Li et al., NLP-ADBench, EMNLP Findings 2025",
        cost="one pass of the encoder per text, then O(reference · d)",
        also_known_as=("kNN",),
    )
    slow_to_check = True

    reference_: Annotated[NDArray[np.float32], Shape("m", "c")]
    reference_rows_: Annotated[IntArray, Shape("m"), Within(0)]

    def __init__(
        self,
        k: int = 5,
        max_reference: int = 20_000,
        encoder: str = DEFAULT,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.k = k
        self.max_reference = max_reference
        self.encoder = encoder
        self.device = device
        self.seed = seed

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self._search = NeighbourSearch(self.reference_.astype(float))
        return self

    def nearest(self, X: Any) -> IntArray:
        """Return the numbers (n, k) of the training texts nearest to texts X, nearest first.

        Raises NotFitted before ``fit``.
        """
        if not hasattr(self, "reference_"):
            raise NotFitted(f"{self.card.name} is not trained yet: call fit before nearest.")
        return self.reference_rows_[self._neighbours(self._embed(check_texts(X)))[1]]

    def _check_parameters(self) -> None:
        check_count("k", self.k)
        check_count("max_reference", self.max_reference)

    def _fit(self, X: TextArray, y: IntArray | None) -> None:
        self.reference_rows_ = subsample(len(X), max(2, self.max_reference), self.seed)
        self.reference_ = self._learn_encoder().embed(X[self.reference_rows_])
        self._search = NeighbourSearch(self.reference_.astype(float))

    def _score(self, X: TextArray) -> Scores:
        return Scores(self._neighbours(self._embed(X))[0].mean(axis=1))

    def _score_training(self, X: TextArray, y: IntArray | None) -> FloatArray:
        scores = np.empty(len(X))
        others = np.delete(np.arange(len(X)), self.reference_rows_)
        itself = np.arange(len(self.reference_))
        known, _ = self._neighbours(self._search.reference, itself)
        scores[self.reference_rows_] = known.mean(axis=1)
        if len(others):
            scores[others] = self._score(X[others]).values
        return scores

    def _neighbours(
        self, V: FloatArray, itself: IntArray | None = None
    ) -> tuple[FloatArray, IntArray]:
        """Return distances and numbers (n, k) of the nearest reference texts, nearest first."""
        found = self._search.nearest(V, self.k, itself)
        distances = np.empty(found.shape)
        for begin in range(0, len(V), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            # From the differences, not from the search's products: equal texts are at 0.
            distances[block] = norm(self._search.reference[found[block]] - V[block, None])
        order = np.argsort(distances, axis=1, kind="stable")
        return np.take_along_axis(distances, order, 1), np.take_along_axis(found, order, 1)
