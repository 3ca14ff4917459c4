"""Texts of data that a spreadsheet would run, in the files that --out writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tocsin.cli.writer import score_writer
from tocsin.readers.formulas import defuse_formula, restore_formula
from tocsin.readers.item_labels import read_image_labels

RUN = [
    *("=1+1", '=HYPERLINK("http://x.example")', "+1+2", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1"),
    *("\uff1d1+1", "\uff0b1", "\uff0d1", "\uff20x", "-", "+", "=", "--help", "-1,5", "+49 30 1234"),
]
HARMLESS = ["", "a=b", "blk_-1608", "1=1", "-3", "+4.5", "-1e-7", "-.5", "3.", "x@y", "'tis", " a"]


@pytest.mark.parametrize("text", RUN)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    """A text that begins like a formula is shown as text, and found again by its name."""
    assert defuse_formula(text) == f"'{text}"
    assert restore_formula(f"'{text}") == text


@pytest.mark.parametrize("text", HARMLESS)
def test_other_texts_and_numbers_stay_as_they_are(text: str) -> None:
    """Numbers, also negative ones, and texts in which such a character comes later."""
    assert defuse_formula(text) == restore_formula(text) == text


@pytest.mark.parametrize("text", [*RUN, *HARMLESS])
@pytest.mark.parametrize("quotes", ["", "'", "''"])
def test_apostrophes_in_front_come_back_as_they_were(text: str, quotes: str) -> None:
    """A text that has apostrophes of its own is not mistaken for one that was given one."""
    assert restore_formula(defuse_formula(quotes + text)) == quotes + text


@pytest.mark.parametrize("kind", [object, "string", "category"])
def test_cells_of_csv_are_defused_and_numbers_stay(tmp_path: Path, kind: object) -> None:
    """Every dtype of texts; scores below zero and times are written as ever."""
    frame = pd.DataFrame({"key": pd.Series(RUN, dtype=kind)})  # type: ignore[call-overload]
    frame["score"] = -np.arange(len(RUN), dtype=float)
    frame["time"] = pd.Timestamp("2026-03-01")
    for ending in (".csv", ".parquet", ".jsonl"):
        with score_writer(tmp_path / f"x{ending}") as write:
            write(frame)
            write(frame)
    written = pd.read_csv(tmp_path / "x.csv")
    assert written["key"].tolist() == [f"'{text}" for text in RUN] * 2
    assert written["score"].tolist() == frame["score"].tolist() * 2
    exact = pd.read_parquet(tmp_path / "x.parquet")["key"].tolist()
    assert exact == pd.read_json(tmp_path / "x.jsonl", lines=True)["key"].tolist() == RUN * 2


def test_names_that_were_defused_are_labelled_by_what_was_written(tmp_path: Path) -> None:
    """Labels of images by the names that --out wrote, or by their own."""
    for written in ("'=a.png", "=a.png"):
        (tmp_path / "labels.csv").write_text(f"name,label\n{written},1\n'b.png,0\n")
        assert read_image_labels(tmp_path / "labels.csv", ["=a.png", "'b.png"]).tolist() == [1, 0]
