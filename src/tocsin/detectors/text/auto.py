"""The default: takes the detector that suits what is known about the training texts."""

from __future__ import annotations

from typing import Any

from tocsin import registry
from tocsin.base import TextDetector
from tocsin.base.abilities import Chooses
from tocsin.base.parameters import check_training
from tocsin.encoders.text import DEFAULT
from tocsin.types import Card, FloatArray, IntArray, TextArray, Training

_MANY_ANOMALIES = 100


class Auto(Chooses, TextDetector):
    """Choose a detector by the training texts and learn with it.

    ``training``: "clean" (the texts are normal), "mixed" (some unknown ones are anomalies) or
    "guess". Labels, when given, decide: with labelled anomalies ``text_few_labels`` learns, from
    100 of them up ``text_classifier``; without, or when ``training`` is "clean", ``text_views``
    learns from the normal texts. Those labelled normal count as such unless ``training`` is
    "mixed". Without labels ``text_views`` learns; "guess" takes the texts for mixed, the safer
    error. ``encoder`` is that of the chosen detector; without one ``text_classifier`` is not
    chosen. ``lexicon`` is that of the other two: see ``text_views``.

    After ``fit``, ``chosen_`` is the detector, ``reason_`` a sentence that says why, and
    ``warnings_`` what it noted. Raises ParameterError for any other ``training``, and what the
    chosen detector raises.

    >>> auto = Auto(training="clean", encoder=None).fit(["see you", "see you soon", "good day"])
    >>> auto.chosen_.card.name, auto.reason_
    ('text_views', 'training texts are taken as normal (clean)')
    """

    card = Card(
        name="auto",
        modality="text",
        family="composite",
        learning=("one-class", "unlabelled", "supervised"),
        summary="Takes the detector that suits the training texts, and says which and why.",
        paper="Tocsin's own benchmark of its detectors",
        cost="that of the chosen detector",
    )

    uses_labels = True
    items = "texts"

    def __init__(
        self,
        training: Training = "guess",
        encoder: str | None = DEFAULT,
        lexicon: bool = False,
        seed: int = 0,
    ) -> None:
        self.training = training
        self.encoder = encoder
        self.lexicon = lexicon
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"encoder": None}

    def _check_parameters(self) -> None:
        check_training(self.training)

    def _fit(self, X: TextArray, y: IntArray | None) -> FloatArray:
        name, self.reason_ = self._choose(y)
        parameters: dict[str, Any] = {"encoder": self.encoder, "seed": self.seed}
        if name != "text_classifier":
            training = "clean" if y is not None and self.training == "guess" else self.training
            parameters |= {"training": training, "lexicon": self.lexicon}
        own = self._learn_with(registry.create(name, "text", **parameters), X, y)
        self.warnings_ = list(self.chosen_.warnings_)
        return own

    def _choose(self, y: IntArray | None) -> tuple[str, str]:
        """Return the name of a detector and the reason for it."""
        if y is None or self.training == "clean":
            return "text_views", self._assumption()
        return self._choose_by_labels(int(y.sum()))

    def _choose_by_labels(self, anomalies: int) -> tuple[str, str]:
        if anomalies == 0:
            return "text_views", "all training texts are labelled normal"
        labelled = f"the labels name {anomalies} anomal{'y' if anomalies == 1 else 'ies'}"
        if anomalies < _MANY_ANOMALIES:
            return "text_few_labels", f"{labelled}, few enough to learn from normal texts as well"
        if self.encoder is None:
            return "text_few_labels", f"{labelled}, and there is no encoder to fine-tune"
        return "text_classifier", f"{labelled}, enough to fine-tune an encoder"
