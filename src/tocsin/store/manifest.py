"""The manifest of a model folder: what the model is, and what vouches for each of its files.

``hash`` tells that nothing was changed by accident: whoever makes a folder makes its hashes.
``signature`` tells who made it: an HMAC-SHA256 by a key of the user's, in folders saved with one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tocsin.errors import CorruptModel, NewerFormat, NotAModel, ParameterError, WrongSignature
from tocsin.store.regular_files import read_regular

FORMAT_VERSION = 1
MANIFEST = "manifest.json"

_LARGEST = 64 * 2**20
_LEAST_KEY = 16
_HALF = re.compile("[\ud800-\udfff]")
_SHA256 = re.compile("[0-9a-f]{64}")


def write_manifest(
    about: Mapping[str, Any], files: Mapping[str, bytes], key: bytes | None = None
) -> bytes:
    """Return the manifest of files by name, signed if there is a key.

    Raises ParameterError for a key of fewer than 16 bytes.
    """
    manifest = {
        "format_version": FORMAT_VERSION,
        **about,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        "sizes": {name: len(content) for name, content in files.items()},
    }
    if key is not None:
        manifest["signature"] = _signature(manifest, key)
    return dump({**manifest, "hash": hash_of(manifest)}).encode()


def read_manifest(folder: str | Path, key: bytes | None = None) -> dict[str, Any]:
    """Return the manifest of a model folder, checked against its own hash, and by the key if given.

    Raises NotAModel, CorruptModel or NewerFormat; with a key, WrongSignature for a folder that is
    not signed by it, and ParameterError for a key of fewer than 16 bytes.
    """
    path = Path(folder) / MANIFEST
    if not path.exists():
        raise NotAModel(f"{folder} is not a model: it holds no {MANIFEST}.")
    try:
        text = read_regular(path, _LARGEST).decode()
        manifest = json.loads(text)
        version = manifest["format_version"]
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise NewerFormat(
                f"{folder} has format version {version}; this Tocsin reads up to "
                f"{FORMAT_VERSION}. Update it: pip install --upgrade tocsin"
            )
        hash_ = manifest.pop("hash")
        intact = text == dump({**manifest, "hash": hash_}) and hash_ == hash_of(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptModel(f"{path} cannot be decoded: {error!r}.") from error
    if not intact:
        raise CorruptModel(f"{path} differs from what was saved. Restore it, or train again.")
    if not _lists_files(manifest):
        raise CorruptModel(f"{path} does not list the model's files. Train and save it again.")
    signature = manifest.pop("signature", None)
    if key is not None and not hmac.compare_digest(str(signature), _signature(manifest, key)):
        raise WrongSignature(
            f"{folder} is {'not signed' if signature is None else 'signed by another key'}. Take "
            "the model from whom you trust, or sign it: save it again with the key."
        )
    return dict(manifest)


def hash_of(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest, as hexadecimal digits."""
    return hashlib.sha256(dump(manifest).encode()).hexdigest()


def dump(value: Any) -> str:
    """Return a value as JSON that can be written as UTF-8: half a surrogate pair is escaped."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def _signature(manifest: Mapping[str, Any], key: bytes) -> str:
    if len(key) < _LEAST_KEY:
        raise ParameterError(
            f"A key that signs models has at least {_LEAST_KEY} bytes; this has {len(key)}."
        )
    return hmac.new(key, dump(manifest).encode(), hashlib.sha256).hexdigest()


def _lists_files(manifest: Mapping[str, Any]) -> bool:
    """Return whether a manifest has the hash, and the size if any, of each of its files."""
    files = manifest.get("files")
    sizes = manifest.get("sizes", {})
    return (
        isinstance(files, dict)
        and isinstance(sizes, dict)
        and all(isinstance(each, str) and _SHA256.fullmatch(each) for each in files.values())
        and all(type(each) is int for each in sizes.values())
        and set(sizes) <= set(files)
    )
