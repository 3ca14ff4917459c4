"""Model folders with one value changed and hashes made again: refused or scored, never a crash."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from support.fuzzed_folders import fuzz
from support.trained import VARIANTS, cases, save_trained

QUICK = [
    ("tables", "isolation_forest"),
    ("tables", "columns"),
    ("series", "streaming_forest"),
    ("series", "machines"),
    ("logs", "log_lines"),
]


def outcomes(folder: Path, detectors: list[tuple[str, str]], n: int) -> Counter[str]:
    folders = [folder / "-".join(case) for case in detectors]
    saved = [f for f, case in zip(folders, detectors, strict=True) if save_trained(case, f)]
    found = fuzz(saved, n)
    bad = [each for each in found if not each[2].startswith(("scored", "refused", "fault scoring"))]
    assert bad == []
    return Counter(outcome for _, _, outcome, _ in found)


def test_a_few_changed_folders_do_no_harm(tmp_path: Path) -> None:
    assert outcomes(tmp_path, QUICK, 50).total() == 50


@pytest.mark.slow
def test_changed_folders_of_all_detectors_do_no_harm(tmp_path: Path) -> None:
    found = outcomes(tmp_path, [*cases(), *VARIANTS], 2_000)
    assert found.total() == 2_000
    assert found["fault scoring"] <= 20  # which the command line tells as a corrupt model
