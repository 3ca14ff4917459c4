"""Rows, texts and logs held out: who learns from what, and what labels may say."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from support.jobs import day, fault
from tocsin import registry
from tocsin.cli import app
from tocsin.errors import InputError, ParameterError, TocsinError
from tocsin.evaluate.holdout import hold_out
from tocsin.evaluate.items import Items
from tocsin.evaluate.items.logs import LogItems
from tocsin.evaluate.splits import halves
from tocsin.pipeline import LogPipeline, TextPipeline
from tocsin.readers.lines import RawLine

SESSION = "(job [0-9]+)"
FAULTS = [f"job {i}" for i in range(20, 120, 20)]


def lines() -> list[str]:
    """120 jobs, five of them with a fault, and a line that continues the one before it."""
    jobs = [day(120)[3 * i : 3 * i + 3] for i in range(120)]
    for i in range(20, 120, 20):
        jobs[i] = [*fault(i), "  at disk.write"]
    return [line for job in jobs for line in job]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.log"
    path.write_text("\n".join(lines()) + "\n")
    return path


def labelled(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def by_key(folder: Path) -> Path:
    rows = [f"job {i},{'Anomaly' if f'job {i}' in FAULTS else 'Normal'}" for i in range(120)]
    return labelled(folder / "labels.csv", "\n".join(["key,label", *rows]) + "\n")


def test_time_learns_from_the_normal_ones_before_what_is_tested():
    y = np.tile([0, 0, 0, 1], 10)
    train, tested = halves(y, "time")
    assert tested.tolist() == list(range(20, 40))
    assert train.max() < 20
    assert not y[train].any()
    train, tested = halves(y, "random", seed=1)
    assert len(train) == 15
    assert sorted([*train, *tested]) == list(range(40))
    with pytest.raises(InputError, match="Split by time"):
        halves(np.array([0, 1, 0, 0]), "time")
    with pytest.raises(ParameterError, match="split"):
        halves(y, "alphabet")  # type: ignore[arg-type]


def test_sessions_are_taken_with_all_their_lines(log: Path):
    items = LogItems(log, session=SESSION)
    assert len(items) == 120
    assert [line.text for line in items.take(np.array([20, 21]))] == [
        *fault(20),
        "  at disk.write",
        *day(22)[63:],
    ]


def test_labels_name_sessions_lines_or_come_in_order(log: Path, tmp_path: Path):
    items = LogItems(log, session=SESSION)
    y = items.labels(by_key(tmp_path))
    assert [items.keys[i] for i in np.flatnonzero(y)] == FAULTS
    order = "label\n" + "".join(f"{label}\n" for label in y)
    assert items.labels(labelled(tmp_path / "order.csv", order)).tolist() == y.tolist()
    strange = {i for i, line in enumerate(lines(), 1) if "no space" in line}
    count = range(1, len(lines()) + 1)
    for name in ("", f"{log}:", "jobs.log:"):
        rows = "".join(f"{name}{i},{int(i in strange)}\n" for i in count)
        path = labelled(tmp_path / "lines.csv", f"line,label\n{rows}")
        assert items.labels(path).tolist() == y.tolist()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("key,label\njob 1,0\njob 999,1\n", "job 999"),
        ("key,label\njob 1,0\njob 20,1\n", "no label for 118 of 120 sessions"),
        ("label\n0\n1\n", "2 labels for 120 sessions"),
        ("a,b,c\n1,2,3\n", "3 columns"),
        ("key,label\njob 1,0\njob 20,1\njob 3,2\n", "two values"),
    ],
)
def test_labels_that_do_not_fit_are_refused(log: Path, tmp_path: Path, text: str, told: str):
    with pytest.raises(TocsinError, match=told):
        LogItems(log, session=SESSION).labels(labelled(tmp_path / "bad.csv", text))


@pytest.mark.parametrize("protocol", ["clean", "mixed", "supervised"])
def test_sessions_are_held_out(log: Path, tmp_path: Path, protocol: str):
    items = LogItems(log, session=SESSION)
    pipeline = LogPipeline("log_rarity", own_threshold=False, **items.settings)
    result, detection, y = hold_out(items, items.labels(by_key(tmp_path)), pipeline, protocol)
    assert result.split == ("time" if protocol == "clean" else None)
    assert len(detection) == len(y) == (60 if protocol == "clean" else 120)
    assert result.ranking.roc_auc == 1.0


def test_windows_are_picked_by_what_they_are_called(log: Path):
    items = LogItems(log, window=10)
    y = (np.arange(len(items)) % 4 == 3).astype(int)
    _, detection, tested = hold_out(items, y, LogPipeline("log_rarity", window=10.0), "clean")
    assert detection.rows.tolist() == list(range(len(items) // 2, len(items)))
    assert len(tested) == len(detection)


def test_a_line_of_two_sessions_comes_with_both():
    raw = [RawLine("", i, text) for i, text in enumerate(["job 1", "job 2", "job 1 job 3"], 1)]
    items = LogItems(raw, session=SESSION)
    assert [line.number for line in items.take(np.array([0]))] == [1, 3]
    detection = LogPipeline("log_rarity", session=SESSION).fit_detect(raw)
    assert items.pick(detection, np.array([2])).rows.tolist() == [2]
    with pytest.raises(InputError, match="cannot be split"):
        LogItems([RawLine("", 1, "job 9")] * 2, session=SESSION).pick(detection, np.array([0]))


def texts() -> pd.DataFrame:
    usual = [f"see you at {i % 24} for {meal}" for i in range(60) for meal in ("tea", "food")]
    return pd.DataFrame({"body": [*usual, *(f"WIN £{i}000!!! txt 8008{i}" for i in range(6))]})


def views() -> TextPipeline:
    return TextPipeline(registry.create("text_views", "text", encoder=None), text="body")


def mails(folder: Path) -> Path:
    texts().assign(spam=[0] * 120 + [1] * 6).to_csv(folder / "mails.csv", index=False)
    return folder / "mails.csv"


def test_texts_are_held_out():
    y = (np.arange(126) >= 120).astype(int)
    result, detection, tested = hold_out(texts(), y, views(), "clean")
    assert result.split == "random"
    assert len(detection) == len(tested) == 66
    assert result.ranking.average_precision == 1.0


def evaluate(*words: object) -> str:
    """Return what the command prints; raise what it raises."""
    done = CliRunner().invoke(app, ["evaluate", *map(str, words)])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_the_command_measures_logs(log: Path, tmp_path: Path):
    words = (log, "--session", SESSION, "--labels", by_key(tmp_path), "--detectors", "log_rarity")
    (result,) = json.loads(evaluate(*words, "--json"))
    assert (result["detector"], result["split"], result["roc_auc"]) == ("log_rarity", "time", 1.0)
    assert "clean, split by random" in evaluate(*words, "--split", "random")
    with pytest.raises(ParameterError, match="for logs, pass --labels FILE"):
        evaluate(log)
    with pytest.raises(ParameterError, match=r"--label is for .*; this is taken as logs"):
        evaluate(log, "--label", "x")


@pytest.mark.slow
def test_the_command_measures_detectors_of_texts(tmp_path: Path):
    words = (mails(tmp_path), "--text", "body", "--label", "spam", "--seeds", "0,1")
    shown = evaluate(*words, "--detectors", "text_neighbours")
    assert shown.count("text_neighbours") == 2
    assert "…" not in shown


def test_the_command_measures_a_trained_model(log: Path, tmp_path: Path):
    model = tmp_path / "model"
    LogPipeline("log_rarity", session=SESSION, training="clean").fit(day()).save(model)
    words = (log, "--labels", by_key(tmp_path), "--model", model)
    (result,) = json.loads(evaluate(*words, "--json"))
    assert result["roc_auc"] == 1.0
    with pytest.raises(ParameterError, match="a model of logs"):
        evaluate(*words, "--as", "tables")


def test_the_command_measures_a_trained_model_of_texts(tmp_path: Path):
    model = tmp_path / "model"
    views().fit(texts()[:120]).save(model)
    shown = evaluate(mails(tmp_path), "--label", "spam", "--model", model)
    assert "trained model" in shown
    assert "…" not in shown


def test_data_without_an_index_need_items_of_their_own() -> None:
    with pytest.raises(InputError, match=r"a set, which has no index.*evaluate\.items"):
        Items({1, 2, 3}).take(np.array([0]))
