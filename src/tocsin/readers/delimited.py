"""Delimited text: which separator, which decimal mark, and where rows begin.

Numbers that a computer writes come as numbers, all else as the text that stands in the file, for
``tocsin.readers.numbers`` and ``times`` to read by the whole column. The decimal mark that the
file shows goes with the table as ``attrs["decimal"]``, the columns for which it is one of
thousands all the same as ``attrs["grouped"]``, and what was left out or guessed as
``attrs["notes"]``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from tocsin.readers.encoding import open_text, text_encoding, unreadable
from tocsin.readers.limits import (
    CHUNK_TEXT,
    Metered,
    TooLong,
    rows_per_chunk,
)
from tocsin.readers.numbers import are_thousands, marks_in
from tocsin.readers.preamble import (
    Uncommented,
    begins_with_data,
    count_titles,
    count_unit_rows,
    is_number,
    split_head,
)
from tocsin.readers.separators import (
    join_fields,
    names_of_short,
    refuse_backslashes,
    refuse_pairs,
    refuse_uneven,
    separate,
)
from tocsin.readers.widths import check_width

_SAMPLE = 1 << 16
_THREE = re.compile(r"[+-]?\d{1,3},\d{3}")
_CODE = re.compile(r"0\d+")
_LEAST = 3
_LEAST_CHUNK = 100  # rows
_CODE_PAGE = "the text is not UTF-8: read as Windows-1252; if letters look wrong, save it as UTF-8"
_LOOKED_AT = 150  # records that are looked at cell by cell


@dataclass(frozen=True, slots=True)
class Known:
    """What a model knows about the columns of its files.

    ``texts``: columns whose cells stay as they are written, even if they look like numbers.
    ``commas``: columns of numbers with a decimal comma, as those of a file that shows no mark.
    ``columns``: all that it learned from.
    """

    texts: frozenset[str] = frozenset()
    commas: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Dialect:
    separator: str
    decimal: str
    names: tuple[str, ...]  # empty where the first row holds them
    header: bool
    comments: bool
    skipped: tuple[int, ...]  # lines above the names, and between them and the rows
    shown: str  # the decimal mark that the file shows, "" for none
    texts: frozenset[str]  # columns of numbers that could be thousands such as 1.031
    codes: frozenset[str]  # columns of digits of which some begin with 0
    clear: frozenset[str]  # columns that show a decimal point
    width: int
    notes: tuple[str, ...]


def read_delimited(
    path: Path, chunk_rows: int | None, known: Known | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the table of a delimited text file, whole or in chunks."""
    encoding = text_encoding(path)
    known = known or Known()
    dialect = _dialect(path, encoding, known)
    texts = known.texts.union(dialect.texts, dialect.codes)
    if dialect.decimal == "." and dialect.shown != ".":
        texts |= known.commas
    if chunk_rows is None:
        with _rows(path, encoding, dialect, texts) as frames:
            frame = frames.read()
        for name in _doubtful(frame, dialect):
            with _rows(path, encoding, dialect, frozenset([name]), columns=[name]) as frames:
                cells = frames.read()[name]
            if are_thousands(cells.dropna().unique().tolist(), ".", surely=bool(dialect.shown)):
                frame[name] = cells
        yield _finished(frame, dialect)
        return
    for frame in _chunks(path, encoding, dialect, texts, chunk_rows):
        yield _finished(frame, dialect)


def _chunks(
    path: Path, encoding: str, dialect: _Dialect, texts: frozenset[str], size: int
) -> Iterator[pd.DataFrame]:
    """Yield the rows in chunks of ``size``, or fewer where they are long."""
    least = min(size, _LEAST_CHUNK)
    size = max(least, rows_per_chunk(size, 8 * dialect.width))
    done = 0
    while True:
        text = Metered(_text(path, encoding, dialect), CHUNK_TEXT)
        try:
            with _rows(path, encoding, dialect, texts, size, source=text) as frames:
                seen = 0
                for frame in frames:
                    text.mark()
                    new = frame.iloc[max(0, done - seen) :].reset_index(drop=True)
                    seen += len(frame)
                    done += len(new)
                    yield new
            return
        except TooLong:
            if size == least:
                raise unreadable(
                    path,
                    f"{size:,} of its rows have more than {CHUNK_TEXT:,} characters",
                    "Shorten the cells, or read it whole.",
                ) from None
            size = max(least, size // 20)  # and what was read already is read again


def _text(path: Path, encoding: str, dialect: _Dialect) -> Any:
    file = open_text(path, encoding)
    return Uncommented(file) if dialect.comments else file


def _rows(
    path: Path,
    encoding: str,
    dialect: _Dialect,
    texts: frozenset[str],
    size: int | None = None,
    columns: list[str] | None = None,
    source: Any = None,
) -> Any:
    """Return pandas' reader of the rows, of a ``source`` if given."""
    packed = path.suffix.lower() == ".gz"
    if source is None:
        source = _text(path, encoding, dialect) if packed or dialect.comments else path
    return pd.read_csv(
        source,
        sep=dialect.separator,
        decimal=dialect.decimal,
        header=0 if dialect.header else None,
        names=list(dialect.names) or None,
        skiprows=list(dialect.skipped) or None,
        encoding=encoding,
        index_col=False if columns is None else None,
        usecols=columns,
        compression=None,
        dtype=cast("Any", dict.fromkeys(_keys(texts, dialect), str)) or None,
        low_memory=size is not None,
        **({"iterator": True} if size is None else {"chunksize": size}),
    )


def _keys(texts: frozenset[str], dialect: _Dialect) -> list[str | int]:
    """Return columns as pandas knows them: by number where they have no names."""
    if dialect.header or dialect.names:
        return list(texts)
    return [int(name[1:]) for name in texts if re.fullmatch(r"x\d+", name)]


def _doubtful(frame: pd.DataFrame, dialect: _Dialect) -> list[str]:
    """Return the columns whose fractions could be thousands, though the first rows had none."""
    if dialect.decimal == "," or not dialect.header:
        return []
    found = []
    for name in frame.columns[(frame.dtypes == np.float64).to_numpy()]:
        if name in dialect.clear:
            continue
        values = frame[name].to_numpy()
        values = values[np.isfinite(values)]
        with np.errstate(over="ignore"):
            grouped = np.abs(values * 1000 - np.rint(values * 1000)) < 1e-6
        whole = values == np.rint(values)
        if grouped.all() and not whole.all() and whole.any() and np.abs(values).max() < 1000:
            found.append(name)
    return found


def _finished(frame: pd.DataFrame, dialect: _Dialect) -> pd.DataFrame:
    if not dialect.header and not dialect.names:
        frame = frame.set_axis(numbered_names(frame.shape[1]), axis=1)
    frame, notes = _without_names(frame, dialect)
    if dialect.shown:
        frame.attrs["decimal"] = dialect.shown
        frame.attrs["grouped"] = tuple(dialect.texts)
    if notes:
        frame.attrs["notes"] = notes
    return frame


def _without_names(frame: pd.DataFrame, dialect: _Dialect) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a table without rows that repeat the names, as of joined files, and its notes."""
    if not dialect.header or frame.columns.empty or is_numeric_dtype(frame.dtypes.iloc[0]):
        return frame, dialect.notes
    name = str(frame.columns[0])
    rows = np.flatnonzero((frame.iloc[:, 0] == name).to_numpy(dtype=bool, na_value=False)).tolist()
    repeated: list[int] = [i for i in rows if frame.iloc[i].tolist() == frame.columns.tolist()]
    if not repeated:
        return frame, dialect.notes
    note = f"{len(repeated):,} row{'s' * (len(repeated) > 1)} that repeat the names left out"
    return frame.drop(index=frame.index[repeated]).reset_index(drop=True), (*dialect.notes, note)


def _dialect(path: Path, encoding: str, known: Known) -> _Dialect:
    with open_text(path, encoding) as file:
        text = file.read(_SAMPLE)
        more = file.read(1)
        rest = "" if "\n" in text or "\r" in text else more + file.readline()
    whole = not more
    if not text.strip():
        raise unreadable(path, "it holds nothing but blanks", "Give a file with rows of data.")
    head, text = split_head(text)
    separator, rows, ends = separate(path, text, head, whole=whole)
    above = 0 if head.names else count_titles(rows)
    begin = 0 if not above else ends[above - 1]
    rows, ends = rows[above:], ends[above:]
    named = head.names or names_of_short(rows)
    if any(len(row) != len(named or rows[0]) for row in rows) or (named and not head.names):
        refuse_backslashes(path, text)
    if named and not head.names:
        begin, rows, ends = ends[0], rows[1:], ends[1:]
    refuse_uneven(path, rows, len(named))
    names = named or tuple(rows[0])
    check_width(path, encoding, separator, names, rest)
    columns = _columns(names, rows[1:_LOOKED_AT])
    refuse_pairs(path, rows)
    marks = _marks(columns, separator, known)
    header = not named and _holds_names(rows[0], marks.decimal)
    unnamed = header and begins_with_data(rows[:_LOOKED_AT])
    if unnamed:
        header = False
        columns = _columns(tuple(numbered_names(len(rows[0]))), rows[:_LOOKED_AT])
        marks = _marks(columns, separator, known)
    between = count_unit_rows(rows) if header else 0
    notes = [_CODE_PAGE] if encoding in ("cp1252", "latin-1") else []
    notes += [f"{above:,} line{'s' * (above > 1)} above the names left out"] if above else []
    notes += [
        f'the line "{join_fields(row, separator)}" under the names left out'
        for row in rows[1 : 1 + between]
    ]
    if unnamed:
        notes.append("the first row holds values, not names: the columns are x0, x1, …")
    skipped = [*range(begin), *range(ends[0], ends[between])]
    return _Dialect(
        separator,
        marks.decimal,
        named,
        header,
        head.comments,
        (*range(head.lines), *(line + head.lines for line in skipped)),
        marks.shown,
        marks.grouped,
        frozenset(name for name, cells in columns.items() if _are_codes(cells)),
        marks.clear,
        len(names),
        (*notes, *marks.notes),
    )


def _holds_names(row: list[str], decimal: str) -> bool:
    """Return whether a first record holds names: not numbers, or the columns' own numbers."""
    counted = len(row) > 1 and row == [str(number) for number in range(len(row))]
    return counted or not all(is_number(cell.replace(decimal, ".")) for cell in row)


class _Marks(NamedTuple):
    """The decimal mark of a file; ``shown``, the one it shows or "", and by which columns.

    ``clear``: the columns that show it; ``grouped``: those whose marks are of thousands.
    """

    decimal: str
    shown: str
    clear: frozenset[str]
    grouped: frozenset[str]
    notes: tuple[str, ...]


def _marks(columns: dict[str, list[str]], separator: str, known: Known) -> _Marks:
    """Return the decimal mark of a file: the one its cells show, else that of training."""
    marks = {name: marks_in(cells) for name, cells in columns.items()}
    found = set().union(*marks.values())
    shown = found.pop() if len(found) == 1 else ""
    fractions = "" if shown or separator != ";" or known.commas else _fractions(columns)
    mark = "," if fractions else shown
    comma = mark == "," if mark else bool(known.commas)
    decimal = "," if comma and separator != "," else "."
    clear = {name for name, own in marks.items() if own == {decimal}}
    others = {name: cells for name, cells in columns.items() if name not in clear}
    grouped = _grouped(others, decimal, surely=bool(mark))
    notes = _notes_on_marks(fractions, list(grouped.values()) if shown else [])
    return _Marks(decimal, mark, frozenset(clear), frozenset(grouped), notes)


def _notes_on_marks(fractions: str, thousands: list[str]) -> tuple[str, ...]:
    """Return how cells such as these were read that could have been read otherwise."""
    notes = [f'"{cell}" and the like were read as thousands' for cell in thousands]
    if fractions:
        notes.insert(0, f'"{fractions}" and the like were read as fractions, not thousands')
    return tuple(notes)


def _grouped(columns: dict[str, list[str]], mark: str, *, surely: bool) -> dict[str, str]:
    """Return a cell with this mark of each column in which it is one of thousands."""
    return {
        name: next(cell for cell in cells if mark in cell)
        for name, cells in columns.items()
        if are_thousands(cells, mark, surely=surely)
    }


def _columns(names: tuple[str, ...], rows: list[list[str]]) -> dict[str, list[str]]:
    return {
        name: [row[place].strip() for row in rows if place < len(row)]
        for place, name in enumerate(names)
    }


def _are_codes(cells: list[str]) -> bool:
    written = [cell for cell in cells if cell]
    return all(cell.isdecimal() for cell in written) and any(map(_CODE.fullmatch, written))


def _fractions(columns: dict[str, list[str]]) -> str:
    """Return a cell such as 4,914 of a column of such cells alone, beside no whole thousands.

    Where fields are separated by semicolons because commas are taken, those are decimal commas.
    """
    found = ""
    for cells in columns.values():
        commas = [cell for cell in cells if _THREE.fullmatch(cell)]
        if commas and any(cell.isdigit() for cell in cells):
            return ""
        if len(commas) >= _LEAST and len(commas) == len([cell for cell in cells if cell]):
            found = found or commas[0]
    return found


def numbered_names(width: int) -> list[str]:
    """Return names x0, x1, … for columns that have none."""
    return [f"x{i}" for i in range(width)]
