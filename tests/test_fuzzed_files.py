"""Malformed, odd and hostile files of all modalities: read or refused in words, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.fuzzed_files import fuzz, train


def harmed(models: Path, seeds: range) -> list[object]:
    train(models)
    found = list(fuzz(seeds, models))
    assert len(found) == len(seeds)
    return [each for each in found if each.what not in ("done", "refused")]


def test_a_few_odd_files_do_no_harm(tmp_path: Path) -> None:
    assert harmed(tmp_path, range(100_000, 100_060)) == []


@pytest.mark.slow
def test_thousands_of_odd_files_do_no_harm(tmp_path: Path) -> None:
    assert harmed(tmp_path, range(5_200)) == []
