"""Copies of pipelines that have scored, shallow and deep, score the same; clones are untrained."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

import tocsin
from support.trained import Case, cases, new_items, save_trained

QUICK = [
    ("tables", "local_geometry"),
    ("tables", "autoencoder"),
    ("series", "recursive_ar"),
    ("logs", "auto"),
    ("text", "auto"),
    ("images", "patch_memory"),
]


def check_copies(pipeline: Any, items: Any) -> None:
    wanted = pipeline.score(items).values
    for copied in (copy.copy(pipeline), copy.deepcopy(pipeline)):
        assert np.array_equal(copied.score(items).values, wanted)
        assert copied.detector_name == pipeline.detector_name
    assert np.array_equal(pipeline.score(items).values, wanted)


def check_case(case: Case, folder: Path) -> None:
    if not save_trained(case, folder):
        pytest.skip(f"{case[1]} cannot be trained or saved here")
    pipeline, items = tocsin.load(folder), new_items(case[0])
    check_copies(pipeline, items)
    assert not hasattr(clone(pipeline), "detector_")


@pytest.mark.parametrize("case", QUICK, ids="-".join)
def test_copies_score_the_same(case: Case, tmp_path: Path) -> None:
    check_case(case, tmp_path / "model")


def test_a_copy_of_a_network_that_onnxruntime_serves_scores_the_same(tmp_path: Path) -> None:
    assert save_trained(("tables", "autoencoder"), tmp_path / "model")
    check_copies(tocsin.load(tmp_path / "model", runtime="onnx"), new_items("tables"))


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in cases() if case not in QUICK], ids="-".join)
def test_copies_of_all_score_the_same(case: Case, tmp_path: Path) -> None:
    check_case(case, tmp_path / "model")
