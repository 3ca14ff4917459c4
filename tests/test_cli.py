"""The command line, run as a person runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine

from support.commands import run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """normal.csv: wines of one kind; new.csv: some more of them, and four of another kind."""
    folder = tmp_path_factory.mktemp("wine")
    wine = load_wine(as_frame=True)
    first, other = wine.data[wine.target == 0], wine.data[wine.target == 2]
    first.iloc[:40].to_csv(folder / "normal.csv", index=False)
    new = pd.concat([first.iloc[40:], other.iloc[:4]])
    new.assign(strange=[0] * (len(new) - 4) + [1] * 4).to_csv(folder / "new.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def model(folder: Path) -> Path:
    run("fit", folder / "normal.csv", "--out", folder / "model", "--clean", "--false-alarms", 0.05)
    return folder / "model"


def test_detect_does_it_all_in_one_go(folder: Path) -> None:
    done = run(
        *("detect", folder / "new.csv", "--train", folder / "normal.csv", "--label", "strange"),
        *("--false-alarms", 0.05, "--report", folder / "new/r.html", "--out", folder / "s.csv"),
    )
    assert "auto → local_geometry" in done.stdout
    assert "ROC AUC 1.000" in done.stdout
    assert "expected" in done.stdout
    assert (folder / "new/r.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    scores = pd.read_csv(folder / "s.csv")
    assert set(scores["score"].nlargest(4).index) == set(scores.index[-4:])


def test_json_is_for_machines(folder: Path) -> None:
    done = run("detect", folder / "new.csv", "--mixed", "--detector", "neighbours", "--json")
    found = json.loads(done.stdout)
    assert found["rows"] == 23
    assert found["detector"] == "neighbours"
    assert found["false_alarm_rate"] == 0.01


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_score_streams_in_chunks_of_any_size(folder: Path, model: Path, ending: str) -> None:
    whole, parts = folder / f"whole.{ending}", folder / f"parts.{ending}"
    first = run("score", model, folder / "new.csv", "--out", whole, "--json")
    second = run("score", model, folder / "new.csv", "--out", parts, "--chunk-rows", 5, "--json")
    assert json.loads(first.stdout)["found"] >= 4
    assert first.stdout == second.stdout
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}.get(
        ending, lambda path: pd.read_json(path, lines=True)
    )
    assert read(whole)["row"].tolist() == list(range(23))
    np.testing.assert_allclose(read(whole)["score"], read(parts)["score"], rtol=1e-9)


def test_explain_tells_why(folder: Path, model: Path) -> None:
    rows = json.loads(run("explain", model, folder / "new.csv", "--row", 22, "--json").stdout)
    assert rows[0]["is_anomaly"]
    assert abs(rows[0]["reasons"][0]["weight"]) <= 1
    heading = run("explain", model, folder / "new.csv", "--row", 22).stdout.splitlines()[0]
    assert heading.startswith("row 22  score ")
    assert "normal" not in heading


def test_evaluate_measures_detectors_and_models(folder: Path, model: Path) -> None:
    both = ("evaluate", folder / "new.csv", "--label", "strange")
    results = json.loads(run(*both, "--detectors", "neighbours,pca", "--json").stdout)
    assert [result["detector"] for result in results] == ["neighbours", "pca"]
    assert all(0 <= result["roc_auc"] <= 1 for result in results)
    done = run(*both, "--model", model, "--plots", folder / "plots")
    assert "trained model" in done.stdout
    assert len(list((folder / "plots").glob("*.svg"))) == 3


def test_detectors_are_listed_and_shown() -> None:
    listed = json.loads(run("detectors", "--json").stdout)
    assert {"autoencoder", "local_geometry"} <= {card["name"] for card in listed}
    assert "max_reference" in run("detectors", "local_geometry").stdout
    asked = {"knn": "neighbours", "PaDiM": "patch_gaussian", "hst": "streaming_forest"}
    for method, name in asked.items():
        assert run("detectors", method).stdout.split()[:2] == ["name", name]


def test_bench_writes_the_rows_it_promises(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 3))
    X[:10] += 6
    np.savez(tmp_path / "easy.npz", X=X, y=(np.arange(200) < 10).astype(int))
    out = tmp_path / "rows.json"
    run(
        *("bench", "tables", "--data", tmp_path, "--protocol", "clean", "--seeds", "0,1"),
        *("--detectors", "neighbours,pca", "--json", out),
    )
    rows = json.loads(out.read_text())
    assert len(rows) == 4
    wanted = {
        "dataset",
        "protocol",
        "seed",
        "detector",
        "roc_auc",
        "average_precision",
        "fit_seconds",
    }
    assert wanted | {"score_seconds"} <= rows[0].keys()
    assert all(row["roc_auc"] > 0.95 for row in rows)


def test_labels_may_be_a_file_of_their_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    poses = rng.normal(size=(80, 4, 3))
    poses[:8] += 5
    np.save(tmp_path / "data.npy", poses)
    np.save(tmp_path / "labels.npy", np.arange(80) < 8)
    done = run(
        *("detect", tmp_path / "data.npy", "--labels", tmp_path / "labels.npy", "--mixed"),
        *("--detector", "neighbours"),
    )
    assert "Against the labels" in done.stdout


BAD_FILES = {
    "nothing.csv": b"",
    "header.csv": b"a,b\n",
    "one_row.csv": b"a,b\n1,2\n",
    "constant.csv": b"a,b\n" + b"1,2\n" * 30,
    "missing.csv": b"a,b\n" + b",\n" * 30,
    "binary.csv": bytes(range(256)) * 20,
    "ragged.csv": b"a,b\n1,2\n1,2,3,4\n" * 10,
    "broken.parquet": b"PAR1 but not really PAR1",
    "objects.npy": b"\x93NUMPY nonsense",
    "lines.jsonl": b'{"a": 1}\nnot json\n',
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_told_apart_from_faults(name: str, tmp_path: Path) -> None:
    path, report = tmp_path / name, tmp_path / "report.html"
    path.write_bytes(BAD_FILES[name])
    done = run("detect", path, "--report", report, "--detector", "neighbours", code=2)
    assert done.stderr.startswith("tocsin: ")
    assert "internal error" not in done.stderr
    assert os.listdir(tmp_path) == [name]


def test_bad_requests_say_what_to_do(folder: Path, model: Path, tmp_path: Path) -> None:
    new = folder / "new.csv"
    three = tmp_path / "three.csv"
    three.write_text("a,kind\n" + "1,x\n2,y\n3,z\n" * 10)
    text = tmp_path / "text.csv"
    text.write_text(pd.read_csv(new).astype(object).replace(14.1, "oops").to_csv(index=False))
    requests = {
        ("detect", tmp_path / "nowhere.csv"): "no such file",
        ("detect", three, "--label", "kind"): '"x", "y", "z"',
        ("detect", new, "--label", "stange"): "strange",
        ("detect", new, "--detector", "autoencodr"): "autoencoder",
        ("detect", new, "--detector", "neighbours", "--set", "k=0"): "k is 0",
        ("detect", new, "--detector", "neighbours", "--set", "q=1"): "no parameter q",
        ("detect", new, "--false-alarms", 7): "between 0 and 1",
        ("detect", new, "--alarms-per-day", 7): "rows_per_day",
        ("detect", new, "--out", tmp_path / "scores.xlsx"): ".csv",
        ("score", folder, new): "not a model",
        ("score", model, three): "alcohol",
        ("score", model, text): "oops",
        ("explain", model, new, "--row", 99): "rows 0 to 22",
        ("evaluate", new): "--label",
        ("detectors", "--modality", "smells"): "tables",
    }
    for request, hint in requests.items():
        done = run(*request, code=2)
        assert hint in done.stderr, (request, done.stderr)


def test_a_changed_model_is_refused(folder: Path, model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    copy.mkdir()
    for path in model.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    arrays = copy / "arrays.safetensors"
    content = bytearray(arrays.read_bytes())
    content[-1] ^= 1
    arrays.write_bytes(content)
    out = tmp_path / "scores.csv"
    done = run("score", copy, folder / "new.csv", "--out", out, code=2)
    assert "SHA-256" in done.stderr
    assert not out.exists()


def test_start_up_loads_nothing_heavy() -> None:
    heavy = {"numpy", "pandas", "torch", "sklearn", "scipy", "matplotlib", "rich"}
    for program in ("import tocsin", "import tocsin.cli"):
        code = f"{program}; import sys; print(*sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert not heavy & set(done.stdout.split()), program


def test_the_public_face_is_what_it_was() -> None:
    import tocsin

    assert tocsin.__all__ == [
        "ImagePipeline",
        "LogPipeline",
        "Pipeline",
        "SeriesPipeline",
        "TextPipeline",
        "__version__",
        "detect",
        "detectors",
        "load",
    ]
    assert all(getattr(tocsin, name) is not None for name in tocsin.__all__)


@pytest.mark.parametrize("kind", ["tables", "series"])
def test_normal_items_alone_give_the_false_alarm_rate(tmp_path: Path, kind: str) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(400, 3)), columns=list("abc"))
    if kind == "series":
        frame.insert(0, "time", pd.date_range("2026-01-01", periods=400, freq="h"))
    frame["label"] = 0
    frame.to_csv(tmp_path / "normal.csv", index=False)
    arguments = [str(tmp_path / "normal.csv"), "--label", "label", "--detectors", "auto"]
    (found,) = json.loads(run("evaluate", *arguments, "--as", kind, "--json").stdout)
    assert 0 <= found["false_alarm_rate"] <= 0.05
    assert "alse alarm" in run("evaluate", *arguments, "--as", kind).stdout
