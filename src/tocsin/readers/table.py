"""Tables in files: CSV, TSV, Parquet, JSON lines, JSON and NumPy, whole or in chunks.

The rules. The format follows the name of the file; CSV and JSON lines may be compressed (``.gz``).
A .log file whose comments name #fields, or whose first line names fields above numbers, is
a table too. In delimited text, the separator is comma,
semicolon, tab or |, as the first rows show; numbers that a computer writes come as numbers, all
else as text; a decimal comma that the file shows is taken as one unless the separator is a comma.
The first row holds the names, unless all of it is numbers: then the columns are x0, x1, … What
stands above the rows: see ``tocsin.readers.preamble``. Repeated names get .1, .2, … Encoding: a
byte order mark decides; else zero bytes mean UTF-16; else UTF-8 if the whole file is valid UTF-8;
else Windows-1252 if it is valid; else Latin-1. A row with fewer fields than names is refused among
the first rows and filled with missing values after them; a row with more is refused everywhere.
JSON and its containers: see ``tocsin.readers.json_tables``; objects, maps and lists:
``tocsin.readers.nested``. Arrays of any rank are rows flattened to columns x0, x1, …; an ``.npz``
holds them as X, and labels as y.

What a model knows of its columns (``known``) makes new files read as those it learned from: codes
such as 001 and 1E5 stay text where they were text.
"""

from __future__ import annotations

import csv
import itertools
import json
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.errors import InputError
from tocsin.readers.arrays import ARRAYS, load_array
from tocsin.readers.delimited import Known, numbered_names, read_delimited
from tocsin.readers.encoding import open_text, unreadable
from tocsin.readers.foreign import advise
from tocsin.readers.json_tables import read_json, read_json_lines
from tocsin.readers.labels import parse_labels, split_label
from tocsin.readers.limits import check_names, rows_per_chunk
from tocsin.readers.nested import TooSparse, unique_names
from tocsin.readers.parquet import read_parquet
from tocsin.readers.separators import is_spaced_table
from tocsin.types import IntArray

__all__ = ["Known", "iter_table", "read_labels", "read_table", "split_label"]

_HEAD, _LINES = 20, 200  # lines that may stand above #fields; lines that show a table
_BROKEN = (
    pa.ArrowException,
    pd.errors.EmptyDataError,
    pd.errors.ParserError,
    pd.errors.ParserWarning,
    csv.Error,
    json.JSONDecodeError,
    zipfile.BadZipFile,
    zlib.error,
    UnicodeError,
    EOFError,
    RecursionError,
    OSError,
    OverflowError,
)


def read_table(
    path: str | Path, *, max_bytes: int | None = None, known: Known | None = None
) -> pd.DataFrame:
    r"""Return the whole table of a file; ``known``: what the model that takes it knows about it.

    Raises UnreadableFile, with what is wrong and what to do, for a file that cannot be read as
    what its name says, that holds no rows, or that is larger than ``max_bytes``.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "power.csv")
    >>> _ = path.write_text("watts;mode\n3,5;idle\n9,1;busy\n")
    >>> read_table(path)["watts"].tolist()
    [3.5, 9.1]
    """
    path = Path(path)
    if max_bytes is not None and path.is_file() and path.stat().st_size > max_bytes:
        raise unreadable(
            path,
            f"it has {path.stat().st_size:,} bytes, more than {max_bytes:,}",
            "Read it in chunks.",
        )
    frames = list(_frames(path, None, known))
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def iter_table(
    path: str | Path, chunk_rows: int = 50_000, *, known: Known | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the table of a file in chunks of ``chunk_rows`` rows, with bounded memory.

    Only .json and .npz are read whole. Column types are those of each chunk, but for the columns
    ``known`` to be text by the model that takes them. Raises UnreadableFile as ``read_table``
    does, on the first chunk where it can.
    """
    if chunk_rows < 1:
        raise InputError(f"A chunk has at least 1 row; got chunk_rows={chunk_rows}.")
    return _frames(Path(path), chunk_rows, known)


def read_labels(path: str | Path) -> IntArray:
    """Return the labels (n,) of a file, 1 = anomaly: .npy, y of an .npz, or a table of one column.

    Which values mean what: see ``split_label``. Raises UnreadableFile and InputError.
    """
    path = Path(path)
    if _format(path) in ARRAYS:
        with _reporting(path):
            array = load_array(path, name="y")
        if array.ndim != 1 and array.size != len(array):
            raise unreadable(
                path, f"its array has the shape {array.shape}", "Labels are one value per row."
            )
        return parse_labels(pd.Series(array.ravel()), str(path))
    frame = read_table(path)
    if frame.shape[1] != 1:
        raise unreadable(
            path, f"it has {frame.shape[1]} columns", "A file of labels has one, with 0 and 1."
        )
    return parse_labels(frame.iloc[:, 0], str(path))


def _frames(path: Path, chunk_rows: int | None, known: Known | None) -> Iterator[pd.DataFrame]:
    frames = _READERS[_format(path)](path, chunk_rows, known)
    rows = 0
    while True:
        with _reporting(path):
            frame = next(frames, None)
        if frame is None:
            break
        if path.suffix.lower() not in ARRAYS:
            check_names(path, map(str, frame.columns))
        if len(frame):
            rows += len(frame)
            yield frame.set_axis(unique_names(map(str, frame.columns)), axis=1)
    if not rows:
        raise unreadable(path, "it has no rows", "Give a file with at least one row of data.")


def _format(path: Path) -> str:
    if not path.exists():
        raise unreadable(path, "there is no such file", "Check the path.")
    if path.is_dir():
        raise unreadable(path, "it is a folder, not a file", "Give one file inside it.")
    if not path.is_file():
        raise unreadable(
            path,
            "it is a pipe or a device, and tables are read more than once, by the ending of a name",
            "Save it as a file such as table.csv; the lines of a log are read with --as logs.",
        )
    if path.stat().st_size == 0:
        raise unreadable(path, "it is empty (0 bytes)", "Give a file with rows of data.")
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = next((suffix for suffix in reversed(suffixes) if suffix != ".gz"), "")
    packed = bool(suffixes) and suffixes[-1] == ".gz"
    if suffix == ".log" and is_table_log(path):
        return ".tsv"
    if suffix not in _READERS or (packed and suffix not in _TEXTUAL):
        ending = "".join(suffixes[-2:] if packed else suffixes[-1:])
        raise unreadable(
            path,
            f'"{ending}" is not a format that can be read',
            advise(suffix) or f"Known: {', '.join(_READERS)}; text also with .gz.",
        )
    return suffix


def is_table_log(path: Path) -> bool:
    """Return whether a .log file is a table, whose fields a comment or the first line names.

    Tabs separate those of a comment, blanks those of the first line, which stands above numbers.
    """
    try:
        with open_text(path, "latin-1") as file:
            lines = list(itertools.islice(file, _LINES))
    except (OSError, EOFError, zlib.error):
        return False
    head = (line.startswith("#fields\t") for line in lines[:_HEAD])
    return any(head) or is_spaced_table("".join(lines))


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    """Turn parsers' errors about the content of a file into UnreadableFile."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except TooSparse as error:
        raise unreadable(path, str(error), "Write the names as values, in a column.") from error
    except _BROKEN as error:
        reason = " ".join(str(error).split()).removeprefix("Error tokenizing data. C error: ")
        texts = " A file with one text per line takes --as text." if ".txt" in path.suffixes else ""
        raise unreadable(
            path,
            f"its content is damaged or not what the name says ({reason or type(error).__name__})",
            f"Check that it is complete, and that its ending names its format.{texts}",
        ) from error


def _npy(path: Path, chunk_rows: int | None, _known: Known | None) -> Iterator[pd.DataFrame]:
    with _reporting(path):
        array = load_array(path, mapped=True)
    return _rows(path, array, chunk_rows)


def _npz(path: Path, chunk_rows: int | None, _known: Known | None) -> Iterator[pd.DataFrame]:
    with _reporting(path):
        array = load_array(path)
    return _rows(path, array, chunk_rows)


def _rows(path: Path, array: NDArray[Any], chunk_rows: int | None) -> Iterator[pd.DataFrame]:
    if array.ndim == 0:
        raise unreadable(path, "it holds a single value", "Rows are the first axis of an array.")
    if array.dtype.kind not in "biufUmM":
        raise unreadable(
            path, f"its values are of type {array.dtype}", "Save it as an array of numbers."
        )
    width = int(np.prod(array.shape[1:]))
    row_bytes = max(1, width) * max(8, array.dtype.itemsize)
    size = rows_per_chunk(chunk_rows, row_bytes) if chunk_rows else max(1, len(array))
    for start in range(0, len(array), size):
        part = np.array(array[start : start + size])
        if part.dtype.kind == "U" and not _is_unicode(part):
            wrong = "it holds texts with codes beyond Unicode"
            raise unreadable(path, wrong, "It is damaged; save it again.")
        yield pd.DataFrame(
            part.reshape(len(part), width), columns=numbered_names(width), copy=False
        )


def _is_unicode(texts: NDArray[Any]) -> bool:
    """Return whether the texts of an array, whose codes nobody checks, are within Unicode."""
    codes = np.frombuffer(texts.tobytes(), np.dtype("u4").newbyteorder(texts.dtype.byteorder))
    return bool((codes <= sys.maxunicode).all())


_Reader = Callable[[Path, int | None, Known | None], Iterator[pd.DataFrame]]
_TEXTUAL: dict[str, _Reader] = {
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".txt": read_delimited,
    ".dat": read_delimited,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".geojson": read_json,
}
_READERS = _TEXTUAL | {".parquet": read_parquet, ".npy": _npy, ".npz": _npz}

ENDINGS = tuple(ending for ending in _READERS if ending != ".txt")
"""Endings that say that a file holds a table; a .txt file may as well hold texts or logs."""
