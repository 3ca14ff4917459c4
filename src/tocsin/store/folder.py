"""Model folders: a manifest, JSON state and safetensors arrays, each with its hash. No pickle.

::

    model/
      manifest.json        format version, what the model is, the SHA-256 and size of each file
      state.json           fitted values; arrays stand as {"$array": name}
      arrays.safetensors   the arrays
      ...                  further files, each with its hash in the manifest
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from tocsin.errors import (
    CorruptModel,
    InputError,
    MissingExtra,
    ModelFolderError,
    NotSavable,
    TocsinError,
    UnusablePart,
)
from tocsin.files import replacing_folder, reporting
from tocsin.store.manifest import MANIFEST, dump, hash_of, read_manifest, write_manifest
from tocsin.store.regular_files import read_regular

_STATE, _ARRAYS = "state.json", "arrays.safetensors"
_LARGEST_STATE, _LARGEST = 512 * 2**20, 64 * 2**30
_MOST_LEVELS = 64
"""How deep fitted values may lie within each other."""


def save_state(
    folder: str | Path,
    state: Mapping[str, Any],
    about: Mapping[str, Any],
    more: Mapping[str, bytes] | None = None,
    key: bytes | None = None,
) -> None:
    """Write a model folder, whole or not at all; an earlier model of that name is replaced.

    ``state``: nested mappings of arrays and JSON values. ``about``: JSON values for the
    manifest. ``more``: further files by name. ``key``: signs the folder. Raises InputError when
    something that is not a model is in the way, NotSavable for a value that has no safe format,
    and ParameterError for a key of fewer than 16 bytes, and where the folder cannot be written.
    """
    folder = Path(folder)
    if folder.exists() and not is_model(folder) and not _is_empty(folder):
        raise InputError(f"{folder} exists and is not a model; choose another path.")
    arrays: dict[str, NDArray[Any]] = {}
    written = dump(_strip(state, "", arrays)).encode()
    if len(written) > _LARGEST_STATE:
        raise NotSavable(
            f"The fitted values take {len(written):,} bytes; at most {_LARGEST_STATE:,} are read "
            "again. Train on fewer items."
        )
    files = {**(more or {}), _STATE: written, _ARRAYS: save_arrays(arrays)}
    manifest = write_manifest(about, files, key)
    with reporting(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder) as new, reporting(folder):
        for name, content in {**files, MANIFEST: manifest}.items():
            (new / name).write_bytes(content)


def load_state(
    folder: str | Path, key: bytes | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the state and the manifest of a model folder, after checking every hash.

    ``key``: the one that the folder has to be signed by, if any. Raises NotAModel, CorruptModel,
    NewerFormat or WrongSignature. Nothing in the folder is executed.
    """
    folder = Path(folder)
    manifest = read_manifest(folder, key)
    contents = {name: read_file(folder, manifest, name) for name in (_STATE, _ARRAYS)}
    with decoding(folder):
        arrays = load_arrays(contents[_ARRAYS])
        state = _restore(json.loads(contents[_STATE]), arrays)
        if not isinstance(state, dict):
            raise CorruptModel(f"{folder} cannot be decoded: its state is not a mapping.")
        return state, manifest


@contextmanager
def decoding(folder: str | Path, *passing: type[TocsinError]) -> Iterator[None]:
    """Raise CorruptModel for whatever a model folder's content cannot be built from.

    ``passing``: errors that say something else of it.
    """
    known: tuple[type[TocsinError], ...] = (ModelFolderError, MissingExtra, UnusablePart, *passing)
    try:
        yield
    except known:
        raise
    except (Exception, MemoryError) as error:  # foreign content can fail in every way there is
        named = str(error) if isinstance(error, TocsinError) else f"{type(error).__name__}: {error}"
        reason = named.strip(": ").removesuffix(".")
        raise CorruptModel(
            f"{folder} cannot be decoded ({reason}). Restore it from a copy, or train and save it "
            "again."
        ) from error


def read_file(folder: str | Path, manifest: Mapping[str, Any], name: str) -> bytes:
    """Return a file of a model folder; raises CorruptModel unless its hash is the manifest's."""
    path = Path(folder) / name
    most = _LARGEST_STATE if name == _STATE else _LARGEST
    content = read_regular(path, most, manifest.get("sizes", {}).get(name))
    if hashlib.sha256(content).hexdigest() != manifest["files"].get(name):
        raise CorruptModel(
            f"{path} differs from what was saved (its SHA-256 is not the manifest's). "
            "Restore the folder from a copy, or train and save it again."
        )
    return content


def is_model(folder: str | Path) -> bool:
    """Return whether a folder holds a saved model, whole or not."""
    return (Path(folder) / MANIFEST).is_file()


def fingerprint(folder: str | Path) -> str:
    """Return 12 hexadecimal digits that differ wherever saved models differ.

    Raises NotAModel, CorruptModel or NewerFormat.
    """
    return hash_of(read_manifest(folder))[:12]


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


def _restore(value: Any, arrays: Mapping[str, NDArray[Any]], level: int = 0) -> Any:
    if level > _MOST_LEVELS:
        raise CorruptModel(f"Fitted values lie more than {_MOST_LEVELS} levels deep.")
    if isinstance(value, dict):
        if set(value) == {"$array"}:
            return arrays[value["$array"]]
        return {name: _restore(item, arrays, level + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_restore(item, arrays, level + 1) for item in value]
    return value


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
