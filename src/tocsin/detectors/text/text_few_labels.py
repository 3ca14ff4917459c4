"""Texts by a linear classifier over a pretrained encoder, from a handful of labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from scipy.sparse import csr_array, hstack

from tocsin.base import fold_of_rows
from tocsin.detectors.text._encoded import EncodedDetector
from tocsin.detectors.tfidf import Tfidf
from tocsin.encoders.pretrained import readable
from tocsin.errors import InputError, ParameterError
from tocsin.types import Card, FloatArray, IntArray, Scores, TextArray

_FOLDS = 5


class TextFewLabels(EncodedDetector):
    """Logistic regression on embeddings and character 2- to 4-grams, from 5 anomalies or so up.

    y (n,), 1 = anomaly; the texts labelled 0 may be unlabelled: they are taken as normal, and
    the two classes weigh the same. ``inverse_penalty`` is the C of the regression. The score is
    the log-odds; training texts get that of a regression on four fifths of the others.
    ``encoder`` and ``device``: see ``EncodedDetector``.

    Raises InputError when y has one class only, ParameterError for an inverse_penalty of 0 or
    less, MissingExtra and ModelFolderError for an encoder that is not there.
    Elkan & Noto, Learning Classifiers from Only Positive and Unlabeled Data, KDD 2008.

    >>> TextFewLabels().get_params()["inverse_penalty"]
    1.0
    """

    card = Card(
        name="text_few_labels",
        modality="text",
        family="supervised",
        learning=("supervised",),
        summary="A linear classifier over a frozen encoder, from about five labels up.",
        paper="Elkan & Noto, Learning Classifiers from Positive and Unlabeled Data, KDD 2008",
        cost="one pass of the encoder a text, six regressions to fit",
    )
    needs_labels = True

    coefficients_: FloatArray
    intercept_: float

    def __init__(
        self,
        inverse_penalty: float = 1.0,
        encoder: str = "minilm",
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.inverse_penalty = inverse_penalty
        self.encoder = encoder
        self.device = device
        self.seed = seed

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self.grams_ = _grams().set_state(state["grams_"])
        return self

    def _fit(self, X: TextArray, y: IntArray | None) -> None:
        assert y is not None  # noqa: S101 - ``fit`` has checked ``needs_labels``
        if not self.inverse_penalty > 0:
            raise ParameterError(f"inverse_penalty must be above 0; got {self.inverse_penalty}.")
        check_classes(y, self.card.name)
        self._learn_encoder()
        self.grams_ = _grams().fit([readable(text) for text in X])
        rows = self._rows(X)
        self.coefficients_, self.intercept_ = self._regression(rows, y)
        # For the training scores: the encoder need not read the same texts twice.
        self._training = rows

    def _score(self, X: TextArray) -> Scores:
        return Scores(self._rows(X) @ self.coefficients_ + self.intercept_)

    def _score_training(self, X: TextArray, y: IntArray | None) -> FloatArray:
        assert y is not None  # noqa: S101 - as in ``_fit``
        rows = self.__dict__.pop("_training")
        scores: FloatArray = rows @ self.coefficients_ + self.intercept_
        fold = fold_of_rows(len(y), min(_FOLDS, len(y)), self.seed, y)
        for held_out in np.unique(fold):
            inside = fold != held_out
            if len(np.unique(y[inside])) == 2:  # no regression can do without the only anomaly
                coefficients, intercept = self._regression(rows[inside], y[inside])
                scores[~inside] = rows[~inside] @ coefficients + intercept
        return scores

    def _rows(self, X: TextArray) -> csr_array:
        """Return embeddings and n-grams (n, d + grams), each of length 1."""
        grams = self.grams_.transform([readable(text) for text in X])
        return csr_array(hstack([csr_array(self._embed(X)), grams]))

    def _regression(self, rows: csr_array, y: IntArray) -> tuple[FloatArray, float]:
        from sklearn.linear_model import LogisticRegression

        fitted = LogisticRegression(
            C=self.inverse_penalty, class_weight="balanced", max_iter=1000
        ).fit(rows, y)
        return fitted.coef_[0], float(fitted.intercept_[0])


def _grams() -> Tfidf:
    return Tfidf("char", 2, 4)


def check_classes(y: IntArray, name: str) -> None:
    """Raise InputError unless there are both normal texts and anomalies among the labels."""
    if len(np.unique(y)) < 2:
        raise InputError(
            f"{name} learns from both classes, but all {len(y)} texts are labelled {y[0]}. Without "
            'labelled anomalies use a one-class detector, such as "text_neighbours".'
        )
