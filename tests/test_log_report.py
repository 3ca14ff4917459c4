"""The report of logs: raw lines, what is marked in them, and nothing of them run."""

import numpy as np
import pytest

from support.reports import EVIL, TURNED, Page, Scored, marks
from tocsin.errors import InputError
from tocsin.report.logs import LogReport
from tocsin.types import (
    Decision,
    Explanation,
    LogDetection,
    LogLine,
    Reason,
    Scores,
)


def made(n=120, texts=("job 7 failed: disk full",), reasons=(), times=True, key="job 7"):
    """Sessions of which the first is an anomaly, with these lines."""
    scores = np.linspace(0.0, 1.0, n)[::-1].copy()
    scores[0] = 9.0
    moments = np.datetime64("2026-03-01T00:00", "ms") + np.arange(n) * np.timedelta64(60_000, "ms")
    return LogDetection(
        Scores(scores),
        Decision(np.full(n, 0.01), 5.0, scores > 5, 0.01),
        np.arange(n),
        {0: Explanation(0, tuple(reasons))},
        (f"note {EVIL}",),
        keys=(key, *(f"job {i}" for i in range(8, n + 7))),
        files=("logs/app.log",) * n,
        numbers=np.arange(1, n + 1),
        times=moments if times else np.full(n, "NaT", "datetime64[ms]"),
        sizes=np.full(n, len(texts)),
        lines={0: tuple(LogLine("logs/app.log", i, text) for i, text in enumerate(texts, 1))},
        nearest={0: (f"job * ended {EVIL}",)},
    )


def written(tmp_path, detection, **more):
    path = LogReport.write(tmp_path / "logs.html", detection, pipeline=Scored(), title=EVIL, **more)
    return path.read_text(encoding="utf-8")


def test_lines_are_shown_with_their_place_time_and_reasons(tmp_path):
    reasons = (Reason("job * failed:", 1, 0, 0.8), Reason("job * ended", 0, 1, 0.2))
    html = written(tmp_path, made(texts=("job 7 started", "job 7 failed: x"), reasons=reasons))
    text = Page(html).text
    assert "app.log:1 job 7 2026-03-01 00:00:00" in text
    assert "job * failed: ×1 expected ×0" in text
    assert marks(html) == ["job 7 failed:"]
    assert html.count('class="telling"') == 1
    assert "Nearest normal" in text
    assert "120 sessions, 2026-03-01 00:00 to 2026-03-01 01:59 UTC" in text


def test_words_and_levels_are_marked_whole_the_heavier_over_the_lighter(tmp_path):
    reasons = (
        Reason("of", 2, 0, 0.5),
        Reason("level", "FATAL", "INFO", 0.3),
        Reason("xer:*", 1, 0, 0.2),
        Reason("values", "job", None, 0.1),
    )
    line = "offset of NONFATAL FATAL of xer:20 job"
    html = written(tmp_path, made(texts=(line,), reasons=reasons))
    assert marks(html) == ["of", "FATAL", "of", "xer:"]


def test_nothing_of_a_line_is_run_or_turned_around(tmp_path):
    line = f"{EVIL} \" ' {TURNED} \x1b[31m\x00 \ud800 {'x' * 5000} end"
    reasons = (Reason(EVIL, 1, 0, 0.5), Reason(TURNED, "a\x07", TURNED, 0.5))
    html = written(tmp_path, made(texts=(line,), reasons=reasons, key=TURNED), command=TURNED)
    page = Page(html)
    assert page.tags.count("script") == 1
    assert not set("\x00\x1b\u202e\x07") & set(html)
    assert EVIL in page.text
    assert "\\u202egpj.exe" in page.text
    assert "\\x1b[31m\\x00 \\ud800" in page.text
    assert "x" * 700 not in html
    assert "end" not in page.text.split("xxxx")[-1].split("…")[0]


def test_without_times_scores_are_drawn_by_session(tmp_path):
    timed, plain = (Page(written(tmp_path, made(times=times))) for times in (True, False))
    assert len(timed.images) == 3
    assert len(plain.images) == 2
    assert "time, UTC" in "".join(timed.images)
    assert "time, UTC" not in "".join(plain.images)
    assert "sessions, log scale" in "".join(plain.images)


def test_labels_add_measures(tmp_path):
    detection = made()
    page = Page(written(tmp_path, detection, labels=(np.arange(120) < 2).astype(int)))
    assert "Against the labels" in page.text
    assert "2 of 120 sessions are labelled anomalies" in page.text
    assert len(page.images) == 5
    with pytest.raises(InputError, match="labels"):
        written(tmp_path, detection, labels=[0, 1])


def test_hidden_lines_are_counted(tmp_path):
    detection = made(texts=("job 7 started", "job 7 failed"))
    detection.sizes[0] = 900
    assert "2 of 900 records" in Page(written(tmp_path, detection)).text


def test_a_masked_message_is_found_around_what_was_masked(tmp_path):
    line = "KERNEL INFO in node 91.0 (R62-M1:J03), code 2 is not 3"
    reasons = (Reason("in node * (R*-M*:J*), code * is not *", 1, 0, 1.0),)
    html = written(tmp_path, made(texts=(line, "in node 5"), reasons=reasons))
    assert marks(html) == ["in node 91.0 (R62-M1:J03), code 2 is not"]
