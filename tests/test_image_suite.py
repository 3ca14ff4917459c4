"""The benchmark of images: what sets are made of, and the figures that come of them."""

from __future__ import annotations

import json
import os
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from tocsin import registry
from tocsin.base import ImageDetector
from tocsin.cli import app
from tocsin.errors import InputError, ParameterError, UnknownName, UnreadableFile
from tocsin.evaluate.sets.images import read_image_sets
from tocsin.evaluate.suites.base import Row
from tocsin.evaluate.suites.images import ImageSuite
from tocsin.evaluate.threads import limited_threads
from tocsin.nn.onnx.session import open_session
from tocsin.readers.image import read_image, resize_image
from tocsin.types import Card, ImageArray, IntArray, Scores


class Bright(ImageDetector):
    """The brightest pixel, and where it is bright; says how many images it learned from."""

    card = Card("bright", "images", "density", ("one-class",), "Brightness", "None", "O(n)")

    def __init__(self, sign: float = 1.0, maps: bool = True, seed: int = 0) -> None:
        self.sign = sign
        self.maps = maps
        self.seed = seed

    def _fit(self, X: ImageArray, y: IntArray | None) -> None:
        self.names_ = sorted(Path(path).name for path in X)
        self.reason_ = f"{len(X)} images"

    def _score(self, X: ImageArray) -> Scores:
        maps = self.sign * np.stack([resize_image(read_image(path), 32)[..., 0] for path in X])
        return Scores(maps.max(axis=(1, 2)), maps if self.maps else None)

    def _score_training(self, X: ImageArray, y: IntArray | None) -> np.ndarray:
        return self._score(X).values


@pytest.fixture(autouse=True)
def _bright(monkeypatch: pytest.MonkeyPatch) -> None:
    find = registry.find

    def found(name: str, modality: str = "tables") -> type:
        return Bright if name == "bright" else find(name, modality)

    monkeypatch.setattr(registry, "find", found)


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def picture(seed: int, mask: np.ndarray | None = None, level: int = 255) -> np.ndarray:
    image = np.random.default_rng(seed).integers(90, 100, size=(40, 48), dtype=np.uint8)
    if mask is not None:
        image[mask] = level
    return image


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a folder with the set "masked", of two kinds of defects, and the set "boxed"."""
    mask = np.zeros((40, 48), dtype=bool)
    mask[4:14, 30:40] = True
    for name in ("masked", "boxed"):
        for i in range(120):
            save(tmp_path / name / "train" / "good" / f"{i:03}.png", picture(i))
        for i in range(6):
            save(tmp_path / name / "test" / "good" / f"{i}.png", picture(200 + i))
    for i in range(4):
        save(tmp_path / "masked/test/spot" / f"{i}.png", picture(300 + i, mask))
        save(tmp_path / "masked/ground_truth/spot" / f"{i}.png", mask.astype(np.uint8) * 254)
        save(tmp_path / "masked/test/hole" / f"{i}.png", picture(400 + i, mask, level=0))
        save(tmp_path / "masked/ground_truth/hole" / f"{i}_mask.png", mask.astype(np.uint8) * 255)
        save(tmp_path / "boxed/test/defect" / f"{i}_test.png", picture(500 + i, mask))
        boxes = tmp_path / "boxed" / "boxes" / f"{i}_test.txt"
        boxes.parent.mkdir(exist_ok=True)
        boxes.write_text("30 4 36 14 1\n34 4 40 14 2")
    return tmp_path


def test_sets_are_read_with_kinds_sizes_and_masks(data: Path) -> None:
    sets = read_image_sets(data)
    assert list(sets) == ["boxed", "masked"]
    masked, boxed = sets["masked"], sets["boxed"]
    assert (len(masked.train), len(masked.test), len(boxed.test)) == (120, 14, 10)
    assert masked.kinds == ("good",) * 6 + ("hole",) * 4 + ("spot",) * 4
    assert masked.labels.tolist() == [0] * 6 + [1] * 8
    assert set(masked.sizes) == {(40, 48)}
    assert masked.located
    for images, i in ((masked, 7), (masked, 12), (boxed, 1)):
        rows, columns = np.nonzero(images.mask(i))
        found = (rows.min(), rows.max(), columns.min(), columns.max())
        assert found == (4, 13, 30, 39)
        assert images.mask(i).sum() == 100
    assert not masked.mask(0).any()
    assert list(read_image_sets(data, only=["boxed"])) == ["boxed"]


def test_figures_are_those_of_the_scores(data: Path) -> None:
    seen: list[Row] = []
    rows = ImageSuite(data, seeds=[0, 1]).run(["bright"], seen.append)
    assert rows == seen
    assert [(r["dataset"], r["shots"], r["seed"], r["detector"]) for r in rows] == [
        (name, None, seed, "bright") for name in ("boxed", "masked") for seed in (0, 1)
    ]
    boxed, masked = rows[0], rows[2]
    assert boxed["error"] is masked["error"] is None
    assert boxed["defects"] == {"defect": 1.0}
    perfect = ("roc_auc", "average_precision", "f1", "best_f1")
    assert [boxed[key] for key in perfect] == [1.0] * 4
    assert boxed["pro"] > 0.9
    assert boxed["pixel_roc_auc"] > 0.98
    # Holes are dark: nothing that this detector could see.
    assert masked["defects"]["spot"] == 1.0
    assert masked["defects"]["hole"] < 0.8
    assert masked["f1"] == pytest.approx(2 / 3)
    assert masked["pixel_roc_auc"] < 0.8
    assert boxed["chosen"] == "120 images"
    assert boxed["ms_per_image"] > 0
    assert boxed["fit_seconds"] > 0
    assert boxed["peak_mb"] > 50


def test_without_maps_or_masks_there_are_no_pixel_measures(data: Path) -> None:
    (row,) = ImageSuite(data, only=["boxed"], parameters={"maps": False}).run(["bright"])
    assert row["pixel_roc_auc"] is row["pro"] is row["error"] is None
    assert row["roc_auc"] == 1.0
    for path in (data / "boxed" / "boxes").iterdir():
        path.unlink()
    (data / "boxed" / "boxes").rmdir()
    (row,) = ImageSuite(data, only=["boxed"]).run(["bright"])
    assert row["pixel_roc_auc"] is row["pro"] is row["error"] is None


def test_few_shots_are_drawn_by_the_seed(data: Path) -> None:
    rows = ImageSuite(data, seeds=[0, 1], shots=[1, 5, None], only=["boxed"]).run(["bright"])
    assert [(r["shots"], r["seed"]) for r in rows] == [
        (few, seed) for few in (1, 5, None) for seed in (0, 1)
    ]
    assert [r["chosen"] for r in rows] == [f"{n} images" for n in (1, 1, 5, 5, 120, 120)]
    with pytest.raises(InputError, match="boxed has 120 images to learn from, not 121"):
        ImageSuite(data, shots=[121]).run(["bright"])
    with pytest.raises(ParameterError, match="1 or more"):
        ImageSuite(data, shots=[0]).run(["bright"])


def test_what_cannot_be_asked_for_is_named(data: Path) -> None:
    with pytest.raises(ParameterError, match="seed"):
        ImageSuite(data, seeds=[]).run(["bright"])
    with pytest.raises(ParameterError, match="has a parameter sing"):
        ImageSuite(data, parameters={"sing": 1}).run(["bright"])
    with pytest.raises(UnknownName, match="brihgt"):
        ImageSuite(data).run(["brihgt"])
    with pytest.raises(InputError, match="no set glass; it has: boxed, masked"):
        read_image_sets(data, only=["boxed", "glass"])
    with pytest.raises(InputError, match="no sets"):
        read_image_sets(data / "boxed")


def test_a_damaged_training_image_is_a_failure_with_its_name(data: Path) -> None:
    (data / "boxed/train/good/000.png").write_bytes(b"no image")
    (row,) = ImageSuite(data, only=["boxed"]).run(["bright"])
    assert "UnreadableFile" in row["error"]
    assert "000.png" in row["error"]
    assert row["roc_auc"] is row["peak_mb"] is None
    shown = StringIO()
    ImageSuite(data).print([row], Console(file=shown, width=200))
    assert "bright failed on boxed, all, seed 0: UnreadableFile" in shown.getvalue()
    assert "0 of 1" in shown.getvalue()


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("30 4 49 14 1", "the box 30 4 49 14 is not in its image of 48 × 40 pixels"),
        ("30 4 30 14 1", "is not in its image"),
        ("-1 4 30 14 1", "is not in its image"),
        ("30 4 40", "does not hold one line x1 y1 x2 y2 type per box"),
        ("a b c d 1", "does not hold one line"),
    ],
)
def test_bad_boxes_are_named(data: Path, box: str, message: str) -> None:
    (data / "boxed/boxes/2_test.txt").write_text(box)
    with pytest.raises(UnreadableFile, match=rf"2_test\.txt.*{message}"):
        read_image_sets(data)


def test_bad_masks_are_named(data: Path) -> None:
    mask = data / "masked/ground_truth/spot/2.png"
    save(mask, np.zeros((40, 40), dtype=np.uint8))
    with pytest.raises(UnreadableFile, match=r"spot/2\.png has 40 × 40 pixels, its image 48 × 40"):
        read_image_sets(data)
    mask.write_bytes(b"")
    with pytest.raises(UnreadableFile, match=r"spot/2\.png"):
        read_image_sets(data)
    mask.unlink()
    with pytest.raises(UnreadableFile, match=r"spot/2\.png is not there"):
        read_image_sets(data)


def test_bad_layouts_are_named(data: Path) -> None:
    (data / "boxed/boxes/1_test.txt").unlink()
    with pytest.raises(UnreadableFile, match=r"1_test\.txt is not there"):
        read_image_sets(data)
    for path in (data / "boxed/test/defect").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="defect holds no images"):
        read_image_sets(data)
    (data / "boxed/test/defect").rmdir()
    with pytest.raises(UnreadableFile, match="one for each kind of defect; it has: good"):
        read_image_sets(data)


def test_the_command_prints_means_and_writes_rows(data: Path) -> None:
    file = data / "rows.json"
    options = ["--data", str(data), "--detectors", "bright", "--seeds", "0", "--shots", "3"]
    options += ["--only", "masked", "--set", "sign=-1.0", "--json", str(file)]
    result = CliRunner().invoke(app, ["bench", "images", *options])
    assert result.exit_code == 0, result.output
    assert "masked  3 shots  seed 0  bright  ROC AUC" in result.stderr
    assert "PRO" in result.stdout
    (row,) = json.loads(file.read_text())
    assert (row["dataset"], row["shots"], row["chosen"]) == ("masked", 3, "3 images")


def test_new_sessions_of_onnxruntime_take_as_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    ends = [helper.make_tensor_value_info(name, kind, [1]) for name in ("x", "y")]
    node = helper.make_node("Identity", ["x"], ["y"])
    graph = helper.make_graph([node], "same", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for before in (None, "2"):
        if before is None:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", before)
        with limited_threads(1):
            session = open_session(model.SerializeToString(), 0)
            assert session.inner.get_session_options().intra_op_num_threads == 1
        assert os.environ.get("OMP_NUM_THREADS") == before
