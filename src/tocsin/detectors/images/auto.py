"""The default: takes the detector, the resolution and the layers that suit the training images."""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin import registry
from tocsin.base import ImageDetector
from tocsin.base.abilities import Chooses
from tocsin.base.parameters import check_training
from tocsin.detectors.images._choice import choose
from tocsin.detectors.images._maps import scores_of_all
from tocsin.encoders.images import DEFAULT
from tocsin.errors import InputError
from tocsin.types import Card, FloatArray, ImageArray, IntArray, Training

_MANY = 30  # labelled anomalies, and normal ones, that a classifier learns from
_TRIMMED = 0.1  # of unlabelled images, the most anomalous ones, that are not learned from
_ENOUGH = 10  # unlabelled images, of which some can be left out


class Auto(Chooses, ImageDetector):
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
    slow_to_check = True

    uses_labels = True
    items, normal = "images", "good"

    def __init__(
        self,
        training: Training = "guess",
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

    def _check_parameters(self) -> None:
        check_training(self.training)

    def _fit(self, X: ImageArray, y: IntArray | None) -> FloatArray:
        anomalies = 0 if y is None else int(y.sum())
        if min(anomalies, len(X) - anomalies) >= _MANY and self.training != "clean":
            self.reason_ = f"the labels name {anomalies} anomalies, enough to learn from"
            classifier = registry.create(
                "image_classifier", "images", device=self.device, seed=self.seed
            )
            return self._learn_with(classifier, X, y)
        known = np.arange(len(X)) if y is None else np.flatnonzero(y == 0)
        if not len(known):
            raise InputError("auto learns from good images; all of these are labelled anomalies.")
        parameters, configuration = choose(X[known], self.encoder, self.device, self.seed)
        assumption = self._assumption() if y is None else "learned from the images labelled normal"
        self.reason_ = f"{assumption}; {configuration}"
        fusion = registry.create("patch_fusion", "images", **parameters)
        own = self._learn_with(fusion, X[known], None)
        if y is None and self.training != "clean" and len(X) >= _ENOUGH:
            known = np.sort(np.argsort(own, kind="stable")[: int((1 - _TRIMMED) * len(X))])
            own = self._learn_with(fusion, X[known], None)
        return scores_of_all(X, known, own, self.chosen_.score)
