"""Texts by how much a language model is surprised by them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tocsin.base import TextDetector, check_texts
from tocsin.base.abilities import ScoresByToken
from tocsin.base.parameters import check_count
from tocsin.detectors.text._encoded import check_same
from tocsin.encoders import pinned_encoder
from tocsin.encoders.language import DEFAULT, LanguageModel, TokenSurprise, load
from tocsin.errors import ParameterError
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.types import Card, FloatArray, IntArray, Scores, TextArray

_COLUMNS = {"mean": [0], "worst": [1], "both": [0, 1]}


class TextLikelihood(TextDetector, ScoresByToken):
    """CharacterModelView of a causal language model, which has not seen the training texts.

    ``aggregate``: "mean" is that of all tokens of a text, the logarithm of its perplexity;
    "worst" the highest mean of ``window`` tokens in a row, or of the whole of a shorter text;
    "both" the mean of the two, each standardised by the training texts, of which nothing else
    is learned. ``model`` is "smollm2", or the name on the Hugging Face hub or the folder of a
    causal language model, such as "gpt2"; ``device`` "auto", "cuda", "mps" or "cpu". A saved
    detector keeps the model's name and the hash of its weights, not the weights.

    Raises ParameterError for another aggregate or a window below 1, MissingExtra and
    ModelFolderError for a model that is not there. AD-LLM, Yang et al., ACL Findings 2025.

    >>> TextLikelihood("gpt2").get_params()["window"]
    8
    """

    card = Card(
        name="text_likelihood",
        modality="text",
        family="likelihood",
        learning=("zero-shot",),
        summary="How surprising a text's tokens are to a causal language model.",
        paper="Radford et al., Language Models are Unsupervised Multitask Learners, 2019",
        cost="one pass of the language model per text: with smollm2 about 0.1 s on one core",
        also_known_as=("perplexity",),
    )
    slow_to_check = True

    model_hash_: str
    model_source_: str | None = None
    """The model's name with its revision; None for detectors saved until 2026."""
    centre_: FloatArray
    width_: FloatArray

    def __init__(
        self,
        model: str = DEFAULT,
        aggregate: Literal["mean", "worst", "both"] = "both",
        window: int = 8,
        device: str = "auto",
    ) -> None:
        self.model = model
        self.aggregate = aggregate
        self.window = window
        self.device = device

    def token_surprise(self, X: Any) -> list[TokenSurprise]:
        """Return the tokens of texts X (n,), and the surprise of each in nats."""
        return self._load().token_surprise(check_texts(X))

    def _check_parameters(self) -> None:
        check_count("window", self.window)
        if self.aggregate not in _COLUMNS:
            raise ParameterError(
                f"aggregate is {self.aggregate!r}; it must be one of {', '.join(_COLUMNS)}."
            )

    def _fit(self, X: TextArray, y: IntArray | None) -> FloatArray:
        self.model_source_ = pinned_encoder("language", self.model)
        self.model_hash_ = self._load().fingerprint
        surprises = self._surprises(X)
        self.centre_, self.width_ = location_and_scale(surprises)
        return self._combined(surprises)

    def _score(self, X: TextArray) -> Scores:
        return Scores(self._combined(self._surprises(X)))

    def _load(self) -> LanguageModel:
        return load(self.model_source_ or self.model, self.device)

    def _surprises(self, X: TextArray) -> FloatArray:
        """Return the mean and the worst surprise (n, 2) of texts."""
        model = self._load()
        check_same(self.model, model.fingerprint, self.model_hash_)
        found = [values for _, values in model.token_surprise(X)]
        return np.array([[values.mean(), _worst(values, self.window)] for values in found])

    def _combined(self, surprises: FloatArray) -> FloatArray:
        if self.aggregate == "both":
            surprises = standardise(surprises, self.centre_, self.width_)
        combined: FloatArray = surprises[:, _COLUMNS[self.aggregate]].mean(axis=1)
        return combined


def _worst(values: FloatArray, window: int) -> float:
    """Return the highest mean of ``window`` values in a row."""
    window = min(window, len(values))
    total = np.cumsum(np.insert(values, 0, 0.0))
    return float((total[window:] - total[:-window]).max() / window)
