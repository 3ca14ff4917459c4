"""Raw tables to series: one an entity, evenly sampled, numeric, without missing values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd

from tocsin.base import Stateful
from tocsin.errors import InputError, NotFitted, SchemaMismatch
from tocsin.prepare import grid, schema
from tocsin.prepare.channels import (
    Channels,
    Remarks,
    codes_of,
    find_entity,
    frame_of,
    growth_of,
    is_counter,
    looks_like_series,
    written,
)
from tocsin.prepare.frames import Table, quoted
from tocsin.prepare.timestamps import Moments, TimeColumn, duration, find_time
from tocsin.types import BoolArray, FloatArray, IntArray

__all__ = ["PreparedSeries", "SeriesPreparer", "looks_like_series"]


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
    """Rows of a table, sorted by entity and time: first those usable, then one a place."""

    values: FloatArray  # (n, channels), NaN where missing
    times: IntArray  # (n,) nanoseconds, or the number of the row
    entities: IntArray  # (n,) position in names
    names: list[str | None]
    numbers: IntArray  # (n,) the row of the table

    @property
    def first(self) -> BoolArray:
        return np.asarray(np.diff(self.entities, prepend=-1) != 0)

    def take(self, where: IntArray | BoolArray) -> _Rows:
        return _Rows(
            self.values[where],
            self.times[where],
            self.entities[where],
            self.names,
            self.numbers[where],
        )


class SeriesPreparer(Stateful):
    """Turns a table into evenly sampled series without missing values, one an entity.

    ``time``, ``entity``: names of columns, None to find them, "none" if there is none.
    The rules, each use of which is noted:

    - time: see ``tocsin.prepare.timestamps``. Rows without a readable time or an entity are
      dropped; more than half of them is an error. Rows are sorted by time, those of the same
      time merged to their mean. Without times, the order of the rows is that of time.
    - entity: found only if obvious, see ``tocsin.prepare.channels.find_entity``.
    - sampling: with a common step (see ``tocsin.prepare.grid``) points take places on its
      grid; several in one place are averaged, up to 10 missing places in a row are filled by
      straight lines, over longer gaps the series is joined. Faster or slower sampling is so
      brought to the step of training, up to 60 times slower; a rate within a quarter of
      training's counts as the same. Without a common step, each event
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
    when_: TimeColumn | None
    channels_: Channels

    def __init__(self, *, time: str | None = None, entity: str | None = None) -> None:
        self.time = time
        self.entity = entity

    def fit_transform(self, table: Table) -> list[PreparedSeries]:
        """Learn the columns of a table and return its series, sorted by entity."""
        frame = frame_of(table)
        if 0 in frame.shape:
            raise InputError(
                f"The table has {frame.shape[0]} rows and {frame.shape[1]} columns; a series has "
                "at least 2 rows and 1 column."
            )
        remarks: Remarks = defaultdict(list)
        self.named_ = isinstance(table, pd.DataFrame | pd.Series)
        self.source_ = list(frame.columns)
        moments = self._find_roles(frame)
        self.channels_ = Channels()
        self.channels_.fit(frame.drop(columns=self._roles()), remarks)
        self.columns_ = self.channels_.names_
        rows = _long_enough(self._read(frame, moments, remarks), remarks)
        self.step_ = None
        if self.time_:
            differences = np.diff(rows.times, prepend=0)[~rows.first]
            step = grid.find_step(differences[differences > 0])
            self.step_ = None if step is None else step / 1e9
        self.notes_ = self._found()
        points, places = self._place(rows, remarks)
        columns = enumerate(points.values.T)
        self.counters_ = [i for i, column in columns if is_counter(column, points.entities)]
        observed = np.asarray(~np.isnan(points.values).all(axis=1))
        self._increase(points, remarks)
        self._summarise(points.values, remarks)
        series = self._fill(points, places, observed, remarks)
        self.notes_.extend(written(remarks))
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
        moments = self.when_.read(frame) if self.when_ else None
        points, places = self._place(self._read(frame, moments, remarks), remarks)
        observed = np.asarray(~np.isnan(points.values).all(axis=1))
        self._increase(points, remarks)
        return self._fill(points, places, observed, remarks), written(remarks)

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self.channels_ = Channels().set_state(state["channels_"])
        self.when_ = TimeColumn().set_state(state["when_"]) if state["when_"] else None
        return self

    def _find_roles(self, frame: pd.DataFrame) -> Moments | None:
        """Settle the columns of times and entities, and return the times."""
        self.time_ = _wanted(self.time, frame, "time") if self.time else None
        if self.time is None and self.named_:
            self.time_ = find_time(frame)
        self.when_ = TimeColumn(self.time_) if self.time_ else None
        moments = self.when_.fit(frame) if self.when_ else None
        self.entity_ = _wanted(self.entity, frame, "entity") if self.entity else None
        if self.entity is None and self.when_ and moments is not None:
            self.entity_ = find_entity(frame.drop(columns=self.when_.columns), moments)
        return moments

    def _roles(self) -> list[str]:
        return (self.when_.columns if self.when_ else []) + ([self.entity_] if self.entity_ else [])

    def _align(self, table: Table, remarks: Remarks) -> pd.DataFrame:
        frame = frame_of(table)
        if not len(frame):
            raise InputError("The table has no rows: there is nothing to score.")
        wanted = self._roles() + self.columns_
        named = isinstance(table, pd.DataFrame | pd.Series) and (
            self.named_ or set(wanted) <= set(frame.columns)
        )
        if not named and not self._roles():
            for columns in (self.columns_, self.source_):
                if frame.shape[1] == len(columns):
                    return frame.set_axis(columns, axis=1)
            raise SchemaMismatch(
                f"Training had {len(self.columns_):,} channels; this series has {frame.shape[1]:,}."
            )
        schema.require(frame.columns, wanted)
        known = set(self.source_)
        extra = [name for name in frame.columns if name not in known]
        if extra:
            remarks["ignored: training did not have it"].extend(extra)
        return frame

    def _read(self, frame: pd.DataFrame, moments: Moments | None, remarks: Remarks) -> _Rows:
        """Return the usable rows, sorted."""
        n = len(frame)
        values = self.channels_.read(frame, remarks)
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
        rows = _Rows(values, times, entities, names, np.arange(n))
        by_entity = numbers[np.argsort(entities[numbers], kind="stable")]
        back = (np.diff(times[by_entity]) < 0) & (np.diff(entities[by_entity]) == 0)
        if back.any():
            remarks[f"{grid.counted(int(back.sum()), 'row')} went back in time: sorted"] = []
            by_entity = numbers[np.lexsort((times[numbers], entities[numbers]))]
        return rows if np.array_equal(by_entity, rows.numbers) else rows.take(by_entity)

    def _place(self, rows: _Rows, remarks: Remarks) -> tuple[_Rows, IntArray]:
        """Return one row a place of the grid, the mean of those there, and the places (n,)."""
        places: IntArray = np.arange(len(rows.times))
        if self.time_:
            step = None if self.step_ is None else self.step_ * 1e9
            layout = grid.lay_out(rows.times, rows.first, step)
            places = layout.places
            remarks |= {text: [] for text in layout.remarks(self.step_)}
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        if len(starts) == len(places):
            return rows, places
        merged = grid.merge(rows.values, starts)
        return rows.take(starts)._replace(values=merged), places[starts]

    def _increase(self, points: _Rows, remarks: Remarks) -> None:
        """Turn counters into their increase, in place."""
        per = 1e9 if self.step_ is None else self.step_ * 1e9
        for i in self.counters_:
            column = points.values[:, i]
            known = np.flatnonzero(~np.isnan(column))
            growth, reset = growth_of(column[known])
            elapsed = np.diff(points.times[known]) / (per if self.time_ else 1)
            if self.step_ is not None:
                elapsed = np.maximum(np.rint(elapsed), 1)
            same = np.diff(points.entities[known]) == 0
            column[:] = np.nan
            column[known[1:][same]] = growth[same] / elapsed[same]
            if (reset & same).any():
                times = grid.counted(int((reset & same).sum()), "time")
                remarks[f"is a counter and was reset {times}"].append(self.columns_[i])

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
                remarks["is constant"].append(name)

    def _fill(
        self, points: _Rows, places: IntArray, observed: BoolArray, remarks: Remarks
    ) -> list[PreparedSeries]:
        """Fill what is missing, and cut the whole into its series."""
        n = int(places[-1]) + 1
        starts = np.flatnonzero(points.first)
        bounds = np.append(places[starts], n)
        owner = np.repeat(np.arange(len(starts)), np.diff(bounds))
        rows = np.full(n, -1)
        rows[places] = points.numbers
        filled = np.ones(n, dtype=np.bool_)
        filled[places] = ~observed
        values, times = points.values, points.times
        if n > len(places):
            times = grid.times_between(points.times, places)
            values = np.full((n, values.shape[1]), np.nan)
            values[places] = points.values
        missing = np.isnan(points.values).sum(axis=0)
        for i in np.flatnonzero((missing > 0) | (n > len(places))):
            if missing[i] and i not in self.counters_:
                count = grid.counted(int(missing[i]), "missing value")
                remarks[f"had {count}, filled"].append(self.columns_[i])
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
        if self.when_:
            columns = quoted(self.when_.columns)
            style = self.when_.style_
            style = f"{style} since 1970" if style in ("s", "ms", "us", "ns") else style
            step = "no common step: each event is a point"
            if self.step_ is not None:
                step = f"sampled every {duration(self.step_)}"
            how = "named" if self.time else "found"
            notes.append(f"time: {columns} ({how}; {style}; UTC where no zone is given); {step}")
        elif self.named_ and self.time is None:
            notes.append("no time column found: the rows are taken as evenly sampled, in order")
        if self.entity_:
            notes.append(f'entity: column "{self.entity_}" ({"named" if self.entity else "found"})')
        return notes


def _long_enough(rows: _Rows, remarks: Remarks) -> _Rows:
    """Drop the entities with one point; raise InputError if nothing is left to learn from."""
    points = rows.first | (np.diff(rows.times, prepend=0) > 0)
    long = np.bincount(rows.entities[points], minlength=len(rows.names)) >= 2
    if not long.any():
        raise InputError(
            "A series to learn from has at least 2 points of different times; this table has "
            f"{grid.counted(len(points), 'usable row')} at "
            f"{grid.counted(int(points.sum()), 'time')} in "
            f"{len(rows.names):,} series. Name other columns with time= and entity=, or give "
            'time="none" to take the rows in their order.'
        )
    if long.all():
        return rows
    short = [str(name) for name, enough in zip(rows.names, long, strict=True) if not enough]
    shown = ", ".join(f'"{name}"' for name in short[:5])
    remarks[f"series with fewer than 2 points dropped, {len(short):,} in all: {shown}"] = []
    return rows.take(long[rows.entities])


def _wanted(name: str, frame: pd.DataFrame, role: str) -> str | None:
    if name == "none":
        return None
    if name not in frame.columns:
        raise InputError(
            f'There is no column "{name}" to take as the {role}; the table has '
            f"{quoted(list(frame.columns))}."
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
        count = grid.counted(bad.size, "row")
        remarks[f"{count} without a readable {role} dropped, the first is row {bad[0]}"] = []
