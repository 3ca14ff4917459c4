"""Numbers as people write them: group marks, decimal marks, signs, currencies, units, durations.

The one reader of numbers, in files and in events. A cell is read by itself where it is clear:
1.234,5 and 1,234.5, 1 234,5 and 1'234.5, 1,63,437, -$5, ($5), 5-, 5 %, 3.2 GiB, 0:04:47, 2h30m.
What it leaves open is learned from its column and file and kept as the column's style: whether
1.031 is about one or a thousand, which unit the values are brought to, and whether 4:30 is of
hours and minutes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.readers.durations import TWO_PARTS, form_of_two_parts, seconds_of, unit_in
from tocsin.readers.number_cells import (
    Cell,
    is_credit,
    mark_shown,
    normalise_digits,
    split_number,
    tidy,
    unclear_digits,
)
from tocsin.readers.units import Unit, unit_of
from tocsin.types import FloatArray

Texts = NDArray[np.object_]

_MANY = 500
_MOST_OTHERS = 0.7  # of the texts of a column of numbers may be something else
_MOST_ROWS = 0.9  # of those with a unit must be of one dimension


class Style(NamedTuple):
    """How a column writes its numbers.

    ``decimal``: the mark of what is open by itself, such as 1.031. ``unit``: what the values are
    brought to, "" for none; "h:mm" and "m:ss" are seconds.
    """

    decimal: str = "."
    unit: str = ""


class Found(NamedTuple):
    """What was found in a column: its style, its values (n,), NaN for other texts, and remarks."""

    style: Style
    values: FloatArray
    remarks: tuple[str, ...]


def read(texts: Texts, style: Style | None = None) -> FloatArray:
    """Return the numbers (n,) float64 of texts (n,), NaN where a text is not a number of the style.

    >>> read(np.array(["(1.234,50)", "7", "1,200.5-", "soon"], dtype=object)).tolist()
    [-1234.5, 7.0, -1200.5, nan]
    >>> read(np.array(["1.031", "2 MB"], dtype=object), Style(",", "kB")).tolist()
    [1031.0, 2000.0]
    """
    return _values(texts, [split_number(text) for text in texts], style or Style())


def find(texts: Texts, counts: NDArray[np.int64], decimal: str | None = None) -> Found | None:
    """Return how a column with these distinct texts (n,) writes its numbers, None if it does not.

    ``counts`` (n,): how many rows have each. ``decimal``: the mark that the file shows elsewhere.
    Some texts must be numbers; whether they are enough is for the caller to decide.
    """
    step = max(1, len(texts) // _MANY)
    sample = texts[::step]
    if sum(not is_written(text) for text in sample) > _MOST_OTHERS * len(sample):
        return None
    remarks: list[str] = []
    cells = [split_number(text) for text in texts]
    unit = _common_unit(texts, cells, counts, remarks)
    if unit is None:
        return None
    mark = _common_mark([cell for cell in cells if cell], decimal, remarks)
    style = Style(mark, unit)
    values = _values(texts, cells, style)
    if credit := next(filter(is_credit, texts), None):
        remarks.append(f'amounts marked as credit, such as "{credit}", are negative')
    return None if np.isnan(values).all() else Found(style, values, tuple(remarks))


def in_unit(values: FloatArray, given: str, unit: str) -> FloatArray:
    """Return numbers (n,) of one unit in another; as they are if these do not convert.

    >>> in_unit(np.array([7_200.0]), "s", "h"), in_unit(np.array([12_000.0]), "", "k")
    (array([2.]), array([12.]))
    """
    here, there = unit_of(given), _unit_of_column(Style(unit=unit))
    if here == there or here.dimension != there.dimension:
        return values
    larger = 10.0 ** (there.exponent - here.exponent)
    return values * here.factor / there.factor / larger


def mark_of(cells: list[str]) -> str | None:
    """Return the decimal mark that cells of a file show, None if none or both do.

    >>> mark_of(["5,41", "1.031"]), mark_of(["1,204", "7"]), mark_of(["5,41", "5.41"])
    (',', None, None)
    """
    found = marks_in(cells)
    return found.pop() if len(found) == 1 else None


def marks_in(cells: list[str]) -> set[str]:
    """Return the decimal marks that cells of a file show."""
    return {mark_shown(cell.digits) for text in set(cells) if (cell := split_number(text))} - {""}


def is_written(text: str) -> bool:
    """Return whether a text is a number, whatever its marks, sign and unit, or a duration."""
    return bool(split_number(text) or seconds_of(tidy(text)))


def are_thousands(texts: list[str], mark: str, *, surely: bool) -> bool:
    """Return whether this mark is one of thousands in texts of a column, as far as they show.

    >>> are_thousands(["1.031", "711", "98.760"], ".", surely=True)
    True
    """
    cells = [cell for text in texts if mark in text and (cell := split_number(text))]
    if not cells or any(mark_shown(cell.digits) for cell in cells):
        return False
    unclear, whole = unclear_digits(cells), [text for text in texts if text.isdigit()]
    return {found for _, found in unclear} == {mark} and _grouped(unclear, whole) > surely


def _values(texts: Texts, cells: list[Cell | None], style: Style) -> FloatArray:
    column = _unit_of_column(style)
    values = [
        _span_in(text, style, column) if cell is None else _value(cell, style, column)
        for text, cell in zip(texts, cells, strict=True)
    ]
    return np.array(values, dtype=np.float64)


def _value(cell: Cell, style: Style, column: Unit) -> float:
    digits = normalise_digits(cell.digits, style.decimal)
    if digits is None:
        return np.nan
    unit = unit_in(cell.unit, style.unit) if cell.unit or not column.dimension else column
    if unit.dimension != column.dimension:
        return np.nan
    value = float(f"{digits}e{int(cell.power[1:] or 0) + unit.exponent - column.exponent}")
    if unit.factor != column.factor:
        value = value * unit.factor / column.factor
    value = -value if cell.negative else value
    return value + (unit.offset - column.offset) / column.factor if unit != column else value


def _common_mark(cells: list[Cell], decimal: str | None, remarks: list[str]) -> str:
    """Return the decimal mark of a column: what it shows, else its file, else what is likely."""
    shown = [mark_shown(cell.digits) for cell in cells]
    points, commas = shown.count("."), shown.count(",")
    unclear = unclear_digits(cells)
    if points or commas:
        mark = "." if points >= commas else ","
        if points and commas and unclear:
            remarks.append(f'both decimal marks occur; "{unclear[0][0]}" was read with "{mark}"')
        return mark
    if not unclear:
        return decimal or "."
    if len({mark for _, mark in unclear}) > 1:
        remarks.append(f'"{unclear[0][0]}" and the like could be thousands or fractions')
        return decimal or "."
    whole = [cell.digits for cell in cells if cell.digits.isdigit()]
    return _likely_mark(unclear, whole, decimal, remarks)


def _likely_mark(
    unclear: list[tuple[str, str]], whole: list[str], decimal: str | None, remarks: list[str]
) -> str:
    """Return the decimal mark of a column whose only mark is one that leaves it open."""
    grouped = _grouped(unclear, whole)
    example, mark = unclear[0]
    other = "," if mark == "." else "."
    if decimal and (decimal == other or grouped < 2):
        return decimal
    if grouped or mark == ",":
        sort, less = ("thousands", "fractions") if grouped else ("fractions", "thousands")
        remarks.append(f'"{example}" and the like were read as {sort}, not {less}')
    return other if grouped else mark


def _grouped(unclear: list[tuple[str, str]], whole: list[str]) -> int:
    """Return whether marks before three digits are of thousands: 0 no, 1 likely, 2 surely.

    Whole numbers of four digits show that thousands have no mark. Fractions of exactly three
    digits, some of which end in 0, do not stand beside whole numbers: those are thousands.
    Commas alone are of thousands more often than of three decimals.
    """
    beside = [text for text in whole if text != "0"]
    if any(len(text) > 3 for text in whole):
        return 0
    if beside and any(digits.endswith("0") for digits, _ in unclear):
        return 2
    return int(50 * len(beside) > len(unclear) or unclear[0][1] == ",")


def _common_unit(
    texts: Texts, cells: list[Cell | None], counts: NDArray[np.int64], remarks: list[str]
) -> str | None:
    """Return the unit of a column, the most frequent of its dimension; None for several."""
    rows = _rows_by_unit(texts, cells, counts)
    if not rows:
        return ""
    own = _of_one_dimension(rows)
    if not own:
        return None
    unit = max(own, key=lambda name: rows[name])
    dimension = unit_of(unit).dimension
    bare = sum(cell is not None and not cell.unit and cell.digits != "0" for cell in cells)
    if bare and dimension:
        remarks.append(f"{bare:,} values without a unit were taken in that of the others")
    if len({unit_of(name) for name in own}) > 1:
        remarks.append(f"values in {', '.join(sorted(own))} were brought to {unit}")
    return (form_of_two_parts(texts, remarks) if dimension == "s" else "") or unit


def _rows_by_unit(
    texts: Texts, cells: list[Cell | None], counts: NDArray[np.int64]
) -> dict[str, int]:
    """Return how many rows have each unit; durations are in seconds, "m" beside these minutes."""
    rows: dict[str, int] = {}
    for text, cell, count in zip(texts, cells, counts.tolist(), strict=True):
        name = cell.unit if cell else "s" if seconds_of(tidy(text)) else ""
        if name:
            rows[name] = rows.get(name, 0) + count
    if "m" in rows and any(unit_of(name).dimension == "s" for name in rows):
        rows["min"] = rows.get("min", 0) + rows.pop("m")
    return rows


def _of_one_dimension(rows: dict[str, int]) -> list[str]:
    """Return the units of the dimension that nearly all rows have, an empty list for none."""
    shares: dict[str, int] = {}
    for name, count in rows.items():
        dimension = unit_of(name).dimension
        shares[dimension] = shares.get(dimension, 0) + count
    best = max(shares, key=lambda name: shares[name])
    if shares[best] < _MOST_ROWS * sum(shares.values()):
        return []
    return [name for name in rows if unit_of(name).dimension == best]


def _unit_of_column(style: Style) -> Unit:
    return Unit("s") if style.unit in TWO_PARTS else unit_of(style.unit)


def _span_in(text: str, style: Style, column: Unit) -> float:
    """Return a duration in the unit of a column, NaN for anything else."""
    if column.dimension != "s":
        return np.nan
    parts = seconds_of(tidy(text), TWO_PARTS.get(style.unit, TWO_PARTS["h:mm"]))
    return np.nan if parts is None else parts[0] / column.factor / 10.0**column.exponent
