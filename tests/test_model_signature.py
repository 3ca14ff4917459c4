"""Folders signed by a key of the user's: taken with it, and no others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import tocsin
from tocsin import config
from tocsin.cli import app
from tocsin.errors import ParameterError, WrongSignature
from tocsin.monitor.models import open_model
from tocsin.monitor.training import train as train_monitor
from tocsin.store.folder import fingerprint, load_state, read_manifest, save_state
from tocsin.store.manifest import MANIFEST, dump, hash_of

KEY = b"0123456789abcdef"


@pytest.fixture(scope="module")
def pipeline() -> tocsin.Pipeline:
    return tocsin.Pipeline("hbos").fit(np.random.default_rng(0).normal(size=(200, 2)))


def test_a_signed_folder_is_taken_with_its_key_and_without(
    pipeline: tocsin.Pipeline, tmp_path: Path
) -> None:
    pipeline.save(tmp_path / "model", key=KEY)
    rows = np.zeros((2, 2))
    for loaded in (
        tocsin.load(tmp_path / "model", key=KEY),
        tocsin.load(tmp_path / "model"),
        tocsin.Pipeline.load(tmp_path / "model", key=KEY),
    ):
        np.testing.assert_array_equal(loaded.score(rows).values, pipeline.score(rows).values)


def test_other_keys_and_unsigned_folders_are_refused(
    pipeline: tocsin.Pipeline, tmp_path: Path
) -> None:
    pipeline.save(tmp_path / "signed", key=KEY)
    pipeline.save(tmp_path / "unsigned")
    with pytest.raises(WrongSignature, match="another key"):
        tocsin.load(tmp_path / "signed", key=KEY[::-1])
    with pytest.raises(WrongSignature, match="not signed"):
        tocsin.load(tmp_path / "unsigned", key=KEY)


def test_a_folder_changed_with_hashes_made_again_is_refused(
    pipeline: tocsin.Pipeline, tmp_path: Path
) -> None:
    pipeline.save(tmp_path / "model", key=KEY)
    state, about = load_state(tmp_path / "model")
    changed = {k: v for k, v in about.items() if k not in ("files", "sizes", "format_version")}
    save_state(tmp_path / "forged", state, {**changed, "metrics": {}})
    signature = json.loads((tmp_path / "model" / MANIFEST).read_text())["signature"]
    manifest = {**read_manifest(tmp_path / "forged"), "signature": signature}
    (tmp_path / "forged" / MANIFEST).write_text(dump({**manifest, "hash": hash_of(manifest)}))
    assert tocsin.load(tmp_path / "forged").card.name == "hbos"
    with pytest.raises(WrongSignature, match="another key"):
        tocsin.load(tmp_path / "forged", key=KEY)


def test_a_key_has_16_bytes(pipeline: tocsin.Pipeline, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="at least 16 bytes; this has 3"):
        pipeline.save(tmp_path / "model", key=b"key")
    assert not (tmp_path / "model").exists()


def test_a_signature_does_not_make_another_model(pipeline: tocsin.Pipeline, tmp_path: Path) -> None:
    pipeline.save(tmp_path / "signed", key=KEY)
    pipeline.save(tmp_path / "unsigned")
    assert fingerprint(tmp_path / "signed") == fingerprint(tmp_path / "unsigned")


def test_a_monitor_signs_what_it_trains_and_takes_nothing_else(
    pipeline: tocsin.Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_KEY", KEY.decode())
    rows = "\n".join(json.dumps({"a": i % 7, "b": i % 5}) for i in range(60))
    (tmp_path / "rows.jsonl").write_text(rows + "\n")
    path = tmp_path / "tocsin.yaml"
    path.write_text(
        "monitors: {m: {source: {type: file, path: rows.jsonl}, model: model,"
        " model_key: {env: MODEL_KEY}, training: {after: 50, detector: hbos}}}"
    )
    monitor = config.read(path).monitors["m"]
    train_monitor(config.read(path), "m")
    assert open_model(monitor.model, 10, monitor.source, monitor.signing_key)
    pipeline.save(monitor.model)
    with pytest.raises(WrongSignature):
        open_model(monitor.model, 10, monitor.source, monitor.signing_key)


def test_the_command_line_signs_and_asks_for_the_signature(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = np.random.default_rng(0).normal(size=(120, 2))
    data, key, model = tmp_path / "rows.csv", tmp_path / "key", str(tmp_path / "model")
    np.savetxt(data, rows, delimiter=",", header="a,b", comments="")
    key.write_bytes(KEY + b"\n")
    (tmp_path / "other").write_bytes(KEY[::-1])
    run = CliRunner().invoke
    fitted = run(
        app,
        [
            "fit",
            str(data),
            "--out",
            model,
            "--set",
            "n_bins=5",
            "--detector",
            "hbos",
            "--sign-key",
            str(key),
        ],
    )
    assert fitted.exit_code == 0, fitted.output
    assert tocsin.load(model, key=KEY)
    for command in ("score", "explain"):
        wrong = run(app, [command, model, str(data), "--sign-key", str(tmp_path / "other")])
        assert isinstance(wrong.exception, WrongSignature)
        assert run(app, [command, model, str(data), "--sign-key", str(key)]).exit_code == 0
    monkeypatch.setenv("TOCSIN_MODEL_KEY", str(tmp_path / "other"))
    assert isinstance(run(app, ["score", model, str(data)]).exception, WrongSignature)
    saved = ["detect", str(data), "--detector", "hbos", "--save", model]
    assert run(app, saved).exit_code == 0
    assert tocsin.load(model, key=KEY[::-1])
