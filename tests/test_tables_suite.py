import json
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from tocsin.errors import InputError, ParameterError, UnknownName, UnreadableFile
from tocsin.evaluate.false_alarms.tables import (
    print_false_alarms,
    run_false_alarms,
    summarise_false_alarms,
)
from tocsin.evaluate.metrics import ranking
from tocsin.evaluate.sets.tables import TableSet, cut, read_sets
from tocsin.evaluate.suites.tables import TableSuite
from tocsin.pipeline import Pipeline


def made(n=200, anomalies=20, seed=0):
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 4))
    y = np.zeros(n, dtype=np.int8)
    y[random.choice(n, anomalies, replace=False)] = 1
    X[y == 1] += 3.0
    return X, y


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(["beta", "Alpha"]):
        X, y = made(seed=seed)
        np.savez(tmp_path / f"{name}.npz", X=X.astype(np.float32), y=y)
    return tmp_path


def test_clean_trains_on_half_the_normal_rows_and_tests_on_everything_else():
    X, y = made()
    train, test, labels = TableSet("made", X, y).split("clean", seed=3)
    assert len(train) == 90
    assert (labels == 0).sum() == 90
    assert labels.sum() == 20
    together = np.concatenate([train, test])
    assert np.array_equal(np.unique(together, axis=0), np.unique(X, axis=0))
    other, *_ = TableSet("made", X, y).split("clean", seed=4)
    assert not np.array_equal(train, other)


def test_mixed_fits_all_rows_and_ranks_their_leave_one_out_scores(folder):
    rows = TableSuite(folder, "mixed", [1]).run(["neighbours"])
    with np.load(folder / "beta.npz") as file:
        X, y = file["X"].astype(float), file["y"]
    pipeline = Pipeline("neighbours", training="mixed", seed=1).fit(X)
    expected = ranking(y, pipeline.detector_.training_scores_)
    row = next(row for row in rows if row["dataset"] == "beta")
    assert row["roc_auc"] == pytest.approx(expected.roc_auc)
    assert row["average_precision"] == pytest.approx(expected.average_precision)
    assert row["score_seconds"] == 0


def test_rows_come_by_set_seed_and_detector_and_go_into_json(folder):
    seen = []
    rows = TableSuite(folder, "clean", [0, 1]).run(["hbos", "neighbours"], seen.append)
    assert seen == rows
    assert [row["dataset"] for row in rows] == ["Alpha"] * 4 + ["beta"] * 4
    assert [row["seed"] for row in rows[:4]] == [0, 0, 1, 1]
    assert [row["detector"] for row in rows[:2]] == ["hbos", "neighbours"]
    assert set(json.loads(json.dumps(rows))[0]) == {
        *("dataset", "protocol", "seed", "detector", "roc_auc", "average_precision"),
        *("fit_seconds", "score_seconds", "error"),
    }
    assert all(row["roc_auc"] > 0.9 and row["fit_seconds"] > 0 for row in rows)
    again = TableSuite(folder, "clean", [0, 1]).run(["hbos", "neighbours"])
    assert [row["roc_auc"] for row in again] == [row["roc_auc"] for row in rows]


def test_sets_that_come_split_are_used_as_split(tmp_path):
    X, y = made()
    train = made(seed=9)[0]
    np.savez(tmp_path / "odd.npz", train=train, test=X, labels=y)
    row = TableSuite(tmp_path, "clean").run(["neighbours"])[0]
    scores = Pipeline("neighbours", training="clean").fit(train).score(X)
    assert row["roc_auc"] == pytest.approx(ranking(y, scores).roc_auc)
    with pytest.raises(InputError, match="odd comes split"):
        TableSuite(tmp_path, "mixed").run(["neighbours"])


def test_large_sets_are_cut_stratified_keeping_twenty_anomalies():
    y = np.repeat([0, 1], [38_000, 2_000])
    kept = cut(y, seed=0)
    assert len(np.unique(kept)) == 10_000
    assert y[kept].sum() == 500
    rare = np.repeat([0, 1], [50_000, 8])
    assert rare[cut(rare, seed=0)].sum() == 8
    assert not np.array_equal(cut(y, seed=0), cut(y, seed=1))


def test_a_failing_detector_is_a_row_with_its_error_and_is_printed(folder):
    np.savez(folder / "tiny.npz", X=np.eye(4), y=[0, 0, 1, 1])
    rows = TableSuite(folder, "clean").run(["neighbours", "hbos"])
    failed = [row for row in rows if row["error"]]
    assert [row["dataset"] for row in failed] == ["tiny", "tiny"]
    assert failed[0]["roc_auc"] is None
    assert "2 rows" in failed[0]["error"]
    out = StringIO()
    TableSuite(folder).print(rows, Console(file=out, width=120))
    assert "failed on tiny" in out.getvalue()
    assert "Left out" in out.getvalue()
    TableSuite(folder).print(failed, Console(file=out, width=120))
    assert "none can be compared" in out.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a zip", "broken.npz is not a readable"),
        (b"", "broken.npz is not a readable"),
        ({"X": np.eye(3)}, "broken.npz holds X"),
        ({"X": np.eye(3), "y": [0, 1, 2]}, "broken.npz cannot be used: Labels"),
        ({"X": np.arange(3), "y": [0, 1, 0]}, "broken.npz cannot be used: Rows"),
        ({"X": np.array([[{}]]), "y": [0]}, "broken.npz is not a readable"),
    ],
)
def test_an_unreadable_set_is_named_before_anything_is_measured(folder, content, message):
    path = folder / "broken.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    with pytest.raises(UnreadableFile, match=message):
        read_sets(folder)


def test_what_cannot_be_asked_for_is_refused_at_once(folder, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no sets"):
        TableSuite(tmp_path / "empty").run(["hbos"])
    with pytest.raises(UnknownName, match="nonsense"):
        TableSuite(folder).run(["hbos", "nonsense"])
    with pytest.raises(ParameterError, match="protocol"):
        TableSuite(folder, "dirty").run(["hbos"])
    with pytest.raises(ParameterError, match="at least one"):
        TableSuite(folder).run([])
    with pytest.raises(ParameterError, match="one seed"):
        TableSuite(folder, seeds=[]).run(["hbos"])


def test_false_alarms_are_counted_on_unseen_normal_rows_and_held_against_the_band(tmp_path):
    X, y = made(n=1500, anomalies=100)
    np.savez(tmp_path / "made.npz", X=X, y=y)
    rows = run_false_alarms(tmp_path, (0.05, 0.5), (0, 1), ["neighbours"])
    assert len(rows) == 4
    assert {row["normals"] for row in rows} == {280}
    half = [row for row in rows if row["budget"] == 0.5]
    assert all(row["low"] < 140 < row["high"] for row in half)
    for row in rows:
        assert row["rate"] == row["alarms"] / row["normals"]
        assert row["within"] == (row["low"] <= row["alarms"] <= row["high"])
        assert abs(row["rate"] - row["budget"]) < 0.12
    summary = summarise_false_alarms(rows)
    assert [entry["budget"] for entry in summary] == [0.05, 0.5]
    assert summary[0]["runs"] == 2
    assert summary[1]["within"] == np.mean([row["within"] for row in half])
    out = StringIO()
    print_false_alarms([{**rows[0], "within": False}, *rows[1:]], Console(file=out, width=120))
    assert "5.00%" in out.getvalue()
    assert f"made, seed 0: {rows[0]['alarms']} of 280 flagged at 5%" in out.getvalue()


def test_threads_are_given_back(folder):
    import torch

    before = torch.get_num_threads()
    TableSuite(folder).run(["hbos"], threads=1)
    assert torch.get_num_threads() == before
