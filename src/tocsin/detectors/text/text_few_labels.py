"""Texts by the views of normal ones and a linear classifier, from a handful of labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import csr_array, hstack

from tocsin.base import assign_folds
from tocsin.base.declared import Shape
from tocsin.detectors.text._views import ViewInput
from tocsin.detectors.text.text_views import TextViews
from tocsin.encoders.text import DEFAULT
from tocsin.errors import CorruptModel, InputError, ParameterError
from tocsin.features.texts import cut_texts
from tocsin.features.tfidf import Tfidf
from tocsin.types import Card, FloatArray, IntArray, Scores, TextArray

_FOLDS = 5
_VIEW_MEAN, _VIEW_VARIANCE = 1 / 2, 1 / 12  # of a number that may be anything from 0 to 1


class TextFewLabels(TextViews):
    """Logistic regression on views, embeddings and n-grams, from the first labelled anomaly on.

    y (n,), 1 = anomaly; the texts labelled 0 may be unlabelled. From these the views of
    ``text_views`` learn, and the regression from all texts: on −log p of each view, the
    embedding, and TF-IDF of character 2- to 4-grams. The score is the log-odds; training texts
    get that of a regression on four fifths of the others.

    Before any label is seen the weight of a view is ½ and that of the rest 0: with few labels
    the score is near that of ``text_views``, and the more there are, the more they say. Why ½:
    where p-values of anomalies have the density a·p^(a − 1), the log-likelihood ratio is
    log a − (1 − a) log p; the prior of a weight has the mean and the variance of a 1 − a that
    may be anything from 0 to 1. ``inverse_penalty`` is the prior variance of the other weights.

    ``training``: "clean" where the texts labelled 0 are normal, "mixed" where anomalies may be
    among them; for this and the other parameters see ``TextViews``.

    Raises InputError when y has one class only, ParameterError for an inverse_penalty of 0 or
    less, and what ``TextViews`` raises.
    Sellke, Bayarri & Berger, Calibration of p Values for Testing Precise Null Hypotheses, The
    American Statistician 2001 (the densities).

    >>> texts = [f"see you at {hour}" for hour in range(12)] + ["win £500 now", "win £900 now"]
    >>> detector = TextFewLabels(encoder=None).fit(texts, [0] * 12 + [1] * 2)
    >>> usual, strange = detector.score(["see you at 7, then", "you win £5000"]).values
    >>> bool(usual < strange)
    True
    """

    card = Card(
        name="text_few_labels",
        modality="text",
        family="supervised",
        learning=("supervised",),
        summary="Views of normal texts and a linear classifier, from the first labels on.",
        paper="Tocsin's own composition; Sellke, Bayarri & Berger, The American Statistician 2001",
        cost="that of text_views, and six regressions to fit",
    )
    needs_labels = True

    coefficients_: Annotated[FloatArray, Shape("grams")]
    intercept_: float
    grams_: Tfidf

    def __init__(
        self,
        inverse_penalty: float = 1.0,
        training: Literal["clean", "mixed"] = "clean",
        encoder: str | None = DEFAULT,
        tone: bool = True,
        lexicon: bool = False,
        max_reference: int = 5_000,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        super().__init__(training, encoder, tone, lexicon, max_reference, device, seed)
        self.inverse_penalty = inverse_penalty

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self.grams_ = _grams().set_state(state["grams_"])
        least = len(self.grams_.buckets_) + 1 + len(self.views_)
        wanted = len(self.coefficients_) if self.encoder_hash_ else least
        if not least <= wanted == len(self.coefficients_):
            raise CorruptModel("The coefficients of a regression are not those of its n-grams.")
        return self

    def _check_parameters(self) -> None:
        if not self.inverse_penalty > 0:
            raise ParameterError(f"inverse_penalty must be above 0; got {self.inverse_penalty}.")
        super()._check_parameters()

    def _fit(self, X: TextArray, y: IntArray | None) -> FloatArray:
        assert y is not None  # noqa: S101 - ``fit`` has checked ``needs_labels``
        check_classes(y, self.card.name)
        normal = np.flatnonzero(y == 0)
        X = cut_texts(X)
        # A single text has no neighbours to learn from.
        read, neg_log_p = self._learn(X, normal if len(normal) > 1 else np.arange(len(X)))
        self.grams_ = _grams().fit(X)
        rows = self._rows(read, neg_log_p)
        self.coefficients_, self.intercept_ = self._regression(rows, y)
        return self._out_of_fold(rows, y)

    def _score(self, X: TextArray) -> Scores:
        read = self._read(cut_texts(X))
        rows = self._rows(read, self._neg_log_p(read))
        return Scores(rows @ self.coefficients_ + self.intercept_)

    def _out_of_fold(self, rows: csr_array, y: IntArray) -> FloatArray:
        """Return the scores (n,) of training texts, each by a regression without its fold."""
        scores: FloatArray = rows @ self.coefficients_ + self.intercept_
        fold = assign_folds(len(y), min(_FOLDS, len(y)), self.seed, y)
        for held_out in np.unique(fold):
            inside = fold != held_out
            if len(np.unique(y[inside])) == 2:  # no regression can do without the only anomaly
                coefficients, intercept = self._regression(rows[inside], y[inside])
                scores[~inside] = rows[~inside] @ coefficients + intercept
        return scores

    def _read(self, X: TextArray) -> dict[ViewInput, Any]:
        read = super()._read(X)
        if self.encoder_hash_ and "meaning" not in read:  # no view needs it, the regression does
            read["meaning"] = self._embed(X)
        return read

    def _rows(self, read: dict[ViewInput, Any], neg_log_p: dict[str, FloatArray]) -> csr_array:
        """Return n-grams, embeddings if any, and −log p of the views (n, grams + d + views)."""
        parts: list[Any] = [
            self.grams_.transform(read["text"]),
            np.column_stack(list(neg_log_p.values())),
        ]
        if "meaning" in read:
            parts.insert(1, read["meaning"])
        return csr_array(hstack([csr_array(part) for part in parts]))

    def _regression(self, rows: csr_array, y: IntArray) -> tuple[FloatArray, float]:
        """Return the most probable coefficients (columns,) and intercept, given the labels."""
        views = len(self.views_)
        mean = np.repeat([0.0, _VIEW_MEAN], [rows.shape[1] - views, views])
        deviation = np.sqrt(np.where(mean > 0, _VIEW_VARIANCE, self.inverse_penalty))
        # In deviations from the mean all coefficients are alike, and few steps lead there.
        known, scaled = rows @ mean, csr_array(rows * deviation)
        sign = 2.0 * y - 1

        def loss(point: FloatArray) -> tuple[float, FloatArray]:
            away, intercept = point[:-1], point[-1]
            margin = sign * (known + scaled @ away + intercept)
            pull = -sign * np.exp(-np.logaddexp(0, margin))
            value = np.logaddexp(0, -margin).sum() + away @ away / 2
            return float(value), np.append(scaled.T @ pull + away, pull.sum())

        found = minimize(loss, np.zeros(len(mean) + 1), jac=True, method="L-BFGS-B").x
        return mean + deviation * found[:-1], float(found[-1])


def _grams() -> Tfidf:
    return Tfidf("char", 2, 4)


def check_classes(y: IntArray, name: str) -> None:
    """Raise InputError unless there are both normal texts and anomalies among the labels."""
    if len(np.unique(y)) < 2:
        raise InputError(
            f"{name} learns from both classes, but all {len(y)} texts are labelled {y[0]}. Without "
            'labelled anomalies use a one-class detector, such as "text_neighbours".'
        )
