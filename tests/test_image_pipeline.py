"""The pipeline of images: what is gathered, skipped, scored in blocks, explained and kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import tocsin
from support.walls import fill, wall, walls
from tocsin.base import Detector, ImageDetector
from tocsin.detectors.images._maps import Picture, ScoresByMap, pictures
from tocsin.errors import InputError, NotFitted, ParameterError, SchemaMismatch, UnreadableFile
from tocsin.explain.images import WHOLE, explain_map
from tocsin.monitor.models import scorer, training_data
from tocsin.monitor.scorers.images import ImageScorer
from tocsin.pipeline import ImagePipeline
from tocsin.prepare import images as preparing
from tocsin.prepare.images import ImagePreparer, ImageReading, gather
from tocsin.progress import reporting_to
from tocsin.registry import create
from tocsin.types import Batch, Card, ImageArray, MapArray, Scores

CARD = Card("brightness", "images", "density", ("one-class",), "Test.", "None", "little")


class Brightness(ScoresByMap, ImageDetector):
    """How far the cells of an image are from the mean picture, by their brightness."""

    card = CARD
    size = 32

    def _fit(self, X: ImageArray, y: Any) -> None:
        looked = np.stack(list(pictures(X, self.size, "learning from")))
        self.mean_ = looked.mean(axis=(0, 3))

    def _heat(self, picture: Picture) -> MapArray:
        heat: MapArray = np.abs(picture.mean(axis=2) - self.mean_).astype(np.float32)
        return heat


class Whole(Brightness):
    """The same without saying where."""

    def _score(self, X: ImageArray) -> Scores:
        return Scores(super()._score(X).values)


@pytest.fixture(scope="module")
def pipeline() -> ImagePipeline:
    return ImagePipeline(Brightness(), training="clean").fit(walls(20))


def test_anomalies_come_with_their_places(pipeline: ImagePipeline) -> None:
    detection = pipeline.detect([*walls(3, 50), wall(60, spot=(80, 40))])
    assert detection.anomalies.tolist() == [3]
    (region,) = detection.regions[3]
    assert 72 <= region.left <= 80
    assert 96 <= region.right <= 104
    assert 32 <= region.top <= 40
    assert 56 <= region.bottom <= 64
    assert 16 * 16 * 0.7 < region.area < 24 * 24
    assert region.peak > detection.decision.threshold
    (reason,) = detection.explanations[3].reasons
    assert reason.name == (f"x {region.left}–{region.right}, y {region.top}–{region.bottom}")
    assert reason.seen == region.peak
    assert reason.expected == detection.decision.threshold
    assert reason.weight == 1
    assert list(detection.maps) == [3]
    assert detection.sizes.tolist() == [[96, 128]] * 4
    assert detection.names[3] == "image 3"


def test_what_cannot_be_read_is_skipped_and_counted(
    tmp_path: Path, pipeline: ImagePipeline
) -> None:
    folder = fill(tmp_path / "walls", 4, spotted=(3,))
    (folder / "a.png").write_text("words")
    (folder / "notes.txt").write_text("words")
    Image.new("L", (1, 1)).save(folder / "wall02b.png")
    Image.fromarray(wall(1)[:64]).save(folder / "zsmall.png")
    (tmp_path / "away.png").write_bytes((folder / "wall00.png").read_bytes())
    (folder / "away.png").symlink_to(tmp_path / "away.png")
    detection = pipeline.detect(folder)
    assert [(each.row, each.name) for each in detection.skipped] == [
        (0, "a.png"),
        (4, "wall02b.png"),
        (7, "away.png"),
    ]
    assert detection.skipped[0].reason.startswith("is not a PNG, ")
    assert detection.skipped[2].reason == "is a link that leads out of the folder"
    assert detection.rows.tolist() == [1, 2, 3, 5, 6]
    assert detection.names == ("wall00.png", "wall01.png", "wall02.png", "wall03.png", "zsmall.png")
    assert 5 in detection.anomalies
    assert set(detection.explanations) == set(detection.anomalies.tolist())
    notes = " | ".join(detection.notes)
    assert "5 images of sizes from 128×64 to 128×96, all resized to squares" in notes
    assert "3 skipped: a.png is not a PNG, " in notes
    assert "1 file of other kinds skipped" in notes
    with pytest.raises(InputError, match=r"Row 4, wall02b\.png, has 1 × 1 pixels"):
        pipeline.explain(folder, [4])
    with pytest.raises(InputError, match="there is no row 99"):
        pipeline.explain(folder, [99])


def test_labels_count_what_cannot_be_read(tmp_path: Path) -> None:
    folder = fill(tmp_path / "walls", 12, spotted=(11,))
    (folder / "a.png").write_text("words")
    labels = [0] * 12 + [1]
    detection = ImagePipeline(Brightness()).fit_detect(folder, labels=labels)
    assert detection.anomalies.tolist() == [12]
    assert detection.regions[12][0].left > 60
    with pytest.raises(InputError, match="Expected 13 labels"):
        ImagePipeline(Brightness()).fit(folder, labels=[0] * 12)


def test_an_anomaly_among_the_training_images_is_located_by_those_without_it() -> None:
    images = [*walls(12), wall(3, spot=(16, 64))]
    pipeline = ImagePipeline(Brightness(), training="mixed", false_alarms=0.08)
    detection = pipeline.fit_detect(images)
    assert detection.anomalies[0] == 12
    region = detection.regions[12][0]
    assert region.left <= 16 < region.right
    assert detection.maps[12].max() > 0.9 * pipeline.score([images[12]]).values[0]
    assert pipeline.fit_detect(images, explain=False).maps == {}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (np.zeros((2, 32, 40), np.uint8), ("image 0", "image 1")),
        (np.zeros((2, 32, 40, 3)), ("image 0", "image 1")),
        (["a.png", np.zeros((32, 32), np.uint8)], ("a.png", "image 1")),
        (pd.DataFrame({"path": ["a.png"], "who": ["me"]}), ("a.png",)),
        (pd.DataFrame({"n": [1], "picture": ["b.png"]}), ("b.png",)),
        (pd.Series(["c.png"]), ("c.png",)),
    ],
)
def test_images_are_taken_in_many_forms(given: Any, names: tuple[str, ...]) -> None:
    assert gather(given).names == names


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (np.zeros((32, 40, 3), np.uint8), InputError, "is one image"),
        (pd.DataFrame({"a": ["x"], "b": ["y"]}), SchemaMismatch, 'Name it "path"; there are a, b'),
        ([1, 2], InputError, "item 0 is a int"),
        ([], InputError, "at least one"),
        ("nowhere", UnreadableFile, "does not exist"),
        (
            ["no.png", "none.png"],
            InputError,
            r"None of 2 images .* no\.png does not exist; n",
        ),
    ],
)
def test_what_holds_no_images_is_told(given: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        ImagePreparer().fit_transform(given)


def test_blocks_are_bounded_by_images_and_by_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    images = walls(70)
    sizes = [len(places) for places, _ in ImageReading(images).blocks("scoring")]
    assert sizes == [32, 32, 6]
    monkeypatch.setattr(preparing, "MOST_PIXELS", 3 * 96 * 128)
    sizes = [len(places) for places, _ in ImageReading(images[:7]).blocks("scoring")]
    assert sizes == [3, 3, 1]


def test_scores_do_not_depend_on_the_block(pipeline: ImagePipeline) -> None:
    images = walls(40, 100)
    whole = pipeline.score(images)
    assert whole.parts is not None
    assert whole.parts.shape == (40, 32, 32)
    alone = [pipeline.score([image]).values[0] for image in images]
    np.testing.assert_array_equal(whole.values, alone)
    seen: list[tuple[str, int, int]] = []
    with reporting_to(lambda *told: seen.append(told)):
        pipeline.score(images)
    assert seen[-1] == ("scoring images", 40, 40)
    assert {what for what, *_ in seen} == {"scoring images"}


def test_only_the_hottest_maps_are_kept(
    pipeline: ImagePipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImagePipeline, "most_explained", 3)
    spots = [wall(i, spot=(80, 40), side=8 + i) for i in range(40)]
    detection = pipeline.detect(spots)
    assert len(detection.anomalies) > 3
    assert sorted(detection.maps) == sorted(detection.anomalies[:3].tolist())
    assert pipeline.detect(spots, explain=False).explanations == {}


def test_a_detector_without_maps_gives_the_whole_image_as_the_reason() -> None:
    pipeline = ImagePipeline(Whole()).fit(walls(12))
    detection = pipeline.detect([wall(60, spot=(80, 40))])
    assert detection.explanations[0].reasons[0].name == WHOLE
    assert detection.maps == {}
    assert detection.regions == {}
    assert pipeline.score(walls(2)).parts is None


def test_rows_are_explained_by_number(pipeline: ImagePipeline) -> None:
    detection = pipeline.explain(walls(4, 50), [2])
    assert list(detection.explanations) == [2]
    assert not detection.decision.is_anomaly[2]
    assert detection.regions[2]
    assert len(detection.regions[2]) <= 5


def test_regions_of_a_large_image_are_in_its_own_pixels() -> None:
    heat = np.zeros((32, 32), np.float32)
    heat[8:12, 16:24] = 9
    heat[30, 2] = 4
    regions, reasons = explain_map(heat, (8000, 10_000), 9.0, 2.0, 5)
    assert len(regions) == 2
    first = regions[0]
    assert first.left == pytest.approx(5000, abs=250)
    assert first.right == pytest.approx(7500, abs=250)
    assert first.top == pytest.approx(2000, abs=200)
    assert first.bottom == pytest.approx(3000, abs=200)
    assert first.area == pytest.approx(2500 * 1000, rel=0.35)
    assert sum(reason.weight for reason in reasons) == pytest.approx(1)
    assert len(explain_map(heat, (64, 64), 9.0, 2.0, 1)[0]) == 1
    assert explain_map(heat, (64, 64), 9.0, 20.0, 5)[0][0].peak > 8
    even, why = explain_map(np.ones((8, 8), np.float32), (64, 64), 1.0, np.inf, 5)
    assert even == ()
    assert why[0].name == WHOLE
    assert why[0].expected is None


def test_what_is_not_trained_or_not_there_is_told(pipeline: ImagePipeline) -> None:
    with pytest.raises(NotFitted):
        ImagePipeline(Brightness()).score(walls(1))
    with pytest.raises(ParameterError, match="how many images"):
        ImagePipeline(Brightness(), alarms_per_day=1).budget  # noqa: B018


def small(**more: Any) -> Detector:
    return create("patch_memory", "images", size=64, bank=200, **more)


def test_a_saved_pipeline_scores_the_same(tmp_path: Path) -> None:
    pipeline = ImagePipeline(small(), training="clean").fit(walls(12))
    pipeline.save(tmp_path / "model")
    new = [*walls(2, 40), wall(60, spot=(80, 40))]
    expected = pipeline.score(new).values
    for loaded in (
        tocsin.load(tmp_path / "model"),
        tocsin.load(tmp_path / "model", runtime="onnx"),
    ):
        assert isinstance(loaded, ImagePipeline)
        np.testing.assert_allclose(loaded.score(new).values, expected, rtol=1e-5)
    assert 2 in tocsin.load(tmp_path / "model").detect(new).anomalies


def test_one_call_finds_what_does_not_belong(tmp_path: Path) -> None:
    good, new = fill(tmp_path / "good"), fill(tmp_path / "new", 4, spotted=(2,))
    detection = tocsin.detect(str(new), modality="images", train=good, detector=small())
    assert detection.anomalies[0] == 2


def test_a_monitor_scores_the_images_of_its_folder(tmp_path: Path) -> None:
    folder = fill(tmp_path / "walls", 3, spotted=(2,))
    pipeline = ImagePipeline(Brightness(), training="clean").fit(walls(20))
    judge = scorer(pipeline, "walls", 0)
    assert isinstance(judge, ImageScorer)
    paths = [str(path) for path in sorted(folder.iterdir())]
    batch = Batch(pd.DataFrame({"path": paths}), np.zeros(3, dtype="datetime64[us]"))
    assert judge.judge(batch).is_anomaly.tolist() == [False, False, True]
    reasons, evidence, told = judge.describe(batch, 2)
    assert evidence["regions"][0]["left"] > 60
    assert evidence["image"] == paths[2]
    assert reasons[0].name in told
    assert training_data("images", [batch]) == paths
    Path(paths[0]).write_text("words")
    with pytest.raises(InputError, match=r"wall00\.png is not a PNG, "):
        judge.judge(batch)


def test_the_default_detector_finds_and_locates(tmp_path: Path) -> None:
    good, new = fill(tmp_path / "good"), fill(tmp_path / "new", 4, spotted=(2,))
    detection = tocsin.detect(new, modality="images", train=good)
    assert detection.anomalies[0] == 2
    region = detection.regions[2][0]
    assert region.left < 96
    assert region.right > 80
