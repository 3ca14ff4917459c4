"""Single views of texts: each learns from normal texts and scores by one thing alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.resources import files
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.covariance import ledoit_wolf
from sklearn.feature_extraction.text import HashingVectorizer

from tocsin.base import Stateful, assign_folds
from tocsin.base.declared import Shape, Within
from tocsin.errors import MissingExtra
from tocsin.features.char_model import CharModel
from tocsin.features.column_scalings import MidRankScaling
from tocsin.features.sparse_neighbours import SparseSearch
from tocsin.features.text_statistics import STATISTICS
from tocsin.features.tfidf import Tfidf
from tocsin.types import FloatArray, IntArray, TextArray

ViewInput = Literal["text", "style", "meaning"]
"""What a view reads: the texts (n,), their statistics (n, 15) or their embeddings (n, d)."""

_HARSH = (
    "I hate you.",
    "You are stupid and disgusting.",
    "Shut up, you idiot.",
    "These people are liars and criminals.",
    "What a terrible, shameful mess.",
    "This makes me sick and angry.",
    "Nobody can trust them.",
    "It was the worst day of my life.",
)
_KIND = (
    "I love you.",
    "You are clever and lovely.",
    "Thank you, my friend.",
    "These people are honest and helpful.",
    "What a wonderful, beautiful thing.",
    "This makes me happy and calm.",
    "Everybody can trust them.",
    "It was the best day of my life.",
)
_PIECE = r"\w+|[^\w\s]"
_WORD = re.compile(r"\w+")
_FOLDS = 3
_RIDGE = 1e-6


class TextView(Stateful):
    """One way to look at texts; ``reads`` says at what of them."""

    reads: ClassVar[ViewInput] = "text"

    def fit(self, X: Any) -> FloatArray:
        """Learn from X and return the scores (n,) that its items get when left out.

        Nothing is learned, unless a view says so.
        """
        return self.score(X)

    def score(self, X: Any) -> FloatArray:
        """Return the scores (n,) of new items."""
        raise NotImplementedError


class Tokens(Tfidf):
    """Rows of words of any length and of marks, each a token: "I", "?" and "£" say much."""

    def _counts(self, texts: TextArray | list[str]) -> csr_array:
        hashing = HashingVectorizer(token_pattern=_PIECE, alternate_sign=False, norm=None)
        return csr_array(hashing.transform(texts))


class NgramNeighbours(TextView):
    """Mean TF-IDF distance to the k nearest texts: words nobody used, or not together."""

    words_: Tfidf
    values_: Annotated[FloatArray, Shape("cells")]
    columns_: Annotated[IntArray, Shape("cells"), Within(0)]
    starts_: Annotated[IntArray, Shape("m+1"), Within(0, "cells", rising=True)]
    k_: Annotated[int, Within(1)]

    def __init__(self, words: Tfidf, k: int) -> None:
        self.words_ = words
        self.k_ = k

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        self.words_.set_state(state["words_"])
        super().set_state({name: state[name] for name in state if name != "words_"})
        self._prepare()
        return self

    def fit(self, X: TextArray) -> FloatArray:
        """Learn from texts (n,) and return their leave-one-out scores (n,)."""
        rows = self.words_.fit(X).transform(X)
        self.values_ = rows.data
        self.columns_ = rows.indices.astype(np.int64)
        self.starts_ = rows.indptr.astype(np.int64)
        self._prepare()
        return self._distance(_without_own(rows), np.arange(len(X)))

    def _prepare(self) -> None:
        shape = (len(self.starts_) - 1, len(self.words_.buckets_) + 1)
        self._search = SparseSearch(csr_array((self.values_, self.columns_, self.starts_), shape))

    def score(self, X: TextArray) -> FloatArray:
        """Return the scores (n,) of new texts."""
        return self._distance(self.words_.transform(X))

    def _distance(self, rows: csr_array, itself: IntArray | None = None) -> FloatArray:
        distance: FloatArray = self._search.nearest(rows, self.k_, itself)[0].mean(axis=1)
        return distance


class CharacterModelView(TextView):
    """Mean surprise of the characters to a language model of characters."""

    model_: CharModel

    def __init__(self) -> None:
        self.model_ = CharModel(order=5)

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        self.model_.set_state(state["model_"])
        return self

    def fit(self, X: TextArray) -> FloatArray:
        """Learn from texts (n,) and return their out-of-fold scores (n,)."""
        scores = np.empty(len(X))
        fold = assign_folds(len(X), min(_FOLDS, len(X)))
        for held_out in np.unique(fold):
            self.model_.fit(X[fold != held_out])
            scores[fold == held_out] = self.score(X[fold == held_out])
        self.model_.fit(X)
        return scores

    def score(self, X: TextArray) -> FloatArray:
        """Return the scores (n,) of new texts."""
        return self.model_.surprise(X).mean()


class Distance(TextView):
    """Mahalanobis distance of embeddings, their covariance shrunk as Ledoit and Wolf do.

    Ledoit & Wolf, A well-conditioned estimator for large-dimensional covariance matrices,
    Journal of Multivariate Analysis 2004.
    """

    reads = "meaning"

    centre_: FloatArray
    whitening_: FloatArray

    def fit(self, X: FloatArray) -> FloatArray:
        """Learn from rows (n, d) and return their leave-one-out scores (n,)."""
        n = len(X)
        self.centre_ = X.mean(axis=0)
        covariance, shrinkage = ledoit_wolf(X - self.centre_, assume_centered=True)
        values, vectors = np.linalg.eigh(covariance)
        self.whitening_ = vectors / np.sqrt(values.clip(min=0) + _RIDGE)
        # A row's own share of the covariance is of rank one: Sherman and Morrison take it out.
        squared = self.score(X) ** 2
        own = (1 - shrinkage) * squared / (n - 1) * n / (n - 1)
        alone: FloatArray = np.sqrt(squared / np.maximum(1 - own, _RIDGE)) * n / (n - 1)
        return alone

    def score(self, X: FloatArray) -> FloatArray:
        """Return the scores (n,) of new rows."""
        # Not by a matrix product, whose rounding depends on the number of rows.
        Z = np.einsum("nd,de->ne", X - self.centre_, self.whitening_, optimize=False)
        length: FloatArray = np.sqrt(np.einsum("ne,ne->n", Z, Z))
        return length


class Style(TextView):
    """How far out the statistics are, above or below, as normal deviations of their ranks."""

    reads = "style"

    reference_: Annotated[FloatArray, Shape("m", len(STATISTICS))]

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self._scaling = MidRankScaling(self.reference_)
        return self

    def fit(self, X: FloatArray) -> FloatArray:
        """Learn from statistics (n, d) and return their leave-one-out scores (n,)."""
        self.set_state({"reference_": X})
        return _root_mean_square(self._scaling.leave_one_out(X)[0])

    def score(self, X: FloatArray) -> FloatArray:
        """Return the scores (n,) of new statistics."""
        return _root_mean_square(self._scaling.transform(X))


class Tone(TextView):
    """How much closer a text is to harsh sentences than to kind ones, by their embeddings.

    It learns nothing from texts: that anomalies are rather harsher than normal texts is assumed.
    """

    reads = "meaning"

    axis_: FloatArray

    def __init__(self, embed: Callable[[list[str]], FloatArray] | None = None) -> None:
        if embed is not None:
            self.axis_ = embed(list(_HARSH)).mean(axis=0) - embed(list(_KIND)).mean(axis=0)

    def score(self, X: FloatArray) -> FloatArray:
        """Return the scores (n,) of embeddings (n, d)."""
        scores: FloatArray = np.einsum("nd,d->n", X, self.axis_)
        return scores


class NegativeWords(TextView):
    """The share of negative words and phrases, as VADER counts them.

    Hutto & Gilbert, VADER: A Parsimonious Rule-based Model for Sentiment Analysis of Social
    Media Text, ICWSM 2014.
    """

    def score(self, X: TextArray) -> FloatArray:
        """Return the scores (n,) of texts (n,). Raises MissingExtra without vaderSentiment."""
        try:
            vader = import_module("vaderSentiment.vaderSentiment")
        except ImportError as error:
            raise MissingExtra("vaderSentiment", extra="text") from error
        rate = vader.SentimentIntensityAnalyzer().polarity_scores
        return np.array([rate(text)["neg"] for text in X])


class Profanity(TextView):
    """The share of words that are on the list of the package better-profanity."""

    def score(self, X: TextArray) -> FloatArray:
        """Return the scores (n,) of texts (n,). Raises MissingExtra without better-profanity."""
        try:
            listed = files("better_profanity") / "profanity_wordlist.txt"
        except ImportError as error:
            raise MissingExtra("better-profanity", extra="text") from error
        profane = set(listed.read_text(encoding="utf-8").lower().split("\n")) - {""}
        words = [_WORD.findall(text.lower()) for text in X]
        return np.array([sum(w in profane for w in each) / max(len(each), 1) for each in words])


def _root_mean_square(Z: FloatArray) -> FloatArray:
    root: FloatArray = np.sqrt((Z * Z).mean(axis=1))
    return root


def _without_own(rows: csr_array) -> csr_array:
    """Return TF-IDF rows without what is in one of them only, as if each row were a new text."""
    rows_with = np.bincount(rows.indices, minlength=rows.shape[1])
    nothing = rows.shape[1] - 1
    kept = (rows_with > 1)[rows.indices]
    text = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))[kept]
    values, column = rows.data[kept], rows.indices[kept]
    square = np.bincount(text, weights=values * values, minlength=rows.shape[0])
    empty = np.flatnonzero(square == 0)
    return csr_array(
        (
            np.concatenate([values / np.sqrt(square[text]), np.ones(len(empty))]),
            (
                np.concatenate([text, empty]),
                np.concatenate([column, np.full(len(empty), nothing)]),
            ),
        ),
        shape=rows.shape,
    )
