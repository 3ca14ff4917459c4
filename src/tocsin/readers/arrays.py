"""NumPy's files, .npy and .npz: arrays of numbers, never Python objects."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from tocsin.errors import UnreadableFile
from tocsin.readers.encoding import unreadable
from tocsin.readers.limits import check_size

ARRAYS = (".npy", ".npz")
"""Endings of files that hold arrays."""

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def load_array(path: Path, *, name: str = "X", mapped: bool = False) -> NDArray[Any]:
    """Return the array of an .npy file, or the array ``name`` (or the only one) of an .npz.

    Raises UnreadableFile for anything else, also for arrays of Python objects.
    """
    try:
        content = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
        if not isinstance(content, np.lib.npyio.NpzFile):
            array: NDArray[Any] = content
            return array
        with content:
            if name not in content.files and (name != "X" or len(content.files) != 1):
                held = ", ".join(content.files) or "nothing"
                raise unreadable(
                    path, f'it has no array "{name}" (it holds {held})', f"Save it as {name}."
                )
            wanted = name if name in content.files else content.files[0]
            if content.zip is not None:
                _check_member(path, content.zip, wanted)
            return np.asarray(content[wanted])
    except (ValueError, SyntaxError, TokenError, OverflowError, TypeError) as error:
        if isinstance(error, UnreadableFile):
            raise
        foreign = "pickle" in str(error)  # NumPy would advise to load it all the same
        known = isinstance(error, ValueError) and not foreign
        reason = str(error) if known else "it is damaged, or holds Python objects"
        remedy = "Save it with numpy.save as an array of numbers; Python objects are never loaded."
        raise unreadable(path, f"it is not a plain NumPy array ({reason})", remedy) from error


def _check_member(path: Path, archive: zipfile.ZipFile, name: str) -> None:
    """Raise UnreadableFile for an array that unpacks to too much, or is not as long as it says."""
    member = name if name in archive.namelist() else f"{name}.npy"
    size = archive.getinfo(member).file_size
    check_size(path, size, path.stat().st_size)
    with archive.open(member) as file:
        header = _HEADERS.get(npy.read_magic(file))
        if header is None:
            return
        shape, _, dtype = header(file)
    if math.prod(shape) * dtype.itemsize > size:
        wrong = f'its array "{name}" has the shape {shape}, of which most is not there'
        raise unreadable(path, wrong, "Save it again.")
