"""Log lines by their text, their template, their level and their parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from scipy.sparse import csr_array
from sklearn.base import clone

from tocsin.base import LogDetector, assign_folds
from tocsin.base.declared import Shape, Within
from tocsin.detectors.logs._lines import Lines, Ranges, Rarity
from tocsin.errors import ParameterError
from tocsin.features.char_model import CharModel
from tocsin.features.sparse_neighbours import SparseSearch
from tocsin.features.tfidf import Tfidf
from tocsin.types import Card, FloatArray, IntArray, Scores, SessionArray

_FOLDS = 5


class LogLines(LogDetector):
    """Score every line by itself; a session scores as its most anomalous line.

    A line's score is the sum of five terms, each about 0 for the usual and 1 for the unheard of:

    - words: the TF-IDF distance of its component and masked message to the nearest known text;
    - characters: the most surprising ``window`` characters in a row of that text to a character
      language model, 1 being no better than chance;
    - template: −log of the template's share of the training lines, 1 when it is new;
    - level: the same of its level given its template, where lines have levels;
    - parameters: how far a number is outside the range it had for this template.

    Of lines whose texts are not known, the template is all there is to score. Learn from normal
    lines, masked: numbers and paths left in the messages make every line new. At most
    ``max_reference`` distinct texts, drawn by ``seed``, are compared with. Raises
    ParameterError for ``window`` below 1 and ``max_reference`` below 2.

    >>> import numpy as np
    >>> from tocsin.types import LogSession
    >>> def line(template, message):
    ...     return LogSession(np.array([template]), (message,))
    >>> known = [line(0, "mounted volume *"), line(1, "unmounted volume *")] * 10
    >>> detector = LogLines().fit(known)
    >>> usual, strange = detector.score([known[0], line(-1, "kernel panic at *")]).values
    >>> bool(usual < 0.5 < 2 < strange)
    True
    """

    card = Card(
        name="log_lines",
        modality="logs",
        family="composite",
        learning=("one-class",),
        summary="Single lines by words, characters, template, level and parameters.",
        paper="Tocsin's own composition; character model: Witten & Bell, The Zero-Frequency "
        "Problem, IEEE Transactions on Information Theory 1991",
        cost="O(lines), and O(distinct texts x max_reference)",
    )

    rarity_: Rarity
    ranges_: Ranges
    words_: Tfidf
    chars_: CharModel
    reference_values_: Annotated[FloatArray, Shape("cells")]
    reference_words_: Annotated[IntArray, Shape("cells"), Within(0)]
    reference_starts_: Annotated[IntArray, Shape("m+1"), Within(0, "cells", rising=True)]

    def __init__(self, window: int = 8, max_reference: int = 5_000, seed: int = 0) -> None:
        self.window = window
        self.max_reference = max_reference
        self.seed = seed

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        parts = {"rarity_": Rarity(), "ranges_": Ranges(), "words_": Tfidf(), "chars_": CharModel()}
        plain = {name: value for name, value in state.items() if name not in parts}
        super().set_state(plain)
        for name, part in parts.items():
            if name in state:
                setattr(self, name, part.set_state(state[name]))
        if hasattr(self, "words_"):
            self._prepare()
        return self

    def _check_parameters(self) -> None:
        if self.window < 1:
            raise ParameterError(f"window is {self.window}; it must be 1 character or more.")
        if self.max_reference < 2:
            raise ParameterError(f"max_reference is {self.max_reference}; it must be 2 or more.")

    def _fit(self, X: SessionArray, y: IntArray | None) -> None:
        self._learn(Lines.of(X))

    def _learn(self, lines: Lines) -> Self:
        self.rarity_ = Rarity().fit(lines)
        self.ranges_ = Ranges().fit(lines)
        texts = sorted(lines.text_names[i] for i in np.unique(lines.texts))
        self.words_ = Tfidf().fit(texts)
        self.chars_ = CharModel().fit(texts)
        chosen = np.random.default_rng(self.seed).permutation(len(texts))[: self.max_reference]
        reference = self.words_.transform([texts[i] for i in np.sort(chosen)])
        self.reference_values_ = reference.data
        self.reference_words_ = reference.indices.astype(np.int64)
        self.reference_starts_ = reference.indptr.astype(np.int64)
        self._prepare()
        return self

    def _prepare(self) -> None:
        shape = (len(self.reference_starts_) - 1, len(self.words_.buckets_) + 1)
        parts = (self.reference_values_, self.reference_words_, self.reference_starts_)
        self._search = SparseSearch(csr_array(parts, shape))

    def _score(self, X: SessionArray) -> Scores:
        return Scores(self._session_scores(Lines.of(X)))

    def _score_training(self, X: SessionArray, y: IntArray | None) -> FloatArray:
        # As folds of sessions would be scored, with the lines of all sessions read only once.
        lines = Lines.of(X)
        fold = assign_folds(len(X), min(_FOLDS, len(X)))
        values = np.empty(len(X))
        for held_out in np.unique(fold):
            inside = fold != held_out
            copy = clone(self)._learn(lines.take(inside) if inside.sum() > 1 else lines)
            values[~inside] = copy._session_scores(lines.take(~inside))
        return values

    def line_scores(self, X: SessionArray) -> FloatArray:
        """Return the score of every line of sessions X (n,), one session after the other."""
        return self._line_scores(Lines.of(self._check_scoring(X)))

    def _session_scores(self, lines: Lines) -> FloatArray:
        scores: FloatArray = np.maximum.reduceat(self._line_scores(lines), lines.starts)
        return scores

    def _line_scores(self, lines: Lines) -> FloatArray:
        used, text = np.unique(lines.texts, return_inverse=True)
        scores: FloatArray = (
            self._text_scores([lines.text_names[i] for i in used])[text]
            + self.rarity_.of_templates(lines)
            + self.rarity_.of_levels(lines)
            + self.ranges_.excess(lines)
        )
        return scores[lines.which]

    def _text_scores(self, texts: list[str]) -> FloatArray:
        """Return how strange texts are, in words and in characters; 0 for lines without one."""
        distance, _ = self._search.nearest(self.words_.transform(texts), 1)
        surprise = self.chars_.surprise(texts).worst(self.window)
        chance = np.log(self.chars_.alphabet_ + 1)
        # Texts at right angles, without a word in common, are √2 apart.
        scores = distance[:, 0] / np.sqrt(2) + surprise / chance
        return np.where(np.array(texts) == "", 0.0, scores)
