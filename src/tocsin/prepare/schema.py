"""What a column of a table holds, and how its text reads as numbers, dates or categories."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.errors import SchemaMismatch
from tocsin.readers import numbers as numerals
from tocsin.readers import times
from tocsin.readers.delimited import Known
from tocsin.readers.units import SCALES
from tocsin.types import FloatArray

Kind = Literal["numeric", "category", "date", "boolean", "dropped"]

MISSING_WORDS = frozenset(
    {"", "-", "--", "—", "–", "?", ".", "na", "n/a", "n.a.", "#n/a", "nan", "nat", "null", "none"}
    | {"nil", "(null)", "<na>", "\\n", "#na", "#value!", "#ref!", "#div/0!", "#num!", "#name?"}
)
"""Texts that stand for a missing number or date, whatever their case."""

_NO_TEXT = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-NaN", "-nan", "<NA>", "N/A", "NA", "NULL", "NaN", "None"}
    | {"n/a", "nan", "null", "NaT", "(null)"}
)
"""Texts that count as missing, as in tables read from CSV."""

_BOOLEANS = {"true": 1.0, "yes": 1.0, "1": 1.0, "1.0": 1.0}
_BOOLEANS |= {"false": 0.0, "no": 0.0, "0": 0.0, "0.0": 0.0}
_ODD_WORDS, _FEW_NUMBERS = 5, 20
"""A text column is numeric with this many distinct other words if it has more numbers than few."""

_MOSTLY = 0.9
"""A text column is numeric if this share of its rows are numbers, whatever the others."""

_CODE = re.compile(r"0\d+")
_ROWS_PER_CODE = 5
_SHOWN, _KEPT = 4, 50  # words that are not numbers: named, remembered
_DATES = 0.95
"""A text column is one of dates if this share of its rows are."""


@dataclass(frozen=True, slots=True)
class Column:
    """What a source column holds.

    ``style``: how its text reads: "plain", "thousands" (1,234.5) or "comma" (1.234,5), these
    two also with a unit as in "comma kB", "boolean", "ISO8601" or a strptime format.
    ``missing``: texts of this column that are neither numbers nor dates; if there are any, all of
    them are missing values. ``note``: what was guessed, in plain words.
    """

    kind: Kind
    style: str = "plain"
    missing: tuple[str, ...] = field(default=())
    note: str = ""


def infer(values: pd.Series[Any], *, codes: bool = False) -> Column:
    """Return what a column holds; kind "category" for any other text.

    ``codes``: digits of which some begin with 0, as in 01067, are categories, not numbers,
    where each occurs in five rows or more on average.

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
    return (
        Column("dropped", note=nested)
        if (nested := _nested(values))
        else _infer_texts(values, codes)
    )


def read_numbers(values: pd.Series[Any], column: Column) -> FloatArray:
    """Return a numeric or boolean column as float64 (n,), NaN where missing.

    Raises SchemaMismatch naming the first text that is not a number, and its row.
    """
    dtype = values.dtype
    if pd.api.types.is_timedelta64_dtype(dtype):
        seconds = np.asarray(values.dt.total_seconds(), dtype=np.float64)
        return numerals.in_unit(seconds, "s", _unit(column.style))
    if pd.api.types.is_datetime64_any_dtype(dtype):
        raise SchemaMismatch(
            f'Column "{values.name}" held numbers in training and holds dates ({dtype}) now.'
        )
    if pd.api.types.is_numeric_dtype(dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return numerals.in_unit(numbers, "", _unit(column.style))
    codes, texts = pd.factorize(_texts(values))
    style = column.style
    if (decimal := _decimal(values)) and style != "boolean":
        style = f"{'comma' if decimal == ',' else 'plain'} {_unit(style)}".strip()
    parsed = _parse_numbers(texts, style)
    _refuse_unread(values, codes, texts, np.isnan(parsed), column, "numbers")
    return np.append(parsed, np.nan)[codes]


def new_words(values: pd.Series[Any], column: Column) -> str:
    """Return which texts of a numeric column with texts in training are new."""
    if not column.missing or pd.api.types.is_numeric_dtype(values.dtype):
        return ""
    texts = pd.unique(_texts(values))
    texts = np.array([text for text in texts if text is not None], dtype=object)
    known = MISSING_WORDS.union(word.strip().lower() for word in column.missing)
    unread = texts[np.isnan(_parse_numbers(texts, column.style))]
    return _some(np.array([t for t in unread if t.strip().lower() not in known], dtype=object))


def read_dates(values: pd.Series[Any], column: Column) -> NDArray[np.datetime64]:
    """Return a date column as UTC seconds, datetime64[s] (n,), NaT where missing.

    Times with a zone are converted to UTC, times without one are taken as UTC. Raises
    SchemaMismatch naming the first text that is not a date, and its row.
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


def read_categories(values: pd.Series[Any], seen: Sequence[str] = ()) -> NDArray[np.object_]:
    """Return a column as text (n,), None where missing; 3.0 and 3 read the same.

    Numbers are those of the texts ``seen`` in training that have their value: 1 is 001 there.
    """
    codes, found = pd.factorize(_texts(values))
    texts = np.array([None if text in _NO_TEXT else text for text in found] + [None], dtype=object)
    if len(seen) and pd.api.types.is_numeric_dtype(values.dtype):
        parsed = _parse_plain(np.array(seen, dtype=object))
        written = dict(zip(parsed.tolist(), seen, strict=True))
        known = set(seen)
        for i, text in enumerate(found):
            if text not in known:
                texts[i] = written.get(float(text), text)
    return texts[codes]


def known(columns: Sequence[str], kinds: Sequence[Kind], styles: Sequence[str]) -> Known:
    """Return what a reader of files must know about the columns of a table."""
    about = list(zip(columns, kinds, styles, strict=True))
    written = {name for name, kind, style in about if kind == "date" and style[:5] != "epoch"}
    return Known(
        frozenset(
            written.union(
                name for name, kind, style in about if kind == "category" or _unit(style) in SCALES
            )
        ),
        frozenset(name for name, _, style in about if style.startswith("comma")),
        frozenset(columns),
    )


def check_columns(present: Iterable[str], wanted: Sequence[str]) -> None:
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


def _infer_texts(values: pd.Series[Any], as_codes: bool) -> Column:
    codes, found = pd.factorize(_texts(values))
    known = np.array([text.strip().lower() not in MISSING_WORDS for text in found], dtype=bool)
    texts = np.asarray(found, dtype=object)[known]
    counts = np.bincount(codes[codes >= 0], minlength=len(found))[known].astype(np.int64)
    if not texts.size:
        return Column("dropped", note="every value is missing")
    if len(texts) <= 6 and {text.lower() for text in texts} <= {"true", "false"}:
        return Column("boolean", "boolean")
    if as_codes and (code := _code(texts, counts)):
        return Column("category", note=f'codes such as "{code}" taken as categories')
    decimal = _decimal(values)
    return (
        _infer_numbers(texts, counts, decimal) or _infer_dates(texts, counts) or Column("category")
    )


def _code(texts: NDArray[np.object_], counts: NDArray[np.int64]) -> str:
    """Return a code that begins with 0 of texts that are digits and recur, "" without one."""
    if counts.sum() < _ROWS_PER_CODE * len(texts) or not all(text.isdecimal() for text in texts):
        return ""
    return next((text for text in texts if _CODE.fullmatch(text)), "")


def _decimal(values: pd.Series[Any]) -> str | None:
    """Return the decimal mark that the file of a column shows, None without one."""
    decimal = values.attrs.get("decimal")
    if decimal and values.name in values.attrs.get("grouped", ()):
        return "." if decimal == "," else ","
    return decimal


def _nested(values: pd.Series[Any]) -> str:
    """Return what a column holds if not single values, else ""."""
    if values.dtype != object:
        return ""
    known = values.dropna()
    if len(known) and known.map(lambda value: isinstance(value, list | np.ndarray | tuple)).all():
        return "lists of different lengths, or not of numbers"
    if len(known) and known.map(lambda value: isinstance(value, dict)).all():
        return "objects"
    return ""


def _infer_numbers(
    texts: NDArray[np.object_], counts: NDArray[np.int64], decimal: str | None
) -> Column | None:
    parsed = _parse_plain(texts)
    if not np.isnan(parsed).any() and not _could_be_thousands(texts, decimal):
        return Column("numeric")
    found = numerals.find(texts, counts, decimal)
    if found is None:
        return None
    read = ~np.isnan(found.values) | np.isinf(parsed)
    if not _are_numbers(texts, counts, read):
        return None
    words = texts[~read]
    notes = list(found.remarks)
    unusual = read & (np.isnan(parsed) | (parsed != found.values))
    style = "plain"
    if unusual.any() or found.style != numerals.Style():
        first = int(np.flatnonzero(unusual if unusual.any() else read)[0])
        value = f"{found.values[first]:.12g} {found.style.unit}".strip()
        notes.insert(0, f'text such as "{texts[first]}" read as numbers, this as {value}')
        mark = "comma" if found.style.decimal == "," else "thousands"
        style = f"{mark} {found.style.unit}".strip()
    if words.size:
        rows = int(counts[~read].sum())
        notes.append(f"{_some(words)} among numbers taken as missing, {rows:,} in all")
    return Column("numeric", style, tuple(words[:_KEPT].tolist()), "; ".join(notes))


def _are_numbers(
    texts: NDArray[np.object_], counts: NDArray[np.int64], read: NDArray[np.bool_]
) -> bool:
    """Return whether a column is numeric, from which of its distinct texts are numbers.

    All of them, 9 of 10 rows, or many different ones beside words: not codes such as 007.
    """
    if read.all():
        return True
    if any(_CODE.fullmatch(text) for text in texts[read]):
        return False
    share = counts[read].sum() / counts.sum()
    many = int(read.sum()) > _FEW_NUMBERS
    if share >= _MOSTLY or (many and (~read).sum() <= _ODD_WORDS):
        return True
    words = (not any(mark.isdigit() for mark in text) for text in texts[~read])
    return bool(many and share > 0.5 and all(words))


def _could_be_thousands(texts: NDArray[np.object_], decimal: str | None) -> bool:
    """Return whether what reads as plain numbers could be thousands such as 1.031."""
    pointed = [text for text in texts[:: max(1, len(texts) // 500)] if "." in text]
    if not pointed or any(numerals.mark_of([text]) for text in pointed):
        return False
    return decimal == "," or numerals.are_thousands(texts.tolist(), ".", surely=decimal == ".")


def _infer_dates(texts: NDArray[np.object_], counts: NDArray[np.int64]) -> Column | None:
    found = times.find(texts)
    if found is None:
        return None
    read = ~np.isnat(times.read(texts, found.style))
    if counts[read].sum() < _DATES * counts.sum():
        return None
    words = texts[~read]
    notes = []
    if found.style != times.ISO:
        notes.append(f'text such as "{texts[read][0]}" read as dates, {found.style}{found.remark}')
    if words.size:
        notes.append(f"{_some(words)} among dates taken as missing")
    return Column("date", found.style, tuple(words[:_KEPT].tolist()), "; ".join(notes))


def _some(words: NDArray[np.object_]) -> str:
    shown = ", ".join(f'"{word}"' for word in words[:_SHOWN])
    return shown + (f" and {len(words) - _SHOWN:,} more" if len(words) > _SHOWN else "")


def _unit(style: str) -> str:
    """Return the unit of a column's style such as "comma kg"."""
    return style.partition(" ")[2]


def _parse_plain(texts: NDArray[np.object_]) -> FloatArray:
    parsed = pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce")
    return parsed.to_numpy(dtype=np.float64, copy=True)


def _parse_numbers(texts: NDArray[np.object_], style: str) -> FloatArray:
    if style == "boolean":
        return np.array(
            [_BOOLEANS.get(text.strip().lower(), np.nan) for text in texts], dtype=float
        )
    unit = _unit(style)
    if (mark := style.partition(" ")[0]) == "comma" or unit:
        return numerals.read(texts, numerals.Style("," if mark == "comma" else ".", unit))
    parsed = _parse_plain(texts)
    left = np.isnan(parsed)
    if left.any():
        parsed[left] = numerals.read(texts[left])
    return parsed


def _parse_dates(texts: NDArray[np.object_], style: str) -> NDArray[np.datetime64]:
    return times.read(texts, style).astype("datetime64[s]")


def _refuse_unread(
    values: pd.Series[Any],
    codes: NDArray[np.intp],
    texts: NDArray[np.object_],
    unread: NDArray[np.bool_],
    column: Column,
    wanted: str,
) -> None:
    if column.missing:
        return
    bad = unread.copy()
    for index in np.flatnonzero(unread):
        bad[index] = texts[index].strip().lower() not in MISSING_WORDS
    rows = np.flatnonzero(np.append(bad, False)[codes])
    if rows.size:
        raise SchemaMismatch(
            f'Column "{values.name}" holds {wanted}, but row {rows[0]} (counted from 0) has '
            f'"{texts[codes[rows[0]]]}"; {rows.size:,} of {len(values):,} rows cannot be read. '
            "Correct them or leave them empty."
        )
