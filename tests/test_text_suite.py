"""The benchmark of texts: what is trained on and tested, and the figures that come of it."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import ArrayLike
from rich.console import Console
from typer.testing import CliRunner

from tocsin import registry
from tocsin.base import TextDetector
from tocsin.base.abilities import FindsThreshold
from tocsin.cli import app
from tocsin.errors import InputError, ParameterError, UnknownName, UnreadableFile
from tocsin.evaluate.suites.base import Row
from tocsin.evaluate.suites.text import PROTOCOLS, TextSuite, read_texts, text_task
from tocsin.types import Card, IntArray, Scores, TextArray


class Digits(FindsThreshold, TextDetector):
    """The number of digits, compared with nothing; remembers what it was told."""

    card = Card("digits", "text", "density", ("one-class",), "Digits", "None", "O(n)")
    uses_labels = True

    def __init__(self, training: str = "guess", sign: float = 1.0, seed: int = 0) -> None:
        self.training = training
        self.sign = sign
        self.seed = seed

    def _fit(self, X: TextArray, y: IntArray | None) -> None:
        if self.training == "clean" and any(text.startswith("BAD") for text in X):
            raise InputError("not clean")
        self.detector_threshold_ = 3.5 if self.training == "mixed" else None

    def _score(self, X: TextArray) -> Scores:
        return Scores(self.sign * np.array([sum(map(str.isdigit, text)) for text in X]))

    def drift(self, scores: ArrayLike) -> None:
        """No share of new texts is unusual."""


@pytest.fixture(autouse=True)
def _digits(monkeypatch: pytest.MonkeyPatch) -> None:
    find = registry.find

    def found(name: str, modality: str = "tables") -> type:
        return Digits if name == "digits" else find(name, modality)

    monkeypatch.setattr(registry, "find", found)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = [f"see you at {i % 10}, all the best" for i in range(300)]
    odd = [f"call 0800{i:04d} now" for i in range(12)]
    table = pd.DataFrame({"text": texts + odd, "label": [0] * 300 + [1] * 12})
    table.to_csv(tmp_path / "two.csv", index=False)
    table.iloc[6:].to_csv(tmp_path / "One.csv", index=False)
    return tmp_path


def test_sets_come_by_name_with_texts_as_they_are(folder: Path) -> None:
    pd.DataFrame({"text": ["", "NA", "a\nb"], "label": [0, 0, 1]}).to_csv(folder / "b.csv")
    sets = read_texts(folder)
    assert list(sets) == ["b", "One", "two"]
    assert sets["b"][0].tolist() == ["", "NA", "a\nb"]
    assert list(read_texts(folder, only=["two"])) == ["two"]


def test_protocols_split_as_they_say(folder: Path) -> None:
    X, labels = read_texts(folder)["two"]
    one = text_task("two", "normal_only", 0, X, labels)
    assert one.test is not None
    assert (len(one.X), len(one.test), int(one.labels.sum())) == (150, 162, 12)
    assert (one.training, one.y) == ("clean", None)
    assert not any("0800" in text for text in one.X)
    mixed = text_task("two", "unlabelled", 0, X, labels)
    assert (len(mixed.X), mixed.test, mixed.training) == (312, None, "mixed")
    five = text_task("two", "five_labels", 0, X, labels)
    assert five.y is not None
    assert five.test is not None
    assert (len(five.X), int(five.y.sum()), len(five.test)) == (155, 5, 157)
    assert int(five.labels.sum()) == 7
    assert sorted([*five.X, *five.test]) == sorted(X)
    again = text_task("two", "five_labels", 0, X, labels)
    other = text_task("two", "five_labels", 1, X, labels)
    assert five.X.tolist() == again.X.tolist() != other.X.tolist()
    with pytest.raises(InputError, match="has 5 anomalies"):
        text_task("two", "five_labels", 0, X[:305], labels[:305])


def test_rows_tell_of_every_protocol_and_detector(folder: Path) -> None:
    seen: list[Row] = []
    rows = TextSuite(folder, seeds=[0, 1]).run(["digits"], seen.append)
    assert rows == seen
    order = [("One", name, seed) for name in PROTOCOLS for seed in (0, 1)]
    assert [(row["dataset"], row["protocol"], row["seed"]) for row in rows[:6]] == order
    for row in rows:
        assert row["error"] is None
        assert (row["roc_auc"], row["average_precision"], row["f1"]) == (1.0, 1.0, 1.0)
        assert row["items_per_second"] > 0
        # Else no training text is above the budget's threshold: 5 labelled ones do not count.
        assert row["threshold"] == (3.5 if row["protocol"] == "unlabelled" else 1.0)


def test_parameters_go_to_the_detectors_that_have_them(folder: Path) -> None:
    asked: dict[str, Any] = {"protocols": ["normal_only"], "only": ["two"]}
    (row,) = TextSuite(folder, **asked, parameters={"sign": -1.0}).run(["digits"])
    assert row["roc_auc"] == 0.0
    with pytest.raises(ParameterError, match="has a parameter sing"):
        TextSuite(folder, **asked, parameters={"sing": 1.0}).run(["digits"])


def test_a_detector_that_fails_has_its_reason(folder: Path) -> None:
    table = pd.read_csv(folder / "two.csv")
    table.loc[:299, "text"] = "BAD " + table["text"]
    table.to_csv(folder / "two.csv", index=False)
    rows = TextSuite(folder, only=["two"]).run(["digits"])
    assert [row["error"] for row in rows] == ["InputError: not clean", None, None]
    assert rows[0]["roc_auc"] is rows[0]["f1"] is rows[0]["items_per_second"] is None
    shown = StringIO()
    TextSuite(folder).print(rows, Console(file=shown, width=120))
    assert "digits failed on two, normal_only, seed 0: InputError: not clean" in shown.getvalue()


def test_what_cannot_be_asked_for_is_named(folder: Path) -> None:
    with pytest.raises(ParameterError, match="normal_only, unlabelled, five_labels; got clean"):
        TextSuite(folder, protocols=["clean"]).run(["digits"])
    with pytest.raises(ParameterError, match="seed"):
        TextSuite(folder, seeds=[]).run(["digits"])
    with pytest.raises(ParameterError, match="detector"):
        TextSuite(folder).run([])
    with pytest.raises(UnknownName, match="text_viws"):
        TextSuite(folder).run(["text_viws"])
    with pytest.raises(InputError, match="it has: One, two"):
        TextSuite(folder, only=["three"]).run(["digits"])
    (folder / "three.csv").write_text("text,label\na,2\n")
    with pytest.raises(UnreadableFile, match=r"three\.csv: label must hold 0"):
        TextSuite(folder).run(["digits"])
    (folder / "three.csv").write_text("words,label\na,1\n")
    with pytest.raises(UnreadableFile, match="expected text and label"):
        TextSuite(folder).run(["digits"])


def test_the_command_prints_means_and_writes_rows(folder: Path) -> None:
    file = folder / "rows.json"
    options = ["--data", str(folder), "--seeds", "0", "--json", str(file), "--detectors", "digits"]
    result = CliRunner().invoke(app, ["bench", "text", *options, "--protocols", "unlabelled"])
    assert result.exit_code == 0, result.output
    assert "two  unlabelled  seed 0  digits  ROC AUC 1.000  F1 1.000" in result.stderr
    assert "all" in result.stdout
    rows = json.loads(file.read_text())
    assert [row["dataset"] for row in rows] == ["One", "two"]
