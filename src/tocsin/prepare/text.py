"""Texts from a column of a table, or a list: also missing and empty ones, and other values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.base import Stateful
from tocsin.errors import InputError, NotFitted, SchemaMismatch
from tocsin.features.texts import LONGEST, encodable
from tocsin.types import TextArray

__all__ = ["TextPreparer", "find_text", "reads_as_text"]

_SAMPLE = 1_000
_WORDS, _SENTENCE = 3.0, 5.0
_LONGER = 4.0


class TextPreparer(Stateful):
    """Turns a column of a table, or a list, into texts.

    ``text``: the name of the column; None finds it, see ``find_text``. A list, an array or a
    Series of texts has no columns, and may be given in place of a table at any time. The
    rules, each use of which is noted:

    - missing values are empty texts; bytes are decoded as UTF-8; other values are
      written as text.
    - halves of surrogate pairs, which UTF-8 does not have, become "?".
    - texts beyond 20,000 characters are read up to there; empty and repeated ones are counted.

    After ``fit_transform``: ``column_``, the name of the column or None, and ``notes_``.

    Raises InputError for input without texts, SchemaMismatch for a column that is not there.

    >>> preparer = TextPreparer()
    >>> frame = pd.DataFrame({"id": ["a", "b"], "body": ["see you at noon", None]})
    >>> preparer.fit_transform(frame).tolist()
    ['see you at noon', '']
    >>> preparer.notes_
    ['texts: column "body" (found)', '1 missing value taken as an empty text']
    """

    column_: str | None
    notes_: list[str]

    def __init__(self, text: str | None = None) -> None:
        self.text = text

    def fit_transform(self, X: Any) -> TextArray:
        """Learn which column holds the texts, and return them (n,)."""
        self.column_ = None
        notes = []
        if isinstance(X, pd.DataFrame):
            self.column_ = find_text(X) if self.text is None else self.text
            notes = [f'texts: column "{self.column_}" ({"named" if self.text else "found"})']
        texts, remarks = self._read(X)
        if not any(text.strip() for text in texts):
            raise InputError(
                f"There is nothing to learn from: all {len(texts):,} texts are empty. Give texts "
                "that say something."
            )
        self.notes_ = notes + remarks
        return texts

    def transform(self, X: Any) -> TextArray:
        """Return the texts (n,) of a table or a list; changes nothing."""
        return self.prepare(X)[0]

    def prepare(self, X: Any) -> tuple[TextArray, list[str]]:
        """Return the texts (n,), and what was done to get them."""
        if not hasattr(self, "notes_"):
            raise NotFitted("This preparation is not fitted yet: call fit_transform first.")
        return self._read(X)

    def _read(self, X: Any) -> tuple[TextArray, list[str]]:
        values = self._values(X)
        if not len(values):
            raise InputError("There are no texts: the table or the list is empty.")
        missing = np.asarray(pd.isna(values))
        encoded = [isinstance(value, bytes) for value in values]
        foreign = [not isinstance(value, str | bytes) for value in values[~missing]]
        given = [
            "" if absent else _text(value) for value, absent in zip(values, missing, strict=True)
        ]
        texts = np.empty(len(given), dtype=object)
        texts[:] = [text if text.isascii() else encodable(text) for text in given]
        blank = sum(not text.strip() for text in texts) - int(missing.sum())
        halves = sum(text != old for text, old in zip(texts, given, strict=True))
        long = sum(len(text) > LONGEST for text in texts)
        repeated = len(texts) - len(set(texts))
        counts = [
            (int(missing.sum()), "missing value{s} taken as {an}empty text{s}"),
            (blank, "text{s} without a word or a mark"),
            (sum(encoded), "value{s} decoded from bytes"),
            (sum(foreign), "value{s} that {is} not text, taken as written"),
            (halves, "text{s} with halves of characters, written as ?"),
            (long, f"text{{s}} read up to {LONGEST:,} characters"),
            (repeated, "text{s} the same as one before"),
        ]
        return texts, [_format_count(count, what) for count, what in counts if count]

    def _values(self, X: Any) -> NDArray[np.object_]:
        """Return the values (n,) that are taken as texts."""
        if isinstance(X, pd.DataFrame):
            column = find_text(X) if self.column_ is None else self.column_
            _check_column(X, column)
            return np.array(X[column].astype(object), dtype=object)
        if isinstance(X, str | bytes) or not hasattr(X, "__len__"):
            raise InputError(f"Texts are a list, or a column of a table; got a {type(X).__name__}.")
        if getattr(X, "ndim", 1) != 1:
            raise InputError(f"Texts are a list; got an array of shape {X.shape}.")
        values = np.empty(len(X), dtype=object)
        values[:] = list(X)
        wrong = next((v for v in values if isinstance(v, list | tuple | dict | np.ndarray)), None)
        if wrong is not None:
            raise InputError(f"A text is a str; this list holds a {type(wrong).__name__}.")
        if len(values) and not any(isinstance(v, str | bytes) for v in values):
            raise InputError(f"This list holds {type(values[0]).__name__} values, not texts.")
        return values


def find_text(frame: pd.DataFrame) -> str:
    """Return the one column that holds texts: of three words per row or more, on average.

    The only column of strings, else the only one with that many words, else the one with four
    times as many characters as any other. Looks at 1,000 rows. Raises SchemaMismatch, with the
    columns of the table, for none or several.

    >>> find_text(pd.DataFrame({"id": ["a", "b"], "body": ["see you at noon", "where are you"]}))
    'body'
    """
    strings = _strings(frame)
    words = {name: _mean(len(text.split()) for text in strings[name]) for name in strings}
    length = {name: _mean(map(len, strings[name])) for name in strings}
    ranked = sorted(strings, key=lambda name: -length[name])
    worded = [name for name in ranked if words[name] >= _WORDS]
    if len(ranked) == 1:
        return ranked[0]
    if len(worded) == 1:
        return worded[0]
    if ranked and length[ranked[0]] >= _LONGER * length[ranked[1]]:
        return ranked[0]
    found = "several columns hold texts" if ranked else "no column holds texts"
    raise SchemaMismatch(f"Ambiguous text column: {found}; name one of: {_names(frame)}.")


def reads_as_text(frame: pd.DataFrame) -> str | None:
    """Return the column of five words per row or more, most rows different; None without one.

    >>> reads_as_text(pd.DataFrame({"id": ["a", "b"], "colour": ["red", "red"]}))
    """
    for name, texts in _strings(frame).items():
        long = _mean(len(text.split()) for text in texts) >= _SENTENCE
        if long and 2 * len(set(texts)) > len(texts):
            return name
    return None


def _strings(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Return the first values of the columns of strings."""
    found = {}
    for name in frame.columns:
        values = frame[name].head(_SAMPLE).dropna()
        texts = [value for value in values if isinstance(value, str)]
        if texts and 2 * len(texts) >= len(values):
            found[name] = texts
    return found


def _mean(values: Iterable[int]) -> float:
    return float(np.mean(list(values)))


def _names(frame: pd.DataFrame) -> str:
    return ", ".join(f'"{name}"' for name in frame.columns)


def _check_column(frame: pd.DataFrame, column: str) -> None:
    if column not in frame.columns:
        raise SchemaMismatch(
            f'There is no column "{column}" in this table; it has {_names(frame)}.'
        )
    kind = frame[column].dtype
    if kind.kind in "biufcmM" and frame[column].notna().any():
        raise InputError(f'Column "{column}" holds values of the type {kind}, not texts.')


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _format_count(count: int, what: str) -> str:
    one = count == 1
    parts = {"s": "" if one else "s", "an": "an " if one else "", "is": "is" if one else "are"}
    return f"{count:,} {what.format(**parts)}"
