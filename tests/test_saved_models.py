"""Model folders that earlier versions wrote still load, and score as they did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tocsin

SAVED = sorted(path for path in Path(__file__).parent.glob("saved/*/*") if path.is_dir())


def new_data(name: str) -> Any:
    """Return what the saved model of this name scored when it was written."""
    if name.startswith("tables"):
        return pd.DataFrame(
            {
                "load": [50.0, 95.0, 48.5],
                "pressure": [3.0, 3.1, 9.0],
                "valve": ["open", "closed", "jammed"],
            }
        )
    if name == "series":
        times = pd.date_range("2026-01-02", periods=80, freq="min")
        flow = np.sin(np.arange(80) / 7).round(4)
        flow[40] = 5.0
        return pd.DataFrame({"time": times, "flow": flow})
    if name == "logs":
        jobs = [f"2026-01-01 00:0{i}:00 INFO job {i}" for i in range(3)]
        ends = [f"{job} {'started' if i % 2 else 'ended'}" for i, job in enumerate(jobs)]
        return [*ends, "2026-01-01 02:00:00 ERROR kernel panic"]
    if name == "text":
        return ["see you at 7 for tea", "WIN £5000!!! txt 80086"]
    rng = np.random.default_rng(5)
    wave = 120 + 20 * np.sin(np.arange(32) / 3)[:, None]
    usual = (wave + rng.normal(0, 4, (32, 32))).clip(0, 255).astype(np.uint8)
    odd = usual.copy()
    odd[10:20, 10:20] = 255
    return [usual, odd]


@pytest.mark.parametrize("path", SAVED, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_a_model_saved_by_an_earlier_version_scores_as_it_did(path: Path) -> None:
    pipeline = tocsin.load(path)
    scores = pipeline.score(new_data(path.name)).values
    before = json.loads(path.with_suffix(".json").read_text())
    np.testing.assert_allclose(scores, before, rtol=1e-5)
    detection = pipeline.detect(new_data(path.name))
    assert detection.scores.values.argmax() == int(np.argmax(before))


@pytest.mark.parametrize("path", SAVED, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_such_a_model_is_saved_again_as_the_same(path: Path, tmp_path: Path) -> None:
    pipeline = tocsin.load(path)
    pipeline.save(tmp_path / "again")
    scores = pipeline.score(new_data(path.name)).values
    np.testing.assert_array_equal(
        tocsin.load(tmp_path / "again").score(new_data(path.name)).values, scores
    )
    about = json.loads((tmp_path / "again" / "manifest.json").read_text())
    assert about["pipeline"] == pipeline.modality


def test_the_folders_hold_every_modality_of_that_version() -> None:
    names = {path.name.partition("-")[0] for path in SAVED if path.parent.name == "0.1.0"}
    assert names == {"tables", "series", "logs", "text", "images"}
