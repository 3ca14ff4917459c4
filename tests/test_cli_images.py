"""The command line on images, run as a person runs it."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from support.commands import invoke
from support.walls import fill, wall
from tocsin.cli.inputs import Input
from tocsin.cli.loading import guess_modality
from tocsin.cli.options import DataOptions
from tocsin.errors import InputError, ParameterError
from tocsin.report.plots.images import write_overlays
from tocsin.types import Decision, Explanation, ImageDetection, Scores

MEMORY = ("--detector", "patch_memory", "--set", "size=64", "--set", "bank=200")
EVIL = "a [bold]b [red] <script>.png"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """good: walls; new: more of them, two with a spot, and two files that are no images."""
    folder = tmp_path_factory.mktemp("walls")
    fill(folder / "good")
    new = fill(folder / "new", 6, spotted=(4,))
    (new / "sub").mkdir()
    Image.fromarray(wall(9, spot=(20, 20))).save(new / "sub" / EVIL)
    (new / "half.png").write_bytes((new / "wall00.png").read_bytes()[:900])
    (new / "words.png").write_text("words")
    return folder


def test_detect_shows_where_and_writes_everything(folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    names = ["half.png", *(f"wall{i:02}.png" for i in range(6)), "words.png", f"sub/{EVIL}"]
    bad = [int(name in ("wall04.png", f"sub/{EVIL}")) for name in names]
    pd.DataFrame({"bad": bad}).to_csv(labels, index=False)
    out, shown = tmp_path / "scores.csv", tmp_path / "drawn"
    words = ("detect", folder / "new", "--train", folder / "good", *MEMORY, "--labels", labels)
    done = invoke(*words, "--out", out, "--overlays", shown, "--report", tmp_path / "r.html")
    assert "anomalies in 7 images" in done.output
    assert "of normal images" in done.output
    assert "2 skipped: half.png cannot be decoded" in done.output
    assert "taken as images; pass --as logs" in done.output
    assert f"sub/{EVIL}" in done.output
    assert "recall 1.000" in done.output
    line = next(line for line in done.output.splitlines() if "wall04.png" in line)
    assert " x " in line
    scores = pd.read_csv(out)
    assert list(scores) == ["row", "name", "score", "p_value", "is_anomaly", "regions"]
    assert scores["row"].tolist() == [1, 2, 3, 4, 5, 6, 8]
    boxes = json.loads(scores["regions"][4])
    assert any(left < 96 and right > 80 for left, _, right, _ in boxes)
    drawn = sorted(path.name for path in shown.iterdir())
    assert "wall04.png" in drawn
    assert "sub_a_bold_b_red_script.png" in drawn
    with Image.open(shown / "wall04.png") as picture:
        assert picture.size == (128, 96)
    assert "data:image/webp" in (tmp_path / "r.html").read_text()


def test_fit_score_and_explain(folder: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    told = invoke("fit", folder / "good", "--out", model, "--clean", *MEMORY).output
    assert "on 12 images. Wrote" in told
    scored = json.loads(invoke("score", model, folder / "new", "--json").output)
    assert scored["rows"] == 7
    assert {5, 8} <= {anomaly["row"] for anomaly in scored["anomalies"]}
    found = next(each for each in scored["anomalies"] if each["row"] == 5)
    assert found["name"] == "wall04.png"
    assert (found["width"], found["height"]) == (128, 96)
    assert set(found["regions"][0]) == {"left", "top", "right", "bottom", "area", "peak"}
    assert [each["name"] for each in scored["skipped"]] == ["half.png", "words.png"]
    invoke("score", model, folder / "new", "--out", tmp_path / "scores.parquet")
    assert len(pd.read_parquet(tmp_path / "scores.parquet")) == 7
    shown = invoke("explain", model, folder / "new", "--row", 1).output
    assert shown.startswith("row 1  wall00.png  128 × 96  score")
    assert "normal" in shown.splitlines()[0]
    assert len(json.loads(invoke("explain", model, folder / "new", "--json").output)) >= 2
    one = json.loads(invoke("score", model, folder / "new" / "wall04.png", "--json").output)
    assert one["found"] == 1
    invoke("explain", model, folder / "new", "--row", 99, fails=InputError)
    invoke("explain", model, folder / "new", "--row", 0, fails=InputError)
    invoke("explain", model, folder / "new", "--key", "a", fails=ParameterError)


def test_detectors_are_measured_on_labelled_images(folder: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    names = ["half.png", *(f"wall{i:02}.png" for i in range(6)), "words.png", f"sub/{EVIL}"]
    states = ["defect" if name in ("wall04.png", f"sub/{EVIL}") else "ok" for name in names]
    table = pd.DataFrame({"image": names, "state": states})
    table[::-1].to_csv(labels, index=False)
    words = ("evaluate", folder / "new", "--labels", labels, "--json")
    model = tmp_path / "model"
    invoke("fit", folder / "good", "--out", model, "--clean", *MEMORY)
    (measured,) = json.loads(invoke(*words, "--model", model).output)
    assert measured["roc_auc"] == 1
    (held_out,) = json.loads(invoke(*words, "--detectors", "patch_memory").output)
    assert held_out["roc_auc"] == 1
    assert (held_out["protocol"], held_out["split"]) == ("clean", "random")
    for wrong, told in (
        (table[1:], 'no label for 1 of 9 images, the first is "half.png"'),
        (pd.concat([table, table[:1].assign(image="none.png")]), 'labels "none.png"'),
        (table[["state"]][1:], "8 labels for 9 images"),
        (table.assign(more=1), "3 columns"),
    ):
        wrong.to_csv(labels, index=False)
        assert told in str(invoke(*words, fails=InputError).exception)


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (
            ["--png", "a.png"],
            ParameterError,
            "--png is for series or metrics; this is taken as images",
        ),
        (["--label", "bad"], ParameterError, "--label is for text or series or metrics or tables"),
        (["--as", "tables", "--overlays", "a"], ParameterError, "--overlays is for images"),
        (["--train", "nowhere"], InputError, "nowhere does not exist"),
    ],
)
def test_what_cannot_work_is_said(
    folder: Path, words: list[str], error: type[Exception], told: str
) -> None:
    done = invoke("detect", folder / "new", *words, *MEMORY, fails=error)
    assert re.search(told, str(done.exception))


def test_overlays_are_of_images(tmp_path: Path) -> None:
    pd.DataFrame({"a": range(30)}).to_csv(tmp_path / "a.csv", index=False)
    done = invoke("detect", tmp_path / "a.csv", "--overlays", tmp_path / "b", fails=ParameterError)
    assert "--overlays is for images" in str(done.exception)


def test_a_folder_is_of_images_if_most_files_are(folder: Path, tmp_path: Path) -> None:
    def guessed(path: Path, **options: str) -> str:
        return guess_modality(Input(path, DataOptions(**options))).modality

    assert guessed(folder / "new") == "images"
    assert guessed(folder / "new" / "wall00.png") == "images"
    assert guessed(folder / "new", session="line") == "logs"
    for name in ("a.log", "b.log", "c.png"):
        (tmp_path / name).write_text("words")
    assert guessed(tmp_path) == "logs"


def test_overlays_stay_in_their_folder_whatever_the_names(tmp_path: Path) -> None:
    victim = tmp_path / "victim.png"
    victim.write_text("mine")
    folder = tmp_path / "drawn"
    folder.mkdir()
    (folder / "a.png").symlink_to(victim)
    names = ("../victim.png", "/etc/passwd.png", "a.png", "b/a.png", "b_a.png", "..", "x" * 300)
    n = len(names)
    detection = ImageDetection(
        Scores(np.ones(n)),
        Decision(np.full(n, 0.01), 0.5, np.ones(n, dtype=bool), 0.01),
        np.arange(n),
        {i: Explanation(i, ()) for i in range(n)},
        images=np.array([None] * n, dtype=object),
        names=names,
        sizes=np.full((n, 2), 32),
    )
    for i in range(n):
        detection.images[i] = np.zeros((32, 32), np.uint8)
    written = write_overlays(folder, detection)
    assert len(set(written)) == n
    assert all(path.parent == folder and path.is_file() for path in written)
    assert victim.read_text() == "mine"
    with pytest.raises(ParameterError, match="cannot be made a folder"):
        write_overlays(victim, detection)
