"""Embeddings kept on disk by the content of the text, in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]

MAX_BYTES = 2**29
"""Size of the file that embeddings are kept in: some 250,000 texts of 384 numbers each."""

_AT_ONCE = 500  # keys of one query


def cache_folder() -> Path:
    """Return the folder for what can be made again: ``TOCSIN_CACHE``, or the system's own place.

    ``TOCSIN_CACHE=off`` leaves the place as it is, and keeps no embeddings there.
    """
    chosen = os.environ.get("TOCSIN_CACHE", "")
    if chosen and not is_off():
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "tocsin/cache"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/tocsin"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tocsin"


def is_off() -> bool:
    """Return whether embeddings are not to be kept on disk."""
    return os.environ.get("TOCSIN_CACHE", "").lower() == "off"


def key_of(fingerprint: str, text: str) -> bytes:
    """Return the key (32 bytes) of a text under an encoder; it does not reveal the text."""
    return hashlib.sha256(f"{fingerprint}:{text}".encode(errors="surrogatepass")).digest()


class EmbeddingCache:
    """Vectors by key in one SQLite file; beyond ``max_bytes`` the oldest ones are dropped.

    The file is the user's alone to read. A damaged one is replaced, and one that cannot be
    read or written holds nothing: a cache never stops the work. Processes may
    share it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = EmbeddingCache(Path(folder) / "embeddings.sqlite")
    ...     cache.put({b"a": np.ones(2, dtype=np.float32)})
    ...     cache.get([b"a", b"b"])
    {b'a': array([1., 1.], dtype=float32)}
    """

    def __init__(self, path: Path, max_bytes: int = MAX_BYTES) -> None:
        self.path = path
        self.max_bytes = max_bytes

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Vector]:
        """Return the vectors of those of the keys that are known."""
        found: dict[bytes, Vector] = {}
        if not self.path.exists():
            return found
        try:
            with closing(self._open()) as file:
                for begin in range(0, len(keys), _AT_ONCE):
                    some = keys[begin : begin + _AT_ONCE]
                    marks = ",".join("?" * len(some))
                    query = f"SELECT key, vector FROM vectors WHERE key IN ({marks})"  # noqa: S608 - only question marks
                    for key, vector in file.execute(query, some):
                        found[key] = np.frombuffer(vector, dtype="<f4").copy()
        except (sqlite3.DatabaseError, OSError, ValueError) as error:
            self._discard(error)
            return {}
        return found

    def put(self, vectors: Mapping[bytes, Vector]) -> None:
        """Keep vectors, and drop the oldest where there are too many."""
        rows = [(key, vector.astype("<f4").tobytes()) for key, vector in vectors.items()]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.touch(mode=0o600)
            with closing(self._open()) as file, file:
                file.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
                self._shrink(file)
        except (sqlite3.DatabaseError, OSError) as error:
            self._discard(error)

    def _open(self) -> sqlite3.Connection:
        file = sqlite3.connect(self.path)
        file.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB)")
        return file

    def _shrink(self, file: sqlite3.Connection) -> None:
        page, pages, free = (
            file.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        )
        size = page * (pages - free)
        if size > self.max_bytes:
            (rows,) = file.execute("SELECT COUNT(*) FROM vectors").fetchone()
            # A fifth more than needed, so that not every call has to drop some.
            drop = int(np.ceil(rows * (1 - 0.8 * self.max_bytes / size)))
            file.execute(
                "DELETE FROM vectors WHERE rowid IN "
                "(SELECT rowid FROM vectors ORDER BY rowid LIMIT ?)",
                (drop,),
            )

    def _discard(self, error: Exception) -> None:
        """Remove a damaged file; one that is only locked, full or out of reach stays."""
        if not isinstance(error, sqlite3.OperationalError | OSError):
            self.path.unlink(missing_ok=True)
