import json
from io import StringIO

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from tocsin.errors import InputError, ParameterError
from tocsin.evaluate.false_alarms.folders import read_time_splits
from tocsin.evaluate.false_alarms.later import limits, print_time_splits, run_time_splits
from tocsin.report.promises import draw_promises


def rows(n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(rng.normal(shift, 1, size=(n, 3)), columns=["a", "b", "c"])


@pytest.fixture
def folder(tmp_path):
    split = tmp_path / "split"
    split.mkdir()
    rows(300, 0).to_csv(split / "train_normal.csv", index=False)
    rows(200, 1).to_csv(split / "test_normal.csv", index=False)
    fault = pd.concat([rows(50, 2), rows(50, 3, shift=9.0)])
    fault.assign(label=np.repeat([0, 1], 50)).to_csv(split / "test_fault.csv", index=False)
    for place, seed, shift in (("train/good", 4, 0), ("test/good", 5, 0), ("test/loose", 6, 9)):
        path = tmp_path / "runs" / place
        path.mkdir(parents=True)
        for run in range(2):
            rows(100, seed * 10 + run, shift).to_csv(path / f"run{run}.csv", index=False)
    whole = tmp_path / "whole"
    whole.mkdir()
    labels = np.arange(400) % 40 == 39
    table = rows(400, 7).assign(label=labels.astype(int), scenario=labels * 3)
    table.loc[labels, "a"] = 30.0
    table.to_csv(whole / "all.csv", index=False)
    return tmp_path


def test_sets_are_read_in_each_of_the_three_layouts(folder):
    runs, split, whole = read_time_splits(folder)
    assert len(runs.train) == 200
    assert sorted(int(labels.sum()) for _, labels in runs.later) == [0, 200]
    assert len(split.train) == 300
    assert sorted((len(labels), int(labels.sum())) for _, labels in split.later) == [
        (100, 50),
        (200, 0),
    ]
    assert list(whole.train.columns) == ["a", "b", "c"]
    assert len(whole.train) == 215
    assert len(whole.later[0][0]) == 140


def test_rates_roc_and_recall_are_measured_on_later_normal_rows(folder):
    found = run_time_splits(read_time_splits(folder), (0.01, 0.05), ["neighbours"])
    assert [row["dataset"] for row in found[::2]] == ["runs", "split", "whole"]
    assert [row["normals"] for row in found[::2]] == [200, 200, 136]
    for row in found:
        low, high = limits(row["budget"])
        assert row["inside"] == (low <= row["rate"] <= high)
        assert row["roc_auc"] > 0.99
        assert row["recall"] > 0.9
        assert row["error"] is None
    assert limits(0.05) == (0.01, 0.08)


def test_what_a_detector_dies_of_is_its_row(folder):
    split = pd.read_csv(folder / "split" / "train_normal.csv")
    split.assign(a=1.0, b=2.0, c=3.0).to_csv(folder / "split" / "train_normal.csv", index=False)
    splits = read_time_splits(folder, only=["split"])
    (row,) = run_time_splits(splits, (0.01,), ["neighbours"])
    assert "No column can be learned from" in row["error"]
    out = StringIO()
    print_time_splits([row], Console(file=out, width=120))
    assert "failed" in out.getvalue()


def test_promises_are_printed_and_drawn(folder):
    splits = read_time_splits(folder, only=["split"])
    found = run_time_splits(splits, (0.01, 0.05), ["neighbours"])
    out = StringIO()
    print_time_splits(found, Console(file=out, width=120))
    assert "1% promised: 1 of 1 within 0% to 2%" in out.getvalue()
    draw_promises(folder / "p.png", found)
    draw_promises(folder / "p.html", found)
    assert (folder / "p.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (folder / "p.html").read_text(encoding="utf-8")
    with pytest.raises(ParameterError, match=r"\.png or an \.html"):
        draw_promises(folder / "p.pdf", found)


def test_a_folder_without_later_data_is_refused(tmp_path):
    with pytest.raises(InputError, match="no sets with later data"):
        read_time_splits(tmp_path)


def test_the_command_line_takes_both_kinds_of_folders(folder, tmp_path):
    from typer.testing import CliRunner

    from tocsin.cli import app

    file = tmp_path / "rows.json"
    arguments = ["bench", "false-alarms", "--data", str(folder), "--only", "split"]
    more = ["--detectors", "neighbours", "--json", str(file)]
    assert CliRunner().invoke(app, [*arguments, *more]).exit_code == 0
    assert {row["budget"] for row in json.loads(file.read_text())} == {0.01, 0.05}
