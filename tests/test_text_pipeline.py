"""The pipeline of texts: what is read, decided, marked, explained and kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tocsin
from support.texts import STRANGE, known
from tocsin.base import Detector, TextDetector
from tocsin.base.abilities import ScoresByToken
from tocsin.errors import InputError, ParameterError, SchemaMismatch
from tocsin.explain.text import MOST_TEXTS, TextBackground, explain_texts
from tocsin.features.text_statistics import STATISTICS
from tocsin.features.texts import LONGEST
from tocsin.features.tfidf import Tfidf
from tocsin.pipeline import TextPipeline
from tocsin.prepare.text import TextPreparer, find_text, reads_as_text
from tocsin.registry import create
from tocsin.types import Scores, TextArray

HALF = "half a pair \ud83d here"


def views(training: Any = "clean") -> Detector:
    return create("text_views", "text", training=training, encoder=None)


@pytest.fixture(scope="module")
def pipeline() -> TextPipeline:
    return TextPipeline(views()).fit(known())


class CountWords(TextDetector):
    """Scores how often a text says "bad"; counts what it is asked."""

    card = create("text_views", "text").card
    asked = 0

    def _fit(self, X: TextArray, y: Any) -> None:
        pass

    def _score(self, X: TextArray) -> Scores:
        type(self).asked += len(X)
        return Scores(np.array([float(text.lower().count("bad")) for text in X]))


def test_anomalies_are_marked_and_explained(pipeline: TextPipeline) -> None:
    detection = pipeline.detect([*known(3), STRANGE])
    assert detection.anomalies.tolist() == [3]
    assert detection.texts[3] == STRANGE
    marks = detection.marks[3]
    words = [STRANGE[mark.start : mark.end] for mark in marks]
    assert {"09061701461", "www.prize.example"} <= set(words)
    assert list(marks) == sorted(marks, key=lambda mark: mark.start)
    assert sum(mark.weight for mark in marks) == pytest.approx(1)
    reasons = detection.explanations[3].reasons
    named, whole = reasons[: len(set(words))], reasons[len(set(words)) :]
    assert {reason.name for reason in named} == set(words)
    assert [r.weight for r in named] == sorted((r.weight for r in named), reverse=True)
    digits = next(reason for reason in whole if reason.name in STATISTICS)
    assert isinstance(digits.seen, float)
    assert isinstance(digits.expected, float)
    assert detection.nearest[3] in known()
    assert 0 not in detection.explanations


def test_unlabelled_texts_are_scored_leaving_themselves_out() -> None:
    texts = [*known(), STRANGE]
    detection = TextPipeline(views("mixed"), training="mixed").fit_detect(texts)
    assert detection.anomalies[0] == 160
    assert "09061701461" in {reason.name for reason in detection.explanations[160].reasons}
    assert detection.nearest[160] != STRANGE
    assert any("same as one before" in note for note in detection.notes)


def test_labelled_anomalies_are_no_examples_of_normal_texts() -> None:
    texts = [*known(40), STRANGE]
    pipeline = TextPipeline(views()).fit(texts, labels=[0] * 40 + [1])
    assert pipeline.background_.nearest(STRANGE) != STRANGE
    with pytest.raises(InputError, match="Expected 41 labels"):
        pipeline.fit(texts, labels=[0])


def test_rows_are_explained_by_number(pipeline: TextPipeline) -> None:
    detection = pipeline.explain(known(3), [1])
    assert list(detection.explanations) == [1]
    assert list(pipeline.explain([*known(2), STRANGE]).explanations) == [2]
    with pytest.raises(InputError, match="no row 3"):
        pipeline.explain(known(3), [3])


def test_the_calls_for_a_long_text_are_bounded_and_find_the_word() -> None:
    detector = CountWords().fit(["a", "b"])
    text = " ".join(f"word{i}" for i in range(1000)) + " bad " + " ".join(map(str, range(1000)))
    CountWords.asked = 0
    background = TextBackground().fit(["word1 is fine"])
    ((reasons, marks),) = explain_texts(detector, [text], background, 5)
    assert [reason.name for reason in reasons] == ["bad"]
    assert text[marks[0].start : marks[0].end] == "bad"
    assert CountWords.asked < 400


def test_repetitions_are_marked_together_whatever_their_case() -> None:
    detector = CountWords().fit(["a", "b"])
    background = TextBackground().fit(["all is fine"])
    ((reasons, marks),) = explain_texts(detector, ["Bad news, bad!"], background, 5)
    assert [reason.name for reason in reasons] == ["Bad"]
    assert [(mark.start, mark.end, mark.weight) for mark in marks] == [(0, 3, 0.5), (10, 14, 0.5)]


def test_tokens_that_surprise_are_marked_where_the_detector_tells() -> None:
    class Reader(CountWords, ScoresByToken):
        def token_surprise(self, X: Any) -> list[Any]:
            return [(("the", " st", "ran", "ge", " word"), np.array([1.0, 6.0, 5.0, 1.0, 0.5]))]

    background = TextBackground().fit([])
    ((reasons, _),) = explain_texts(Reader(), ["the strange word"], background, 5)
    assert [(reason.name, reason.weight) for reason in reasons] == [("strange", 1.0)]


def test_the_background_is_bounded_and_compares_scripts_without_blanks() -> None:
    texts = [f"text {i} of many" for i in range(MOST_TEXTS + 50)]
    assert len(TextBackground().fit(texts).texts_) == MOST_TEXTS
    background = TextBackground().fit(["明天下午三点开会", "我爱吃苹果", ""])
    assert background.texts_ != [""]
    assert background.nearest("明天上午开会") == "明天下午三点开会"
    assert background.nearest("hello") is None
    assert TextBackground().fit([]).nearest("a") is None


def test_a_saved_pipeline_answers_alike(pipeline: TextPipeline, tmp_path: Path) -> None:
    pipeline.save(tmp_path / "model")
    loaded = tocsin.load(tmp_path / "model")
    assert isinstance(loaded, TextPipeline)
    texts = [*known(3), STRANGE, ""]
    before, after = pipeline.detect(texts), loaded.detect(texts)
    np.testing.assert_array_equal(before.scores.values, after.scores.values)
    assert before.explanations == after.explanations
    assert before.marks == after.marks
    assert before.nearest == after.nearest
    assert before.notes == after.notes


def test_missing_empty_foreign_and_repeated_values_are_counted() -> None:
    texts = ["a b", None, float("nan"), "  ", 7, b"caf\xc3\xa9", "a b", HALF, "x" * (LONGEST + 1)]
    preparer = TextPreparer()
    found = preparer.fit_transform(pd.Series(texts, dtype=object))
    assert found[:7].tolist() == ["a b", "", "", "  ", "7", "café", "a b"]
    assert found[7] == HALF.replace("\ud83d", "?")
    assert preparer.notes_ == [
        "2 missing values taken as empty texts",
        "1 text without a word or a mark",
        "1 value decoded from bytes",
        "1 value that is not text, taken as written",
        "1 text with halves of characters, written as ?",
        "1 text read up to 20,000 characters",
        "2 texts the same as one before",
    ]


def test_the_column_of_texts_is_found_or_the_columns_are_listed() -> None:
    frame = pd.DataFrame({"id": ["a", "b"], "n": [1, 2], "body": ["see you at noon", "who is it"]})
    assert find_text(frame) == "body"
    assert find_text(frame[["id", "n"]]) == "id"
    two = frame.assign(title=["where are you", "i am here now"])
    with pytest.raises(SchemaMismatch, match=r'several .*"id", "n", "body", "title"'):
        find_text(two)
    with pytest.raises(SchemaMismatch, match=r'no column holds texts.*"n"'):
        find_text(frame[["n"]])
    assert reads_as_text(frame) is None
    assert reads_as_text(frame.assign(body=known(2))) == "body"


def test_the_column_of_training_is_wanted_again() -> None:
    frame = pd.DataFrame({"body": known(20), "price": range(20)})
    pipeline = TextPipeline(views(), text="body").fit(frame)
    assert pipeline.columns == ["body"]
    assert len(pipeline.score(frame.rename(columns={"price": "cost"}))) == 20
    assert len(pipeline.score(known(3))) == 3
    with pytest.raises(SchemaMismatch, match=r'no column "body".*"boddy", "price"'):
        pipeline.score(frame.rename(columns={"body": "boddy"}))
    with pytest.raises(InputError, match="not texts"):
        TextPipeline(views(), text="price").fit(frame)


@pytest.mark.parametrize(
    "wrong",
    [[], ["", " "], ["one"], [1, 2], [["a"]], np.zeros((2, 2)), 5, pd.DataFrame({"a": [None]})],
)
def test_what_cannot_be_learned_from_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError):
        TextPipeline(views()).fit(wrong)


def test_any_script_any_length_and_empty_texts_are_answered(pipeline: TextPipeline) -> None:
    strange = [
        "",
        "مرحبا كيف حالك",
        "明天下午三点开会",
        "😀😀 👩‍👩‍👧",
        HALF,
        "\x00\x1b[31m",
        "[bold]<b>",
    ]
    huge = "lorem ipsum " * 900_000
    detection = pipeline.explain([*strange, huge], range(len(strange) + 1))
    assert np.isfinite(detection.scores.values).all()
    assert detection.texts[7] == huge
    for row, marks in detection.marks.items():
        for mark in marks:
            assert 0 <= mark.start < mark.end <= min(len(detection.texts[row]), LONGEST)
            assert detection.texts[row][mark.start : mark.end].strip()
    one = pipeline.detect(["see you at 3 for tea, i am at home"])
    assert not len(one.anomalies)


def test_halves_of_characters_neither_crash_nor_keep_from_saving(tmp_path: Path) -> None:
    rows = Tfidf("char", 2, 3).fit([HALF, "b"]).transform([HALF])
    assert rows.shape[0] == 1
    pipeline = TextPipeline(views()).fit([*known(20), HALF])
    pipeline.save(tmp_path / "model")
    assert np.isfinite(tocsin.load(tmp_path / "model").score([HALF]).values).all()


def test_detect_takes_texts_in_one_call(tmp_path: Path) -> None:
    path = tmp_path / "mails.csv"
    frame = pd.DataFrame({"body": [*known(), STRANGE], "label": [0] * 160 + [1]})
    frame.to_csv(path, index=False)
    detection = tocsin.detect(path, modality="text", text="body", detector=views("mixed"))
    assert detection.anomalies[0] == 160
    lines = tmp_path / "said.txt"
    lines.write_text("\n".join(known(30)))
    clean = tocsin.detect([STRANGE], modality="text", train=lines, detector=views())
    assert clean.decision.is_anomaly.tolist() == [True]
    with pytest.raises(ParameterError, match="how many texts come"):
        _ = TextPipeline(views(), alarms_per_day=1).fit(known(20)).notes_
