"""Model folders that somebody made to do harm: refused before anything is read or built."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tocsin
from tocsin.errors import CorruptModel
from tocsin.store.folder import load_state, save_state
from tocsin.store.manifest import MANIFEST, dump, hash_of, read_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_state(tmp_path / "model", {"weights": np.ones(3)}, {"kind": "test"})
    return tmp_path / "model"


def _rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest, with a hash that fits."""
    manifest = read_manifest(folder)
    change(manifest)
    (folder / MANIFEST).write_text(dump({**manifest, "hash": hash_of(manifest)}))


def _replace(folder: Path, name: str, content: bytes) -> None:
    """Replace a file of a folder, with a hash and a size that fit."""
    (folder / name).write_bytes(content)

    def change(manifest: dict[str, Any]) -> None:
        manifest["files"][name] = hashlib.sha256(content).hexdigest()
        manifest["sizes"][name] = len(content)

    _rewrite(folder, change)


@pytest.mark.parametrize("name", [MANIFEST, "state.json", "arrays.safetensors"])
def test_a_pipe_is_not_waited_for(folder: Path, name: str) -> None:
    (folder / name).unlink()
    os.mkfifo(folder / name)
    with pytest.raises(CorruptModel, match="not a regular file"):
        load_state(folder)


@pytest.mark.parametrize("name", [MANIFEST, "state.json", "arrays.safetensors"])
@pytest.mark.parametrize("target", ["/dev/zero", "../outside", "/"])
def test_a_link_out_of_the_folder_is_not_followed(folder: Path, name: str, target: str) -> None:
    content = (folder / name).read_bytes()
    (folder.parent / "outside").write_bytes(content)
    (folder / name).unlink()
    (folder / name).symlink_to(target)
    with pytest.raises(CorruptModel, match="link out of its folder"):
        load_state(folder)


def test_links_within_the_folder_and_to_it_are_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "data").mkdir()
    (folder / "state.json").rename(folder / "data" / "state.json")
    (folder / "state.json").symlink_to("data/state.json")
    (tmp_path / "current").symlink_to(folder, target_is_directory=True)
    assert load_state(tmp_path / "current")[0]["weights"].tolist() == [1, 1, 1]


def test_links_in_a_circle_are_not_followed(folder: Path) -> None:
    (folder / "state.json").unlink()
    (folder / "state.json").symlink_to("state.json")
    with pytest.raises(CorruptModel):
        load_state(folder)


def test_another_size_than_the_manifests_is_not_read(folder: Path) -> None:
    with (folder / "arrays.safetensors").open("ab") as file:
        file.truncate(1 << 40)  # a hole that takes no room
    with pytest.raises(CorruptModel, match="1,099,511,627,776 bytes"):
        load_state(folder)


def test_a_size_that_no_model_has_is_not_read(folder: Path) -> None:
    with (folder / "arrays.safetensors").open("ab") as file:
        file.truncate(1 << 40)
    _rewrite(folder, lambda manifest: manifest["sizes"].update({"arrays.safetensors": 1 << 40}))
    with pytest.raises(CorruptModel, match="at most"):
        load_state(folder)


def test_folders_without_sizes_are_from_earlier_versions(folder: Path) -> None:
    _rewrite(folder, lambda manifest: manifest.pop("sizes"))
    assert load_state(folder)[0]["weights"].tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 200 + b"1" + b"}" * 200,
        b"[]",
        b"1",
        b"null",
        b'{"a": {"$array": "none"}}',
        b'{"a": {"$array": ["weights"]}}',
        b'{"a": {"$array": {}}}',
        b'{"a": ' + b"1" * 5_000 + b"}",
        b"\xff\xfe",
    ],
)
def test_a_state_that_is_none_is_corrupt(folder: Path, content: bytes) -> None:
    _replace(folder, "state.json", content)
    with pytest.raises(CorruptModel):
        load_state(folder)


@pytest.mark.parametrize("value", [None, 1, [], "files", {"state.json": 1}, {"state.json": "ab"}])
@pytest.mark.parametrize("key", ["files", "sizes"])
def test_a_manifest_that_lists_no_files_is_corrupt(folder: Path, key: str, value: Any) -> None:
    if (key, value) == ("sizes", {"state.json": 1}):
        pytest.skip("a size that differs is another test")
    _rewrite(folder, lambda manifest: manifest.update({key: value}))
    with pytest.raises(CorruptModel):
        load_state(folder)
    _rewrite_raw(folder, lambda manifest: manifest.pop("files"))
    with pytest.raises(CorruptModel):
        load_state(folder)


def _rewrite_raw(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest.pop("hash")
    change(manifest)
    (folder / MANIFEST).write_text(dump({**manifest, "hash": hash_of(manifest)}))


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[]", b"null", b'"model"', b"{}", b"1e999"])
def test_a_manifest_that_is_none_is_corrupt(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    with pytest.raises(CorruptModel):
        load_state(folder)


def test_a_header_that_lies_about_arrays_is_corrupt(folder: Path) -> None:
    header = b'{"weights":{"dtype":"F64","shape":[1000000000000],"data_offsets":[0,24]}}'
    content = len(header).to_bytes(8, "little") + header + np.ones(3).tobytes()
    _replace(folder, "arrays.safetensors", content)
    with pytest.raises(CorruptModel):
        load_state(folder)


@pytest.mark.parametrize("key", ["card", "settings", "columns"])
@pytest.mark.parametrize("value", [None, 1, [], "tables", {}, {"name": 1}, {"name": ["hbos"]}])
def test_nonsense_about_a_model_is_corrupt(tmp_path: Path, key: str, value: Any) -> None:
    tocsin.Pipeline("hbos").fit(np.random.default_rng(0).normal(size=(50, 2))).save(tmp_path / "m")
    _rewrite(tmp_path / "m", lambda manifest: manifest.update({key: value}))
    if key == "columns":
        assert tocsin.load(tmp_path / "m")  # for people to read alone
        return
    with pytest.raises(CorruptModel):
        tocsin.load(tmp_path / "m")
