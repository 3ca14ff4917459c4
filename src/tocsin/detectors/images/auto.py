"""The default: takes the detector, the resolution and the layers that suit the training images."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tocsin import registry
from tocsin.base import Detector, ImageDetector
from tocsin.detectors.images._choice import choose
from tocsin.encoders.images import DEFAULT
from tocsin.errors import InputError, ParameterError
from tocsin.types import Card, FloatArray, ImageArray, IntArray, Scores

_MANY = 30  # labelled anomalies, and normal ones, that a classifier learns from
_TRIMMED = 0.1  # of unlabelled images, the most anomalous ones, that are not learned from
_ENOUGH = 10  # unlabelled images, of which some can be left out


class Auto(ImageDetector):
    """Choose a detector by the training images and learn with it.

    ``training``: "clean" (the images are good), "mixed" (some unknown ones are anomalies) or
    "guess", which takes them for mixed, the safer error. Of labelled images those labelled normal
    are learned from; with 30 labelled anomalies ``image_classifier`` learns from all, unless
    ``training`` is "clean". Otherwise ``patch_fusion`` learns, at the resolution and with the
    layers that find defects best which are drawn into good images; of mixed images the tenth that
    it finds most anomalous is then left out. ``encoder``, ``device`` and ``seed``: see
    ``patch_memory``.

    After ``fit``, ``chosen_`` is the detector and ``reason_`` a sentence that says why. Raises
    ParameterError for any other ``training``, and what the chosen detector raises.

    >>> Auto(training="clean").get_params()["encoder"]
    'efficientnet_lite0'
    """

    card = Card(
        name="auto",
        modality="images",
        family="composite",
        learning=("one-class", "unlabelled", "supervised"),
        summary="Takes the detector, resolution and layers that suit the images, and says why.",
        paper="Tocsin's own benchmark of its detectors",
        cost="that of the chosen detector, and two small fits to choose",
    )

    uses_labels = True

    chosen_: Detector
    reason_: str

    def __init__(
        self,
        training: Literal["guess", "clean", "mixed"] = "guess",
        encoder: str = DEFAULT,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.training = training
        self.encoder = encoder
        self.device = device
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"training": "clean"}

    def _fit(self, X: ImageArray, y: IntArray | None) -> None:
        if self.training not in ("guess", "clean", "mixed"):
            raise ParameterError(
                f'training is {self.training!r}; it must be "guess", "clean" or "mixed".'
            )
        anomalies = 0 if y is None else int(y.sum())
        if min(anomalies, len(X) - anomalies) >= _MANY and self.training != "clean":
            self.chosen_ = registry.create(
                "image_classifier", "images", device=self.device, seed=self.seed
            ).fit(X, y)
            self.reason_ = f"the labels name {anomalies} anomalies, enough to learn from"
            return
        known = np.arange(len(X)) if y is None else np.flatnonzero(y == 0)
        if not len(known):
            raise InputError("auto learns from good images; all of these are labelled anomalies.")
        parameters, told = choose(X[known], self.encoder, self.device, self.seed)
        self.chosen_ = registry.create("patch_fusion", "images", **parameters)
        self.chosen_.fit(X[known])
        if y is None and self.training != "clean" and len(X) >= _ENOUGH:
            own = self.chosen_.training_scores_
            known = np.sort(np.argsort(own, kind="stable")[: int((1 - _TRIMMED) * len(X))])
            self.chosen_.fit(X[known])
        self._known = known
        self.reason_ = f"{self._taken_for(y)}; {told}"

    def _taken_for(self, y: IntArray | None) -> str:
        if y is not None:
            return "learned from the images labelled normal"
        if self.training == "clean":
            return "training images are taken as good (clean)"
        if self.training == "mixed":
            return "training images are taken as unlabelled, with anomalies among them (mixed)"
        return (
            "guessed that the training images may hold anomalies, the safer guess: say --clean "
            '(training="clean") if they are all good, --mixed (training="mixed") if not'
        )

    def _score(self, X: ImageArray) -> Scores:
        return self.chosen_.score(X)

    def _score_training(self, X: ImageArray, y: IntArray | None) -> FloatArray:
        known = self.__dict__.pop("_known", None)
        if known is None or len(known) == len(X):
            return self.chosen_.training_scores_.copy()
        scores = np.empty(len(X))
        scores[known] = self.chosen_.training_scores_
        for i in np.setdiff1d(np.arange(len(X)), known):  # one by one, so that no maps are kept
            scores[i] = self.chosen_.score(X[i : i + 1]).values[0]
        return scores
