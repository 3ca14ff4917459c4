"""The default: takes the detector that suits what is known about the training rows."""

from __future__ import annotations

from tocsin import registry
from tocsin.base import TableDetector
from tocsin.base.abilities import Chooses
from tocsin.base.parameters import check_training
from tocsin.types import Card, FloatArray, IntArray, Training

_ENOUGH_ANOMALIES = 30
"""On six data sets, with 30 labelled anomalies the classifier gains about 5 points of AUC-PR over
local_geometry and loses 4 of AUC-ROC; with 5 it gains nothing and loses 9."""


class Auto(Chooses, TableDetector):
    """Choose a detector by the training rows and learn with it.

    ``training``: "clean" (the rows are normal), "mixed" (some unknown ones are anomalies) or
    "guess". Labels, when given, decide: both classes train ``classifier``, or, when fewer than
    30 rows are labelled anomalies or training is "clean", ``local_geometry`` on the normal
    rows. Without them, clean rows train ``local_geometry`` and mixed ones
    ``trimmed_neighbours``.

    No statistic tried on the rows told clean from mixed ones better than chance (76 data sets),
    so "guess" takes them for mixed: that costs 3 points of AUC-ROC on clean rows, the opposite
    error 9 on mixed ones. Say so when the rows are clean.

    After ``fit``, ``chosen_`` is the detector and ``reason_`` a sentence that says why.
    ``parts`` and ``expected`` are those of the chosen detector. Raises ParameterError for any
    other ``training``.

    >>> auto = Auto(training="clean").fit([[0.0], [0.1], [0.2]])
    >>> auto.chosen_.card.name, auto.reason_
    ('local_geometry', 'training rows are taken as normal (clean)')
    """

    card = Card(
        name="auto",
        modality="tables",
        family="composite",
        learning=("one-class", "unlabelled", "supervised"),
        summary="Takes the detector that suits the training rows, and says which and why.",
        paper="Tocsin's own benchmark of its detectors",
        cost="that of the chosen detector",
    )

    uses_labels = True
    items = "rows"

    def __init__(self, training: Training = "guess", seed: int = 0) -> None:
        self.training = training
        self.seed = seed

    def _check_parameters(self) -> None:
        check_training(self.training)

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        name, self.reason_ = self._choose(y)
        return self._learn_with(registry.create(name, seed=self.seed), X, y)

    def _choose(self, y: IntArray | None) -> tuple[str, str]:
        """Return the name of a detector and the reason for it."""
        if self.training == "clean":
            return "local_geometry", self._assumption()
        if y is not None:
            return _choose_by_labels(int(y.sum()))
        return "trimmed_neighbours", self._assumption()


def _choose_by_labels(anomalies: int) -> tuple[str, str]:
    if anomalies == 0:
        return "local_geometry", "all training rows are labelled normal"
    if anomalies < _ENOUGH_ANOMALIES:
        return "local_geometry", (
            f"only {anomalies} training rows are labelled anomalies, too few to learn from, so it "
            "learned from the normal rows"
        )
    return "classifier", f"{anomalies} training rows are labelled anomalies"
