"""The rows of a table of series: those that can be used, sorted by entity and time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tocsin.errors import InputError
from tocsin.prepare.channels import Remarks, codes_of
from tocsin.prepare.grid import format_count
from tocsin.prepare.timestamps import Moments
from tocsin.types import BoolArray, FloatArray, IntArray


class Rows(NamedTuple):
    """Rows of a table, sorted by entity and time: first the usable ones, then one per place."""

    values: FloatArray  # (n, channels), NaN where missing
    times: IntArray  # (n,) nanoseconds, or the number of the row
    entities: IntArray  # (n,) position in names
    names: list[str | None]
    numbers: IntArray  # (n,) the row of the table

    @property
    def first(self) -> BoolArray:
        """Which rows (n,) are the first of their entity."""
        return np.asarray(np.diff(self.entities, prepend=-1) != 0)

    def take(self, where: IntArray | BoolArray) -> Rows:
        """Return some of the rows."""
        return Rows(
            self.values[where],
            self.times[where],
            self.entities[where],
            self.names,
            self.numbers[where],
        )


def sorted_rows(
    values: FloatArray,
    times: tuple[pd.Series[Any], Moments] | None,
    entity: pd.Series[Any] | None,
    remarks: Remarks,
) -> Rows:
    """Return the rows with a readable time and an entity, sorted by both.

    ``values``: (n, channels). ``times``: the column of times and what it reads as, None where the
    rows are in order of time. ``entity``: the column of entities, if any. Raises InputError
    if more than half of the rows cannot be used.
    """
    n = len(values)
    moments: IntArray = np.arange(n)
    usable = np.ones(n, dtype=np.bool_)
    if times is not None:
        cells, read = times
        usable &= ~np.isnat(read)
        moments = read.astype(np.int64)
        _refuse(cells, usable, "time", remarks)
    entities: IntArray = np.zeros(n, dtype=np.int64)
    names: list[str | None] = [None]
    if entity is not None:
        entities, names[:] = codes_of(entity)
        _refuse(entity, entities >= 0, "entity", remarks)
        usable &= entities >= 0
    numbers = np.flatnonzero(usable)
    if not numbers.size:
        raise InputError("No row has both a readable time and an entity.")
    rows = Rows(values, moments, entities, names, np.arange(n))
    by_entity = numbers[np.argsort(entities[numbers], kind="stable")]
    back = (np.diff(moments[by_entity]) < 0) & (np.diff(entities[by_entity]) == 0)
    if back.any():
        remarks[f"{format_count(int(back.sum()), 'row')} went back in time: sorted"] = []
        by_entity = numbers[np.lexsort((moments[numbers], entities[numbers]))]
    return rows if np.array_equal(by_entity, rows.numbers) else rows.take(by_entity)


def long_enough(rows: Rows, remarks: Remarks) -> Rows:
    """Drop the entities with one point; raise InputError if nothing is left to learn from."""
    points = rows.first | (np.diff(rows.times, prepend=0) > 0)
    long = np.bincount(rows.entities[points], minlength=len(rows.names)) >= 2
    if not long.any():
        raise InputError(
            "A series to learn from has at least 2 points of different times; this table has "
            f"{format_count(len(points), 'usable row')} at "
            f"{format_count(int(points.sum()), 'time')} in "
            f"{len(rows.names):,} series. Name other columns with time= and entity=, or give "
            'time="none" to take the rows in their order.'
        )
    if long.all():
        return rows
    short = [str(name) for name, enough in zip(rows.names, long, strict=True) if not enough]
    shown = ", ".join(f'"{name}"' for name in short[:5])
    remarks[f"series with fewer than 2 points dropped, {len(short):,} in all: {shown}"] = []
    return rows.take(long[rows.entities])


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
        count = format_count(bad.size, "row")
        remarks[f"{count} without a readable {role} dropped, the first is row {bad[0]}"] = []
