"""Texts in files: a table with a column of them, or a .txt file with one in each line."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from tocsin.readers.lines import read_lines
from tocsin.readers.table import read_table

__all__ = ["read_texts"]

_MOST_CHARACTERS = 1 << 20


def read_texts(path: str | Path) -> pd.DataFrame:
    r"""Return the table of a file; of a .txt file the lines, as a column "text".

    Lines may be gzipped, and are read as those of logs are, up to 1,048,576 characters. A blank
    line is an empty text, so that the row is the number of the line, less one. Raises
    UnreadableFile for a file that cannot be read or holds nothing.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "notes.txt")
    >>> _ = path.write_text("see you\n\nat noon\n")
    >>> read_texts(path)["text"].tolist()
    ['see you', '', 'at noon']
    """
    path = Path(path)
    if path.is_file() and path.stat().st_size and is_lines(path):
        lines = read_lines(path, most_characters=_MOST_CHARACTERS)
        return pd.DataFrame({"text": [line.text for line in lines]})
    return read_table(path)


def is_lines(path: Path) -> bool:
    """Return whether a file holds one text per line, by its name."""
    return path.name.lower().removesuffix(".gz").endswith(".txt")
