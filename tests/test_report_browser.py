"""The report in a real browser: what a person sees, sorts and searches."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tocsin.evaluate.report import write_report
from tocsin.pipeline import Pipeline

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
EVIL = "<img src=x onerror=document.title='taken'>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, list[str]]]:
    """A report of a table with a hostile column name and category, and what the browser says."""
    if CHROMIUM is None:
        message = "Chromium is not installed: apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    rng = np.random.default_rng(0)
    normal = pd.DataFrame({EVIL: rng.normal(size=300), "mode": rng.choice(["a", "b"], 300)})
    new = normal.iloc[:50].copy()
    new.iloc[10:14, 0] = [9, 12, 15, 18]
    new.loc[new.index[20], "mode"] = EVIL
    pipeline = Pipeline("neighbours", training="clean").fit(normal)
    detection = pipeline.detect(new)
    path: Path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(path, detection, frame=new, card=pipeline.card, settings=pipeline.settings)
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        opened = browser.new_page()
        opened.on("console", lambda message: complaints.append(message.text))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        opened.on(
            "request",
            lambda request: (
                request.url.startswith(("file:", "data:")) or complaints.append(request.url)
            ),
        )
        opened.goto(path.as_uri())
        yield opened, complaints
        browser.close()


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
