"""Patch detectors of images: few good images, mixed ones, labels, saving, and what auto takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

import tocsin
from tocsin import registry
from tocsin.base import ImageDetector
from tocsin.detectors.images._bank import PatchBank, spread_out
from tocsin.detectors.images._gaussian import PositionGaussian
from tocsin.detectors.images._maps import PositionCalibration
from tocsin.detectors.images._synthetic import draw_defect
from tocsin.errors import InputError, ParameterError

Picture = NDArray[np.uint8]


def brick(i: int) -> Picture:
    """Return a wall of bricks, seen a little differently each time."""
    random = np.random.default_rng(i)
    rows, columns = np.mgrid[:96, :96]
    joints = (rows % 16 < 2) | ((columns + 12 * (rows // 16 % 2)) % 24 < 2)
    wall = np.where(joints, 200, 120) + random.normal(0, 6, (96, 96)) + random.normal(0, 4)
    return np.repeat(np.clip(wall, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def cracked(i: int, top: int = 56, left: int = 60) -> Picture:
    """Return a wall with a dark crack, in its lower right part unless told otherwise."""
    wall = brick(i)
    for step in range(24):
        wall[top + step, left + step // 2 : left + 3 + step // 2] = 20
    return wall


def area(detector: Any) -> float:
    scores = detector.score([brick(i) for i in range(100, 116)] + [cracked(i) for i in range(16)])
    return float(roc_auc_score([0] * 16 + [1] * 16, scores.values))


@pytest.mark.parametrize("name", ["patch_memory", "patch_gaussian", "patch_fusion"])
@pytest.mark.parametrize("shots", [1, 5, 10])
def test_few_good_images_are_enough(name: str, shots: int) -> None:
    detector = registry.create(name, "images", size=96).fit([brick(i) for i in range(shots)])
    assert detector.training_scores_.shape == (shots,)
    assert area(detector) > 0.9


@pytest.mark.parametrize("shots", [1, 3])
def test_a_threshold_from_few_images_finds_the_crack(shots: int) -> None:
    memory = registry.create("patch_memory", "images", size=96)
    pipeline = tocsin.ImagePipeline(memory, training="clean", false_alarms=0.01)
    pipeline.fit([brick(i) for i in range(shots)])
    found = pipeline.detect([brick(50), brick(51), cracked(52)])
    assert found.anomalies[0] == 2


def test_the_heat_is_where_the_crack_is() -> None:
    detector = registry.create("patch_fusion", "images", size=96)
    maps = detector.fit([brick(i) for i in range(12)]).score([cracked(50)]).parts
    assert maps.dtype == np.float32
    row, column = np.unravel_index(maps[0].argmax(), maps[0].shape)
    side = maps.shape[1]
    assert 0.5 < row / side < 0.9
    assert 0.5 < column / side < 0.9


def test_a_detector_learns_from_so_many_images_and_scores_the_others() -> None:
    walls = [brick(i) for i in range(20)]
    detector = registry.create("patch_memory", "images", size=64, max_images=8).fit(walls)
    assert np.isfinite(detector.training_scores_).all()
    assert len(detector.training_scores_) == 20


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        ({"size": 100}, "multiple of 32"),
        ({"size": 32}, "64 or more"),
        ({"bank": 0}, "bank"),
        ({"memory": None, "gaussian": None}, "view"),
        ({"memory": "stage99"}, "stage99"),
    ],
)
def test_settings_that_cannot_work_are_named(parameters: dict[str, Any], what: str) -> None:
    detector = registry.create("patch_fusion", "images", **parameters)
    with pytest.raises(ParameterError, match=what):
        detector.fit([brick(0), brick(1)])


def test_auto_keeps_its_choice_and_its_scores_in_a_folder(tmp_path: Path) -> None:
    pipeline = tocsin.ImagePipeline(training="clean").fit([brick(i) for i in range(12)])
    assert "taken as good" in pipeline.detector_.reason_
    assert "defects drawn into good images" in pipeline.detector_.reason_
    pipeline.save(tmp_path / "model")
    for runtime in (None, "onnx"):
        loaded = tocsin.load(tmp_path / "model", runtime=runtime)
        X = [brick(60), cracked(61)]
        np.testing.assert_array_equal(loaded.score(X).values, pipeline.score(X).values)
        np.testing.assert_array_equal(loaded.score(X).parts, pipeline.score(X).parts)
    assert pipeline.detect([brick(70), cracked(71)]).anomalies[0] == 1


def test_a_saved_model_scores_without_torch_and_without_the_encoders_package(
    tmp_path: Path,
) -> None:
    import subprocess
    import sys

    memory = registry.create("patch_memory", "images", size=64, bank=100)
    pipeline = tocsin.ImagePipeline(memory, training="clean").fit([brick(i) for i in range(8)])
    pipeline.save(tmp_path / "model")
    code = (
        "import sys, numpy as np, tocsin\n"
        f"p = tocsin.load({str(tmp_path / 'model')!r})\n"
        "p.score([np.zeros((64, 64, 3), np.uint8)])\n"
        "print([m for m in ('torch', 'efficientnet_lite_pytorch') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_auto_finds_the_cracked_among_unlabelled_walls() -> None:
    cracks = [cracked(40), cracked(41, 10, 10), cracked(42, 30, 70)]
    walls = [brick(i) for i in range(27)] + cracks
    detector = registry.create("auto", "images", training="mixed").fit(walls)
    assert "unlabelled" in detector.reason_
    assert set(np.argsort(detector.training_scores_)[-3:]) == {27, 28, 29}


def test_auto_learns_from_the_images_labelled_normal() -> None:
    walls = [brick(i) for i in range(10)] + [cracked(i) for i in range(4)]
    detector = registry.create("auto", "images").fit(walls, [0] * 10 + [1] * 4)
    assert "labelled normal" in detector.reason_
    own = detector.training_scores_
    assert own[10:].min() > own[:10].max()
    with pytest.raises(InputError, match="all of these are labelled"):
        registry.create("auto", "images").fit(walls, [1] * 14)


def test_auto_refuses_another_training() -> None:
    with pytest.raises(ParameterError, match="sorted"):
        registry.create("auto", "images", training="sorted").fit([brick(0), brick(1)])


def test_a_bank_covers_what_was_seen() -> None:
    random = np.random.default_rng(0)
    common = random.normal(0, 0.1, (5000, 8)).astype(np.float32)
    rare = random.normal(0, 0.1, (3, 8)).astype(np.float32) + 5
    rows = np.concatenate([common, rare])
    chosen = spread_out(rows, 10, np.random.default_rng(1))
    assert len(set(chosen.tolist())) == 10
    assert (chosen >= 5000).any()


def test_distances_to_the_bank_are_those_of_a_plain_search() -> None:
    random = np.random.default_rng(0)
    bank = PatchBank(size=500, k=3).expect(1)
    bank.add(random.normal(size=(10, 10, 4)).astype(np.float32))
    new = random.normal(size=(10, 10, 4)).astype(np.float32)
    heat = bank.finish().heat(new)
    away = np.linalg.norm(new.reshape(-1, 1, 4) - bank.bank_[None], axis=2)
    np.testing.assert_allclose(heat.ravel(), np.sort(away, 1)[:, :3].mean(1), rtol=1e-3)


def test_a_gaussian_gives_mahalanobis_distances() -> None:
    random = np.random.default_rng(0)
    spread = np.array([1.0, 3.0], dtype=np.float32)
    model = PositionGaussian(shrinkage=1e-4).expect(2000)
    for _ in range(2000):
        model.add((random.normal(size=(4, 4, 2)) * spread).astype(np.float32))
    heat = model.finish().heat(np.full((4, 4, 2), 3.0, dtype=np.float32))
    np.testing.assert_allclose(heat, np.sqrt(9 + 1), rtol=0.1)


def test_calibration_leans_on_all_positions_where_images_are_few() -> None:
    random = np.random.default_rng(0)
    maps = random.normal(size=(400, 8, 8)).astype(np.float32)
    maps[:, :4] += 10
    many, few = PositionCalibration().fit(maps), PositionCalibration().fit(maps[:2])
    assert np.ptp(many.mean_) > 8
    assert np.ptp(few.mean_) < 4
    assert np.isfinite(PositionCalibration().fit(np.zeros((1, 4, 4), np.float32)).spread_).all()


@pytest.mark.parametrize("seed", range(6))
def test_a_drawn_defect_is_where_the_mask_says(seed: int) -> None:
    image = brick(seed)
    before = image.copy()
    drawn, mask = draw_defect(image, np.random.default_rng(seed))
    changed = (drawn != image).any(axis=2)
    assert np.array_equal(image, before)
    assert drawn.dtype == image.dtype
    assert changed.any()
    assert mask.any()
    assert changed[~mask].mean() < 0.1


def test_every_detector_of_images_is_one() -> None:
    for name in registry.names("images"):
        assert issubclass(registry.find(name, "images"), ImageDetector)
