"""Numbers as people write them: group marks, decimal marks, signs, currencies, units, durations.

The one reader of numbers, of files and of events. A cell is read by itself where it says all:
1.234,5 and 1,234.5, 1 234,5 and 1'234.5, 1,63,437, -$5, ($5), 5-, 5 %, 3.2 GiB, 0:04:47, 2h30m.
What it leaves open is learned from its column and file and kept as the column's style: whether
1.031 is about one or a thousand, which unit the values are brought to, and whether 4:30 is of
hours and minutes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.readers.times import MONTHS
from tocsin.readers.units import CURRENCIES, MINUTES, UNITS, Unit, unit_of
from tocsin.types import FloatArray

Texts = NDArray[np.object_]

_ZEROS = (0x660, 0x6F0, 0x966, 0x9E6, 0xFF10)  # Arabic, Persian, Devanagari, Bengali, wide
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u202f\u2009\u2007\u2002\u2003\u3000", " "),
        **dict.fromkeys("\u2212\u2013\ufe63\uff0d\u2010\u2011", "-"),
        **dict.fromkeys("\u2019\u2018\u02bc\u00b4", "'"),
        **dict.fromkeys("\u200e\u200f\u200b\u2060\ufeff", None),
        **{chr(zero + digit): str(digit) for zero in _ZEROS for digit in range(10)},
        "\u066b": ".",
        "\uff0e": ".",
        "\u066c": ",",
        "\uff0c": ",",
        "\u03bc": "µ",
        "\u2126": "Ω",
    }
)
_PLAIN = re.compile(r"(-)?(\d+(?:\.\d+)?)", re.ASCII)
_CELL = re.compile(
    r"([+-])?\s*[<>≤≥~≈]?\s*([^\d\s.,'+<>~-]{1,4}?\.?)?\s*([+-])?\s*"  # sign, currency, sign
    r"(\d[\d.,' ]*\d[.,]?|\d[.,]?|[.,]\d+)([eE][+-]?\d{1,3})?"  # digits, power of ten
    r"\s*([+-])?\s*([^\d\s+-][^+]{0,14}?)?\s*([+-])?",  # sign, unit, sign
    re.ASCII,
)
_POWER = r"(?:[²³]|\^-?\d|(?<=[mt])[23])?"
_WORD = re.compile(
    rf"[^\W\d_]{{1,15}}{_POWER}(?:[/.·-](?:100 ?)?[^\W\d_]{{1,6}}{_POWER}){{0,2}}\.?"
)
_MONTHS = frozenset(name[:3] for name in MONTHS)
_DASHES = re.compile(r"(?<=\d)(?:[.,]-{1,2}|[:/]-| ?[*†‡]{1,3})(?=$|\s)")  # 12,- and 12* are 12
_SCALES = {"k": 3, "K": 3, "M": 6, "m": 6, "Mio": 6, "Mio.": 6, "mln": 6, "million": 6}
_SCALES |= {"B": 9, "bn": 9, "Mrd": 9, "Mrd.": 9, "mrd": 9, "billion": 9}
_SCALED = re.compile(rf"({'|'.join(map(re.escape, _SCALES))}) ?([^\d\s]{{0,4}})")
_PARENTHESES = re.compile(r"([^()\d]{0,5})\(([^()]+)\)([^()\d]{0,5})")
_NOTHING = re.compile(r"([^\d\s-]{1,4}) *-|- *([^\d\s-]{1,4})")  # $ -, as spreadsheets write 0
_DIGITS = {
    ".": re.compile(
        r"(?:\d+|[1-9]\d{0,2}([,' ])\d{3}(?:\1\d{3})*|[1-9]\d?(?:,\d\d)*,\d{3})(?:\.\d*)?|\.\d+"
    ),
    ",": re.compile(r"(?:\d+|[1-9]\d{0,2}([.' ])\d{3}(?:\1\d{3})*)(?:,\d*)?|,\d+"),
}
_MARKS = re.compile(r"[.,' ]")
_OPEN = re.compile(r"[1-9]\d{0,2}([.,])\d{3}")
_CLOCK = re.compile(
    r"(?P<sign>-)?(?:(?P<d>\d+)(?:\s*d|\s*days?,?|\.)?\s*(?<=[\sd.,s]))?"
    r"(?P<a>\d+):(?P<b>[0-5]?\d)(?::(?P<c>[0-5]\d)(?:[.,](?P<f>\d+))?)?"
)
_PIECES = re.compile(r"(\d+(?:[.,]\d+)?)\s*(d|h|min|ms|m|µs|us|ns|s)(?![a-z])\s*")
_ISO_SPAN = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d+)?)S)?)?")
_TWO_PARTS = {"h:mm": (3_600.0, 60.0), "m:ss": (60.0, 1.0)}
_MANY = 500


class Cell(NamedTuple):
    """A number as it is written: its sign, digits with their marks, power of ten, and unit."""

    negative: bool
    digits: str
    power: str
    unit: str


class Style(NamedTuple):
    """How a column writes its numbers.

    ``decimal``: the mark of what is open by itself, such as 1.031. ``unit``: what the values are
    brought to, "" for none; "h:mm" and "m:ss" are seconds.
    """

    decimal: str = "."
    unit: str = ""


class Found(NamedTuple):
    """What was found in a column: its style, its values (n,), NaN where no number, and remarks."""

    style: Style
    values: FloatArray
    remarks: tuple[str, ...]


def read(texts: Texts, style: Style | None = None) -> FloatArray:
    """Return the numbers (n,) float64 of texts (n,), NaN where a text is no number of the style.

    >>> read(np.array(["(1.234,50)", "7", "1,200.5-", "soon"], dtype=object)).tolist()
    [-1234.5, 7.0, -1200.5, nan]
    >>> read(np.array(["1.031", "2 MB"], dtype=object), Style(",", "kB")).tolist()
    [1031.0, 2000.0]
    """
    return _values(texts, [_split(text) for text in texts], style or Style())


def find(texts: Texts, counts: NDArray[np.int64], decimal: str | None = None) -> Found | None:
    """Return how a column with these distinct texts (n,) writes its numbers, None if it does not.

    ``counts`` (n,): how many rows have each. ``decimal``: the mark that the file shows elsewhere.
    Some texts must be numbers; whether they are enough is for the caller to decide.
    """
    step = max(1, len(texts) // _MANY)
    sample = texts[::step]
    if sum(not _split(text) and not _span(_tidy(text)) for text in sample) > 0.7 * len(sample):
        return None
    remarks: list[str] = []
    cells = [_split(text) for text in texts]
    unit = _common_unit(texts, cells, counts, remarks)
    if unit is None:
        return None
    mark = _mark([cell for cell in cells if cell], decimal, remarks)
    style = Style(mark, unit)
    values = _values(texts, cells, style)
    return None if np.isnan(values).all() else Found(style, values, tuple(remarks))


def mark_of(cells: list[str]) -> str | None:
    """Return the decimal mark that cells of a file show, None if none or both do.

    >>> mark_of(["5,41", "1.031"]), mark_of(["1,204", "7"]), mark_of(["5,41", "5.41"])
    (',', None, None)
    """
    found = {_shown(cell.digits) for text in cells if (cell := _split(text))} - {""}
    return found.pop() if len(found) == 1 else None


def is_written(text: str) -> bool:
    """Return whether a text is a number, whatever its marks, sign and unit, or a duration."""
    return bool(_split(text) or _span(_tidy(text)))


def are_thousands(texts: list[str], mark: str, *, surely: bool) -> bool:
    """Return whether this mark is one of thousands in texts of a column, for all that they show.

    >>> are_thousands(["1.031", "711", "98.760"], ".", surely=True)
    True
    """
    cells = [cell for text in texts if mark in text and (cell := _split(text))]
    if not cells or any(_shown(cell.digits) for cell in cells):
        return False
    unclear, whole = _unclear(cells), [text for text in texts if text.isdigit()]
    return {found for _, found in unclear} == {mark} and _grouped(unclear, whole) > surely


def _split(text: str) -> Cell | None:
    """Return the parts of a number, None for what is none; durations are none here."""
    text, negative = _DASHES.sub("", _tidy(text)), False
    if plain := _PLAIN.fullmatch(text):
        return Cell(bool(plain[1]), plain[2], "", "")
    if ")" in text and (inside := _PARENTHESES.fullmatch(text)):
        text, negative = "".join(inside.groups()).strip(), True
    if nothing := _NOTHING.fullmatch(text):
        unit = nothing[1] or nothing[2]
        return Cell(False, "0", "", unit) if unit in CURRENCIES else None
    found = _CELL.fullmatch(text)
    if not found:
        return None
    sign, before, inner, digits, power, behind, after, last = found.groups("")
    signs = sign + inner + behind + last
    if len(signs) > 1 or (negative and signs) or (before and before not in CURRENCIES):
        return None
    if (before or " " in after) and (scaled := _SCALED.fullmatch(after)):  # $1.2M, 3 Mio. €
        power, after = f"e{int(power[1:] or 0) + _SCALES[scaled[1]]}", scaled[2]
    if power and _OPEN.fullmatch(digits):
        digits += "0"  # 4,903E+01: no thousands stand before a power of ten
    unit = _unit_name(before, after, apart=text[found.end(4)] == " " if after else False)
    return None if unit is None else Cell(negative or signs == "-", digits, power, unit)


def _unit_name(before: str, after: str, *, apart: bool) -> str | None:
    """Return the unit before or behind digits, "" for none, None where it cannot be one.

    An unknown one is a word behind digits, set apart or a ratio, and no month as in "1 Mar".
    """
    if before and after:
        return before if unit_of(before) == unit_of(after) else None
    if not after or after in UNITS:
        return before or after
    word = (apart or "/" in after) and _WORD.fullmatch(after) and after[:3].lower() not in _MONTHS
    return after if word and after.lower().strip(".") not in ("am", "pm") else None


def _tidy(text: str) -> str:
    return (text if text.isascii() else text.translate(_SAME)).strip()


def _values(texts: Texts, cells: list[Cell | None], style: Style) -> FloatArray:
    column = _unit_of_column(style)
    values = [
        _span_in(text, style, column) if cell is None else _value(cell, style, column)
        for text, cell in zip(texts, cells, strict=True)
    ]
    return np.array(values, dtype=np.float64)


def _value(cell: Cell, style: Style, column: Unit) -> float:
    digits = _plain(cell.digits, style.decimal)
    if digits is None:
        return np.nan
    unit = _unit(cell.unit, style.unit) if cell.unit or not column.dimension else column
    if unit.dimension != column.dimension:
        return np.nan
    value = float(f"{digits}e{int(cell.power[1:] or 0) + unit.exponent - column.exponent}")
    if unit.factor != column.factor:
        value = value * unit.factor / column.factor
    value = -value if cell.negative else value
    return value + (unit.offset - column.offset) / column.factor if unit != column else value


def _plain(digits: str, decimal: str) -> str | None:
    """Return digits without marks but a decimal point, None if they are grouped as none are."""
    if digits.isdigit():
        return digits
    other = "," if decimal == "." else "."
    mark = next((m for m in (decimal, other) if _DIGITS[m].fullmatch(digits)), None)
    if mark is None:
        return None
    whole, _, part = digits.rpartition(mark) if mark in digits else (digits, "", "")
    return f"{_MARKS.sub('', whole) or '0'}.{part}"


def _shown(digits: str) -> str:
    """Return the decimal mark that digits show by themselves, "" if they leave it open."""
    fits = [mark for mark, form in _DIGITS.items() if form.fullmatch(digits)]
    return fits[0] if len(fits) == 1 and ("." in digits or "," in digits) else ""


def _unclear(cells: list[Cell]) -> list[tuple[str, str]]:
    """Return digits such as 1.031 and their mark, which could be of thousands or of fractions."""
    return [(cell.digits, found[1]) for cell in cells if (found := _OPEN.fullmatch(cell.digits))]


def _mark(cells: list[Cell], decimal: str | None, remarks: list[str]) -> str:
    """Return the decimal mark of a column: what it shows, else its file, else what is likely."""
    shown = [_shown(cell.digits) for cell in cells]
    points, commas = shown.count("."), shown.count(",")
    unclear = _unclear(cells)
    if points or commas:
        mark = "." if points >= commas else ","
        if points and commas and unclear:
            remarks.append(f'both decimal marks occur; "{unclear[0][0]}" was read with "{mark}"')
        return mark
    if not unclear:
        return decimal or "."
    marks = {mark for _, mark in unclear}
    grouped = _grouped(unclear, [cell.digits for cell in cells if cell.digits.isdigit()])
    if len(marks) > 1:
        remarks.append(f'"{unclear[0][0]}" and the like could be thousands or fractions')
        return decimal or "."
    mark = marks.pop()
    other = "," if mark == "." else "."
    if decimal and (decimal == other or grouped < 2):
        return decimal
    if grouped or mark == ",":
        sort, less = ("thousands", "fractions") if grouped else ("fractions", "thousands")
        remarks.append(f'"{unclear[0][0]}" and the like were read as {sort}, not {less}')
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
    rows: dict[str, int] = {}
    for text, cell, count in zip(texts, cells, counts.tolist(), strict=True):
        name = cell.unit if cell else "s" if _span(_tidy(text)) else ""
        if name:
            rows[name] = rows.get(name, 0) + count
    if not rows:
        return ""
    if "m" in rows and any(_unit(name, "").dimension == "s" for name in rows):
        rows["min"] = rows.get("min", 0) + rows.pop("m")
    shares: dict[str, int] = {}
    for name, count in rows.items():
        dimension = unit_of(name).dimension
        shares[dimension] = shares.get(dimension, 0) + count
    best = max(shares, key=lambda name: shares[name])
    if shares[best] < 0.9 * sum(shares.values()):
        return None
    own = [name for name in rows if unit_of(name).dimension == best]
    bare = sum(cell is not None and not cell.unit and cell.digits != "0" for cell in cells)
    if bare and best and len({unit_of(name) for name in own}) > 1:
        remarks.append(f"{bare:,} values without a unit were taken in that of the others")
    unit = max(own, key=lambda name: rows[name])
    if len({unit_of(name) for name in own}) > 1:
        remarks.append(f"values in {', '.join(sorted(own))} were brought to {unit}")
    if best == "s" and (two := _two_parts(texts, remarks)):
        return two
    return unit


def _two_parts(texts: Texts, remarks: list[str]) -> str:
    """Return whether durations of two parts are "h:mm" or "m:ss", "" if there are none."""
    found = [clock for text in texts if (clock := _CLOCK.fullmatch(_tidy(text)))]
    two = [clock for clock in found if clock["c"] is None]
    if not two:
        return ""
    unit = "m:ss" if len(two) < len(found) or max(int(c["a"]) for c in two) > 23 else "h:mm"
    parts = "minutes and seconds" if unit == "m:ss" else "hours and minutes"
    remarks.append(f'"{two[0][0]}" and the like were read as {parts}')
    return unit


def _unit(name: str, column: str) -> Unit:
    if name == "m" and unit_of(column).dimension == "s":
        return MINUTES
    return unit_of(name)


def _unit_of_column(style: Style) -> Unit:
    return Unit("s") if style.unit in _TWO_PARTS else unit_of(style.unit)


def _span_in(text: str, style: Style, column: Unit) -> float:
    """Return a duration in the unit of a column, NaN for what is none."""
    if column.dimension != "s":
        return np.nan
    parts = _span(_tidy(text), _TWO_PARTS.get(style.unit, _TWO_PARTS["h:mm"]))
    return np.nan if parts is None else parts[0] / column.factor / 10.0**column.exponent


def _span(text: str, two: tuple[float, float] = (3_600.0, 60.0)) -> tuple[float] | None:
    """Return the seconds of a duration such as 1:02:03.5, 1 day, 2:03:04, 2h30m or PT1H."""
    if ":" in text:
        return _clock_span(text, two)
    if text[:1] == "P" and (found := _ISO_SPAN.fullmatch(text)):
        parts = [float(part.replace(",", ".")) for part in found.groups("0")]
        return (float(np.dot(parts, (86_400, 3_600, 60, 1))),)
    body = text.removeprefix("-")
    pieces = _PIECES.findall(body)
    if len(pieces) < 2 or _PIECES.sub("", body):
        return None
    total = sum(_seconds(number.replace(",", "."), name) for number, name in pieces)
    return (-total if body != text else total,)


def _clock_span(text: str, two: tuple[float, float]) -> tuple[float] | None:
    found = _CLOCK.fullmatch(text)
    if not found:
        return None
    first, second = (3_600.0, 60.0) if found["c"] else two
    whole = 86_400 * int(found["d"] or 0) + first * int(found["a"]) + second * int(found["b"])
    seconds = whole + float(f"{found['c'] or 0}.{found['f'] or 0}")
    return (-seconds if found["sign"] else seconds,)


def _seconds(number: str, name: str) -> float:
    unit = _unit(name, "s")
    return float(f"{number}e{unit.exponent}") * unit.factor
