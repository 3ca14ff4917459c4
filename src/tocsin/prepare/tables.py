"""Tables to matrices: any mixture of numbers, categories and dates becomes finite float64."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.errors import InputError, ParameterError
from tocsin.prepare import schema
from tocsin.prepare.encode import Categories, Dates, Numbers, Scale
from tocsin.prepare.frames import Table, as_frame, quote_columns
from tocsin.prepare.growing import FIRST_ROWS, Growing, growing_columns
from tocsin.prepare.schema import Column
from tocsin.prepare.table_encoder import TableEncoder, in_words
from tocsin.types import BoolArray, FloatArray, IntArray

_SIDES = (
    *({"s", "h"}, {"d", "c"}, {"dr", "cr"}, {"debit", "credit"}, {"soll", "haben"}),
    *({"dbit", "crdt"}, {"db", "cr"}, {"débit", "crédit"}, {"debe", "haber"}, {"+", "-"}),
)


class TablePreparer(TableEncoder):
    """Turns a table (n rows) into a float64 matrix (n, m) that is finite and C-contiguous.

    What each kind of column becomes:

    - numbers: missing values take the training median, with an indicator if training had
      some; cut 100 standard deviations beyond the training range, infinite ones too; scaled
      by ``scale``: "standard" (mean, standard deviation), "robust" (median, interquartile
      range), "minmax" or "none";
    - categories: a 0/1 column per value, one for values rarer than ``rare`` (share of rows; at
      least 2 rows), one for values unseen in training, or seen once where many are; above
      ``max_categories`` values the logarithm of their frequency;
    - dates: sine and cosine of the daily, weekly, monthly and yearly cycle, in UTC;
    - constant columns: 0, and above 0 where a row differs from the only value seen;
    - numbers that only grow (``growing``): times since 1970 as dates; identifiers, counters and
      elapsed times dropped, since all new rows would lie beyond them;
    - identifiers, free text and empty columns: dropped, with a note.

    A row's numbers depend on that row alone. The input is never changed.

    After ``fit``: ``columns_`` names of the source columns; ``kinds_`` what each is;
    ``groups_`` (m,) int64, the source column of each matrix column; ``typical_`` the median
    or most frequent value of each source column; ``notes_`` what was guessed, filled or dropped.

    Raises InputError for a table that cannot be learned from, SchemaMismatch for rows that do
    not fit the training table, ParameterError for a setting that cannot work.

    >>> frame = pd.DataFrame({"watts": [3.0, 5.0, 4.0, None], "mode": ["a", "b", "a", "b"]})
    >>> preparer = TablePreparer()
    >>> preparer.fit(frame).kinds_
    ['numeric', 'category']
    >>> preparer.groups_.tolist()
    [0, 0, 1, 1, 1]
    """

    notes_: list[str]

    def __init__(
        self, scale: Scale = "standard", rare: float = 0.001, max_categories: int = 50
    ) -> None:
        self.scale = scale
        self.rare = rare
        self.max_categories = max_categories

    def fit(self, table: Table) -> Self:
        """Learn the columns of a table and what is usual in each."""
        self.fit_transform(table)
        return self

    def fit_transform(self, table: Table) -> FloatArray:
        """Learn from a table and return its matrix (n, m)."""
        if self.scale not in get_args(Scale):
            raise ParameterError(f"scale is one of {get_args(Scale)}; got {self.scale!r}.")
        if not 0 <= self.rare < 1 or self.max_categories < 1:
            raise ParameterError(
                "rare is a share of rows, 0 <= rare < 1, and max_categories at least 1; "
                f"got {self.rare} and {self.max_categories}."
            )
        frame = as_frame(table)
        if 0 in frame.shape:
            raise InputError(
                f"The table has {frame.shape[0]} rows and {frame.shape[1]} columns; "
                "to learn what is normal give at least 2 rows and 1 column."
            )
        remarks: dict[str, list[str]] = defaultdict(list)
        self.named_ = isinstance(table, pd.DataFrame)
        self.columns_ = list(frame.columns)
        self._infer(frame, remarks)
        self._fit_numbers(frame, remarks)
        self._fit_encoders(frame, remarks)
        self._layout()
        if not self._varies():
            raise InputError(
                f"No column can be learned from: in {len(frame):,} row(s) each is constant, empty "
                "or an identifier. Give more rows (1 sample shows no variation), or other columns; "
                "a column of texts to judge is named with --text."
            )
        matrix = self._encode(frame)
        self.notes_ = list(frame.attrs.get("notes", ()))
        self.notes_ += [f"{quote_columns(names)} {remark}" for remark, names in remarks.items()]
        repeated = _repeated_rows(matrix)
        if repeated:
            self.notes_.append(f"{repeated:,} duplicate rows kept")
        return matrix

    def _infer(self, frame: pd.DataFrame, remarks: dict[str, list[str]]) -> None:
        numeric = Column("numeric", "comma" if frame.attrs.get("decimal") == "," else "plain")
        found = [
            numeric if isinstance(dtype, np.dtype) and dtype.kind in "iuf" else None
            for dtype in frame.dtypes
        ]
        columns = [c or schema.infer(frame.iloc[:, i], codes=True) for i, c in enumerate(found)]
        self.kinds_ = [column.kind for column in columns]
        self.styles_ = [column.style for column in columns]
        self.odd_words_ = [list(column.missing) for column in columns]
        for index, column in enumerate(columns):
            if column.note:
                dropped = "dropped: " if column.kind == "dropped" else ""
                remarks[dropped + column.note].append(self.columns_[index])

    def _fit_numbers(self, frame: pd.DataFrame, remarks: dict[str, list[str]]) -> None:
        self.numeric_ = self._numeric_columns()
        values = self._read_numbers(frame)
        infinite = np.isinf(values).sum(axis=0)
        empty: BoolArray = ~np.asarray(np.isfinite(values).any(axis=0))
        growing = self._growing(frame, values)
        for position, column in enumerate(self.numeric_):
            name = self.columns_[column]
            if (found := growing.get(position)) is not None and found.style is not None:
                self.kinds_[column], self.styles_[column] = "date", found.style
                remarks[found.reason].append(name)
            elif empty[position] or found is not None:
                self.kinds_[column] = "dropped"
                reason = "no finite value" if found is None else found.reason
                remarks[f"dropped: {reason}"].append(name)
            elif infinite[position]:
                remarks["has infinite values, taken as far beyond the training range"].append(name)
        kept = np.isin(self.numeric_, self._numeric_columns())
        self.numeric_ = self._numeric_columns()
        self.numbers_ = Numbers().fit(values if kept.all() else values[:, kept], self.scale)
        self._name(self.numbers_.indicated_, "filled with the median where missing", remarks)
        self._name(self.numbers_.constant_, "constant: only a differing value counts", remarks)

    def _name(self, positions: IntArray, remark: str, remarks: dict[str, list[str]]) -> None:
        if positions.size:
            remarks[remark].extend(self.columns_[i] for i in self.numeric_[positions])

    def _numeric_columns(self) -> IntArray:
        kinds = enumerate(self.kinds_)
        return np.array([i for i, kind in kinds if kind in ("numeric", "boolean")], dtype=np.int64)

    def _growing(self, frame: pd.DataFrame, values: FloatArray) -> dict[int, Growing]:
        """Return the numeric columns, by position, that only grow; not if nothing else is left."""
        if not self.named_:
            return {}
        texts = {
            self.columns_[i]: self._read(frame[:FIRST_ROWS], i)
            for i, kind in enumerate(self.kinds_)
            if kind == "category"
        }
        names = [self.columns_[i] for i in self.numeric_]
        found = growing_columns(values, names, texts)
        left = sum(kind != "dropped" for kind in self.kinds_) > len(found)
        return found if left else {}

    def _fit_encoders(self, frame: pd.DataFrame, remarks: dict[str, list[str]]) -> None:
        self.encoders_ = {}
        for column, kind in enumerate(self.kinds_):
            if kind not in ("category", "date"):
                continue
            cells = self._read(frame, column)
            fitted: tuple[Categories | Dates | None, str]
            fitted = _fit_dates(cells) if kind == "date" else self._fit_categories(cells)
            encoder, remark = fitted
            if encoder is None:
                self.kinds_[column] = "dropped"
            else:
                self.encoders_[str(column)] = encoder
            if kind == "category" and {text.lower() for text in set(cells) - {None}} in _SIDES:
                remark = remark or "marks debit and credit: amounts beside it have no sign"
            if remark:
                remarks[remark].append(self.columns_[column])

    def _fit_categories(self, texts: Any) -> tuple[Categories | None, str]:
        """Return the encoder of a column of texts, None for identifiers, and a remark."""
        if reason := _identifier(texts):
            return None, f"dropped: {reason}"
        encoder = Categories().fit(texts, self.scale, self.rare, self.max_categories)
        frequency = f"has {len(encoder.values_):,} values, encoded by frequency"
        return encoder, frequency if encoder.by_frequency_ else ""

    def _layout(self) -> None:
        groups = [self.numeric_[self.numbers_.groups_]]
        self.typical_ = [None] * len(self.columns_)
        for column, value in zip(self.numeric_.tolist(), self.numbers_.typical(), strict=True):
            self.typical_[column] = in_words(value, self.kinds_[column])
        for column, encoder in self._encoders():
            groups.append(np.full(encoder.width, column))
            if isinstance(encoder, Categories):
                self.typical_[column] = encoder.typical()
        self.groups_ = np.concatenate(groups).astype(np.int64)

    def _varies(self) -> bool:
        numbers = self.numbers_.varying_.size + self.numbers_.indicated_.size
        rest = (isinstance(encoder, Dates) or encoder.varies_ for _, encoder in self._encoders())
        return bool(numbers) or any(rest)


def _fit_dates(moments: NDArray[np.datetime64]) -> tuple[Dates | None, str]:
    """Return the encoder of a column of dates, None if they cover no cycle twice, and a remark."""
    encoder = Dates().fit(moments)
    if not encoder.width:
        return None, "dropped: its dates cover no day, week, month or year twice"
    return encoder, ""


def _identifier(texts: Any) -> str:
    """Return why a text column is useless for new rows, or an empty text."""
    known = pd.Series(texts, dtype=object).dropna()
    counts = known.value_counts()
    once = int((counts == 1).sum())
    if 2 * once <= len(known):
        return ""
    return f"{len(counts):,} distinct texts in {len(known):,} rows, most of them once"


def _repeated_rows(matrix: FloatArray) -> int:
    """Return how many rows equal an earlier one, by 64-bit hashes."""
    factors = np.random.default_rng(0).integers(1, 2**63, matrix.shape[1], dtype=np.uint64) | 1
    hashes = np.zeros(len(matrix), dtype=np.uint64)
    step = max(1, 1_000_000 // matrix.shape[1])
    for start in range(0, len(matrix), step):
        bits = matrix[start : start + step].view(np.uint64)
        mixed = (bits ^ (bits >> np.uint64(29))) * factors
        hashes[start : start + step] = (mixed ^ (mixed >> np.uint64(32))).sum(axis=1)
    hashes.sort()
    return int((hashes[1:] == hashes[:-1]).sum())
