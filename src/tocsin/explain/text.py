"""Which words made texts anomalous, beside what is unusual about the texts as a whole."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
from scipy.sparse import csr_array
from scipy.special import ndtri

from tocsin.base import Detector, Stateful
from tocsin.base.abilities import ScoresByToken, ScoresByView
from tocsin.base.declared import Shape
from tocsin.features.text_statistics import STATISTICS, text_statistics
from tocsin.features.texts import LONGEST
from tocsin.types import FloatArray, IntArray, Reason, TextArray, TextMark

__all__ = ["TextBackground", "explain_texts"]

MOST_TEXTS, MOST_CHARACTERS = 2_000, 500
"""Training texts kept at most, and characters of each."""

_VIEWS = {
    "characters": "unusual parts of words",
    "words": "unusual words",
    "style": "unusual style",
    "character model": "unlikely spelling",
    "meaning": "unusual meaning",
    "tone": "harsh tone",
}
_TELLING = -np.log(0.05)
_MOST_VIEWS, _MOST_STATISTICS = 3, 3
_FAR_OUT = 1.64  # normal deviations: one normal text in ten is farther out
_MOST_PARTS, _KEPT_PARTS = 24, 4
_LEAST_SHARE = 0.03

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"([{_UNSPACED}]{{1,2}}|[^\s{_UNSPACED}]{{1,80}})(\s*)")
"""A word as it is written, or two characters of scripts that leave no blanks between words."""

_EDGES = re.compile(r"^\W+|\W+$")
_BUCKETS = 2**18


class _Word(NamedTuple):
    start: int
    end: int
    after: int
    """Where the next word begins."""
    form: str
    """What its repetitions share."""


class TextBackground(Stateful):
    """Normal training texts, in which the nearest to an anomaly is found, and how they are written.

    Distinct texts, drawn by ``seed``: at most 2,000 of them, and of each 500 characters. The
    nearest is that of the smallest angle between TF-IDF rows of words.

    >>> known = ["see you at noon", "the train is late"]
    >>> TextBackground().fit(known).nearest("Late again?")
    'the train is late'
    """

    texts_: list[str]
    statistics_: Annotated[FloatArray, Shape("m", "statistics", empty=True)]

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit(self, texts: Sequence[str] | TextArray) -> Self:
        """Keep some of the texts (n,), all of them normal; n may be 0."""
        order = np.random.default_rng(self.seed).permutation(len(texts))
        chosen: dict[str, str] = {}
        for i in order.tolist():
            if len(chosen) == MOST_TEXTS:
                break
            if cut := texts[i][:MOST_CHARACTERS].strip():
                chosen.setdefault(cut, texts[i][:LONGEST])
        self.texts_ = list(chosen)
        self.statistics_ = text_statistics(list(chosen.values())) if chosen else np.empty((0, 0))
        return self

    def nearest(self, text: str) -> str | None:
        """Return the most similar text, None where no text shares a word with this one."""
        if not self.texts_:
            return None
        if not hasattr(self, "_rows"):
            counts = _counts(self.texts_)
            texts_with = np.bincount(counts.indices, minlength=_BUCKETS)
            self._weights = np.log((1 + len(self.texts_)) / (1 + texts_with)) + 1
            self._rows = _weighted(counts, self._weights)
        alike = (self._rows @ _weighted(_counts([text]), self._weights).T).toarray().ravel()
        best = int(alike.argmax())
        return self.texts_[best] if alike[best] > 0 else None

    def set_state(self, state: dict[str, Any]) -> Self:  # type: ignore[override]
        """Restore what ``get_state`` returned and return self."""
        self.__dict__.pop("_rows", None)
        return super().set_state(state)

    def far_out(self, statistics: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return how far out statistics (d,) are, in normal deviations of ranks, and the usual."""
        known = self.statistics_
        below, upto = (known < statistics).sum(axis=0), (known <= statistics).sum(axis=0)
        rank = (below + upto) / 2 / len(known)
        edge = 0.5 / len(known)
        return ndtri(rank.clip(edge, 1 - edge)), np.median(known, axis=0)


def explain_texts(
    detector: Detector,
    texts: Sequence[str],
    background: TextBackground,
    top: int,
) -> Iterator[tuple[tuple[Reason, ...], tuple[TextMark, ...]]]:
    """Yield what made each text anomalous, and where that is in the text.

    The first reasons are at most ``top`` words, each with its share of all that is marked. A
    word weighs what the score falls by without it, wherever it stands, and what that of the
    nearest normal text rises by with it, if that lacks it: where everything is strange, leaving
    out one word changes little. Long texts are cut into 24 parts, the heaviest of which are cut
    again. For a detector with ``token_surprise``, a word weighs by how much its tokens
    surprise more than half of the text's tokens. The further reasons are what a detector with
    ``view_scores`` finds unusual in the whole text, each with its share of the score: the view
    by a plain name; for "style" the statistics that nine of ten texts in ``background`` do not
    have, as seen and as usual.

    >>> from tocsin.registry import create
    >>> known = [f"meet me at {hour} for {meal}" for hour in range(12) for meal in ("tea", "lunch")]
    >>> detector = create("text_views", "text", training="clean", encoder=None).fit(known)
    >>> kept = TextBackground().fit(known)
    >>> ((reasons, marks),) = explain_texts(detector, ["meet me at 7 for xylitol"], kept, 1)
    >>> reasons[0].name, marks[0].start
    ('xylitol', 17)
    """
    has_views = isinstance(detector, ScoresByView) and len(texts)
    found = detector.view_scores(list(texts)) if has_views else {}
    for i, text in enumerate(texts):
        near = background.nearest(text) or next(iter(background.texts_), "")
        words, marks = _mark_words(detector, text[:LONGEST], near, top)
        scores = {name: float(values[i]) for name, values in found.items()}
        yield (*words, *_explain_whole(scores, text[:LONGEST], background)), marks


def _mark_words(
    detector: Detector, text: str, near: str, top: int
) -> tuple[tuple[Reason, ...], tuple[TextMark, ...]]:
    """Return the heaviest words as reasons, and the places where they stand."""
    words = _split_words(text)
    if isinstance(detector, ScoresByToken):
        weight = _weigh_by_surprise(detector, text, words)
    else:
        weight = _weigh_words(detector, text, words, near)
    heaviest = sorted((form for form in weight if weight[form] > 0), key=lambda f: -weight[f])[:top]
    total = sum(weight[form] for form in heaviest)
    kept = [form for form in heaviest if weight[form] >= _LEAST_SHARE * total]
    total = sum(weight[form] for form in kept)
    reasons, marks = [], []
    for form in kept:
        places = [word for word in words if word.form == form]
        share = weight[form] / total
        reasons.append(Reason(text[places[0].start : places[0].end], None, None, share))
        marks += [TextMark(word.start, word.end, share / len(places)) for word in places]
    return tuple(reasons), tuple(sorted(marks, key=lambda mark: mark.start))


def _weigh_words(detector: Detector, text: str, words: list[_Word], near: str) -> dict[str, float]:
    """Return what each word of the heaviest parts of a text adds to the score."""
    forms = list(dict.fromkeys(word.form for word in words))
    if len(forms) < 2:
        return dict.fromkeys(forms, 1.0)
    while len(forms) > _MOST_PARTS:
        parts = [part.tolist() for part in np.array_split(np.array(forms, object), _MOST_PARTS)]
        added = _weigh_parts(detector, text, words, near, parts)
        best = np.sort(np.argsort(-added, kind="stable")[:_KEPT_PARTS])
        forms = [form for i in best if added[i] > 0 for form in parts[i]]
    if not forms:
        return {}
    added = _weigh_parts(detector, text, words, near, [[form] for form in forms])
    return dict(zip(forms, added.tolist(), strict=True))


def _weigh_parts(
    detector: Detector, text: str, words: list[_Word], near: str, parts: list[list[str]]
) -> FloatArray:
    """Return what the words of each part add to the score of a text, and to that of another."""
    lead, variants = text[: words[0].start], [text, near]
    first = {word.form: text[word.start : word.end] for word in reversed(words)}
    for part in map(frozenset, parts):
        rest = (text[word.start : word.after] for word in words if word.form not in part)
        variants.append(lead + "".join(rest))
    known = {word.form for word in _split_words(near)}
    new = [[first[form] for form in part if form not in known] for part in parts]
    variants += [" ".join([near, *some]) for some in new]
    score, usual, *others = detector.score(variants).values
    without, beside = np.split(np.array(others), 2)
    added: FloatArray = np.maximum(score - without, 0) + np.maximum(beside - usual, 0)
    return added


def _weigh_by_surprise(detector: ScoresByToken, text: str, words: list[_Word]) -> dict[str, float]:
    """Return how much more surprising the tokens of each word are than half of the tokens."""
    tokens, values = detector.token_surprise([text])[0]
    begins = np.cumsum([0, *map(len, tokens)])[:-1]
    excess = np.maximum(values - np.median(values), 0)
    # A token may begin with the blank before its word: what it ends in is what it belongs to.
    ends = begins + [len(token) for token in tokens]
    of_word = np.searchsorted([word.after for word in words], ends - 1, side="right")
    weight = dict.fromkeys((word.form for word in words), 0.0)
    for i, more in zip(of_word.tolist(), excess.tolist(), strict=True):
        if i < len(words):
            weight[words[i].form] += more
    return weight


def _explain_whole(
    scores: dict[str, float], text: str, background: TextBackground
) -> Iterator[Reason]:
    """Yield what is unusual about a text as a whole, the heaviest first."""
    ranked = sorted(scores, key=lambda name: (-scores[name], name))
    drove = [name for name in ranked if scores[name] >= _TELLING][:_MOST_VIEWS] or ranked[:1]
    total = sum(scores.values()) or 1.0
    for name in drove:
        share = scores[name] / total
        reasons = list(_explain_style(text, background, share)) if name == "style" else []
        yield from reasons or [Reason(_VIEWS.get(name, name), None, None, share)]


def _explain_style(text: str, background: TextBackground, share: float) -> Iterator[Reason]:
    """Yield the statistics of a text that few normal texts have, which share a weight."""
    if not len(background.texts_):
        return
    seen = text_statistics([text])[0]
    out, usual = background.far_out(seen)
    order: IntArray = np.argsort(-np.abs(out), kind="stable")
    far = [i for i in order.tolist() if abs(out[i]) >= _FAR_OUT and seen[i] != usual[i]]
    total = sum(abs(out[i]) for i in far[:_MOST_STATISTICS])
    for i in far[:_MOST_STATISTICS]:
        name = STATISTICS[i]
        here, there = (float(value) for value in (seen[i], usual[i]))
        if not name.startswith("share"):
            here, there = np.expm1(here).item(), np.expm1(there).item()
        yield Reason(name, round(here, 4), round(there, 4), share * float(abs(out[i]) / total))


def _split_words(text: str) -> list[_Word]:
    return [
        _Word(found.start(), found.end(1), found.end(), _form(found[1]))
        for found in _WORD.finditer(text)
    ]


def _form(word: str) -> str:
    """Return a word without case and the marks around it; marks alone are kept."""
    return _EDGES.sub("", word).lower() or word


def _counts(texts: Sequence[str]) -> csr_array:
    from sklearn.feature_extraction.text import HashingVectorizer

    hashing = HashingVectorizer(
        tokenizer=_forms,
        token_pattern=None,
        lowercase=False,
        n_features=_BUCKETS,
        alternate_sign=False,
        norm=None,
    )
    counts = csr_array(hashing.transform([text[:MOST_CHARACTERS] for text in texts]))
    counts.sum_duplicates()
    return counts


def _forms(text: str) -> list[str]:
    return [word.form for word in _split_words(text)]


def _weighted(counts: csr_array, weights: FloatArray) -> csr_array:
    """Return rows of length 1, the rarer a word, the heavier; rows without words are empty."""
    values = np.log1p(counts.data) * weights[counts.indices]
    row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    length = np.sqrt(np.bincount(row, weights=values * values, minlength=counts.shape[0]))
    return csr_array((values / length[row], counts.indices, counts.indptr), counts.shape)
