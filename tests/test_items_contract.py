"""The checks of texts and logs: right detectors pass, those broken in one way fail there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any

import numpy as np
import pytest

from tocsin.base import Detector, LogDetector, TextDetector
from tocsin.base.declared import Shape, Within
from tocsin.checks import CheckFailed, check_detector, subject_for
from tocsin.errors import InputError
from tocsin.types import Card, FloatArray, IntArray, Scores, SessionArray, TextArray


class Rarest:
    """Items by the pieces they consist of: the mean surprise; known by counts."""

    codes_: Annotated[list[str], Shape("codes")]
    counts_: Annotated[IntArray, Shape("codes"), Within(1)]

    def __init__(self, prior: float = 0.5, seed: int = 0) -> None:
        self.prior = prior
        self.seed = seed

    def _pieces(self, item: Any) -> list[str]:
        raise NotImplementedError

    def _fit(self, X: Any, y: IntArray | None) -> None:
        self._learn(X)

    def _learn(self, X: Any) -> None:
        counted = Counter(piece for item in X for piece in self._pieces(item))
        self.codes_ = sorted(counted)
        self.counts_ = np.array([counted[code] for code in self.codes_])

    def _score(self, X: Any) -> Scores:
        return Scores(self._surprises(map(self._pieces, X)))

    def _surprises(self, items: Iterable[list[str]]) -> FloatArray:
        known = dict(zip(self.codes_, self.counts_.tolist(), strict=True))
        total = self.counts_.sum() + 1
        return np.array(
            [
                np.mean([-np.log((known.get(piece, 0) + self.prior) / total) for piece in pieces])
                for pieces in items
            ]
        )


class Letters(Rarest, TextDetector):
    """The surprise of a text's pairs of characters; it is right."""

    card = Card("letters", "text", "likelihood", ("one-class",), "Letters", "None", "O(n)")

    def _pieces(self, item: Any) -> list[str]:
        text = item[:2000]
        return [ascii(text[i : i + 2]) for i in range(len(text))] or ["none"]


class Templates(Rarest, LogDetector):
    """The surprise of a session's templates, by their mean; it is right."""

    card = Card("templates", "logs", "likelihood", ("one-class",), "Templates", "None", "O(n)")

    def _pieces(self, item: Any) -> list[str]:
        return [str(template) for template in item.templates]


class Labelled(Letters):
    """Scores of the texts labelled normal, less those of the anomalies; it is right."""

    card = Card("labelled", "text", "supervised", ("supervised",), "Letters", "None", "O(n)")
    uses_labels = needs_labels = True

    def _fit(self, X: TextArray, y: IntArray | None) -> None:
        assert y is not None
        if len(set(y.tolist())) < 2:
            raise InputError("labelled needs texts of both labels.")
        self._learn(X[y == 1])
        self.other_codes_, self.other_counts_ = self.codes_, self.counts_
        self._learn(X[y == 0])

    def _score(self, X: TextArray) -> Scores:
        other = Letters().set_state({"codes_": self.other_codes_, "counts_": self.other_counts_})
        return Scores(super()._score(X).values - other._score(X).values)

    def _score_training(self, X: TextArray, y: IntArray | None) -> FloatArray:
        return self._score(X).values


class Batched(Letters):
    def _score(self, X: TextArray) -> Scores:
        values = super()._score(X).values
        return Scores(values - values.mean())


class Ordered(Templates):
    def _score(self, X: SessionArray) -> Scores:
        return Scores(super()._score(X).values + np.linspace(0, 0.1, len(X)))


class Upside(Templates):
    def _score(self, X: SessionArray) -> Scores:
        return Scores(-super()._score(X).values)


class Optimistic(Letters):
    def _score_training(self, X: TextArray, y: IntArray | None) -> FloatArray:
        return self._score(X).values / 2


class Forgetful(Templates):
    def _fit(self, X: SessionArray, y: IntArray | None) -> None:
        super()._fit(X, y)
        self.hidden = self.counts_

    def _score(self, X: SessionArray) -> Scores:
        return Scores(super()._score(X).values + 0 * self.hidden.sum())


class Overwriting(Templates):
    """Changes the sessions it is given."""

    def _fit(self, X: SessionArray, y: IntArray | None) -> None:
        super()._fit(X, y)
        for session in X:
            session.templates[:] = 0


class Impure(Letters):
    def _score(self, X: TextArray) -> Scores:
        self.counts_ = np.nextafter(self.counts_, 1e9)
        return super()._score(X)


class Random(Letters):
    def _fit(self, X: TextArray, y: IntArray | None) -> None:
        super()._fit(X, y)
        self.counts_ = self.counts_ + np.random.default_rng().integers(1, 9, len(self.counts_))


class Stubborn(Letters):
    """Takes no other seed."""

    def _fit(self, X: TextArray, y: IntArray | None) -> None:
        if self.seed:
            raise ValueError("seed")
        super()._fit(X, y)


class Lenient(Letters):
    """Takes whatever there is for texts."""

    def _check_training(self, X: Any) -> TextArray:
        return super()._check_training([str(item) for item in X])

    _check_scoring = _check_training


class Wordy(Letters):
    """Divides by the number of characters."""

    def _score(self, X: TextArray) -> Scores:
        lengths = np.array([len(text) for text in X])
        with np.errstate(all="ignore"):
            return Scores(super()._score(X).values / lengths * lengths)


class Encoding(Letters):
    def _pieces(self, item: Any) -> list[str]:
        item.encode()
        return super()._pieces(item)


class Short(Letters):
    def _pieces(self, item: Any) -> list[str]:
        if len(item) > 50_000:
            raise MemoryError("too long")
        return super()._pieces(item)


class Talkative(Templates):
    """Needs messages."""

    def _pieces(self, item: Any) -> list[str]:
        return list(item.messages[:1]) + super()._pieces(item) if item.messages else []


class Knowing(Templates):
    """Needs a line of a known kind."""

    def _fit(self, X: SessionArray, y: IntArray | None) -> None:
        super()._fit(X, y)
        self.first_ = min(int(t) for session in X for t in session.templates if t >= 0)


class Tabular(Templates):
    """Makes a table of templates by number."""

    def _score(self, X: SessionArray) -> Scores:
        for session in X:
            if session.templates.max() > 10**6:
                raise MemoryError("a table too wide")
        return super()._score(X)


@pytest.mark.parametrize("right", [Letters, Templates, Labelled])
def test_right_detectors_pass(right: type[Detector]) -> None:
    check_detector(right())


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Batched, "check_items_are_scored_alone"),
        (Ordered, "check_items_are_scored_alone"),
        (Upside, "check_anomalies_score_higher"),
        (Optimistic, "check_training_scores_are_out_of_sample"),
        (Forgetful, "check_save_and_load"),
        (Overwriting, "check_fit"),
        (Impure, "check_scoring_is_pure"),
        (Random, "check_fit"),
        (Stubborn, "check_another_seed"),
        (Lenient, "check_bad_input"),
        (Wordy, "check_empty_texts"),
        (Encoding, "check_any_unicode"),
        (Short, "check_long_text"),
        (Talkative, "check_templates_alone"),
        (Knowing, "check_unknown_templates"),
        (Tabular, "check_far_numbers"),
    ],
)
def test_a_broken_detector_fails_at_the_check_that_names_it(
    broken: type[Detector], check: str
) -> None:
    with pytest.raises(CheckFailed, match=rf"{broken.card.name}: {check}"):
        check_detector(broken())


@pytest.mark.parametrize("right", [Letters, Templates])
def test_the_data_is_made_anew_each_time_and_alike(right: type[Detector]) -> None:
    one, other = subject_for(right()), subject_for(right())
    assert [str(item) for item in one.unseen] == [str(item) for item in other.unseen]
    assert len(set(map(str, one.normal))) > 20
    X, labels = one.testing
    assert len(X) == len(labels)
    assert labels.sum() == 30
