"""Models of the Hugging Face hub: fetched where a detector learns, and from nowhere else.

A saved detector names the model that it learned with. Whoever made the folder chose that name, so
loading and scoring look on this machine alone.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tocsin.errors import MissingExtra, ModelFolderError

_WANTED = ["*.safetensors", "*.json", "*.txt", "*.model"]
"""Weights that run no code when they are read, settings and vocabularies."""


def pinned(name: str) -> str:
    """Return ``name@revision`` of a model on the hub, fetched if need be, or a folder's own name.

    ``name`` may have a revision of its own, ``organisation/model@branch``. Raises MissingExtra
    without the package huggingface-hub, and ModelFolderError for what cannot be fetched.
    """
    if Path(name).is_dir():
        return name
    model, _, revision = name.partition("@")
    try:
        return f"{model}@{_snapshot(model, revision, offline=False).name}"
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelFolderError(
            f'The model "{name}" cannot be read: {error} Give the folder of a model with its '
            "config.json and model.safetensors, or its name on the Hugging Face hub."
        ) from error


def folder_of(name: str) -> Path:
    """Return the folder of a model that is on this machine, by its folder or its name on the hub.

    Nothing is connected to. Raises MissingExtra without the package huggingface-hub, and
    ModelFolderError for a model that is not there.
    """
    if Path(name).is_dir():
        return Path(name)
    model, _, revision = name.partition("@")
    try:
        return _snapshot(model, revision, offline=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelFolderError(
            f'The model "{name}" cannot be read: it is not on this machine, and scoring fetches '
            f"nothing. If you trust it: hf download {model}"
            f"{f' --revision {revision}' if revision else ''}"
        ) from error


def _snapshot(model: str, revision: str, *, offline: bool) -> Path:
    if find_spec("huggingface_hub") is None:
        raise MissingExtra("huggingface-hub", extra="text")
    import huggingface_hub

    options: dict[str, Any] = {"revision": revision or None, "local_files_only": offline}
    return Path(huggingface_hub.snapshot_download(model, allow_patterns=_WANTED, **options))
