"""The pictures and the report of series, read as text and seen in a real browser."""

import base64
import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

from support.reports import Scored
from tocsin.decide.calibration import NEVER
from tocsin.errors import InputError, ParameterError
from tocsin.report.plots.series import extremes, interval_plot, series_plot, write_png
from tocsin.report.series import SeriesReport
from tocsin.types import Card, Decision, Interval, Reason, Scores, SeriesDetection

EVIL = "<img src=x onerror=document.title='taken'>"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CARD = Card("made", "series", "forecast", ("one-class",), "made for this test", "None", "none")


def made(n=600, entities=(None,), timed=True, channels=("speed", "load"), threshold=3.0):
    """Entities of n points with two anomalies each, a run and a single point."""
    rng, total, found = np.random.default_rng(0), n * len(entities), []
    values = np.sin(np.arange(total) / 9)[:, None] + 0.05 * rng.normal(size=(total, len(channels)))
    scores = rng.uniform(0, 2.5, total)
    minutes = np.datetime64("2026-03-01T00:00:00", "ns") + np.arange(n) * np.timedelta64(60, "s")
    times = np.tile(minutes, len(entities))
    for k, entity in enumerate(entities):
        for start, end in ((k * n + n // 3, k * n + n // 3 + 19), (k * n + n // 2,) * 2):
            values[start : end + 1, 0] += 4
            scores[start : end + 1] = 4.0 + len(found) + np.arange(end + 1 - start) / 100
            reasons = (Reason(channels[0], float(values[end, 0]), 0.25, 0.7),)
            at = (times[start], times[end], times[end]) if timed else (None, None, None)
            found.append(Interval(start, end, end, scores[end], 1e-4, entity, *at, reasons))
    decision = Decision(np.full(total, 0.5), threshold, scores > threshold, 0.01)
    return SeriesDetection(
        Scores(scores),
        decision,
        np.arange(total),
        {},
        ("One point a minute.",),
        channels=tuple(channels),
        values=values,
        low=values - 0.3,
        high=values + 0.3,
        times=times if timed else None,
        entities=None if entities == (None,) else np.repeat(np.array(entities, dtype=object), n),
        intervals=tuple(found[::-1]) if threshold < NEVER else (),
    )


def written(tmp_path, detection, settings=None, **options):
    pipeline = Scored(CARD, settings)
    path = SeriesReport.write(tmp_path / "report.html", detection, pipeline=pipeline, **options)
    return path.read_text("utf-8")


def pictures(html):
    return [
        base64.b64decode(data).decode() for data in re.findall(r"svg\+xml;base64,([\w+/=]+)", html)
    ]


def test_the_report_says_what_was_found_and_when(tmp_path):
    detection = made(entities=("pump a", "pump b"))
    html = written(tmp_path, detection, title="pumps.csv", settings={"seed": 7}, command="tocsin")
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    for wanted in (
        "pumps.csv",
        "4 anomalies in 1,200 points of 2 channels and 2 entities",
        "2026-03-01 00:00:00 to 2026-03-01 09:59:00 UTC, found by made",
        "One point a minute.",
        "pump b 2026-03-01 03:20:00 to 2026-03-01 03:39:00 peak 2026-03-01 03:39:00",
        "00:19:00",
        "expected 0.25",
        "made for this test",
        "Seed 7",
    ):
        assert wanted in text
    assert "Against the labels" not in text
    drawn = pictures(html)
    assert len(drawn) == 2 + 4
    assert "speed" in drawn[0]
    assert "time, UTC" in drawn[0]


def test_labels_add_measures(tmp_path):
    detection = made()
    labels = np.zeros(600, dtype=int)
    labels[195:220] = labels[500:510] = 1
    html = written(tmp_path, detection, labels=labels)
    text = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert "2 ranges are labelled anomalous; 50 % of them hold an alarm" in text
    assert "the median one 5 points after their start" in text
    assert "VUS-PR" in text
    assert "20 found 15 missed" in text
    with pytest.raises(InputError, match="Expected 600 labels"):
        written(tmp_path, detection, labels=labels[1:])


def test_labels_of_one_class_have_no_areas(tmp_path):
    assert "0 ranges are labelled" in written(tmp_path, made(), labels=np.zeros(600))


def test_without_times_positions_count_within_the_entity(tmp_path):
    html = written(tmp_path, made(entities=("a", "b"), timed=False))
    assert "<b>200</b>" in html
    assert "<b>800</b>" not in html
    assert "UTC" not in html
    assert ">point<" in pictures(html)[0]


def test_nothing_found_and_nothing_possible_are_said(tmp_path):
    html = written(tmp_path, made(threshold=NEVER))
    assert "no score can reach the threshold" in html
    assert "No point scores above the threshold" in html
    assert len(pictures(html)) == 1


def test_many_entities_are_drawn_up_to_a_limit(tmp_path):
    html = written(
        tmp_path, made(n=40, entities=tuple(f"e{i}" for i in range(11)), channels=("a",))
    )
    assert "The 8 most anomalous of 11 entities" in html
    assert len(pictures(html)) == 8 + 12


def test_names_are_text_in_the_page_and_in_the_pictures(tmp_path):
    evil = made(entities=(EVIL,), channels=(EVIL, "$\\frac{1}{2$"))
    html = written(tmp_path, evil, title=EVIL, command=EVIL, settings={EVIL: EVIL})
    assert EVIL not in html
    for svg in pictures(html):
        assert "<img" not in svg
        assert "&lt;img" in svg


def test_the_picture_shows_the_channels_that_weigh_most():
    names = tuple(f"channel {i}" for i in range(9))
    detection = made(channels=names)
    svg = series_plot(detection, most_channels=3)
    assert "channel 0" in svg
    assert [name in svg for name in names].count(True) == 3
    assert "channel 0" in interval_plot(detection, detection.intervals[0])


def test_no_line_leads_across_a_gap():
    whole = made(n=120, channels=("speed",))
    times = whole.times.copy()
    times[60:] += np.timedelta64(1, "D")
    cut = replace(whole, times=times)
    lines = [re.findall(r'<path d="M [^"]*" clip-path', series_plot(each)) for each in (whole, cut)]
    moves = [sum(line.count("M") for line in each) for each in lines]
    assert moves[1] == moves[0] + 2


def test_an_unknown_entity_is_refused():
    with pytest.raises(InputError, match="'c'"):
        series_plot(made(entities=("a", "b")), "c")


def test_a_spike_among_many_points_is_kept():
    values = np.random.default_rng(0).normal(size=200_000)
    values[123_456], values[77] = 50, -50
    begin = np.linspace(0, 200_000, 1001).astype(int)[:-1]
    at = extremes(values, begin)
    assert {77, 123_456} <= set(at.tolist())
    assert len(at) <= 2000
    assert len(series_plot(made(n=200_000))) < 1_000_000


@pytest.mark.parametrize("value", [0.0, 1e300, -1e300])
@pytest.mark.parametrize("n", [1, 2, 50])
def test_any_values_and_lengths_can_be_drawn(value, n):
    times = made().times
    short = SeriesDetection(
        Scores(np.full(n, abs(value))),
        Decision(np.ones(n), 0.5, np.ones(n, dtype=bool), 0.01),
        np.arange(n),
        channels=("a",),
        values=np.append(np.zeros(n - 1), value)[:, None],
        low=np.full((n, 1), -np.inf),
        high=np.full((n, 1), np.inf),
        times=times[:n],
        intervals=(Interval(0, n - 1, 0, abs(value), 0.01),),
    )
    assert "<svg" in series_plot(short)
    assert "<svg" in interval_plot(short, short.intervals[0])


def test_the_picture_is_written_as_png(tmp_path):
    path = write_png(tmp_path / "series.png", made())
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    with pytest.raises(ParameterError, match="missing"):
        write_png(tmp_path / "missing" / "series.png", made())


def test_a_browser_shows_searches_and_sorts_it(tmp_path):
    if CHROMIUM is None:
        message = "Chromium is not installed: apt-get install chromium"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    from playwright.sync_api import sync_playwright

    written(tmp_path, made(n=200, entities=(EVIL, "b"), channels=(EVIL, "load")))
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(color_scheme="dark", viewport={"width": 390, "height": 800})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((tmp_path / "report.html").as_uri())
        assert EVIL in page.inner_text("body")
        assert page.title() != "taken"
        widths = page.eval_on_selector_all("img", "all => all.map(one => one.naturalWidth)")
        assert len(widths) == 2 + 4
        assert min(widths) > 100
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.set_viewport_size({"width": 1200, "height": 800})
        rows = page.locator(".ranked tbody tr:visible")
        page.get_by_placeholder("Find in the anomalies").fill("02:")
        assert rows.count() == 0
        page.get_by_placeholder("Find in the anomalies").fill("01:40")
        assert rows.count() == 2
        page.get_by_placeholder("Find in the anomalies").fill("")
        page.get_by_role("button", name="When").click()
        starts = page.locator(".when").evaluate_all("all => all.map(one => +one.dataset.value)")
        assert starts == sorted(starts, reverse=True)
        browser.close()
    assert complaints == []
