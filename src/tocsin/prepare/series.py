"""Raw tables to series: one per entity, evenly sampled, numeric, without missing values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

import numpy as np
import pandas as pd

from tocsin.base import Stateful
from tocsin.base.declared import Shape, Within
from tocsin.errors import CorruptModel, InputError, NotFitted, SchemaMismatch
from tocsin.prepare import grid, schema
from tocsin.prepare.channels import (
    Channels,
    Remarks,
    find_entity,
    format_remarks,
    frame_of,
    growth_of,
    is_counter,
    looks_like_series,
    named_column,
)
from tocsin.prepare.frames import Table, quote_columns
from tocsin.prepare.gaps import (
    LONGEST_SHOWN,
    Gaps,
    Missing,
    find_gaps,
    mark_covered,
    remarks_on,
    spans,
    usual_gap,
)
from tocsin.prepare.rows import Rows, long_enough, sorted_rows
from tocsin.prepare.timestamps import Moments, TimeColumn, find_time, format_duration
from tocsin.readers.delimited import Known
from tocsin.types import BoolArray, FloatArray, IntArray

__all__ = ["PreparedSeries", "SeriesPreparer", "looks_like_series"]


@dataclass(frozen=True, slots=True)
class PreparedSeries:
    """One series of a table, ready for a detector.

    ``values``: (n, channels), the user's units, finite. ``filled``: (n,), True where no value
    of the point was observed. ``rows``: (n,), the row of the table that each point comes from
    (the first of those merged), -1 for a point filled in. ``times``: (n,) datetime64[ns], UTC:
    the time of that row, or None for a table without times. ``spans``: of each part between
    gaps its first point, that after its last, and where it begins, in sampling steps since the
    first training point, or None; points outside all spans have no neighbours to be judged by.
    ``outages``: the first and last point of each gap that is an anomaly.
    """

    entity: str | None
    values: FloatArray
    filled: BoolArray
    rows: IntArray
    times: Moments | None
    spans: tuple[tuple[int, int, int | None], ...]
    outages: tuple[tuple[int, int], ...] = ()

    @property
    def inside(self) -> BoolArray:
        """Which of the points (n,) lie in a span."""
        inside = np.zeros(len(self.values), dtype=np.bool_)
        for start, end, _ in self.spans:
            inside[start:end] = True
        return inside


class SeriesPreparer(Stateful):
    """Turns a table into evenly sampled series without missing values, one per entity.

    ``time``, ``entity``: names of columns, None to find them, "none" if the table has none.
    The rules, each use of which is noted:

    - time: see ``tocsin.prepare.timestamps``. Rows without a readable time or an entity are
      dropped; more than half of them is an error. Rows are sorted by time, those of the same
      time merged to their mean. Without times, the order of the rows is that of time.
    - entity: found only if obvious, see ``tocsin.prepare.channels.find_entity``.
    - sampling: with a common step (see ``tocsin.prepare.grid``) points take places on its
      grid; several in one place are averaged, up to 10 missing places in a row are filled by
      straight lines, and longer gaps cut the series into spans. Faster or slower sampling is so
      brought to the step of training, up to 60 times slower; a rate within a quarter of
      training's counts as the same. Without a common step, each event
      is a point. Observed points keep their own times, and spans know their place in time.
    - ``missing``: "ignore", what is missing is unknown; "zero", missing points of a series with
      a common step are zeros, as when only events were recorded; "anomaly", gaps are anomalies,
      unless training has ten or more: then those longer than three times their 90 % quantile.
    - missing and infinite values: straight lines over time inside, the nearest value at the
      ends, the training median where an entity has none.
    - counters: a channel that only grows, but for resets to at most a tenth, at least 20 times
      and in every quarter of the data, becomes its increase per step (per second without a
      step); after a reset that is the new value.
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

    columns_: Annotated[list[str], Shape("c")]
    step_: Annotated[float | None, Within(1e-9)]
    time_: str | None
    entity_: str | None
    notes_: list[str]
    when_: TimeColumn | None
    channels_: Channels
    counters_: Annotated[list[int], Within(0, "c-1")]
    entities_: Annotated[int, Within(1)]
    named_: bool
    origin_: int | None
    pace_: Annotated[float | None, Within(1e-300)]
    source_: list[str]
    typical_: Annotated[FloatArray, Shape("c")]
    usual_gap_: float | None

    def __init__(
        self,
        *,
        time: str | None = None,
        entity: str | None = None,
        missing: Missing = "ignore",
    ) -> None:
        self.time = time
        self.entity = entity
        self.missing = missing

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
        rows = long_enough(self._read(frame, moments, remarks), remarks)
        self.step_ = None
        if self.time_:
            differences = np.diff(rows.times, prepend=0)[~rows.first]
            step = grid.find_step(differences[differences > 0])
            self.step_ = None if step is None else step / 1e9
        self.notes_ = self._describe_roles()
        points, layout = self._place(rows, remarks)
        self._settle_clock(points, layout)
        columns = enumerate(points.values.T)
        self.counters_ = [i for i, column in columns if is_counter(column, points.entities)]
        observed = np.asarray(~np.isnan(points.values).all(axis=1))
        self._increase(points, remarks)
        self._summarise(points.values, remarks)
        self.usual_gap_: int | None = None
        series = self._fill(points, layout, observed, remarks)
        self.entities_ = len(series)
        self.notes_.extend(format_remarks(remarks))
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
        points, layout = self._place(self._read(frame, moments, remarks), remarks)
        observed = np.asarray(~np.isnan(points.values).all(axis=1))
        self._increase(points, remarks)
        return self._fill(points, layout, observed, remarks), format_remarks(remarks)

    @property
    def known(self) -> Known:
        """What a reader of files must know about the columns to read new files as in training."""
        return self.channels_.known(self._roles())

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self.channels_ = Channels().set_state(state["channels_"])
        names = self.channels_.names_
        if self.columns_ != names or not set(names) <= set(self.source_):
            raise CorruptModel("The channels of a series are not among its columns.")
        self.when_ = TimeColumn().set_state(state["when_"]) if state["when_"] else None
        return self

    def _find_roles(self, frame: pd.DataFrame) -> Moments | None:
        """Settle the columns of times and entities, and return the times."""
        self.time_ = named_column(self.time, frame, "time") if self.time else None
        if self.time is None and self.named_:
            self.time_ = find_time(frame)
        self.when_ = TimeColumn(self.time_) if self.time_ else None
        moments = self.when_.fit(frame) if self.when_ else None
        self.entity_ = named_column(self.entity, frame, "entity") if self.entity else None
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
        schema.check_columns(frame.columns, wanted)
        known = set(self.source_)
        extra = [name for name in frame.columns if name not in known]
        if extra:
            remarks["ignored: training did not have it"].extend(extra)
        return frame

    def _read(self, frame: pd.DataFrame, moments: Moments | None, remarks: Remarks) -> Rows:
        """Return the usable rows, sorted."""
        values = self.channels_.read(frame, remarks)
        times = None if moments is None else (frame[self.time_], moments)
        return sorted_rows(values, times, frame[self.entity_] if self.entity_ else None, remarks)

    def _place(self, rows: Rows, remarks: Remarks) -> tuple[Rows, grid.Layout]:
        """Return one row per place of the grid, the mean of its rows, and where they lie."""
        step = None if self.step_ is None else self.step_ * 1e9
        shown = LONGEST_SHOWN if self.missing == "anomaly" else 0
        layout = grid.lay_out(rows.times, rows.first, step, self._longest_gap, shown)
        if self.time_:
            remarks |= {text: [] for text in layout.remarks(self.step_)}
        starts = np.flatnonzero(np.diff(layout.places, prepend=-1))
        if len(starts) == len(layout.places):
            return rows, layout
        merged = grid.merge(rows.values, starts)
        return rows.take(starts)._replace(values=merged), layout.take(starts)

    @property
    def _longest_gap(self) -> int:
        """A gap of more points cuts the series."""
        return LONGEST_SHOWN if self.missing == "zero" else grid.LONGEST_GAP

    def _settle_clock(self, points: Rows, layout: grid.Layout) -> None:
        """Learn when training began, and how much time passes between points."""
        self.origin_: int | None = None
        self.pace_: float | None = None
        if self.time_ and self.step_ is not None:
            self.origin_ = int(points.times.min())
            breaks = points.first | layout.cut
            self.pace_ = grid.pace(points.times, layout.places, breaks, self.step_ * 1e9)

    def _increase(self, points: Rows, remarks: Remarks) -> None:
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
                times = grid.format_count(int((reset & same).sum()), "time")
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
                remarks[f"only grows: its increase per {unit} is taken"].append(name)
            if known.size and (known == known[0]).all():
                remarks["is constant"].append(name)

    def _fill(
        self, points: Rows, layout: grid.Layout, observed: BoolArray, remarks: Remarks
    ) -> list[PreparedSeries]:
        """Fill what is missing, and cut the whole into its series."""
        places = layout.places
        n = int(places[-1]) + 1
        starts = np.flatnonzero(points.first)
        bounds = np.append(places[starts], n)
        owner = np.repeat(np.arange(len(starts)), np.diff(bounds))
        rows = np.full(n, -1)
        rows[places] = points.numbers
        times = points.times if n == len(places) else grid.times_between(points.times, places)
        gaps = find_gaps(layout, observed, times, owner)
        filled = np.ones(n, dtype=np.bool_)
        filled[places] = ~observed
        values = np.full((n, points.values.shape[1]), np.nan)
        values[places] = points.values
        cut = gaps.take(gaps.count > self._longest_gap)
        parts = spans(cut, owner)
        if self.missing == "zero" and self.step_ is not None:
            zeros = filled & mark_covered(parts, n)
            values[zeros], filled[zeros] = 0.0, False
        if self.time_:
            added = int((mark_covered(parts, n) & (rows < 0)).sum())
            texts = remarks_on(gaps, added, self._longest_gap, self.missing)
            remarks |= {text: [] for text in texts}
        missing = np.isnan(points.values).sum(axis=0)
        for i in np.flatnonzero(np.isnan(values).any(axis=0)):
            if missing[i] and i not in self.counters_:
                count = grid.format_count(int(missing[i]), "missing value")
                remarks[f"had {count}, filled"].append(self.columns_[i])
            grid.bridge(values[:, i], times, owner, float(self.typical_[i]))
        outages = self._outages(gaps, owner)
        moments = times.view("datetime64[ns]") if self.time_ else None
        return [
            PreparedSeries(
                entity=points.names[points.entities[start]],
                values=values[low:high],
                filled=filled[low:high],
                rows=rows[low:high],
                times=None if moments is None else moments[low:high],
                spans=tuple((a - low, b - low, self._at(times[a])) for a, b in parts[i]),
                outages=tuple((a - low, b - low) for a, b in outages[i]),
            )
            for i, (start, low, high) in enumerate(
                zip(starts.tolist(), bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)
            )
        ]

    def _at(self, time: int) -> int | None:
        """Return the place of a time, in sampling steps since the first training point."""
        if self.origin_ is None or self.pace_ is None:
            return None
        return round((int(time) - self.origin_) / self.pace_)

    def _outages(self, gaps: Gaps, owner: IntArray) -> list[list[tuple[int, int]]]:
        """Return for each owner of places the gaps that are anomalies."""
        found: list[list[tuple[int, int]]] = [[] for _ in range(int(owner[-1]) + 1)]
        if self.missing != "anomaly" or self.step_ is None:
            return found
        if self.usual_gap_ is None:
            self.usual_gap_ = usual_gap(gaps)
        unusual = gaps.take(gaps.count > self.usual_gap_)
        for first, last in zip(unusual.first.tolist(), unusual.last.tolist(), strict=True):
            found[owner[first]].append((first, last))
        return found

    def _describe_roles(self) -> list[str]:
        """Describe what was taken as time and entity."""
        notes = []
        if self.when_:
            columns = quote_columns(self.when_.columns)
            style = self.when_.words
            step = "no common step: each event is a point"
            if self.step_ is not None:
                step = f"sampled every {format_duration(self.step_)}"
            how = "named" if self.time else "found"
            notes.append(f"time: {columns} ({how}; {style}; UTC unless a zone is given); {step}")
        elif self.named_ and self.time is None:
            notes.append("no time column found: the rows are taken as evenly sampled, in order")
        if self.entity_:
            notes.append(f'entity: column "{self.entity_}" ({"named" if self.entity else "found"})')
        return notes
