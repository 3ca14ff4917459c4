import base64
import hashlib
import re

import numpy as np
import pandas as pd
import pytest

from support.reports import CARD, EVIL, Page, Scored
from tocsin import registry
from tocsin.decide.calibration import NEVER
from tocsin.errors import InputError, ParameterError
from tocsin.report.items import MOST_ANOMALIES, ItemReport
from tocsin.report.plots.curves import roc_plot
from tocsin.report.plots.scores import score_histogram, score_rows
from tocsin.report.tables import TableReport, latent_map
from tocsin.types import Decision, Detection, Explanation, Reason, Scores

ALL = ("images", "logs", "series", "tables", "text")


def made(n=300, anomalies=12, names=("speed", "load"), threshold=3.0):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(n, len(names))), columns=list(names))
    scores = np.abs(random.normal(size=n)).clip(0, 2.9)
    scores[:anomalies] = 4.0 + np.arange(anomalies)
    reasons = {
        row: Explanation(
            row,
            tuple(
                Reason(name, float(frame.iloc[row, column]), 0.25, weight)
                for (column, name), weight in zip(enumerate(names), (0.7, 0.3), strict=False)
            ),
        )
        for row in range(anomalies)
    }
    decision = Decision(np.full(n, 0.01), threshold, scores > threshold, 0.02)
    notes = ("The training rows were said to be clean.",)
    return frame, Detection(Scores(scores), decision, np.arange(n), reasons, notes)


def written(tmp_path, detection, frame, *, settings=None, embedding=None, **options):
    pipeline = Scored(CARD, settings, embedding)
    path = TableReport.write(
        tmp_path / "report.html", detection, pipeline=pipeline, data=frame, **options
    )
    return Page(path.read_text("utf-8"))


def test_the_report_says_what_was_found_and_why(tmp_path):
    frame, detection = made()
    page = written(
        tmp_path, detection, frame, title="pumps.csv", settings={"seed": 7}, command="tocsin detect"
    )
    for wanted in (
        "pumps.csv",
        "12 anomalies in 300 rows, found by made",
        "a level exceeded by 2 % of normal rows",
        "The training rows were said to be clean.",
        "expected 0.25",
        "70 %",
        "made for this test",
        "Seed 7",
        "tocsin detect",
    ):
        assert wanted in page.text
    rows = [value for tag, name, value in page.attributes if (tag, name) == ("td", "data-value")]
    assert [float(value) for value in rows[1::4]] == list(range(11, -1, -1))
    assert "Against the labels" not in page.text
    assert len(page.images) == 4


def test_labels_and_an_embedding_add_their_parts(tmp_path):
    frame, detection = made()
    labels = np.zeros(300, dtype=int)
    labels[:15] = 1
    embedding = np.random.default_rng(0).normal(size=(300, 5))
    page = written(tmp_path, detection, frame, labels=labels, embedding=embedding)
    assert "15 of 300 rows are labelled anomalies" in page.text
    assert "12 found 3 missed" in page.text
    assert "Recall 0.800" in page.text
    assert "Latent map" in page.text
    assert len(page.images) == 7


def test_labels_of_one_class_have_no_curves(tmp_path):
    frame, detection = made()
    page = written(tmp_path, detection, frame, labels=np.zeros(300, dtype=int))
    assert "12 false alarms" in page.text
    assert "ROC AUC –" in page.text
    assert len(page.images) == 4


def test_nothing_from_the_data_becomes_markup(tmp_path):
    names = (EVIL, "'\"><img src=x onerror=alert(1)>")
    frame, detection = made(names=names)
    frame = frame.astype(object)
    frame.iloc[0, 0] = EVIL
    reason = Reason(EVIL, EVIL, "${7*7}{{7*7}}", 1.0)
    evil = Detection(
        detection.scores,
        detection.decision,
        detection.rows,
        {0: Explanation(0, (reason,))},
        (EVIL,),
    )
    page = written(
        tmp_path, evil, frame, title=EVIL, command=EVIL, settings={EVIL: EVIL}, labels=[0] * 300
    )
    assert page.tags.count("script") == 1
    assert not [tag for tag, name, _ in page.attributes if name.startswith("on")]
    assert "{{7*7}}" in page.text
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "alert(1)" in html
    assert EVIL not in html


def test_names_of_columns_are_text_in_plots_too(tmp_path):
    frame, detection = made(names=(EVIL, "$\\frac{1}{2$"))
    page = written(tmp_path, detection, frame)
    assert len(page.images) == 4
    assert all("script" not in Page(svg).tags for svg in page.images)
    assert any("&lt;script&gt;alert(1)" in svg for svg in page.images)


def test_the_report_loads_nothing_and_runs_only_its_own_script(tmp_path):
    frame, detection = made()
    page = written(tmp_path, detection, frame, embedding=frame)
    assert not {"link", "iframe", "object", "embed", "base", "form"} & set(page.tags)
    loading = {"src", "href", "srcset", "action", "poster", "data"}
    targets = [value for _, name, value in page.attributes if name in loading]
    assert targets
    assert all(value.startswith("data:image/svg+xml;base64,") for value in targets)
    for svg in page.images:
        assert not re.search(r"(href|src)=\"(?!#|data:image/png)", svg)
        assert "url(http" not in svg
    html = (tmp_path / "report.html").read_text("utf-8")
    assert "url(" not in html
    assert "@import" not in html
    policy = next(value for _, _, value in page.attributes if "default-src" in value)
    script = re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_the_table_stops_at_its_limit_and_says_so(tmp_path):
    frame, detection = made(n=2000, anomalies=450)
    page = written(tmp_path, detection, frame)
    assert f"The top {MOST_ANOMALIES} of 450" in page.text
    assert page.tags.count("details") == MOST_ANOMALIES


def test_wide_rows_show_their_first_columns_and_say_so(tmp_path):
    _, detection = made()
    wide = pd.DataFrame(np.zeros((300, 500)), columns=[f"x{i}" for i in range(500)])
    assert "The first 40 of 500 columns" in written(tmp_path, detection, wide).text


def test_nothing_found_and_nothing_possible_are_said(tmp_path):
    frame, detection = made(anomalies=0)
    assert "No row scores above the threshold" in written(tmp_path, detection, frame).text
    frame, detection = made(anomalies=0, threshold=NEVER)
    text = written(tmp_path, detection, frame).text
    assert "no score can reach the threshold" in text
    assert "Threshold none" in text


def test_any_value_can_be_shown(tmp_path):
    values = [None, np.nan, pd.NaT, pd.NA, 1e300, -0.0, True, "", "é" * 500, pd.Timestamp(0)]
    frame, detection = made(anomalies=len(values))
    frame = frame.astype(object)
    frame.iloc[: len(values), 1] = pd.Series(values, dtype=object)
    text = written(tmp_path, detection, frame).text
    for shown in ("load –", "load 1e+300", "load True", "é" * 79 + "…", "load 1970-01-01"):
        assert shown in text


@pytest.mark.parametrize(
    "scores",
    [
        np.zeros(5),
        np.array([0.0]),
        np.array([0, 1, 2, 3, 1e300]),
        np.full(4, -1e300),
        1e17 + np.arange(5),
    ],
)
def test_plots_hold_any_scores(tmp_path, scores):
    n = len(scores)
    decision = Decision(np.ones(n), 0.5, scores > 0.5, 0.01)
    detection = Detection(Scores(scores), decision, np.arange(n))
    frame = pd.DataFrame({"a": scores})
    assert len(written(tmp_path, detection, frame, embedding=np.ones((n, 3))).images) == 3


def test_an_existing_report_stays_when_writing_fails(tmp_path, monkeypatch):
    frame, detection = made()
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(ParameterError, match="No space left"):
        TableReport.write(path, detection, pipeline=Scored(), data=frame)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    frame, detection = made()
    with pytest.raises(ParameterError, match="missing"):
        written(tmp_path / "missing", detection, frame)


def test_lengths_must_agree(tmp_path):
    frame, detection = made()
    with pytest.raises(InputError, match="300 detections, but the frame has 299"):
        written(tmp_path, detection, frame.iloc[1:])
    with pytest.raises(InputError, match="Expected 300 labels"):
        written(tmp_path, detection, frame, labels=[0, 1])
    with pytest.raises(InputError, match="embedding has 2 rows"):
        written(tmp_path, detection, frame, embedding=np.ones((2, 2)))


def test_a_million_rows_are_sampled_and_the_plot_says_so():
    scores = np.random.default_rng(0).normal(size=1_000_000)
    svg = score_rows(scores, np.arange(len(scores)), scores > 4, 4.0)
    assert "flagged (1,500 of 999," in svg
    assert len(svg) < 500_000
    assert svg == score_rows(scores, np.arange(len(scores)), scores > 4, 4.0)


def test_plots_leave_global_settings_alone():
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    score_histogram([1.0, 2.0, 3.0], 2.5)
    assert dict(mpl.rcParams) == before


def test_a_curve_needs_both_classes_and_a_map_two_dimensions():
    with pytest.raises(InputError, match="both classes"):
        roc_plot([0, 0], [1.0, 2.0], 1.5)
    with pytest.raises(InputError, match="2 or more"):
        latent_map(np.ones((3, 1)), np.ones(3), np.zeros(3, dtype=bool))


def test_another_package_brings_its_own_unit_and_template(tmp_path):
    template = tmp_path / "beats.html"
    template.write_text(
        '{% extends "items.html" %}{% block before %}{{ anomaly.content }}{% endblock %}'
    )

    class BeatReport(ItemReport):
        modality = "beats"
        unit = "beat"

        @classmethod
        def show_item(cls, detection, item, data):
            return f"{data[item]} {EVIL}"

    _, detection = made()
    beats = [f"beat number {i}" for i in range(300)]
    plain = BeatReport.write(tmp_path / "plain.html", detection, pipeline=Scored(), data=beats)
    assert "12 anomalies in 300 beats" in Page(plain.read_text("utf-8")).text
    BeatReport.template = template
    own = BeatReport.write(tmp_path / "own.html", detection, pipeline=Scored(), data=beats)
    page = Page(own.read_text("utf-8"))
    assert f"beat number 11 {EVIL}" in page.text
    assert page.tags.count("script") == 1


def test_pictures_are_named_by_option():
    drawn = [
        (name, option) for name in ALL for option in registry.of_modality("report", name).pictures
    ]
    assert drawn == [("images", "overlays"), ("series", "png")]
