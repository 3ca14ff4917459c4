"""Model folders: a manifest, JSON state and safetensors arrays, each with its hash. No pickle.

::

    model/
      manifest.json        format version, what the model is, and the SHA-256 of each file
      state.json           fitted values; arrays stand as {"$array": name}
      arrays.safetensors   the arrays
      ...                  further files, each with its hash in the manifest
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from tocsin.errors import CorruptModel, InputError, NewerFormat, NotAModel, NotSavable

FORMAT_VERSION = 1

_HALF = re.compile("[\ud800-\udfff]")

_MANIFEST, _STATE, _ARRAYS = "manifest.json", "state.json", "arrays.safetensors"


def save_state(
    folder: str | Path,
    state: Mapping[str, Any],
    about: Mapping[str, Any],
    more: Mapping[str, bytes] | None = None,
) -> None:
    """Write a model folder, whole or not at all; an earlier model of that name is replaced.

    ``state``: nested mappings of arrays and JSON values. ``about``: JSON values for the
    manifest. ``more``: further files by name. Raises InputError when something that is no
    model is in the way, and NotSavable for a value that has no safe format.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / _MANIFEST).is_file() and not _is_empty(folder):
        raise InputError(f"{folder} exists and is not a model; choose another path.")
    arrays: dict[str, NDArray[Any]] = {}
    tree = _strip(state, "", arrays)
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        files = {**(more or {}), _STATE: _dump(tree).encode(), _ARRAYS: save_arrays(arrays)}
        for name, content in files.items():
            _write(new / name, content)
        manifest = {
            "format_version": FORMAT_VERSION,
            **about,
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        }
        _write(new / _MANIFEST, _dump({**manifest, "hash": _hash(manifest)}).encode())
        _swap(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def load_state(folder: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the state and the manifest of a model folder, after checking every hash.

    Raises NotAModel, CorruptModel or NewerFormat. Nothing in the folder is executed.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    contents = {name: read_file(folder, manifest, name) for name in (_STATE, _ARRAYS)}
    try:
        arrays = load_arrays(contents[_ARRAYS])
        state = _restore(json.loads(contents[_STATE]), arrays)
    except (SafetensorError, ValueError, KeyError) as error:
        raise CorruptModel(f"{folder} cannot be decoded: {error}.") from error
    return state, manifest


def read_file(folder: str | Path, manifest: Mapping[str, Any], name: str) -> bytes:
    """Return a file of a model folder; raises CorruptModel unless its hash is the manifest's."""
    path = Path(folder) / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorruptModel(
            f"{path} cannot be read: {error.strerror}. Train and save it again."
        ) from error
    if hashlib.sha256(content).hexdigest() != manifest["files"].get(name):
        raise CorruptModel(
            f"{path} differs from what was saved (its SHA-256 is not the manifest's). "
            "Restore the folder from a copy, or train and save it again."
        )
    return content


def is_model(folder: str | Path) -> bool:
    """Return whether a folder holds a saved model, whole or not."""
    return (Path(folder) / _MANIFEST).is_file()


def fingerprint(folder: str | Path) -> str:
    """Return 12 hexadecimal digits that differ wherever saved models differ.

    Raises NotAModel, CorruptModel or NewerFormat.
    """
    return _hash(read_manifest(folder))[:12]


def read_manifest(folder: str | Path) -> dict[str, Any]:
    """Return the manifest of a model folder, checked against its own hash.

    Raises NotAModel, CorruptModel or NewerFormat.
    """
    path = Path(folder) / _MANIFEST
    if not path.is_file():
        raise NotAModel(f"{folder} is not a model: it holds no {_MANIFEST}.")
    try:
        text = path.read_text(encoding="utf-8")
        manifest = json.loads(text)
        version = manifest["format_version"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise NewerFormat(
                f"{folder} has format version {version}; this Tocsin reads up to "
                f"{FORMAT_VERSION}. Update it: pip install --upgrade tocsin"
            )
        hash_ = manifest.pop("hash")
        intact = text == _dump({**manifest, "hash": hash_}) and hash_ == _hash(manifest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorruptModel(f"{path} cannot be decoded: {error!r}.") from error
    if not intact:
        raise CorruptModel(f"{path} differs from what was saved. Restore it, or train again.")
    return dict(manifest)


def _strip(value: Any, name: str, arrays: dict[str, NDArray[Any]]) -> Any:
    """Return the value as JSON, with its arrays moved out by name."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiub":
            raise NotSavable(f"The fitted array {name} has the type {value.dtype}, not numbers.")
        arrays[name] = np.asarray(value, order="C")
        return {"$array": name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {
            str(k): _strip(v, f"{name}/{k}" if name else str(k), arrays) for k, v in value.items()
        }
    if isinstance(value, list | tuple):
        return [_strip(item, f"{name}/{i}", arrays) for i, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise NotSavable(f"The fitted value {name}, a {type(value).__name__}, has no safe format.")


def _restore(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if isinstance(value, dict):
        if set(value) == {"$array"}:
            return arrays[value["$array"]]
        return {key: _restore(item, arrays) for key, item in value.items()}
    if isinstance(value, list):
        return [_restore(item, arrays) for item in value]
    return value


def _dump(value: Any) -> str:
    """Return a value as JSON that can be written as UTF-8: half a surrogate pair is escaped."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def _hash(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(_dump(manifest).encode()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _swap(new: Path, folder: Path) -> None:
    """Put the new folder, which only its owner may enter, in the place of the old one."""
    if not folder.exists():
        new.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
    folder.rename(old / folder.name)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
