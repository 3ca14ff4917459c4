"""A language model of characters: how surprising is each character after the ones before it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.base import Stateful
from tocsin.base.declared import Shape, Within
from tocsin.features.hashing import Keys, mix_bits
from tocsin.features.texts import LONGEST
from tocsin.types import FloatArray, IntArray, TextArray

_START = 0x110000  # beyond the last character of Unicode
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


class Surprise(NamedTuple):
    """How surprising n texts are, character by character.

    ``values`` (c,): −log p of each character in nats, text after text, the end of each text
    counting as one character; ``starts`` (n,): where each text begins.
    """

    values: FloatArray
    starts: IntArray

    def mean(self) -> FloatArray:
        """Return the mean (n,) over each text."""
        lengths = np.diff(np.append(self.starts, len(self.values)))
        means: FloatArray = np.add.reduceat(self.values, self.starts) / lengths
        return means

    def worst(self, window: int) -> FloatArray:
        """Return the highest mean (n,) of ``window`` characters in a row of each text.

        A text that is shorter is its own window.
        """
        lengths = np.diff(np.append(self.starts, len(self.values)))
        end = np.repeat(self.starts + lengths, lengths)
        at = np.arange(len(self.values))
        # Windows that reach over the end of their text lack its rest, and are never the highest.
        total = np.zeros(len(self.values))
        for offset in range(window):
            inside = at + offset < end
            total[inside] += self.values[(at + offset)[inside]]
        whole = np.minimum(window, np.repeat(lengths, lengths))
        highest: FloatArray = np.maximum.reduceat(total / whole, self.starts)
        return highest


class CharModel(Stateful):
    """A character n-gram model with Witten–Bell interpolation.

    The probability of a character after its ``order`` predecessors mixes what followed them in
    training with the same for one predecessor less, in the ratio of the number of their
    occurrences to that of their distinct followers (Witten & Bell, IEEE Transactions on
    Information Theory 1991); below, every character is equally likely. Contexts are kept by
    64-bit hash. Texts are cut at 20,000 characters.

    >>> model = CharModel(order=3).fit(["abcabcabc"] * 3)
    >>> known, strange = model.surprise(["abcabc", "acb"]).mean()
    >>> bool(known < strange)
    True
    """

    alphabet_: Annotated[int, Within(1)]
    grams_: Annotated[Keys, Shape("grams"), Within(rising=True)]
    gram_counts_: Annotated[IntArray, Shape("grams"), Within(1)]
    contexts_: Annotated[Keys, Shape("contexts"), Within(rising=True)]
    context_counts_: Annotated[IntArray, Shape("contexts"), Within(1)]
    followers_: Annotated[IntArray, Shape("contexts"), Within(1)]

    def __init__(self, order: int = 5) -> None:
        self.order = order

    def fit(self, texts: TextArray | list[str]) -> CharModel:
        """Count the characters of texts (n,) after their contexts."""
        codes, starts = _characters(texts)
        self.alphabet_ = len(np.unique(codes))
        grams, contexts = [], []
        for context, gram in self._keys(codes, starts):
            grams.append(gram)
            contexts.append(context)
        grams_of = np.concatenate(grams)
        self.grams_, first, self.gram_counts_ = np.unique(
            grams_of, return_index=True, return_counts=True
        )
        context_of_gram = np.concatenate(contexts)[first]
        self.contexts_, of = np.unique(context_of_gram, return_inverse=True)
        self.followers_ = np.bincount(of)
        self.context_counts_ = np.bincount(of, weights=self.gram_counts_).astype(np.int64)
        return self

    def surprise(self, texts: TextArray | list[str]) -> Surprise:
        """Return how surprising each character of texts (n,) is, n ≥ 1."""
        codes, starts = _characters(texts)
        p = np.full(len(codes), 1 / (self.alphabet_ + 1))
        for context, gram in self._keys(codes, starts):
            at, known = _find(self.contexts_, context)
            total = np.where(known, self.context_counts_[at], 0)
            distinct = np.where(known, self.followers_[at], 1)
            at, seen = _find(self.grams_, gram)
            count = np.where(seen, self.gram_counts_[at], 0)
            p = (count + distinct * p) / (total + distinct)
        return Surprise(-np.log(p), starts)

    def _keys(self, codes: Keys, starts: IntArray) -> list[tuple[Keys, Keys]]:
        """Return the hashes (c,) of each character's contexts and of them with it, by length."""
        pairs = []
        context = np.zeros(len(codes), dtype=np.uint64)
        before = codes
        for length in range(self.order + 1):
            salted = mix_bits(context + np.uint64(length + 1))
            pairs.append((salted, mix_bits(salted * _FACTOR + codes)))
            # One character further back; beyond the beginning of a text there is only its start.
            before = np.concatenate([[np.uint64(_START)], before[:-1]])
            before[starts] = _START
            context = context * _FACTOR + before
        return pairs


def _characters(texts: TextArray | list[str]) -> tuple[Keys, IntArray]:
    """Return the code of each character of texts, with one for each end, and their starts."""
    cut = [text[:LONGEST] for text in texts]
    lengths = np.fromiter(map(len, cut), dtype=np.int64, count=len(cut)) + 1
    whole = "\0".join([*cut, ""]).encode("utf-32-le", errors="surrogatepass")
    codes = np.frombuffer(whole, dtype="<u4").astype(np.uint64)
    return codes, np.cumsum(lengths) - lengths


def _find(known: Keys, keys: Keys) -> tuple[IntArray, NDArray[np.bool_]]:
    """Return where keys stand among the known ones, ascending, and which do."""
    at = np.searchsorted(known, keys).clip(max=len(known) - 1)
    return at, known[at] == keys
