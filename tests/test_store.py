"""Model folders: whole or not at all, and nothing changed goes unnoticed."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tocsin.errors import CorruptModel, InputError, NewerFormat, NotAModel, NotSavable
from tocsin.store.folder import load_state, read_manifest, save_state

STATE = {
    "weights": {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(1.5)},
    "empty": np.zeros((0, 3)),
    "flags": np.array([True, False]),
    "words": ["naïve", None, 3, 2.5, {"deep": np.arange(3)}],
    "text": "ü",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_state(tmp_path / "model", STATE, {"kind": "test"})
    return tmp_path / "model"


def test_half_a_surrogate_pair_comes_back(tmp_path: Path) -> None:
    save_state(tmp_path / "model", {"a\ud83d": ["\udc00", "ü"]}, {"kind": "\ud83d"})
    state, manifest = load_state(tmp_path / "model")
    assert state == {"a\ud83d": ["\udc00", "ü"]}
    assert manifest["kind"] == "\ud83d"


def test_state_comes_back_as_it_was(folder: Path) -> None:
    state, manifest = load_state(folder)
    assert manifest["kind"] == "test"
    np.testing.assert_array_equal(state["weights"]["a"], STATE["weights"]["a"])
    assert state["weights"]["a"].dtype == np.float32
    assert state["weights"]["b"].shape == ()
    assert state["empty"].shape == (0, 3)
    assert state["flags"].tolist() == [True, False]
    assert state["words"][:4] == ["naïve", None, 3, 2.5]
    assert state["words"][4]["deep"].tolist() == [0, 1, 2]
    assert state["text"] == "ü"


@pytest.mark.parametrize("name", ["manifest.json", "state.json", "arrays.safetensors"])
@pytest.mark.parametrize("where", [0.0, 0.3, 0.99])
def test_one_changed_byte_is_noticed(folder: Path, name: str, where: float) -> None:
    content = bytearray((folder / name).read_bytes())
    content[int(where * (len(content) - 1))] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(CorruptModel):
        load_state(folder)


@pytest.mark.parametrize("name", ["state.json", "arrays.safetensors"])
def test_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(CorruptModel, match=name):
        load_state(folder)


def test_newer_format_asks_for_an_update(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format_version": 999}))
    with pytest.raises(NewerFormat, match="pip install --upgrade tocsin"):
        read_manifest(folder)


def test_other_folders_are_not_models(tmp_path: Path) -> None:
    with pytest.raises(NotAModel):
        load_state(tmp_path)
    with pytest.raises(NotAModel):
        load_state(tmp_path / "nowhere")


def test_saving_replaces_a_model_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    save_state(folder, {"x": np.ones(1)}, {"kind": "second"})
    assert load_state(folder)[1]["kind"] == "second"
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.txt").write_text("years of work")
    with pytest.raises(InputError, match="not a model"):
        save_state(other, STATE, {})
    assert (other / "chapter.txt").read_text() == "years of work"


def test_what_cannot_be_saved_leaves_nothing_behind(folder: Path) -> None:
    before = sorted(os.listdir(folder.parent))
    for value in (object(), np.array(["text"]), np.array([object()])):
        with pytest.raises(NotSavable, match="bad"):
            save_state(folder, {"bad": value}, {})
    assert sorted(os.listdir(folder.parent)) == before
    assert load_state(folder)[1]["kind"] == "test"
