"""Raw tables to series: one an entity, evenly sampled, numeric, without missing values."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tocsin.base import Stateful
from tocsin.errors import InputError, NotFitted, SchemaMismatch
from tocsin.prepare import grid, schema
from tocsin.prepare.channels import (
    codes_of,
    find_entity,
    growth_of,
    infer_channel,
    is_counter,
    looks_like_series,
)
from tocsin.prepare.schema import Column
from tocsin.prepare.tables import Table, _as_frame, _names
from tocsin.prepare.timestamps import Moments, duration, find_time, read_times
from tocsin.types import BoolArray, FloatArray, IntArray

__all__ = ["PreparedSeries", "SeriesPreparer", "looks_like_series"]

Remarks = dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class PreparedSeries:
    """One series of a table, ready for a detector.

    ``values``: (n, channels), the user's units, finite. ``filled``: (n,), True where no value
    of the point was observed. ``rows``: (n,), the row of the table that each point comes from
    (the first of those merged), -1 for a point filled in. ``times``: (n,) datetime64[ns], UTC:
    the time of that row, or None for a table without times.
    """

    entity: str | None
    values: FloatArray
    filled: BoolArray
    rows: IntArray
    times: Moments | None


class _Rows(NamedTuple):
    """The usable rows of a table, sorted by entity and time."""

    values: FloatArray  # (n, channels), NaN where missing
    times: IntArray  # (n,) nanoseconds, or the number of the row
    entities: IntArray  # (n,) position in names
    names: list[str | None]
    numbers: IntArray  # (n,) the row of the table

    @property
    def first(self) -> BoolArray:
        return np.asarray(np.diff(self.entities, prepend=-1) != 0)

    def differences(self) -> IntArray:
        """Return the time differences within entities that are not zero."""
        gaps = np.diff(self.times, prepend=0)
        return gaps[~self.first & (gaps > 0)]


class _Points(NamedTuple):
    """What was observed, one row a place of the grid."""

    values: FloatArray  # (n, channels), NaN where missing
    times: IntArray  # (n,)
    entities: IntArray  # (n,)
    names: list[str | None]
    numbers: IntArray  # (n,) the row of the table
    places: IntArray  # (n,) in all series, one after the other
    observed: BoolArray  # (n,) some value is not missing


class SeriesPreparer(Stateful):
    """Turns a table into evenly sampled series without missing values, one an entity.

    ``time``, ``entity``: names of columns, None to find them, "none" if there is none.
    The rules, each use of which is noted:

    - time: see ``tocsin.prepare.timestamps``. Rows without a readable time or an entity are
      dropped; more than half of them is an error. Rows are sorted by time, those of the same
      time merged to their mean. Without times, the order of the rows is that of time.
    - entity: found if the times repeat, go back or have no common step in the table, but
      increase (with a common step) for each value of one text or identifier column.
    - sampling: with a common step (see ``tocsin.prepare.grid``) points take places on its
      grid; several in one place are averaged, up to 10 missing places in a row are filled by
      straight lines, over longer gaps the series is joined. Faster or slower sampling is so
      brought to the step of training, up to 60 times slower. Without a common step, each event
      is a point. Observed points keep their own times.
    - missing and infinite values: straight lines over time inside, the nearest value at the
      ends, the training median where an entity has none.
    - counters: a channel that only grows, but for resets to at most a tenth, in at least half
      of the steps and in every quarter of the data, becomes its increase a step (a second
      without a step); after a reset that is the new value.
    - other columns: booleans and columns of two texts are 0 and 1 (by alphabet), text that
      reads as numbers is read; the rest, and columns without a value, are dropped.

    After ``fit_transform``: ``columns_`` names of the channels (x0, x1, … for arrays), ``step_``
    seconds between points or None, ``time_`` and ``entity_`` columns or None, ``notes_``.

    Raises InputError for a table that cannot be learned from, SchemaMismatch for one that does
    not fit the training table.

    >>> frame = pd.DataFrame({"time": ["2024-01-01 00:00", "2024-01-01 00:01"], "watts": [3, 5]})
    >>> preparer = SeriesPreparer()
    >>> preparer.fit_transform(frame)[0].values.ravel().tolist()
    [3.0, 5.0]
    >>> preparer.step_
    60.0
    """

    columns_: list[str]
    step_: float | None
    time_: str | None
    entity_: str | None
    notes_: list[str]

    def __init__(self, *, time: str | None = None, entity: str | None = None) -> None:
        self.time = time
        self.entity = entity

    def fit_transform(self, table: Table) -> list[PreparedSeries]:
        """Learn the columns of a table and return its series, sorted by entity."""
        frame = _frame_of(table)
        if 0 in frame.shape:
            raise InputError(
                f"The table has {frame.shape[0]} rows and {frame.shape[1]} columns; a series has "
                "at least 2 rows and 1 column."
            )
        remarks: Remarks = defaultdict(list)
        self.named_ = isinstance(table, pd.DataFrame | pd.Series)
        self.time_ = _wanted(self.time, frame, "time") if self.time else None
        if self.time is None and self.named_:
            self.time_ = find_time(frame)
        moments, self.time_style_ = read_times(frame[self.time_]) if self.time_ else (None, "")
        self.entity_ = _wanted(self.entity, frame, "entity") if self.entity else None
        if self.entity is None and moments is not None:
            self.entity_ = find_entity(frame.drop(columns=self.time_), moments)
        self._infer(frame, remarks)
        rows = self._without_short(self._read(frame, moments, remarks), remarks)
        differences = rows.differences()
        if self.time_ and not differences.size:
            raise InputError(
                f'Column "{self.time_}" has the same time in all {len(frame):,} rows: name '
                'another with time=, or give time="none" to take the rows in their order.'
            )
        step = grid.find_step(differences) if self.time_ else None
        self.step_ = None if step is None else step / 1e9
        self.notes_ = self._found()
        points = self._places(rows, remarks)
        same = np.asarray(np.diff(points.entities, prepend=-1) == 0)
        self.counters_ = [i for i, x in enumerate(points.values.T) if is_counter(x, same)]
        self._increase(points, remarks)
        self._summarise(points.values, remarks)
        series = self._fill(points, remarks)
        self.notes_.extend(_written(remarks))
        return series

    def transform(self, table: Table) -> list[PreparedSeries]:
        """Return the series of a table, sorted by entity; changes nothing."""
        return self.prepare(table)[0]

    def remarks(self, table: Table) -> list[str]:
        """Return what is done to this table: sorted, merged, filled and so on."""
        return self.prepare(table)[1]

    def prepare(self, table: Table) -> tuple[list[PreparedSeries], list[str]]:
        """Return both ``transform`` and ``remarks`` of a table."""
        if not hasattr(self, "typical_"):
            raise NotFitted("This preparation is not fitted yet: call fit_transform first.")
        remarks: Remarks = defaultdict(list)
        frame = self._align(table, remarks)
        moments = read_times(frame[self.time_], self.time_style_)[0] if self.time_ else None
        points = self._places(self._read(frame, moments, remarks), remarks)
        self._increase(points, remarks)
        return self._fill(points, remarks), _written(remarks)

    def _align(self, table: Table, remarks: Remarks) -> pd.DataFrame:
        frame = _frame_of(table)
        if not len(frame):
            raise InputError("The table has no rows: there is nothing to score.")
        roles = [name for name in (self.time_, self.entity_) if name]
        named = isinstance(table, pd.DataFrame | pd.Series)
        if not (roles or (named and (self.named_ or set(self.columns_) <= set(frame.columns)))):
            return self._by_position(frame)
        schema.require(frame.columns, [*roles, *self.columns_])
        extra = [name for name in frame.columns if name not in set(self.source_)]
        if extra:
            remarks["ignored: training did not have it"].extend(extra)
        return frame

    def _by_position(self, frame: pd.DataFrame) -> pd.DataFrame:
        for columns in (self.columns_, self.source_):
            if frame.shape[1] == len(columns):
                return frame.set_axis(columns, axis=1)
        raise SchemaMismatch(
            f"Training had {len(self.columns_):,} channels; this series has {frame.shape[1]:,}."
        )

    def _infer(self, frame: pd.DataFrame, remarks: Remarks) -> None:
        """Settle which columns are channels, and how each reads."""
        self.source_ = list(frame.columns)
        self.columns_, self.styles_, self.odd_words_, self.levels_ = [], [], [], []
        for name in frame.columns.drop([n for n in (self.time_, self.entity_) if n]):
            column, levels = infer_channel(frame[name], self.named_)
            if column.note:
                remarks[column.note].append(name)
            if column.kind != "dropped":
                self.columns_.append(name)
                self.styles_.append(column.style)
                self.odd_words_.append(list(column.missing))
                self.levels_.append(levels)
        if not self.columns_:
            raise InputError(
                "No column can be a channel of a series: "
                + "; ".join(_written(remarks) or ["the table holds only times and entities"])
                + ". A series has at least one numeric column."
            )

    def _read(self, frame: pd.DataFrame, moments: Moments | None, remarks: Remarks) -> _Rows:
        """Return the usable rows, sorted; infinite values are missing."""
        n = len(frame)
        values = np.empty((n, len(self.columns_)))
        for i, name in enumerate(self.columns_):
            values[:, i] = self._channel(frame[name], i, remarks)
        infinite = np.isinf(values)
        if infinite.any():
            for i in np.flatnonzero(infinite.any(axis=0)):
                remarks["has infinite values, taken as missing"].append(self.columns_[i])
            values[infinite] = np.nan
        times: IntArray = np.arange(n)
        usable = np.ones(n, dtype=np.bool_)
        if moments is not None:
            usable &= ~np.isnat(moments)
            times = moments.astype(np.int64)
            _refuse(frame[self.time_], usable, "time", remarks)
        entities: IntArray = np.zeros(n, dtype=np.int64)
        names: list[str | None] = [None]
        if self.entity_:
            entities, names[:] = codes_of(frame[self.entity_])
            _refuse(frame[self.entity_], entities >= 0, "entity", remarks)
            usable &= entities >= 0
        numbers = np.flatnonzero(usable)
        if not numbers.size:
            raise InputError("No row has both a readable time and an entity.")
        ordered = np.lexsort((times[numbers], entities[numbers]))
        by_entity = numbers[np.argsort(entities[numbers], kind="stable")]
        numbers = numbers[ordered]
        back = (np.diff(times[by_entity]) < 0) & (np.diff(entities[by_entity]) == 0)
        if back.any():
            remarks[f"{int(back.sum()):,} rows went back in time: sorted"] = []
        if not np.array_equal(numbers, np.arange(n)):
            values, times, entities = values[numbers], times[numbers], entities[numbers]
        return _Rows(values, times, entities, names, numbers)

    def _channel(self, cells: pd.Series[Any], i: int, remarks: Remarks) -> FloatArray:
        levels = self.levels_[i]
        if not levels:
            column = Column("numeric", self.styles_[i], tuple(self.odd_words_[i]))
            return schema.numbers(cells, column)
        codes, names = codes_of(cells)
        place = np.array([levels.index(name) if name in levels else np.nan for name in names])
        unseen = [name for name in names if name not in levels]
        if unseen:
            shown = ", ".join(f'"{name}"' for name in unseen[:3])
            remarks[f"has values unseen in training, taken as missing: {shown}"].append(
                self.columns_[i]
            )
        return np.append(place, np.nan)[codes]

    def _without_short(self, rows: _Rows, remarks: Remarks) -> _Rows:
        """Drop what has too few points to learn from."""
        points = rows.first | (np.diff(rows.times, prepend=0) > 0)
        long = np.bincount(rows.entities[points], minlength=len(rows.names)) >= 2
        if not long.any() and not (self.time_ and len(rows.times) > 1):
            raise InputError(
                f"A series to learn from has at least 2 points; this table has {len(rows.times):,} "
                f"row(s) in {len(rows.names):,} series."
            )
        if long.all() or not long.any():
            return rows
        short = [str(name) for name, enough in zip(rows.names, long, strict=True) if not enough]
        shown = ", ".join(f'"{name}"' for name in short[:5])
        remarks[f"{len(short):,} entities with fewer than 2 points dropped: {shown}"] = []
        kept = long[rows.entities]
        return _Rows(
            rows.values[kept],
            rows.times[kept],
            (np.cumsum(long) - 1)[rows.entities[kept]],
            [name for name, enough in zip(rows.names, long, strict=True) if enough],
            rows.numbers[kept],
        )

    def _places(self, rows: _Rows, remarks: Remarks) -> _Points:
        """Place the rows on the grid, and take the mean of those in one place."""
        first = rows.first
        if self.time_:
            step = None if self.step_ is None else self.step_ * 1e9
            layout = grid.lay_out(rows.times, first, step)
        else:
            layout = grid.Layout(np.arange(len(rows.times)))
        starts = np.flatnonzero(np.diff(layout.at, prepend=-1))
        self._say_layout(rows, layout, len(starts), remarks)
        values = grid.merge(rows.values, starts)
        return _Points(
            values,
            rows.times[starts],
            rows.entities[starts],
            rows.names,
            rows.numbers[starts],
            layout.at[starts],
            np.asarray(~np.isnan(values).all(axis=1)),
        )

    def _say_layout(self, rows: _Rows, layout: grid.Layout, kept: int, remarks: Remarks) -> None:
        same = int(((np.diff(rows.times) == 0) & ~rows.first[1:]).sum()) if self.time_ else 0
        close = len(rows.times) - kept - same
        if same:
            advice = (
                ""
                if self.entity_ or 10 * same < kept
                else "; if they are of several series, name the column that tells them apart"
            )
            remarks[f"{same:,} rows repeated a time: merged to their mean{advice}"] = []
        if self.step_ is None:
            return
        step = duration(self.step_)
        if close > 0:
            remarks[f"{close:,} rows came faster than every {step}: averaged"] = []
        if layout.slow:
            remarks[
                f"{layout.slow:,} points came more slowly than every {step}: straight lines "
                "in between"
            ] = []
        if layout.joined:
            remarks[
                f"{layout.joined:,} gaps too long to fill, the longest of "
                f"{duration(layout.longest / 1e9)}: the series is joined over them"
            ] = []
        filled = int(layout.at[-1]) + 1 - kept
        if filled:
            remarks[f"{filled:,} missing points filled by straight lines"] = []

    def _increase(self, points: _Points, remarks: Remarks) -> None:
        """Turn counters into their increase, in place."""
        for i in self.counters_:
            column = points.values[:, i]
            known = np.flatnonzero(~np.isnan(column))
            seen = column[known]
            column[:] = np.nan
            same = np.diff(points.entities[known]) == 0
            growth, reset = growth_of(seen)
            elapsed = np.diff(points.times[known]).astype(np.float64)
            if self.step_ is not None:
                elapsed = np.maximum(np.rint(elapsed / (self.step_ * 1e9)), 1)
            elif self.time_:
                elapsed /= 1e9
            column[known[1:][same]] = (growth / elapsed)[same]
            resets = int((reset & same).sum())
            if resets:
                remarks[f"is a counter that was reset {resets:,} times"].append(self.columns_[i])

    def _summarise(self, values: FloatArray, remarks: Remarks) -> None:
        """Keep the median of each channel; name the counters and the constant ones."""
        self.typical_ = np.zeros(len(self.columns_))
        for i, name in enumerate(self.columns_):
            known = values[~np.isnan(values[:, i]), i]
            if known.size:
                self.typical_[i] = np.median(known)
            if i in self.counters_:
                unit = "step" if self.step_ is not None or not self.time_ else "second"
                remarks[f"only grows: its increase a {unit} is taken"].append(name)
            if known.size and (known == known[0]).all():
                remarks["constant"].append(name)

    def _fill(self, points: _Points, remarks: Remarks) -> list[PreparedSeries]:
        """Fill what is missing, and cut the whole into its series."""
        n = int(points.places[-1]) + 1
        starts = np.flatnonzero(np.diff(points.entities, prepend=-1))
        bounds = np.append(points.places[starts], n)
        owner = np.repeat(np.arange(len(starts)), np.diff(bounds))
        rows = np.full(n, -1)
        rows[points.places] = points.numbers
        filled = np.ones(n, dtype=np.bool_)
        filled[points.places] = ~points.observed
        times = points.times
        values = points.values
        if n > len(points.places):
            times = _between(points.times, points.places)
            values = np.full((n, values.shape[1]), np.nan)
            values[points.places] = points.values
        for i, name in enumerate(self.columns_):
            missing = int(np.isnan(points.values[:, i]).sum())
            if missing and i not in self.counters_:
                remarks[f"had {missing:,} missing values, filled"].append(name)
            grid.bridge(values[:, i], times, owner, float(self.typical_[i]))
        moments = times.view("datetime64[ns]") if self.time_ else None
        return [
            PreparedSeries(
                entity=points.names[points.entities[start]],
                values=values[low:high],
                filled=filled[low:high],
                rows=rows[low:high],
                times=None if moments is None else moments[low:high],
            )
            for start, low, high in zip(
                starts.tolist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True
            )
        ]

    def _found(self) -> list[str]:
        """Return what was taken as time and entity, in words."""
        notes = []
        if self.time_:
            source = "named" if self.time else "found"
            notes.append(
                f'time: column "{self.time_}" ({source}; {_style_in_words(self.time_style_)})'
            )
        elif self.named_ and self.time is None:
            notes.append("no time column found: the rows are taken as evenly sampled, in order")
        if self.entity_:
            notes.append(f'entity: column "{self.entity_}" ({"named" if self.entity else "found"})')
        if self.time_:
            notes.append(
                f"sampled every {duration(self.step_)}"
                if self.step_ is not None
                else "no common step between the times: each event is taken as a point"
            )
        return notes


def _between(times: IntArray, places: IntArray) -> IntArray:
    """Return the times of all places, evenly between those known at some (n,) places."""
    every = np.arange(int(places[-1]) + 1)
    after = np.searchsorted(places, every)
    before = np.maximum(after - 1, 0)
    share = (every - places[before]) / np.maximum(places[after] - places[before], 1)
    found = times[before] + np.rint((times[after] - times[before]) * share).astype(np.int64)
    return np.where(places[after] == every, times[after], found)


def _frame_of(table: Table) -> pd.DataFrame:
    """Return a table, vector or time-indexed frame as a frame with named columns."""
    if isinstance(table, pd.Series):
        table = table.to_frame("x0" if table.name is None else table.name)
    if isinstance(table, pd.DataFrame):
        if isinstance(table.index, pd.DatetimeIndex):
            table = table.reset_index(names=str(table.index.name or "time"))
        return _as_frame(table)
    array = np.asarray(table)
    if array.ndim not in (1, 2):
        raise InputError(
            f"A series is an array (n,) or (n, channels); got one of shape {array.shape}."
        )
    return _as_frame(array.reshape(len(array), -1) if array.ndim == 1 else array)


def _wanted(name: str, frame: pd.DataFrame, role: str) -> str | None:
    if name == "none":
        return None
    if name not in frame.columns:
        raise InputError(
            f'There is no column "{name}" to take as the {role}; the table has '
            f"{_names(list(frame.columns))}."
        )
    return name


def _refuse(cells: pd.Series[Any], usable: BoolArray, role: str, remarks: Remarks) -> None:
    """Count the rows that cannot be used; raise InputError if they are more than half."""
    bad = np.flatnonzero(~usable)
    if 2 * bad.size > usable.size:
        raise InputError(
            f'{bad.size:,} of {usable.size:,} rows of column "{cells.name}" cannot be read as '
            f'{role}, the first is row {bad[0]} (counted from 0): "{cells.iloc[bad[0]]}". '
            f"Name another column with {role}=, or correct them."
        )
    if bad.size:
        remarks[f"{bad.size:,} rows without a readable {role} dropped, the first row {bad[0]}"] = []


def _style_in_words(style: str) -> str:
    if style in ("s", "ms", "us", "ns"):
        return f"{style} since 1970"
    return (
        "UTC where no zone is given"
        if style == "datetime"
        else f"{style}, UTC where no zone is given"
    )


def _written(remarks: Remarks) -> list[str]:
    """Return remarks about columns, each with its columns, and those about the whole."""
    return [f"{_names(names)} {remark}" if names else remark for remark, names in remarks.items()]
