"""A linear classifier of texts over the n-grams of their characters and words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from scipy.sparse import csr_array, hstack

from tocsin.base import Stateful
from tocsin.base.declared import Shape
from tocsin.encoders.pretrained import LONGEST
from tocsin.features.texts import cut_text
from tocsin.features.tfidf import Tfidf
from tocsin.types import FloatArray, IntArray, TextArray

_INVERSE_PENALTY = 10.0


class NgramRegression(Stateful):
    """Logistic regression on TF-IDF of character 2- to 4-grams, words and pairs of words.

    Wang & Manning, Baselines and Bigrams, ACL 2012.
    """

    coefficients_: Annotated[FloatArray, Shape("grams")]
    intercept_: float
    characters_: Tfidf
    words_: Tfidf

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self.characters_ = _characters().set_state(state["characters_"])
        self.words_ = _words().set_state(state["words_"])
        return self

    def fit(self, texts: TextArray, y: IntArray, weight: float) -> Self:
        """Learn from texts (n,) of both classes, an anomaly weighing ``weight`` normal ones."""
        from sklearn.linear_model import LogisticRegression

        read = _cut(texts)
        self.characters_ = _characters().fit(read)
        self.words_ = _words().fit(read)
        regression = LogisticRegression(
            C=_INVERSE_PENALTY, class_weight={0: 1.0, 1: weight}, max_iter=1000
        )
        regression.fit(self._rows(read), y)
        self.coefficients_ = regression.coef_[0]
        self.intercept_ = float(regression.intercept_[0])
        return self

    def score(self, texts: TextArray) -> FloatArray:
        """Return the log-odds (n,) of being an anomaly, among classes that weigh the same."""
        scores: FloatArray = self._rows(_cut(texts)) @ self.coefficients_
        return np.asarray(scores + self.intercept_)

    def _rows(self, texts: list[str]) -> csr_array:
        return csr_array(hstack([self.characters_.transform(texts), self.words_.transform(texts)]))


def _cut(texts: TextArray) -> list[str]:
    """Return texts as encoders read them, so that both parts of a classifier see the same."""
    return [cut_text(text, LONGEST) for text in texts]


def _characters() -> Tfidf:
    return Tfidf("char", 2, 4)


def _words() -> Tfidf:
    return Tfidf("word", 1, 2)
