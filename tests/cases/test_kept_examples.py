"""What a model keeps of the data that it was trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tocsin
from support.commands import invoke


def _write(folder: Path, modality: str) -> Path:
    """Write texts or lines, each with words of its own."""
    usual = [f"see you at {i} for tea soon w{i}" for i in range(200)]
    path = folder / ("notes.txt" if modality == "text" else "app.log")
    begin = "" if modality == "text" else "2026-03-01 10:00:00 INFO "
    path.write_text("\n".join(f"{begin}{each}" for each in usual) + "\n")
    return path


def _fit(path: Path, modality: str, out: Path, *more: str) -> dict[str, Any]:
    words = ["fit", path, "--as", modality, "--clean", "--out", out, "--json", *more]
    words += ["--detector", "text_views", "--set", "encoder=null"] * (modality == "text")
    told: dict[str, Any] = json.loads(invoke(*words).stdout)
    return told


@pytest.mark.parametrize("modality", ["logs", "text"])
def test_no_examples_keeps_none_and_the_card_says_what_is_kept(
    tmp_path: Path, modality: str
) -> None:
    """Training items to compare with are kept by default, and counted; --no-examples keeps none."""
    data = _write(tmp_path, modality)
    told = _fit(data, modality, tmp_path / "with")
    assert "to compare with" in told["keeps"]
    manifest = json.loads((tmp_path / "with" / "manifest.json").read_text())
    assert manifest["keeps"] == told["keeps"]
    told = _fit(data, modality, tmp_path / "without", "--no-examples")
    assert "to compare with" not in told["keeps"]
    pipeline = tocsin.load(tmp_path / "without")
    (data.parent / "odd.log").write_text("2026-03-01 10:00:00 ERROR you see tea burn down\n")
    odd = ["you see tea burn down"] if modality == "text" else data.parent / "odd.log"
    detection = pipeline.explain(odd, None)
    assert detection.nearest == {}
    kept = [bool(tocsin.load(tmp_path / name).background_.texts_) for name in ("with", "without")]
    assert kept == [True, False]
    if modality == "text":  # of logs the words that lines have in common stay, without numbers
        folder = tmp_path / "without"
        assert "see you at 7 for tea" in (tmp_path / "with" / "state.json").read_text()
        assert all(b"see you at 7" not in each.read_bytes() for each in folder.iterdir())


def test_tables_do_not_take_the_option(tmp_path: Path) -> None:
    """A table's rows are needed for its explanations, which the message leads to."""
    (tmp_path / "x.csv").write_text("a,b\n" + "1,2\n3,4\n" * 50)
    words = ("fit", tmp_path / "x.csv", "--out", tmp_path / "m", "--no-examples")
    invoke(*words, fails=tocsin.errors.ParameterError)
