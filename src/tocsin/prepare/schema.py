"""What a column of a table holds, and how its text reads as numbers, dates or categories."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.errors import SchemaMismatch
from tocsin.types import FloatArray

Kind = Literal["numeric", "category", "date", "boolean", "dropped"]

MISSING_WORDS = frozenset(
    {"", "-", "--", "?", ".", "na", "n/a", "#n/a", "nan", "nat", "null", "none"}
)
"""Texts that stand for a missing number or date, whatever their case."""

_NUMBERS = {  # how a text number is written: its pattern, thousands separator, decimal mark
    "thousands": (re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?"), ",", "."),
    "comma": (re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?"), ".", ","),
}
_UNIT = re.compile(r"^[$€£¥]\s*|\s*[$€£¥%]$")
_BOOLEANS = {"true": 1.0, "yes": 1.0, "1": 1.0, "1.0": 1.0}
_BOOLEANS |= {"false": 0.0, "no": 0.0, "0": 0.0, "0.0": 0.0}
_ISO_START = re.compile(r"\s*\d{4}-\d{2}-\d{2}")
_DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%d-%b-%Y", "%d %b %Y")
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
DATES = tuple(day + time for day, time in product(_DAYS, _TIMES))
"""Formats of dates with or without a clock, besides ISO 8601."""
_ODD_WORDS, _FEW_NUMBERS = 5, 20
"""A text column is numeric with this many distinct other words if it has more numbers than few."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a source column holds.

    ``style``: how its text reads: "plain", "thousands" (1,234.5), "comma" (1.234,5),
    "boolean", "ISO8601" or a strptime format. ``missing``: further texts of this column
    that stand for a missing value. ``note``: what was guessed, in plain words.
    """

    kind: Kind
    style: str = "plain"
    missing: tuple[str, ...] = field(default=())
    note: str = ""


def infer(values: pd.Series[Any]) -> Column:
    """Return what a column holds; kind "category" for any text that is nothing else.

    >>> infer(pd.Series(["1,204.5", "980", "?"])).style
    'thousands'
    >>> infer(pd.Series(["2024-02-01", "2024-02-02"])).kind
    'date'
    """
    dtype = values.dtype
    if pd.api.types.is_bool_dtype(dtype):
        return Column("boolean", "boolean")
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return Column("date", "ISO8601")
    if pd.api.types.is_numeric_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        return Column("numeric")
    found = pd.unique(_texts(values))
    texts = [text for text in found if text is not None and text.lower() not in MISSING_WORDS]
    if not texts:
        return Column("dropped", note="every value is missing")
    if len(texts) <= 6 and {text.lower() for text in texts} <= {"true", "false"}:
        return Column("boolean", "boolean")
    return _infer_numbers(texts) or _infer_dates(texts) or Column("category")


def numbers(values: pd.Series[Any], column: Column) -> FloatArray:
    """Return a numeric or boolean column as float64 (n,), NaN where missing.

    Raises SchemaMismatch naming the first text that is no number, and its row.
    """
    dtype = values.dtype
    if pd.api.types.is_timedelta64_dtype(dtype):
        return np.asarray(values.dt.total_seconds(), dtype=np.float64)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        raise SchemaMismatch(
            f'Column "{values.name}" held numbers in training and holds dates ({dtype}) now.'
        )
    if pd.api.types.is_numeric_dtype(dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    codes, texts = pd.factorize(_texts(values))
    parsed = _parse_numbers(texts, column.style)
    _refuse_unread(values, codes, texts, np.isnan(parsed), column, "numbers")
    return np.append(parsed, np.nan)[codes]


def dates(values: pd.Series[Any], column: Column) -> NDArray[np.datetime64]:
    """Return a date column as UTC seconds, datetime64[s] (n,), NaT where missing.

    Times with a zone are converted to UTC, times without one are taken as UTC. Raises
    SchemaMismatch naming the first text that is no date, and its row.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return values.to_numpy().astype("datetime64[s]")
    if pd.api.types.is_numeric_dtype(dtype) and not values.isna().all():
        raise SchemaMismatch(
            f'Column "{values.name}" held dates in training and holds numbers ({dtype}) now.'
        )
    codes, texts = pd.factorize(_texts(values))
    parsed = _parse_dates(texts, column.style)
    _refuse_unread(values, codes, texts, np.isnat(parsed), column, "dates")
    return np.append(parsed, np.datetime64("NaT", "s"))[codes]


def categories(values: pd.Series[Any]) -> NDArray[np.object_]:
    """Return a column as text (n,), None where missing; 3.0 and 3 read the same."""
    return _texts(values)


def require(present: Iterable[str], wanted: Sequence[str]) -> None:
    """Raise SchemaMismatch naming the wanted columns that are not present, and near names."""
    known = list(present)
    absent = sorted(set(wanted) - set(known))
    if not absent:
        return
    near = {name: difflib.get_close_matches(name, known, n=1) for name in absent[:5]}
    hints = [f'"{found[0]}" for "{name}"' for name, found in near.items() if found]
    shown = ", ".join(f'"{name}"' for name in absent[:5])
    more = f" and {len(absent) - 5:,} more" if len(absent) > 5 else ""
    raise SchemaMismatch(
        f"{len(absent):,} of the {len(wanted):,} columns of training are not in these rows: "
        f"{shown}{more}." + (f" Did you mean {', '.join(hints)}?" if hints else "")
    )


def _texts(values: pd.Series[Any]) -> NDArray[np.object_]:
    missing = np.asarray(values.isna())
    texts: NDArray[np.object_] = np.array(values, dtype=object)
    if not pd.api.types.is_string_dtype(values.dtype) or values.dtype == object:
        texts[~missing] = [_text(value) for value in texts[~missing]]
    texts[missing] = None
    return texts


def _text(value: Any) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _infer_numbers(texts: list[str]) -> Column | None:
    array = np.array(texts, dtype=object)
    sample = array[:50]
    odd = {
        style: np.isnan(_parse_numbers(array, style))
        for style in ("plain", *_NUMBERS)
        if np.isnan(_parse_numbers(sample, style)).sum() <= _ODD_WORDS
    }
    if odd and len({unit.strip() for text in texts for unit in _UNIT.findall(text.strip())}) > 1:
        odd = {}  # amounts in several currencies, say, are not comparable
    for style, bad in odd.items():
        if not bad.any():
            note = "" if style == "plain" else f'text such as "{texts[0]}" read as numbers'
            return Column("numeric", style, note=note)
    for style, bad in odd.items():
        if bad.sum() <= _ODD_WORDS and (~bad).sum() > _FEW_NUMBERS:
            words = tuple(array[bad])
            shown = ", ".join(f'"{word}"' for word in words)
            return Column("numeric", style, words, f"{shown} among numbers taken as missing")
    return None


def _infer_dates(texts: list[str]) -> Column | None:
    array = np.array(texts, dtype=object)
    sample = array[:50]
    if all(_ISO_START.match(text) for text in sample):
        if not np.isnat(_parse_dates(array, "ISO8601")).any():
            return Column("date", "ISO8601")
        return None
    if not any(any(mark.isdigit() for mark in text) for text in sample):
        return None
    fitting = [
        style
        for style in DATES
        if not np.isnat(_parse_dates(sample, style)).any()
        and not np.isnat(_parse_dates(array, style)).any()
    ]
    if not fitting:
        return None
    note = f'text such as "{texts[0]}" read as dates, {fitting[0]}'
    if len(fitting) > 1:
        note += f"; {fitting[1]} would fit as well: write dates as 2024-12-31 to be sure"
    return Column("date", fitting[0], note=note)


def _parse_numbers(texts: NDArray[np.object_], style: str) -> FloatArray:
    if style == "boolean":
        return np.array(
            [_BOOLEANS.get(text.strip().lower(), np.nan) for text in texts], dtype=float
        )
    if style in _NUMBERS:
        pattern, thousands, decimal = _NUMBERS[style]
        bare = [_UNIT.sub("", text.strip()) for text in texts]
        texts = np.array(
            [
                text.replace(thousands, "").replace(decimal, ".") if pattern.fullmatch(text) else ""
                for text in bare
            ],
            dtype=object,
        )
    parsed = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
    return parsed.to_numpy(dtype=np.float64)


def _parse_dates(texts: NDArray[np.object_], style: str) -> NDArray[np.datetime64]:
    series = pd.Series(texts, dtype=object).str.strip()
    parsed = pd.to_datetime(series, format=style, errors="coerce", utc=True)
    return parsed.dt.tz_localize(None).to_numpy().astype("datetime64[s]")


def _refuse_unread(
    values: pd.Series[Any],
    codes: NDArray[np.intp],
    texts: NDArray[np.object_],
    unread: NDArray[np.bool_],
    column: Column,
    wanted: str,
) -> None:
    bad = unread.copy()
    for index in np.flatnonzero(unread):
        text = texts[index]
        bad[index] = text not in column.missing and text.strip().lower() not in MISSING_WORDS
    rows = np.flatnonzero(np.append(bad, False)[codes])
    if rows.size:
        raise SchemaMismatch(
            f'Column "{values.name}" holds {wanted}, but row {rows[0]} (counted from 0) has '
            f'"{texts[codes[rows[0]]]}"; {rows.size:,} of {len(values):,} rows cannot be read. '
            "Correct them or leave them empty."
        )
