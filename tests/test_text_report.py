"""The report of texts: the words that tell are marked, and nothing of a text is run."""

import numpy as np
import pytest

from support.reports import EVIL, TURNED, Page, Scored, marks
from tocsin.errors import InputError
from tocsin.report.marks import pieces
from tocsin.report.text import TextReport
from tocsin.types import Decision, Explanation, Reason, Scores, TextDetection, TextMark


def made(text="you WON a prize", marked=(), nearest="see you at noon", n=60, reasons=()):
    """Texts of which the first is an anomaly."""
    scores = np.linspace(0.0, 1.0, n)[::-1].copy()
    scores[0] = 9.0
    return TextDetection(
        Scores(scores),
        Decision(np.full(n, 0.01), 5.0, scores > 5, 0.01),
        np.arange(n),
        {0: Explanation(0, tuple(reasons))},
        texts=np.array([text] + ["see you"] * (n - 1), dtype=object),
        marks={0: tuple(marked)},
        nearest={} if nearest is None else {0: nearest},
    )


def written(tmp_path, detection, **more):
    path = TextReport.write(tmp_path / "texts.html", detection, pipeline=Scored(), **more)
    return path.read_text(encoding="utf-8")


def test_words_are_marked_by_their_weight(tmp_path):
    reasons = (Reason("WON", None, None, 0.6), Reason("share of digits", 0.5, 0.0, 0.4))
    marked = (TextMark(4, 7, 0.6), TextMark(10, 15, 0.3))
    html = written(tmp_path, made(marked=marked, reasons=reasons))
    page = Page(html)
    assert marks(html) == ["WON", "prize"]
    assert '--strength:100%">WON' in html
    assert '--strength:50%">prize' in html
    assert "you WON a prize" in page.text
    assert page.text.count("WON") == 1
    assert "share of digits 0.5 expected 0" in page.text
    assert "Nearest normal see you at noon" in page.text


def test_words_are_listed_where_nothing_else_is_said(tmp_path):
    reasons = (Reason("WON", None, None, 1.0),)
    html = written(tmp_path, made(marked=(TextMark(4, 7, 0.6),), reasons=reasons))
    assert "WON 100 %" in Page(html).text


def test_nothing_of_a_text_is_run_or_turned_around(tmp_path):
    text = f"{EVIL}\nsecond line \" ' {TURNED} \x00\x1b \ud800 naïve\xa0日本"
    html = written(tmp_path, made(text, (TextMark(0, 8, 1.0),), nearest=f"{EVIL}{TURNED}"))
    page = Page(html)
    assert page.tags.count("script") == 1
    assert marks(html) == ["&lt;script&gt;"[: len(marks(html)[0])]]
    assert not set("\x00\x1b\u202e") & set(html)
    assert "\nsecond line" in html
    assert "\\u202egpj.exe \\x00\\x1b \\ud800 naïve 日本" in page.text


def test_a_long_text_is_cut_around_what_tells():
    text = "a" * 5000 + "WON" + "b" * 5000
    shown = pieces(text, [TextMark(5000, 5003, 0.9)], 300)
    assert [piece for piece, strength in shown if strength] == ["WON"]
    assert shown[0] == ("…", None)
    assert shown[-1] == ("…", None)
    assert sum(len(piece) for piece, _ in shown) == 302


@pytest.mark.parametrize(
    "marked",
    [[], [TextMark(0, 3, 0.0)], [TextMark(0, 2, 0.5), TextMark(1, 3, 0.5)], [TextMark(2, 99, 1.0)]],
)
def test_any_marks_keep_the_text_whole(marked):
    assert "".join(piece for piece, _ in pieces("abc", marked, 80)) == "abc"


def test_empty_texts_and_no_nearest_are_said(tmp_path):
    page = Page(written(tmp_path, made("", nearest=None)))
    assert "(empty)" in page.text
    assert "Nearest normal" not in page.text


def test_labels_add_measures(tmp_path):
    detection = made()
    page = Page(written(tmp_path, detection, labels=(np.arange(60) < 2).astype(int)))
    assert "2 of 60 texts are labelled anomalies" in page.text
    assert len(page.images) == 4
    with pytest.raises(InputError, match="labels"):
        written(tmp_path, detection, labels=[0, 1])
