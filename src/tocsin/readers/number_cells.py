"""One number as it is written: its sign, digits with their marks, power of ten and unit."""

from __future__ import annotations

import re
from typing import NamedTuple

from tocsin.readers.time_words import MONTHS
from tocsin.readers.units import CURRENCIES, SCALE_WORDS, UNITS, unit_of

LONGEST = 1_000
"""Characters of a number or a duration at most: the largest float64 has 309 digits."""

_ZEROS: tuple[int, ...] = (
    0x660,
    0x6F0,
    0x966,
    0x9E6,
    0xFF10,
)  # Arabic, Persian, Devanagari, Bengali, wide
_ZEROS += (0xA66, 0xAE6, 0xB66, 0xBE6, 0xC66, 0xCE6, 0xD66)  # Gurmukhi to Malayalam
_ZEROS += (0xE50, 0xED0, 0xF20, 0x1040, 0x17E0)  # Thai, Lao, Tibetan, Burmese, Khmer
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u202f\u2009\u2007\u2002\u2003\u3000", " "),
        **dict.fromkeys("\u2212\u2013\u2014\ufe63\uff0d\u2010\u2011", "-"),
        **dict.fromkeys("\u2019\u2018\u02bc\u00b4\u2032", "'"),
        **dict.fromkeys("\u200e\u200f\u200b\u2060\ufeff", None),
        **{chr(zero + digit): str(digit) for zero in _ZEROS for digit in range(10)},
        "\u066b": ".",
        "\uff0e": ".",
        "\u066c": ",",
        "\uff0c": ",",
        "\uffe5": "¥",
        "\u03bc": "µ",
        "\u2126": "Ω",
    }
)
_PLAIN = re.compile(r"(-)?(\d+(?:\.\d+)?)", re.ASCII)
_CELL = re.compile(
    r"([+-])?\s*+[<>≤≥~≈]?\s*+([^\d\s.,'+<>~-]{1,4}?\.?)?\s*+([+-])?\s*+"  # sign, currency, sign
    r"(\d[\d.,' ]*\d[.,]?|\d[.,]?|[.,]\d+)([eE][+-]?\d{1,3})?"  # digits, power of ten
    r"\s*+([+-])?\s*+([^\d\s+-][^+]{0,14}?)?\s*+([+-])?",  # sign, unit, sign
    re.ASCII,
)
_POWER = r"(?:[²³]|\^-?\d|(?<=[mt])[23])?"
_WORD = re.compile(
    rf"/?[^\W\d_]{{1,15}}{_POWER}(?:[/.·-](?:100 ?)?[^\W\d_]{{1,6}}{_POWER}){{0,2}}\.?"
)
_DASHES = re.compile(r"(?<=\d)(?:[.,]-{1,2}|[:/]-| ?[*†‡]{1,3})(?=$|\s)")  # 12,- and 12* are 12
_QUOTED = re.compile(r"""=?"([^"]*)"|'(.+)""")  # as spreadsheets keep texts
_TOLERANCE = re.compile(r" ?(?:±|\+/-) ?\d[\d.,]*")
_POWER_OF_TEN = re.compile(r"(?<=\d) ?[×x*] ?10(?:\^|\*\*|E)([+-]?\d{1,3})")
_FORTRAN = re.compile(r"(?<=\d)[Dd](?=[+-]\d{1,3}$)")
_RAISED = re.compile(r"(?<=\d)·(?=\d)")  # 4·62, a decimal point at half height
_FLAGGED = re.compile(
    r"^(?:\*|(?:ca|circa|approx|about|etwa|env)\b\.? ?)(?=[\d+-])"
    r"|(?<=\d) ?\((?!cr|dr)[a-z]{1,3}\)$",
    re.IGNORECASE,
)  # *12.5, ca. 12.5, 12.5 (H)
_REGISTER = re.compile(r"(?<=\d)\*(?=[A-Za-z°])")  # 12.5*kWh, as meters write it
_SOUTH = re.compile(r"(?<=\d)° ?([NESW])$")  # 12.5° S is negative
_SIDE = re.compile(r"(?<=\d) *(?:([Cc][Rr])|[Dd][Rr])\.?$")  # credit and debit of a ledger
_SCALES = SCALE_WORDS | {"k": 3, "K": 3, "mil": 3, "M": 6, "m": 6, "mm": 6, "MM": 6, "mi": 6}
_SCALES |= {"B": 9, "bn": 9, "bi": 9}
_SCALED = re.compile(
    rf"({'|'.join(map(re.escape, sorted(_SCALES, key=len, reverse=True)))}) ?([^\d\s]{{0,4}})"
)
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


class Cell(NamedTuple):
    """A number as it is written: its sign, digits with their marks, power of ten, and unit."""

    negative: bool
    digits: str
    power: str
    unit: str


def tidy(text: str) -> str:
    """Return a text with one form of blanks, dashes, apostrophes and digits, none at its ends."""
    return (text if text.isascii() else text.translate(_SAME)).strip()


def split_number(text: str) -> Cell | None:
    """Return the parts of a number, None for a text that is not one; durations are not.

    >>> split_number("($1.2M)")
    Cell(negative=True, digits='1.2', power='e6', unit='$')
    """
    if len(text) > LONGEST:
        return None
    if plain := _PLAIN.fullmatch(text):
        return Cell(bool(plain[1]), plain[2], "", "")
    text = _in_usual_form(tidy(text))
    inside = _PARENTHESES.fullmatch(text) if ")" in text else None
    if inside:
        text = "".join(inside.groups()).strip()
    if nothing := _NOTHING.fullmatch(text):
        unit = nothing[1] or nothing[2]
        return Cell(False, "0", "", unit) if unit in CURRENCIES else None
    found = _CELL.fullmatch(text)
    if not found:
        return None
    signs = "".join(sign for sign in found.group(1, 3, 6, 8) if sign)
    if len(signs) + bool(inside) > 1:
        return None
    return _cell(found, negative=bool(inside) or signs == "-")


def _in_usual_form(text: str) -> str:
    """Return a number without quotes, tolerance and the marks of a ledger; powers of ten by e."""
    if quoted := _QUOTED.fullmatch(text):
        text = (quoted[1] or quoted[2] or "").strip()
    text = _DASHES.sub("", _POWER_OF_TEN.sub(r"e\1", _TOLERANCE.sub("", text, count=1)))
    text = _REGISTER.sub(" ", _FLAGGED.sub("", _FORTRAN.sub("e", _RAISED.sub(".", text))))
    if half := _SOUTH.search(text):
        return f"{text[: half.start()]}{'-' if half[1] in 'SW' else ''}°"
    if side := _SIDE.search(text):
        text = f"{text[: side.start()]}{'-' if side[1] else ''}"
    return text


def _cell(found: re.Match[str], *, negative: bool) -> Cell | None:
    """Return the parts of a number with its currency, power of ten and unit, None for others."""
    before, digits, power, after = (part or "" for part in found.group(2, 4, 5, 7))
    if before and before not in CURRENCIES:
        return None
    scaled = _SCALED.fullmatch(after) if after else None  # $1.2M, 3 Mio. €, 250 k€
    if scaled and (before or " " in after or scaled[2] in CURRENCIES):
        power, after = f"e{int(power[1:] or 0) + _SCALES[scaled[1]]}", scaled[2]
    if power and _OPEN.fullmatch(digits):
        digits += "0"  # 4,903E+01: no thousands stand before a power of ten
    apart = found.string[found.end(4) : found.end(4) + 1] == " "
    unit = _unit_name(before, after, apart=apart)
    return None if unit is None else Cell(negative, digits, power, unit)


def _unit_name(before: str, after: str, *, apart: bool) -> str | None:
    """Return the unit before or behind digits, "" for none, None if it cannot be a unit.

    An unknown one is a word behind digits, set apart or a ratio, and not a month as in "1 Mar".
    """
    if before and after:
        return before if unit_of(before) == unit_of(after) else None
    if not after or after in UNITS:
        return before or after
    word = (apart or "/" in after) and _WORD.fullmatch(after)
    name = after.lower().strip(".")
    return after if word and name not in MONTHS and name not in ("am", "pm") else None


def is_credit(text: str) -> bool:
    """Return whether a text is an amount marked as credit, as in 12.50 CR; debit is positive."""
    found = _SIDE.search(tidy(text))
    return found is not None and found[1] is not None


def normalise_digits(digits: str, decimal: str) -> str | None:
    """Return digits without marks but a decimal point, None if their groups are not of three."""
    if digits.isdigit():
        return digits
    other = "," if decimal == "." else "."
    mark = next((m for m in (decimal, other) if _DIGITS[m].fullmatch(digits)), None)
    if mark is None:
        return None
    whole, _, part = digits.rpartition(mark) if mark in digits else (digits, "", "")
    return f"{_MARKS.sub('', whole) or '0'}.{part}"


def mark_shown(digits: str) -> str:
    """Return the decimal mark that digits show by themselves, "" if they leave it open."""
    if digits.isdigit():
        return ""
    whole, mark, part = digits.partition(".")
    if mark and whole.isdigit() and part.isdigit() and len(part) != 3:
        return mark  # the usual case, which needs no pattern
    fits = [mark for mark, form in _DIGITS.items() if form.fullmatch(digits)]
    return fits[0] if len(fits) == 1 and ("." in digits or "," in digits) else ""


def unclear_digits(cells: list[Cell]) -> list[tuple[str, str]]:
    """Return digits such as 1.031 and their mark, which could be of thousands or of fractions."""
    return [(cell.digits, found[1]) for cell in cells if (found := _OPEN.fullmatch(cell.digits))]
