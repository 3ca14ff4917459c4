"""Texts as sparse rows: n-grams of words or characters, the rarer, the heavier."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from scipy.sparse import csr_array

from tocsin.base import Stateful
from tocsin.base.declared import Shape, Within
from tocsin.features.texts import cut_text
from tocsin.types import FloatArray, IntArray, TextArray

_BUCKETS = 2**20
_WORDS = r"(?u)\b\w\w+\b"


class Tfidf(Stateful):
    """Rows of unit length of log(1 + count) × inverse document frequency, by hashed n-grams.

    ``unit``: "word" for n-grams of words of two or more letters or digits, "char" for n-grams
    of characters within words. ``shortest`` and ``longest`` are the n of the n-grams. Case is
    folded, and n-grams that no training text has are left out. A text of which nothing is left
    is orthogonal to every other. Texts are cut at 20,000 characters.

    >>> rows = Tfidf().fit(["disk full", "disk ok"]).transform(["full disk", "disk ok", "why?"])
    >>> (rows @ rows.T).toarray().round(2).tolist()
    [[1.0, 0.34, 0.0], [0.34, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """

    buckets_: Annotated[IntArray, Shape("grams", empty=True), Within(0, _BUCKETS - 1, rising=True)]
    weights_: Annotated[FloatArray, Shape("grams", empty=True)]

    def __init__(
        self, unit: Literal["word", "char"] = "word", shortest: int = 1, longest: int = 1
    ) -> None:
        self.unit = unit
        self.shortest = shortest
        self.longest = longest

    def fit(self, texts: TextArray | list[str]) -> Tfidf:
        """Weigh the n-grams of texts (n,) by how few of them have each."""
        counts = self._counts(texts)
        self.buckets_, texts_with = np.unique(counts.indices.astype(np.int64), return_counts=True)
        self.weights_ = np.log((1 + counts.shape[0]) / (1 + texts_with)) + 1
        return self

    def transform(self, texts: TextArray | list[str]) -> csr_array:
        """Return texts (n,) as rows (n, n-grams + 1); the last column is for nothing known."""
        counts = self._counts(texts)
        text = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        known = np.isin(counts.indices, self.buckets_)
        column = np.searchsorted(self.buckets_, counts.indices[known])
        values = np.log1p(counts.data[known]) * self.weights_[column]
        text = text[known]
        square = np.bincount(text, weights=values * values, minlength=counts.shape[0])
        nothing = np.flatnonzero(square == 0)
        return csr_array(
            (
                np.concatenate([values / np.sqrt(square[text]), np.ones(len(nothing))]),
                (
                    np.concatenate([text, nothing]),
                    np.concatenate([column, np.full(len(nothing), len(self.buckets_))]),
                ),
            ),
            shape=(counts.shape[0], len(self.buckets_) + 1),
        )

    def _counts(self, texts: TextArray | list[str]) -> csr_array:
        from sklearn.feature_extraction.text import HashingVectorizer

        hashing = HashingVectorizer(
            analyzer="word" if self.unit == "word" else "char_wb",
            token_pattern=_WORDS,
            ngram_range=(self.shortest, self.longest),
            n_features=_BUCKETS,
            alternate_sign=False,
            norm=None,
        )
        # Hashes are made of UTF-8.
        counts = csr_array(hashing.transform([cut_text(text) for text in texts]))
        counts.sum_duplicates()
        return counts
