"""Texts by several views, each put on the scale of p-values: the default for texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from tocsin.base import State, TextDetector
from tocsin.base.abilities import ScoresByView
from tocsin.base.parameters import check_training
from tocsin.detectors.text._duplicates import near_duplicates
from tocsin.detectors.text._encoded import check_same
from tocsin.detectors.text._views import (
    CharacterModelView,
    Distance,
    NegativeWords,
    NgramNeighbours,
    Profanity,
    Style,
    TextView,
    Tokens,
    Tone,
    ViewInput,
)
from tocsin.encoders import pinned_encoder
from tocsin.encoders.text import DEFAULT, load
from tocsin.errors import MissingExtra, ParameterError
from tocsin.features.p_values import MidRankPValues
from tocsin.features.sampling import subsample
from tocsin.features.text_statistics import text_statistics
from tocsin.features.texts import cut_texts
from tocsin.features.tfidf import Tfidf
from tocsin.types import BoolArray, Card, FloatArray, IntArray, Scores, TextArray, Training

_FEW = 5
_FEWER = 12  # of few unlabelled texts, one in this many
_SHARE = 50  # of unlabelled texts, one in this many is a neighbour: clumps grow with the data
_TEMPLATES = 3  # groups or more
_MOST_IN_GROUPS = 3  # groups of more than one text in this many are what the texts are like


class TextViews(TextDetector, ScoresByView):
    """Several views of texts, each calibrated to p-values, put together as Fisher does.

    The score is the sum of −log p over the views, ``view_scores`` the terms:

    - characters, words: the TF-IDF distance to the nearest texts by n-grams and by words;
    - style: how far out 15 statistics are, such as length, capitals, digits and marks;
    - character model: the surprise to a language model of characters;
    - meaning: the Mahalanobis distance of embeddings;
    - tone: how much closer the embedding is to harsh sentences than to kind ones.

    From normal texts (``training`` "clean") all of them learn, with 5 neighbours. From unlabelled
    ones ("mixed", and "guess", which takes them for mixed) learn those that anomalies among the
    texts mislead little: all but character model and meaning, with one text in 50, and at least
    10, as neighbours. p-values come from scores of training texts that are left out.

    Anomalies that are nearly the same hide one another. In "mixed" training a group of near
    duplicates as large as half the number of neighbours is learned from as one text, and
    ``warnings_`` tells of it; not a group of more than a third of the texts, and none where
    three or more groups hold more than a third together: such texts come from templates.

    ``encoder``: "minilm", or the name on the Hugging Face hub or the folder of a BERT-like
    network; None leaves out the views of embeddings, as does a missing package for "minilm",
    with a warning. ``tone`` False leaves that view out: it assumes English and that harsh is
    anomalous. ``lexicon`` adds the shares of negative (VADER) and of profane words, for where
    anomalies are insults: elsewhere they cost. At most ``max_reference`` texts, drawn by
    ``seed``, are learned from. Texts are cut at 20,000 characters, for embeddings at 4,000.

    Raises ParameterError for any other ``training`` and a ``max_reference`` below 2,
    MissingExtra where ``lexicon`` or another encoder lacks its package.
    Fisher, Statistical Methods for Research Workers, 1932.

    >>> texts = [f"see you at {hour} for {meal}" for hour in range(12) for meal in ("tea", "food")]
    >>> detector = TextViews(training="clean", encoder=None).fit(texts)
    >>> usual, strange = detector.score(["see you at 7 for tea", "WIN £5000!!! txt 80086"]).values
    >>> bool(usual < strange)
    True
    """

    card = Card(
        name="text_views",
        modality="text",
        family="composite",
        learning=("one-class", "unlabelled"),
        summary="N-grams, characters, style and meaning, calibrated and put together.",
        paper="Tocsin's own composition; Fisher, Statistical Methods for Research Workers, 1932",
        cost="O(texts x max_reference), and one pass of the encoder per text",
    )

    views_: dict[str, TextView]
    calibrations_: dict[str, MidRankPValues]
    encoder_hash_: str
    encoder_source_: str | None = None
    """The encoder's name with its revision; None for detectors saved until 2026."""

    def __init__(
        self,
        training: Training = "guess",
        encoder: str | None = DEFAULT,
        tone: bool = True,
        lexicon: bool = False,
        max_reference: int = 5_000,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.training = training
        self.encoder = encoder
        self.tone = tone
        self.lexicon = lexicon
        self.max_reference = max_reference
        self.device = device
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"encoder": None, "max_reference": 500}

    def get_state(self) -> State:
        """Return the fitted attributes as arrays, JSON values and nested states."""
        state = super().get_state()
        for name in ("views_", "calibrations_"):
            state[name] = {key: part.get_state() for key, part in state[name].items()}
        return state

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        made = {**self._views(1, meaning=False), "meaning": Distance(), "tone": Tone()}
        self.views_ = {key: made[key].set_state(part) for key, part in state["views_"].items()}
        self.calibrations_ = {
            key: MidRankPValues().set_state(part) for key, part in state["calibrations_"].items()
        }
        return self

    def view_scores(self, X: Any) -> dict[str, FloatArray]:
        """Return −log p (n,) of texts X (n,) by the name of the view; 0 to 13.8 each."""
        return self._neg_log_p(self._read(cut_texts(self._check_scoring(X))))

    def _fit(self, X: TextArray, y: IntArray | None) -> FloatArray:
        _, neg_log_p = self._learn(cut_texts(X), np.arange(len(X)))
        own: FloatArray = np.sum(list(neg_log_p.values()), axis=0)
        return own

    def _learn(
        self, X: TextArray, normal: IntArray
    ) -> tuple[dict[ViewInput, Any], dict[str, FloatArray]]:
        """Learn from the texts with the numbers ``normal``.

        Returns what was read of all texts X (n,), and −log p (n,) of each by the name of the
        view, none of which has seen the text.
        """
        self.warnings_: list[str] = []
        self.encoder_hash_ = self._learn_encoder()
        chosen = normal[subsample(len(normal), self.max_reference, self.seed)]
        k = _FEW if self.training == "clean" else _neighbours(len(chosen))
        learned = np.zeros(len(X), dtype=bool)
        learned[chosen] = True
        if self.training != "clean":
            for group in _masking_groups(near_duplicates(X[chosen]), k):
                learned[chosen[group[1:]]] = False
                self.warnings_.append(
                    f"{len(group)} of {len(chosen)} training texts are nearly the same; the first "
                    f"is number {chosen[group[0]]}. They were learned from as one text: if they "
                    "are anomalies, they do not hide one another."
                )
        read = self._read(X)
        self.views_ = self._views(k, meaning="meaning" in read)
        self.calibrations_ = {}
        neg_log_p = {}
        for name, view in sorted(self.views_.items()):
            own = _left_out(view, read[view.reads], learned)
            calibration = self.calibrations_[name] = MidRankPValues().fit(own[learned])
            p_values = calibration.p_values(own)
            if self.training != "clean":  # an anomaly among them may be the tail by itself
                p_values[learned] = calibration.leave_one_out(own[learned])
            neg_log_p[name] = -np.log(p_values)
        return read, neg_log_p

    def _neg_log_p(self, read: dict[ViewInput, Any]) -> dict[str, FloatArray]:
        """Return −log p (n,) by the name of the view, of what was read of new texts."""
        return {
            name: -np.log(self.calibrations_[name].p_values(view.score(read[view.reads])))
            for name, view in sorted(self.views_.items())
        }

    def _score(self, X: TextArray) -> Scores:
        return Scores(np.sum(list(self.view_scores(X).values()), axis=0))

    def _check_parameters(self) -> None:
        check_training(self.training)
        if self.max_reference < 2:
            raise ParameterError(f"max_reference is {self.max_reference}; it must be 2 or more.")

    def _learn_encoder(self) -> str:
        """Return the hash of the encoder's weights, "" where there is none."""
        if self.encoder is None:
            return ""
        try:
            self.encoder_source_ = pinned_encoder("text", self.encoder)
            return load(self.encoder_source_, self.device).fingerprint
        except MissingExtra as error:
            if self.encoder != DEFAULT:  # what was asked for is not left out
                raise
            self.warnings_ = [f"Learned without meaning and tone. {error}"]
            return ""

    def _embed(self, texts: TextArray | list[str]) -> FloatArray:
        encoder = load(self.encoder_source_ or str(self.encoder), self.device)
        check_same(str(self.encoder), encoder.fingerprint, self.encoder_hash_)
        return encoder.embed(texts).astype(np.float64)

    def _read(self, X: TextArray) -> dict[ViewInput, Any]:
        """Return what the views read of texts (n,)."""
        read: dict[ViewInput, Any] = {"text": X, "style": text_statistics(X)}
        if self.encoder_hash_ and (self.tone or self.training == "clean"):
            read["meaning"] = self._embed(X)
        return read

    def _views(self, k: int, *, meaning: bool) -> dict[str, TextView]:
        """Return new views by name, with those of embeddings where there is meaning to read."""
        clean = self.training == "clean"
        views: dict[str, TextView] = {
            "characters": NgramNeighbours(Tfidf("char", 2, 4), k),
            "words": NgramNeighbours(Tokens(), k),
            "style": Style(),
        }
        if clean:
            views["character model"] = CharacterModelView()
        if clean and meaning:
            views["meaning"] = Distance()
        if self.tone and meaning:
            views["tone"] = Tone(self._embed)
        if self.lexicon:
            views |= {"negative words": NegativeWords(), "profanity": Profanity()}
        return views


def _neighbours(texts: int) -> int:
    """Return how many neighbours tell the most of this many unlabelled texts."""
    return max(3, min(2 * _FEW, texts // _FEWER), texts // _SHARE)


def _masking_groups(group: IntArray, k: int) -> list[IntArray]:
    """Return the texts of each group that could hide its own among k neighbours.

    A group of more than a third of the texts is what they are like; three or more groups that
    hold that many together are templates, and then none is returned.
    """
    size = np.bincount(group)
    large = np.flatnonzero(2 * size >= k)
    if len(large) >= _TEMPLATES and _MOST_IN_GROUPS * size[large].sum() > len(group):
        return []
    minor = large[_MOST_IN_GROUPS * size[large] <= len(group)]
    return [np.flatnonzero(group == number) for number in minor]


def _left_out(view: TextView, X: Any, learned: BoolArray) -> FloatArray:
    """Fit a view on some items, and return the scores (n,) of all, none having seen itself."""
    scores = np.empty(len(X))
    scores[learned] = view.fit(X[learned])
    if not learned.all():
        scores[~learned] = view.score(X[~learned])
    return scores
