"""The report in a real browser: what a person sees, sorts and searches."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.browser import watched
from support.reports import Scored
from tocsin.pipeline import Pipeline
from tocsin.report.logs import LogReport
from tocsin.report.tables import TableReport
from tocsin.report.text import TextReport
from tocsin.types import (
    Decision,
    Explanation,
    LogDetection,
    LogLine,
    Reason,
    Scores,
    TextDetection,
    TextMark,
)

EVIL = "<img src=x onerror=document.title='taken'>"


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, list[str]]]:
    """A report of a table with a hostile column name and category, and what the browser says."""
    rng = np.random.default_rng(0)
    normal = pd.DataFrame({EVIL: rng.normal(size=300), "mode": rng.choice(["a", "b"], 300)})
    new = normal.iloc[:50].copy()
    new.iloc[10:14, 0] = [9, 12, 15, 18]
    new.loc[new.index[20], "mode"] = EVIL
    pipeline = Pipeline("neighbours", training="clean").fit(normal)
    detection = pipeline.detect(new)
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    TableReport.write(path, detection, pipeline=pipeline, data=new)
    opened, complaints = watched(browser, path)
    yield opened, complaints
    opened.close()


def rows(page) -> list[str]:
    return [row.inner_text() for row in page.locator(".ranked tbody tr:visible").all()]


def test_it_shows_every_anomaly_and_runs_nothing_of_the_data(page) -> None:
    opened, complaints = page
    assert len(rows(opened)) >= 5
    assert EVIL in opened.inner_text("body")
    assert opened.title() != "taken"
    assert complaints == []


def test_searching_keeps_the_rows_that_match(page) -> None:
    opened, _ = page
    before = rows(opened)
    opened.get_by_placeholder("Find in the anomalies").fill("no such words")
    assert rows(opened) == []
    opened.get_by_placeholder("Find in the anomalies").fill("MODE")
    assert 0 < len(rows(opened)) <= len(before)
    opened.get_by_placeholder("Find in the anomalies").fill("")
    assert rows(opened) == before


def test_a_click_on_a_heading_sorts(page) -> None:
    opened, _ = page

    def column() -> list[int]:
        cells = opened.locator(".ranked tbody td.row").all()
        return [int(cell.get_attribute("data-value")) for cell in cells]

    button = opened.get_by_role("button", name="Row")
    button.click()
    assert column() == sorted(column(), reverse=True)
    button.click()
    assert column() == sorted(column())


@pytest.fixture(scope="module")
def logs() -> LogDetection:
    """Sessions with hostile lines, three of them anomalies."""
    scores = np.where(np.arange(200) % 80 == 9, 5.0 + np.arange(200) / 100, 1.0)
    found = np.flatnonzero(scores > 2).tolist()
    hours = np.arange(200) * np.timedelta64(3_600_000, "ms")
    return LogDetection(
        Scores(scores),
        Decision(np.full(200, 0.01), 2.0, scores > 2, 0.01),
        np.arange(200),
        {row: Explanation(row, (Reason("job * failed", 1, 0, 1.0),)) for row in found},
        keys=tuple(f"job {i} {EVIL}" for i in range(200)),
        files=(f"{'long/' * 40}app.log",) * 200,
        numbers=np.arange(1, 201),
        times=np.datetime64("2026-03-01", "ms") + hours,
        sizes=np.full(200, 2),
        lines={
            row: tuple(
                LogLine("app.log", row + i, f"job {row} failed {EVIL} {'x' * 3000}") for i in (0, 1)
            )
            for row in found
        },
        nearest=dict.fromkeys(found, (f"{EVIL} {'y' * 3000}",)),
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lines_of_logs_fit_any_screen_and_are_found_and_sorted(
    browser, tmp_path: Path, logs: LogDetection, scheme: str
) -> None:
    path = LogReport.write(
        tmp_path / "logs.html", logs, pipeline=Scored(), labels=logs.decision.is_anomaly
    )
    opened, complaints = watched(browser, path, color_scheme=scheme)
    assert len(rows(opened)) == 3
    for width in (1300, 390):
        opened.set_viewport_size({"width": width, "height": 800})
        assert opened.evaluate("document.documentElement.scrollWidth") <= width
    assert EVIL in opened.inner_text(".lines")
    assert opened.locator("mark").first.inner_text() == "job 169 failed"
    assert opened.title() == "Anomalies"
    colours = opened.locator("mark, .lines").evaluate_all(
        "all => all.map(one => getComputedStyle(one).backgroundColor)"
    )
    assert "rgba(0, 0, 0, 0)" not in colours
    opened.set_viewport_size({"width": 1300, "height": 800})
    opened.get_by_placeholder("Find in the anomalies").fill("job 89 failed")
    assert len(rows(opened)) == 1
    opened.get_by_placeholder("Find in the anomalies").fill("")
    for name in ("Where", "Records", "Score", "p-value"):
        opened.get_by_role("button", name=name).click()
    opened.get_by_role("button", name="Where").click()
    opened.get_by_role("button", name="Where").click()
    places = opened.locator(".where").evaluate_all("all => all.map(one => +one.dataset.value)")
    assert places == [9, 89, 169]
    assert complaints == []
    opened.close()


def test_words_of_texts_are_marked_where_they_stand(browser, tmp_path: Path) -> None:
    text = f"you WON {EVIL}\n\u202eturned \u05e9\u05dc\u05d5\u05dd {'long' * 900}"
    detection = TextDetection(
        Scores(np.array([9.0, 1.0])),
        Decision(np.array([0.01, 0.5]), 2.0, np.array([True, False]), 0.01),
        np.arange(2),
        {0: Explanation(0, (Reason("WON", None, None, 1.0),))},
        texts=np.array([text, "see you"], dtype=object),
        marks={0: (TextMark(4, 7, 1.0),)},
        nearest={0: EVIL},
    )
    path = TextReport.write(tmp_path / "texts.html", detection, pipeline=Scored())
    opened, complaints = watched(browser, path, viewport={"width": 390, "height": 800})
    assert opened.locator("mark").all_inner_texts() == ["WON"]
    shown = opened.locator(".text").first.inner_text()
    assert shown.startswith(f"you WON {EVIL}\n\\u202eturned \u05e9")
    assert opened.evaluate("document.documentElement.scrollWidth") <= 390
    assert opened.title() == "Anomalies"
    assert complaints == []
    opened.close()
