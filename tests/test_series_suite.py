import json
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from tocsin.base import SeriesDetector
from tocsin.cli import app
from tocsin.errors import InputError, ParameterError, UnknownName, UnreadableFile
from tocsin.evaluate.metrics import ranking
from tocsin.evaluate.metrics.ranges import buffer_period, vus
from tocsin.evaluate.sets.series import read_published, read_series
from tocsin.evaluate.suites.base import Suite
from tocsin.evaluate.suites.series import SeriesSuite, print_families
from tocsin.types import Card, Scores


class Level(SeriesDetector):
    """The distance from the mean that was learned; in streaming, scores begin at 100."""

    card = Card("level", "series", "density", ("one-class",), "Distance from the mean.", "", "O(n)")

    def __init__(self, mode="batch", power=1.0, channels=9):
        self.mode = mode
        self.power = power
        self.channels = channels

    def _fit(self, stretches, y):
        X = np.concatenate([stretch.values for stretch in stretches])
        if X.shape[1] > self.channels:
            raise InputError("too many channels")
        self.mean_ = X.mean(axis=0)
        self.points_ = len(X)

    def _score(self, stretch):
        return Scores((np.abs(stretch.values - self.mean_).sum(axis=1)) ** self.power)

    def _score_training(self, stretches, y):
        return np.full(sum(map(len, stretches)), 100.0)


def wave(n, seed, channels=1):
    at = np.arange(n)
    X = np.sin(at / 6)[:, None] + np.random.default_rng(seed).normal(0, 0.1, (n, channels))
    y = np.zeros(n, dtype=np.int8)
    y[n - 60 : n - 50] = 1
    X[y == 1] += 5
    return X.astype(np.float32), y


ROWS = [
    ("univariate", "b", "two", 1, 200, "001_b.csv", True),
    ("univariate", "b", "one", 1, 200, "002_b.csv", False),
    ("univariate", "a", "one", 1, 8, "", False),
    ("multivariate", "c", "wide", 3, 200, "001_c.csv", True),
]


@pytest.fixture
def folder(tmp_path):
    for seed, (kind, family, name, dims, train_end, *_) in enumerate(ROWS):
        X, y = wave(400, seed, dims)
        path = tmp_path / kind / family / f"{name}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, X=X, y=y, train_end=train_end)
    columns = ["kind", "family", "name", "dims", "train_end", "tsb_ad_file", "tsb_ad_exact"]
    pd.DataFrame(ROWS, columns=columns).to_csv(tmp_path / "index.csv", index=False)
    return tmp_path


def printed(rows, published):
    console = Console(file=StringIO(), width=120)
    Suite.print(SeriesSuite("."), rows, console)
    print_families(rows, published, console)
    return console.file.getvalue()


def test_series_come_in_the_order_of_the_index(folder):
    series = list(read_series(folder, "univariate"))
    names = [(each.family, each.name) for each in series]
    assert names == [("b", "two"), ("b", "one"), ("a", "one")]
    assert [each.learned for each in series] == [200, 200, 400]
    assert [each.tsb_ad_file for each in series] == ["001_b.csv", None, None]
    assert series[0].X.shape == (400, 1)
    assert series[0].X.dtype == np.float64
    assert [each.name for each in read_series(folder, "streaming", exact=True)] == ["two"]
    assert [each.family for each in read_series(folder, "univariate", only=["a"])] == ["a"]
    some = read_series(folder, "univariate", only=["a", "b/two"])
    assert [(each.family, each.name) for each in some] == [("b", "two"), ("a", "one")]
    assert [each.X.shape for each in read_series(folder, "multivariate")] == [(400, 3)]


def test_missing_values_lie_on_lines(folder):
    X, y = wave(400, 0)
    X[10:13] = np.nan
    X[0] = np.nan
    np.savez(folder / "univariate/a/one.npz", X=X, y=y, train_end=0)
    series = next(read_series(folder, "univariate", only=["a"]))
    assert series.X[9:14, 0] == pytest.approx(np.linspace(X[9, 0], X[13, 0], 5))
    assert series.X[0] == series.X[1]


def test_what_cannot_be_read_is_named(folder, tmp_path):
    with pytest.raises(UnreadableFile, match=r"index\.csv"):
        read_series(tmp_path / "none", "univariate")
    with pytest.raises(ParameterError, match="kind"):
        read_series(folder, "bivariate")
    with pytest.raises(InputError, match="of z; the families are: a, b"):
        read_series(folder, "univariate", only=["z"])
    (folder / "univariate/a/one.npz").write_bytes(b"no archive")
    with pytest.raises(UnreadableFile, match=r"one\.npz is not a readable"):
        read_series(folder, "univariate")
    np.savez(folder / "univariate/a/one.npz", X=np.ones(9))
    with pytest.raises(UnreadableFile, match="expected X, y and train_end"):
        read_series(folder, "univariate")
    np.savez(folder / "univariate/a/one.npz", X=np.ones(9), y=np.ones(8), train_end=0)
    with pytest.raises(UnreadableFile, match="Expected 9 labels"):
        read_series(folder, "univariate")
    (folder / "univariate/a/one.npz").unlink()
    with pytest.raises(UnreadableFile, match=r"one\.npz"):
        read_series(folder, "univariate")
    (folder / "index.csv").write_text("kind,name\n")
    with pytest.raises(UnreadableFile, match="no column family"):
        read_series(folder, "univariate")


def test_batch_detectors_learn_from_the_prefix_and_score_the_whole(folder):
    seen = []
    rows = SeriesSuite(folder).run([Level()], seen.append)
    assert seen == rows
    assert [row["dataset"] for row in rows] == ["two", "one", "one"]
    assert set(json.loads(json.dumps(rows))[0]) == {
        *("family", "dataset", "detector", "vus_pr", "vus_roc", "average_precision", "seconds"),
        *("error", "tsb_ad_file"),
    }
    for series, row in zip(read_series(folder, "univariate"), rows, strict=True):
        learned = series.X if series.train_end < 16 else series.X[: series.train_end]
        scores = np.abs(series.X - learned.mean()).sum(axis=1)
        expected = vus(series.y, scores, buffer_period(series.X))
        assert row["vus_pr"] == pytest.approx(expected.vus_pr)
        assert row["vus_roc"] == pytest.approx(expected.vus_roc)
        assert row["average_precision"] == pytest.approx(
            ranking(series.y, scores).average_precision
        )
        assert row["detector"] == "level"
        assert row["seconds"] > 0
        assert row["error"] is None


def test_streaming_detectors_keep_the_scores_of_their_prefix(folder):
    row = SeriesSuite(folder, "streaming", only=["b"]).run([Level()])[0]
    series = next(read_series(folder, "streaming", only=["b"]))
    rest = np.abs(series.X[200:, 0] - series.X[:200].mean())
    expected = vus(series.y, np.append(np.full(200, 100.0), rest), buffer_period(series.X))
    assert row["vus_pr"] == pytest.approx(expected.vus_pr)
    whole = SeriesSuite(folder, "streaming", only=["a"]).run([Level()])[0]
    y, constant = wave(400, 2)[1], np.ones(400)
    period = buffer_period(next(read_series(folder, "streaming", only=["a"])).X)
    assert whole["vus_pr"] == pytest.approx(vus(y, constant, period).vus_pr)


def test_parameters_go_to_the_detectors_that_have_them(folder):
    given = Level()
    names = [given, "kmeans_windows"]
    rows = SeriesSuite(folder, "multivariate", parameters={"channels": 2, "clusters": 3}).run(names)
    assert rows[0]["vus_pr"] is rows[0]["seconds"] is None
    assert "too many channels" in rows[0]["error"]
    assert rows[1]["vus_pr"] > 0.5
    assert given.channels == 9
    with pytest.raises(ParameterError, match="no_such"):
        SeriesSuite(folder, "multivariate", parameters={"no_such": 2}).run(names)
    with pytest.raises(ParameterError, match="at least one detector"):
        SeriesSuite(folder, "multivariate").run([])
    with pytest.raises(UnknownName, match="kmeans_windows"):
        SeriesSuite(folder, "multivariate").run(["kmeans_window"])


def test_the_table_puts_the_best_of_published_and_ours_first(folder):
    pd.DataFrame(
        {"file": ["001_b.csv", "002_b.csv"], "Best": [0.9999, 0], "Worst": [0.01, 1]}
    ).to_csv(folder / "published_vus_pr_univariate.csv", index=False)
    published = read_published(folder, "streaming")
    rows = [{**row, "vus_pr": 0.8} for row in SeriesSuite(folder).run([Level()])]
    rows += [{**row, "detector": "other", "vus_pr": 0.5} for row in rows]
    text = printed(rows, published)
    assert "VUS-PR over 1 series, by family" in text
    positions = [text.rindex(name) for name in ("Best, published", "level", "other", "Worst,")]
    assert positions == sorted(positions)
    assert "100.0" in text
    assert "50.0" in text
    assert "in the first table alone" in text


def test_without_published_figures_the_table_says_so(folder):
    rows = SeriesSuite(folder, "multivariate").run([Level(), Level(channels=1)])
    text = printed(rows, read_published(folder, "multivariate"))
    assert "no table of published figures" in text
    assert "level failed on c/wide: InputError: too many channels" in text
    other = pd.DataFrame({"Best": [1.0]}, index=["999.csv"])
    assert "VUS-PR over 1 series" in printed(rows, other)
    (folder / "published_vus_pr_multivariate.csv").write_text("file,Best\n001_c.csv,good\n")
    with pytest.raises(UnreadableFile, match="more than numbers"):
        read_published(folder, "multivariate")


def test_the_command_writes_the_rows_it_promises(folder):
    out = folder / "out" / "rows.json"
    words = ["bench", "series", "--data", folder, "--detectors", "kmeans_windows,subsequence_pca"]
    words += [
        "--kind",
        "univariate",
        "--only",
        "b",
        "--exact",
        "--set",
        "clusters=4",
        "--json",
        out,
    ]
    done = CliRunner().invoke(app, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0
    assert "two  kmeans_windows  VUS-PR 0." in done.stderr
    assert "Means over series" in done.stdout
    rows = json.loads(out.read_text())
    assert [row["detector"] for row in rows] == ["kmeans_windows", "subsequence_pca"]
    assert all(row["vus_pr"] > 0.3 for row in rows)
