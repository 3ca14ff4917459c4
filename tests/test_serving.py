"""Saved networks of tables score in onnxruntime as they do in torch, and without it."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tocsin
from tocsin import registry
from tocsin.errors import CorruptModel, InputError, MissingExtra, NotSavable, ParameterError
from tocsin.nn.onnx.tables import OnnxDetector
from tocsin.store import folder

NETWORKS = [
    ("autoencoder", {}),
    ("autoencoder", {"members": 1}),
    ("denoising", {}),
    ("vae", {}),
    ("vae", {"score_by": "elbo"}),
    ("vae", {"score_by": "latent_distance"}),
    ("gan", {}),
    ("gan", {"score_by": "discriminator_features"}),
    ("deep_svdd", {}),
    ("classifier", {}),
]


def rows(n=200, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 5)) * [1, 10, 1e-3, 1e6, 1]


def small(name, **parameters):
    size = registry.find(name).test_parameters()
    return registry.create(name, device="cpu", **{**size, "steps": 40, **parameters})


def frame(n=200, seed=0):
    return pd.DataFrame(rows(n, seed), columns=list("abcde"))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("serving") / "model"
    tocsin.Pipeline(small("autoencoder"), false_alarms=0.02).fit(frame()).save(path)
    return path


@pytest.mark.parametrize(("name", "parameters"), NETWORKS)
def test_onnx_scores_are_the_trained_ones(name, parameters):
    detector = small(name, **parameters)
    detector.fit(rows(), np.arange(200) > 180 if name == "classifier" else None)
    content = detector.to_onnx()
    assert content == detector.to_onnx()
    served = OnnxDetector(content, detector.get_params()).set_state(detector.get_state())
    assert served.card == detector.card
    X = rows(1100, seed=1)
    X[3], X[4], X[5] = 1e300, -1e300, 0.0
    expected, given = detector.score(X), served.score(X)
    np.testing.assert_allclose(given.values, expected.values, rtol=1e-4, atol=1e-5)
    for part in ("parts", "expected"):
        theirs, ours = getattr(expected, part), getattr(given, part)
        assert (theirs is None) == (ours is None)
        if theirs is not None:
            unit = detector.scale_ if part == "expected" else 1.0
            far = np.maximum(np.abs(theirs / unit), 1.0)
            assert (np.abs(ours / unit - theirs / unit) / far).max() < 1e-3
    alone = np.concatenate([served.score(row[None]).values for row in X[:20]])
    np.testing.assert_allclose(alone, given.values[:20], rtol=1e-5, atol=1e-6)


def test_a_served_pipeline_answers_like_the_saved_one(model):
    trained, served = tocsin.load(model), tocsin.load(model, runtime="onnx")
    assert isinstance(served, tocsin.Pipeline)
    X = frame(300, seed=2)
    X.loc[7, "b"], X.loc[9, "c"] = 500.0, np.nan
    expected, given = trained.detect(X), served.detect(X)
    np.testing.assert_allclose(given.scores.values, expected.scores.values, rtol=1e-4)
    np.testing.assert_array_equal(given.decision.is_anomaly, expected.decision.is_anomaly)
    assert given.decision.threshold == expected.decision.threshold
    assert given.decision.is_anomaly[7]
    theirs, ours = expected.explanations[7].reasons[0], given.explanations[7].reasons[0]
    assert (ours.name, ours.seen) == (theirs.name, theirs.seen) == ("b", 500.0)
    assert ours.expected == pytest.approx(theirs.expected, rel=1e-3, abs=1e-3)
    assert served.settings == trained.settings
    assert (served.notes_, served.detector_name) == (trained.notes_, trained.detector_name)
    served.false_alarms = 1e-4
    assert served.detect(X).decision.is_anomaly.sum() <= given.decision.is_anomaly.sum()


def test_networks_of_series_are_not_served(tmp_path):
    series = pd.DataFrame(rows(300), columns=list("abcde"))
    lstm = registry.create("lstm", "series", **registry.find("lstm", "series").test_parameters())
    tocsin.SeriesPipeline(lstm).fit(series).save(tmp_path / "lstm")
    with pytest.raises(ParameterError, match="of series"):
        tocsin.load(tmp_path / "lstm", runtime="onnx")
    tocsin.SeriesPipeline("window_neighbours").fit(series).save(tmp_path / "windows")
    served = tocsin.load(tmp_path / "windows", runtime="onnx")
    np.testing.assert_array_equal(
        served.score(series).values, tocsin.load(tmp_path / "windows").score(series).values
    )


def test_one_row_and_many_threads(model):
    served = tocsin.load(model, runtime="onnx", threads=2)
    X = frame(3, seed=3)
    one = served.score(X.iloc[[1]]).values
    np.testing.assert_array_equal(one, served.score(X).values[1:2])
    with pytest.raises(ParameterError, match="threads"):
        tocsin.load(model, runtime="onnx", threads=0)


SCORES_ALONE = """
import sys
import numpy as np, pandas as pd
import tocsin
pipeline = tocsin.load(sys.argv[1], runtime="onnx")
rows = pd.DataFrame(np.full((2, 5), [[0.0] * 5, [1e9] * 5]), columns=list("abcde"))
found = pipeline.detect(rows)
assert found.decision.is_anomaly.tolist() == [False, True]
assert found.explanations[1].reasons
heavy = {"torch", "matplotlib", "numba", "transformers", "onnx"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.parametrize("detector", ["autoencoder", "isolation_forest", "auto"])
def test_no_torch_is_loaded(tmp_path, detector):
    labels = np.zeros(200, dtype=int)
    chosen = small(detector) if detector == "autoencoder" else detector
    X = frame()
    if detector == "auto":  # with so many labelled anomalies it takes the classifier
        X.iloc[:40] += 1e9
        labels[:40] = 1
    pipeline = tocsin.Pipeline(chosen, training="mixed", false_alarms=0.02)
    pipeline.fit(X, labels=labels if detector == "auto" else None).save(tmp_path / "model")
    if detector == "auto":
        served = tocsin.load(tmp_path / "model", runtime="onnx")
        assert served.detector_name == pipeline.detector_name == "auto → classifier"
    command = [sys.executable, "-c", SCORES_ALONE, str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_a_served_pipeline_cannot_do(model, tmp_path):
    served = tocsin.load(model, runtime="onnx")
    before = served.score(frame()).values
    with pytest.raises(ParameterError, match="without runtime"):
        served.fit(frame())
    for refused in (lambda: served.embed(frame()), lambda: served.sample(3)):
        with pytest.raises(ParameterError, match="without runtime"):
            refused()
    with pytest.raises(NotSavable, match="save"):
        served.save(tmp_path / "copy")
    np.testing.assert_array_equal(served.score(frame()).values, before)
    with pytest.raises(InputError):
        served.score(frame().drop(columns="a"))
    with pytest.raises(ParameterError, match='"onnx" or None'):
        tocsin.load(model, runtime="torch")  # type: ignore[arg-type]


def test_a_folder_without_onnx_says_how_to_write_it(tmp_path, monkeypatch):
    pipeline = tocsin.Pipeline(small("autoencoder")).fit(frame())
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "onnx", None)
        with pytest.raises(MissingExtra, match="onnx"):
            pipeline.detector_.to_onnx()
        pipeline.save(tmp_path / "model")
    assert "detector.onnx" not in folder.read_manifest(tmp_path / "model")["files"]
    with pytest.raises(ParameterError, match=r"load\(.*\)\.save\("):
        tocsin.load(tmp_path / "model", runtime="onnx")
    tocsin.load(tmp_path / "model").save(tmp_path / "model")
    assert len(tocsin.load(tmp_path / "model", runtime="onnx").score(frame())) == 200


def test_without_onnxruntime_the_package_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match="onnxruntime"):
        tocsin.load(model, runtime="onnx")


def copied(model: Path, path: Path, content: bytes) -> Path:
    """Return a copy of a model whose ONNX file is another, with hashes that fit."""
    state, about = folder.load_state(model)
    del about["files"]
    folder.save_state(path, state, about, {"detector.onnx": content})
    return path


def test_a_changed_file_is_noticed(model, tmp_path):
    path = copied(model, tmp_path / "copy", (model / "detector.onnx").read_bytes())
    content = bytearray((path / "detector.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (path / "detector.onnx").write_bytes(content)
    with pytest.raises(CorruptModel, match="SHA-256"):
        tocsin.load(path, runtime="onnx")
    (path / "detector.onnx").unlink()
    with pytest.raises(CorruptModel, match="cannot be read"):
        tocsin.load(path, runtime="onnx")


def test_weights_in_other_files_are_refused(model, tmp_path):
    onnx = pytest.importorskip("onnx")
    network = onnx.load_model_from_string((model / "detector.onnx").read_bytes())
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(8000))
    constant = next(n for n in network.graph.node if n.op_type == "Constant")
    tensor = constant.attribute[0].t
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../secret"
    path = copied(model, tmp_path / "copy", network.SerializeToString())
    with pytest.raises(CorruptModel, match="other files"):
        tocsin.load(path, runtime="onnx")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x08\x08" * 50])
def test_what_is_no_model_is_refused(model, tmp_path, content):
    path = copied(model, tmp_path / "copy", content)
    with pytest.raises(CorruptModel):
        tocsin.load(path, runtime="onnx")


def test_a_model_for_other_columns_is_refused(model, tmp_path):
    other = small("autoencoder").fit(rows()[:, :3]).to_onnx()
    with pytest.raises(CorruptModel, match="3 columns"):
        tocsin.load(copied(model, tmp_path / "copy", other), runtime="onnx")


def test_the_manifest_names_the_hash(model):
    manifest = json.loads((model / "manifest.json").read_text())
    content = (model / "detector.onnx").read_bytes()
    assert manifest["files"]["detector.onnx"] == hashlib.sha256(content).hexdigest()


def test_thresholds_are_found_anew_after_another_fit():
    from tocsin.decide import ExtremeValue

    rng = np.random.default_rng(0)
    calibration = ExtremeValue().fit(rng.exponential(size=500))
    first = calibration.threshold(1e-5), calibration.threshold(0.05)
    assert first == (calibration.threshold(1e-5), calibration.threshold(0.05))
    wider = 10 * rng.exponential(size=500)
    calibration.fit(wider)
    fresh = ExtremeValue().fit(wider)
    for rate in (1e-5, 0.05):
        assert calibration.threshold(rate) == fresh.threshold(rate)
    assert calibration.tail == fresh.tail
    restored = ExtremeValue().fit([1.0, 2.0, 3.0])
    assert restored.threshold(0.3) != fresh.threshold(0.3)
    restored.set_state(fresh.get_state())
    assert restored.threshold(1e-5) == fresh.threshold(1e-5)
    assert set(fresh.get_state()) == {"scores_", "at_or_below_", "n_", "independent_"}


def test_a_small_batch_is_prepared_like_a_renamed_or_reordered_one():
    pipeline = tocsin.Pipeline("pca").fit(frame())
    X = frame(50, seed=5)
    X.iloc[3, 1] = np.nan
    preparer = pipeline.preparer_
    straight = preparer.transform(X)
    np.testing.assert_array_equal(straight, preparer.transform(X[list("edcba")]))
    np.testing.assert_array_equal(straight, preparer.transform(X.assign(more=1.0)))
    np.testing.assert_array_equal(straight, preparer.transform(X.to_numpy()))
    np.testing.assert_array_equal(straight, preparer.transform(X.astype({"a": object})))
    with pytest.raises(InputError, match="Complex"):
        preparer.transform(X.astype({"a": complex}))
