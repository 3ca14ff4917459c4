"""Which column of a table distinguishes its series, and which columns are their channels."""

from __future__ import annotations

from typing import Annotated, Any, TypedDict

import numpy as np
import pandas as pd

from tocsin.base import Stateful
from tocsin.base.declared import Shape
from tocsin.errors import InputError
from tocsin.prepare import schema
from tocsin.prepare.frames import Table, as_frame, quote_columns
from tocsin.prepare.grid import find_step
from tocsin.prepare.schema import Column
from tocsin.prepare.timestamps import MOSTLY, Moments, TimeColumn, find_time
from tocsin.readers.delimited import Known
from tocsin.readers.names import may_be_entity
from tocsin.types import BoolArray, FloatArray, IntArray

LEAST_OF_A_COUNTER, MOST_RESETS = 20, 0.01
"""A counter grows at least this often, and is reset in at most this share of the steps."""

EXACT = 0.01
"""One of several series shows in a step that is this exact, unlike that of all times together."""

LEAST_OF_A_SERIES = 16
"""A table with fewer rows is not detected as a series."""

Remarks = dict[str, list[str]]
"""What was done, each with the columns concerned; without any, the whole table."""


def frame_of(table: Table) -> pd.DataFrame:
    """Return a table, vector or time-indexed frame as a frame with named columns."""
    if isinstance(table, pd.Series):
        table = table.to_frame("x0" if table.name is None else table.name)
    if isinstance(table, pd.DataFrame):
        index, name = table.index, str(table.index.name or "time")
        if isinstance(index, pd.DatetimeIndex) and name not in table.columns:
            table = table.reset_index(names=name)
        return as_frame(table)
    array = np.asarray(table)
    if array.ndim not in (1, 2):
        raise InputError(
            f"A series is an array (n,) or (n, channels); got one of shape {array.shape}."
        )
    return as_frame(array[:, None] if array.ndim == 1 else array)


class Reading(TypedDict):
    """How the texts of a channel read: its style of numbers, what is missing, or two levels."""

    style: str
    missing: list[str]
    levels: list[str]


class Channels(Stateful):
    """The columns that are channels of a series, and how each reads as numbers.

    Booleans and columns of two texts are 0 and 1, by alphabet; text that reads as numbers is
    read. Other text, dates, row numbers and columns without a finite value are not channels.
    """

    names_: Annotated[list[str], Shape("channels")]
    readings_: Annotated[list[Reading], Shape("channels")]

    def fit(self, frame: pd.DataFrame, remarks: Remarks) -> None:
        """Settle which columns of a frame are channels; raises InputError if there is none."""
        self.names_, self.readings_ = [], []
        for name in frame.columns:
            column, levels = _infer(frame[name])
            if column.note:
                remarks[column.note].append(name)
            if column.kind != "dropped":
                self.names_.append(name)
                odd = list(column.missing)
                self.readings_.append({"style": column.style, "missing": odd, "levels": levels})
        if not self.names_:
            raise InputError(
                "No column can be a channel of a series: "
                + "; ".join(format_remarks(remarks) or ["there are only times and entities"])
                + ". A series has at least one numeric column."
            )

    def read(self, frame: pd.DataFrame, remarks: Remarks) -> FloatArray:
        """Return the values (n, channels), NaN where missing or infinite.

        Raises SchemaMismatch naming the first text that is not a number, and its row.
        """
        values = np.empty((len(frame), len(self.names_)))
        for i, (name, reading) in enumerate(zip(self.names_, self.readings_, strict=True)):
            if reading["levels"]:
                values[:, i] = self._read_levels(frame[name], reading["levels"], remarks)
            else:
                column = Column("numeric", reading["style"], tuple(reading["missing"]))
                values[:, i] = schema.read_numbers(frame[name], column)
        infinite = np.isinf(values)
        if infinite.any():
            found = np.flatnonzero(infinite.any(axis=0))
            remarks["had infinite values, taken as missing"] += [self.names_[i] for i in found]
            values[infinite] = np.nan
        return values

    def known(self, texts: list[str]) -> Known:
        """Return what a reader of files must know about these columns and further ``texts``."""
        about = list(zip(self.names_, self.readings_, strict=True))
        return Known(
            frozenset([*texts, *(name for name, reading in about if reading["levels"])]),
            frozenset(name for name, reading in about if reading["style"].startswith("comma")),
            frozenset([*texts, *self.names_]),
        )

    def _read_levels(
        self, cells: pd.Series[Any], levels: list[str], remarks: Remarks
    ) -> FloatArray:
        codes, names = codes_of(cells)
        unseen = [name for name in names if name not in levels]
        if unseen:
            shown = ", ".join(f'"{name}"' for name in unseen[:3])
            remarks[f"had values unseen in training, taken as missing: {shown}"].append(
                str(cells.name)
            )
        place = [levels.index(name) if name in levels else np.nan for name in names]
        values: FloatArray = np.append(place, np.nan)[codes]
        return values


def find_entity(frame: pd.DataFrame, times: Moments) -> str | None:
    """Return the name of the column that distinguishes the series of a table, None without one.

    ``times`` (n,), datetime64[ns]. It is a column of text, or of integers with a name such as
    "machine_id", whose values have at least two rows on average, and one of these is true:

    - many rows repeat a time, but hardly any with the same value;
    - all times together have no common step, exact to 1 %, but those of each value do;
    - each value's rows lie together, and the times go back from one value to the next only.

    Of several columns, the one with the fewest values is taken.
    """
    known = ~np.isnat(times)
    clock = _Clock(times[known].astype(np.int64))
    if clock.even and not clock.many and not clock.back:
        return None
    best: tuple[int, str] | None = None
    for name in frame.columns:
        if not _may_tell_apart(frame[name], str(name)):
            continue
        codes, names = codes_of(frame.loc[known, name])
        if not 2 <= len(names) <= len(codes) / 2 or (best and best[0] <= len(names)):
            continue
        if clock.is_of_several(codes, len(names)):
            best = len(names), str(name)
    return best[1] if best else None


class _Clock:
    """The times (n,) of a table, in nanoseconds, and how they lie if they are of one series.

    ``many``: many rows repeat a time. ``even``: the times have a common step. ``back``: how often
    they go back from one row to the next.
    """

    def __init__(self, moments: IntArray) -> None:
        self.moments = moments
        self.order: IntArray = np.argsort(moments, kind="stable")
        together: IntArray = np.diff(moments[self.order])
        self.repeated = int((together == 0).sum())
        self.many = self.repeated > (1 - MOSTLY) * moments.size
        self.even = find_step(together[together > 0], EXACT) is not None
        self.back = int((np.diff(moments) < 0).sum())

    def is_of_several(self, codes: IntArray, series: int) -> bool:
        """Return whether the times lie as those of several series do, each with a code (n,)."""
        within = differences_within(self.moments[self.order], codes[self.order])
        if self.many:
            return bool((within == 0).sum() <= (1 - MOSTLY) * self.repeated)
        if not self.even and find_step(within[within > 0], EXACT) is not None:
            return True
        blocks = int((np.diff(codes) != 0).sum()) == series - 1
        left = int((differences_within(self.moments, codes) < 0).sum())
        return blocks and self.back > 0 and left <= (1 - MOSTLY) * self.back


def looks_like_series(frame: pd.DataFrame) -> bool:
    """Return whether a table is surely one or several series over time.

    It has at least 16 rows, a time column that can be read and, once sorted, goes forward (in
    each entity) with a common step, and besides these and at most one entity column only numbers.

    >>> times = pd.date_range("2024-01-01", periods=48, freq="h")
    >>> looks_like_series(pd.DataFrame({"time": times, "watts": range(48)}))
    True
    """
    name = find_time(frame) if len(frame) >= LEAST_OF_A_SERIES else None
    if name is None:
        return False
    column = TimeColumn(name)
    times = column.fit(frame)
    known = ~np.isnat(times)
    others = frame.drop(columns=column.columns)
    entity = find_entity(others, times)
    codes = codes_of(others[entity])[0] if entity else np.zeros(len(frame), dtype=np.int64)
    moments: IntArray = times[known].astype(np.int64)
    order = np.argsort(moments, kind="stable")  # exports may begin with the newest row
    within = differences_within(moments[order], codes[known][order])
    if known.mean() < MOSTLY or not within.size or (within > 0).mean() < MOSTLY:
        return False
    if find_step(within[within > 0]) is None:
        return False
    rest = others.drop(columns=entity) if entity else others
    kinds = {schema.infer(rest[column]).kind for column in rest.columns}
    return bool(kinds) and kinds <= {"numeric", "boolean"}


def differences_within(times: IntArray, codes: IntArray) -> IntArray:
    """Return the differences between the times (n,) of each code (n,), in the order given."""
    order = np.argsort(codes, kind="stable")
    same = (np.diff(codes[order]) == 0) & (codes[order][1:] >= 0)
    within: IntArray = np.diff(times[order])[same]
    return within


def _may_tell_apart(cells: pd.Series[Any], name: str) -> bool:
    dtype = cells.dtype
    if pd.api.types.is_integer_dtype(dtype):
        return may_be_entity(name)
    if isinstance(dtype, pd.CategoricalDtype):
        return True
    text = pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype)
    return text and schema.infer(cells.head(10_000)).kind == "category"


def codes_of(cells: pd.Series[Any]) -> tuple[IntArray, list[str]]:
    """Return for each cell (n,) its position in the sorted names, -1 if missing, and the names."""
    try:
        codes, found = pd.factorize(cells)
    except TypeError:  # lists and objects of JSON among the cells
        codes, found = pd.factorize(cells.map(str, na_action="ignore"))
    texts = schema.read_categories(pd.Series(found))
    names, place = np.unique(texts.astype(str), return_inverse=True)
    return np.append(place, -1).astype(np.int64)[codes], names.tolist()


def _infer(cells: pd.Series[Any]) -> tuple[Column, list[str]]:
    """Return how a channel reads, and the two texts of one that is read as 0 and 1."""
    column = schema.infer(cells)
    reason = ""
    if column.kind == "category":
        names = codes_of(cells)[1]
        if len(names) == 2:
            return Column("category", note=f'read as 0 ("{names[0]}") and 1 ("{names[1]}")'), names
        reason = "text, not numbers"
    elif column.kind == "date":
        reason = "dates, not numbers"
    elif column.kind == "dropped":
        reason = "every value is missing"
    else:
        values = schema.read_numbers(cells, column)
        counts = pd.api.types.is_integer_dtype(cells.dtype) and len(values) > 2
        if not np.isfinite(values).any():
            reason = "no finite value"
        elif counts and values[-1] - values[0] == len(values) - 1 and (np.diff(values) == 1).all():
            reason = "it numbers the rows"
    return (Column("dropped", note=f"dropped: {reason}") if reason else column), []


def growth_of(seen: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return how much a counter (n,) grew at each value after the first, and where it was reset."""
    growth = np.diff(seen)
    reset = (growth < 0) & (seen[1:] >= 0) & (seen[1:] <= seen[:-1] / 10)
    return np.where(reset, seen[1:], growth), reset


def is_counter(column: FloatArray, entities: IntArray) -> bool:
    """Return whether a channel (n,), NaN where missing, of some entities (n,) only grows."""
    known = ~np.isnan(column)
    seen = column[known]
    if seen.size <= LEAST_OF_A_COUNTER or seen.min() < 0:
        return False
    growth, reset = growth_of(seen)
    same = np.diff(entities[known]) == 0
    growth, reset = growth[same], reset[same]
    if (growth > 0).sum() < LEAST_OF_A_COUNTER or growth.min() < 0 or reset.mean() > MOST_RESETS:
        return False
    quarters = [float(part.mean()) for part in np.array_split(growth, 4)]
    return min(quarters) > 0.1 * max(quarters)


def format_remarks(remarks: Remarks) -> list[str]:
    """Return remarks in words."""
    return [
        f"{quote_columns(names)} {remark}" if names else remark for remark, names in remarks.items()
    ]


def named_column(name: str, frame: pd.DataFrame, role: str) -> str | None:
    """Return the column that a user named, None for "none". Raises InputError without it."""
    if name == "none":
        return None
    if name not in frame.columns:
        raise InputError(
            f'There is no column "{name}" to take as the {role}; the table has '
            f"{quote_columns(list(frame.columns))}."
        )
    return name
