"""Whether a delimited text names too many columns, or rows that leave most of them out."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from tocsin.errors import UnreadableFile
from tocsin.readers.encoding import open_text
from tocsin.readers.limits import check_names, check_size

_WIDE = 50  # columns, of which a row of two characters comes to 200 times its size
_BLOCK = 1 << 20


def check_width(
    path: Path, encoding: str, separator: str, names: Sequence[str], rest: str = ""
) -> None:
    """Raise UnreadableFile for more columns, or more empty cells, than a file may have.

    ``rest``: what more there is of the line of the names.
    """
    mark = separator if len(separator) == 1 else " "
    cut, *more = next(csv.reader([rest], delimiter=mark), None) or [""]
    check_names(path, [*names[:-1], names[-1] + cut, *more])
    if len(names) <= _WIDE:
        return
    packed, cell = path.stat().st_size, 8 * len(names)
    with open_text(path, "latin-1") as file:
        rows = 0
        while text := file.read(_BLOCK):
            rows += max(text.count("\n"), text.count("\r"))
    try:
        check_size(path, cell * rows, packed)
    except UnreadableFile:  # or else there are lines inside cells
        with open_text(path, encoding) as file:
            for number, _ in enumerate(csv.reader(file, delimiter=mark), 1):
                check_size(path, cell * number, packed)
