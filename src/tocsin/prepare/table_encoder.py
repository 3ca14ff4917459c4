"""What a fitted preparation of tables does with rows: to matrices, and back to users' terms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.base import State, Stateful
from tocsin.base.declared import Shape, Within
from tocsin.errors import CorruptModel, NotFitted, SchemaMismatch
from tocsin.prepare import schema
from tocsin.prepare.encode import Categories, Cell, Dates, Numbers
from tocsin.prepare.frames import Table, as_frame, holds_complex, quote_columns
from tocsin.prepare.growing import EPOCHS, moments
from tocsin.prepare.schema import Column
from tocsin.readers.delimited import Known
from tocsin.types import FloatArray, IntArray


class TableEncoder(Stateful):
    """Turns rows into a matrix as ``TablePreparer``, which derives from it, has learned to."""

    named_: bool
    columns_: Annotated[list[str], Shape("columns")]
    kinds_: Annotated[list[schema.Kind], Shape("columns")]
    styles_: Annotated[list[str], Shape("columns")]
    odd_words_: Annotated[list[list[str]], Shape("columns")]
    numeric_: Annotated[IntArray, Shape("numbers", empty=True), Within(0, "columns-1", rising=True)]
    groups_: Annotated[IntArray, Shape("width"), Within(0, "columns-1")]
    typical_: Annotated[list[Cell], Shape("columns")]
    numbers_: Numbers
    encoders_: dict[str, Categories | Dates]

    def transform(self, table: Table) -> FloatArray:
        """Return the matrix (n, m) of the rows of a table; changes nothing."""
        return self._encode(table if self._is_aligned(table) else self.align(table))

    def align(self, table: Table) -> pd.DataFrame:
        """Return the rows with the columns of training, by name and in that order.

        Columns that training did not have are left out; absent ones that training dropped are
        filled with missing values. Arrays fit by position. Raises SchemaMismatch.
        """
        if not hasattr(self, "groups_"):
            raise NotFitted("This preparation is not fitted yet: call fit before transform.")
        frame = as_frame(table)
        names = list(frame.columns)
        if names == self.columns_:
            return frame
        by_name = self.named_ or set(self.columns_) <= set(names)
        if not (isinstance(table, pd.DataFrame) and by_name):
            if len(names) != len(self.columns_):
                raise SchemaMismatch(
                    f"Training had {len(self.columns_):,} columns; these rows have {len(names):,}."
                )
            return frame.set_axis(self.columns_, axis=1)
        pairs = zip(self.columns_, self.kinds_, strict=True)
        schema.check_columns(names, [name for name, kind in pairs if kind != "dropped"])
        return frame.reindex(columns=self.columns_)

    def remarks(self, table: Table) -> list[str]:
        """Return what these rows have that training had not: new categories, new missing values."""
        frame = self.align(table)
        remarks: dict[str, list[str]] = defaultdict(list)
        missing = np.isnan(self._read_numbers(frame)).sum(axis=0)
        missing[self.numbers_.indicated_] = 0
        for position in np.flatnonzero(missing):
            count = f"{missing[position]:,}"
            remark = f"had no missing values in training; {count} filled with the median"
            remarks[remark].append(self.columns_[self.numeric_[position]])
        for column in self.numeric_.tolist():
            if words := schema.new_words(frame.iloc[:, column], self._column(column)):
                remark = f"has texts that are not numbers, {words}, missing"
                remarks[remark].append(self.columns_[column])
        for column, encoder in self._encoders():
            if isinstance(encoder, Categories):
                unseen = int(encoder.unseen(self._read(frame, column)).sum())
                if unseen:
                    remarks[f"has {unseen:,} values unseen in training"].append(
                        self.columns_[column]
                    )
        return [f"{quote_columns(names)} {remark}" for remark, names in remarks.items()]

    def seen(self, table: Table, row: int, column: int) -> Cell:
        """Return the value of a source column in a row, as the user would write it."""
        if self._is_aligned(table):
            cell = table.iloc[[row], column]
        else:
            one = table.iloc[[row]] if isinstance(table, pd.DataFrame) else np.asarray(table)[[row]]
            cell = self.align(one).iloc[:, column]
        if cell.isna().all():
            return None
        kind = self.kinds_[column]
        if kind in ("numeric", "boolean"):
            value = float(schema.read_numbers(cell, self._column(column))[0])
            return None if np.isnan(value) else in_words(value, kind)
        if kind == "date":
            moment = self._moments(cell, column)[0]
            return None if np.isnat(moment) else str(moment)
        text: str = schema.read_categories(cell)[0]
        return text

    def to_units(self, row: FloatArray) -> list[Cell]:
        """Return the source values that a row (m,) of the matrix represents.

        None for dates, for dropped columns and where many categories share a number.
        """
        cells: list[Cell] = [None] * len(self.columns_)
        count = self.numbers_.groups_.size
        values = self.numbers_.to_units(row[:count])
        for column, value in zip(self.numeric_.tolist(), values, strict=True):
            cells[column] = in_words(value, self.kinds_[column])
        start = count
        for column, encoder in self._encoders():
            if isinstance(encoder, Categories):
                cells[column] = encoder.to_units(row[start : start + encoder.width])
            start += encoder.width
        return cells

    @property
    def known(self) -> Known:
        """What a reader of files must know about the columns to read new files as in training."""
        return schema.known(self.columns_, self.kinds_, self.styles_)

    @property
    def meets_new_values(self) -> bool:
        """Whether new rows are expected to have categories never seen.

        The matrix of the training rows knows all their values, that of new rows does not.
        """
        encoders = (encoder for _, encoder in self._encoders())
        return any(isinstance(each, Categories) and each.once_is_unseen_ for each in encoders)

    def get_state(self) -> State:
        """Return the fitted attributes as arrays, JSON values and nested states."""
        encoders = {key: encoder.get_state() for key, encoder in self.encoders_.items()}
        return super().get_state() | {"encoders_": encoders}

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self.numbers_ = Numbers().set_state(state["numbers_"])
        if self.numbers_.center_.size != self.numeric_.size:
            raise CorruptModel("The numeric columns of a table are not those that were learned.")
        self.encoders_ = {
            key: self._encoder(int(key)).set_state(value)
            for key, value in state.get("encoders_", {}).items()
        }
        return self

    def _is_aligned(self, table: Table) -> TypeGuard[pd.DataFrame]:
        """Return whether ``align`` would return the table as it is, which is faster to check."""
        return (
            isinstance(table, pd.DataFrame)
            and hasattr(self, "groups_")
            and list(table.columns) == self.columns_
            and not holds_complex(table)
        )

    def _encode(self, frame: pd.DataFrame) -> FloatArray:
        matrix = np.empty((len(frame), self.groups_.size))
        start = self.numbers_.groups_.size
        self.numbers_.transform(self._read_numbers(frame), matrix[:, :start])
        for column, encoder in self._encoders():
            stop = start + encoder.width
            encoder.transform(self._read(frame, column), matrix[:, start:stop])
            start = stop
        return matrix

    def _encoders(self) -> Iterator[tuple[int, Categories | Dates]]:
        return ((int(key), encoder) for key, encoder in self.encoders_.items())

    def _encoder(self, column: int) -> Categories | Dates:
        return Dates() if self.kinds_[column] == "date" else Categories()

    def _column(self, column: int) -> Column:
        return Column(self.kinds_[column], self.styles_[column], tuple(self.odd_words_[column]))

    def _read(self, frame: pd.DataFrame, column: int) -> Any:
        cells = frame.iloc[:, column]
        if self.kinds_[column] == "date":
            return self._moments(cells, column)
        encoder = getattr(self, "encoders_", {}).get(str(column))
        return schema.read_categories(cells, encoder.values_ if encoder else ())

    def _moments(self, cells: pd.Series[Any], column: int) -> NDArray[np.datetime64]:
        style = self.styles_[column]
        if style in EPOCHS:
            return moments(schema.read_numbers(cells, Column("numeric")), style)
        return schema.read_dates(cells, self._column(column))

    def _read_numbers(self, frame: pd.DataFrame) -> FloatArray:
        dtypes = frame.dtypes.to_numpy()[self.numeric_]
        plain = np.array([isinstance(t, np.dtype) and t.kind in "iufb" for t in dtypes], dtype=bool)
        if plain.all() and len(dtypes) == frame.shape[1]:
            return frame.to_numpy(dtype=np.float64)
        values = np.empty((len(frame), len(dtypes)))
        values[:, plain] = frame.iloc[:, self.numeric_[plain]].to_numpy(dtype=np.float64)
        for position in np.flatnonzero(~plain):
            column = int(self.numeric_[position])
            values[:, position] = schema.read_numbers(frame.iloc[:, column], self._column(column))
        return values


def in_words(value: Cell, kind: str) -> Cell:
    """Return a value as the user would write it: of a boolean column as "true" or "false"."""
    if kind == "boolean" and isinstance(value, float):
        return "true" if value > 0.5 else "false"
    return value
