"""False alarms on later parts of series: which are split, and what is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tocsin.errors import InputError, UnknownName
from tocsin.evaluate.false_alarms.later import run_time_splits
from tocsin.evaluate.false_alarms.series import read_series_splits


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write five series: noisy waves, one of them with a short leading part."""
    (tmp_path / "univariate" / "made").mkdir(parents=True)
    rows = ["kind,family,name,tsb_ad_file,tsb_ad_exact"]
    for i in range(5):
        rng = np.random.default_rng(i)
        X = np.sin(np.arange(2000) / 5)[:, None] + 0.1 * rng.normal(size=(2000, 1))
        y = np.isin(np.arange(2000), [1500, 1501]).astype(int)
        X[y == 1] += 5
        end = 300 if i == 4 else 1800
        np.savez(tmp_path / f"univariate/made/{i}.npz", X=X, y=y, train_end=end)
        rows.append(f"univariate,made,{i},,false")
    (tmp_path / "index.csv").write_text("\n".join(rows))
    return tmp_path


def test_later_normal_points_are_measured(folder: Path) -> None:
    splits = read_series_splits(folder, most=2)
    rows = run_time_splits(splits, detectors=["autoregression"], modality="series")
    assert [(row["dataset"], row["budget"]) for row in rows] == [
        (f"made/{i}", budget) for i in (0, 2) for budget in (0.01, 0.05)
    ]
    for row in rows:
        assert row["error"] is None
        assert row["normals"] == 540 - 2
        assert 0 <= row["rate"] < 0.2
    assert any(row["inside"] for row in rows)


def test_what_cannot_be_measured_is_refused(folder: Path) -> None:
    with pytest.raises(UnknownName):
        run_time_splits(read_series_splits(folder), detectors=["nothing"], modality="series")
    with pytest.raises(InputError, match="500 points"):
        read_series_splits(folder, only=["made/4"])


def test_a_detector_that_fails_gives_its_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, *_: object) -> None:
        raise ValueError("too hot")

    monkeypatch.setattr("tocsin.detectors.series.seasonal.Seasonal._learn", fail)
    splits = read_series_splits(folder, most=1)
    rows = run_time_splits(splits, detectors=["seasonal"], modality="series")
    assert [row["error"] for row in rows] == ["ValueError: too hot"] * 2
