"""Which columns of a table tell its series apart, and which are their channels."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from tocsin.prepare import schema
from tocsin.prepare.grid import find_step
from tocsin.prepare.schema import Column
from tocsin.prepare.timestamps import MOSTLY, Moments, find_time, read_times
from tocsin.types import BoolArray, FloatArray, IntArray

LEAST_OF_A_COUNTER, MOST_RESETS = 50, 0.02
"""A counter shows so many increases, and is reset in at most this share of the steps."""

LEAST_OF_A_SERIES = 16
"""A table with fewer rows is not taken for a series unasked."""

_ENTITY_WORDS = {
    *("id", "ids", "key", "entity", "device", "machine", "host", "node", "server", "sensor"),
    *("unit", "station", "site", "asset", "item", "store", "shop", "vehicle", "engine", "series"),
}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+")


def find_entity(frame: pd.DataFrame, times: Moments) -> str | None:
    """Return the name of the column that tells the series of a table apart, None if there is none.

    ``times`` (n,), datetime64[ns]. It is a column of text, or of integers with a name such as
    "machine_id", whose every value has at least two rows on average. In the whole table the times
    repeat or go back, but for each value they do not; or they have a common step only so. Of
    several the one with the fewest values is taken.
    """
    known = ~np.isnat(times)
    moments = times[known].astype(np.int64)
    differences = np.diff(moments)
    disordered = int((differences <= 0).sum())
    if not disordered and find_step(differences) is not None:
        return None
    best: tuple[int, str] | None = None
    for name in frame.columns:
        if not _may_tell_apart(frame[name], str(name)):
            continue
        codes, names = codes_of(frame.loc[known, name])
        if not 2 <= len(names) <= len(codes) / 2 or (best and best[0] <= len(names)):
            continue
        within = differences_within(moments, codes)
        if disordered:
            left = int((within <= 0).sum())
            tells = disordered >= len(names) - 1 and left <= (1 - MOSTLY) * disordered
        else:
            tells = find_step(within) is not None
        if tells:
            best = len(names), str(name)
    return best[1] if best else None


def looks_like_series(frame: pd.DataFrame) -> bool:
    """Return whether a table is surely one or several series over time.

    It has at least 16 rows, a time column that can be read and goes forward (in each entity)
    with a common step, and besides these and at most one entity column only numbers.

    >>> times = pd.date_range("2024-01-01", periods=48, freq="h")
    >>> looks_like_series(pd.DataFrame({"time": times, "watts": range(48)}))
    True
    """
    name = find_time(frame) if len(frame) >= LEAST_OF_A_SERIES else None
    if name is None:
        return False
    times = read_times(frame[name])[0]
    known = ~np.isnat(times)
    others = frame.drop(columns=name)
    entity = find_entity(others, times)
    codes = codes_of(others[entity])[0] if entity else np.zeros(len(frame), dtype=np.int64)
    within = differences_within(times[known].astype(np.int64), codes[known])
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
        words = {word.lower() for word in _WORD.findall(name)}
        return bool(words & _ENTITY_WORDS)
    if isinstance(dtype, pd.CategoricalDtype):
        return True
    text = pd.api.types.is_string_dtype(dtype) or pd.api.types.is_object_dtype(dtype)
    return text and schema.infer(cells.head(10_000)).kind == "category"


def codes_of(cells: pd.Series[Any]) -> tuple[IntArray, list[str]]:
    """Return for each cell (n,) its position in the sorted names, -1 if missing, and the names."""
    codes, found = pd.factorize(cells)
    texts = schema.categories(pd.Series(found))
    names, place = np.unique(texts.astype(str), return_inverse=True)
    return np.append(place, -1).astype(np.int64)[codes], names.tolist()


def infer_channel(cells: pd.Series[Any], named: bool) -> tuple[Column, list[str]]:
    """Return how a channel reads, and the two texts of one that is read as 0 and 1."""
    column = schema.infer(cells)
    levels: list[str] = []
    if column.kind == "category":
        names = codes_of(cells)[1]
        if len(names) == 2:
            note = f'read as 0 ("{names[0]}") and 1 ("{names[1]}")'
            return Column("category", note=note), names
        column = Column("dropped", note="dropped: text, no number")
    elif column.kind == "date":
        column = Column("dropped", note="dropped: dates, no number")
    elif column.kind == "dropped":
        column = Column("dropped", note="dropped: every value is missing")
    else:
        values = schema.numbers(cells, column)
        if not np.isfinite(values).any():
            column = Column("dropped", note="dropped: no finite value")
        elif named and len(values) > 2 and (np.diff(values) == 1).all():
            column = Column("dropped", note="dropped: it numbers the rows")
    return column, levels


def growth_of(seen: FloatArray) -> tuple[FloatArray, BoolArray]:
    """Return how much a counter (n,) grew at each value after the first, and where it was reset."""
    growth = np.diff(seen)
    reset = (growth < 0) & (seen[1:] >= 0) & (seen[1:] <= seen[:-1] / 10)
    return np.where(reset, seen[1:], growth), reset


def is_counter(column: FloatArray, same: BoolArray) -> bool:
    """Return whether a channel (n,) only grows; ``same``: no first point of its entity."""
    known = ~np.isnan(column)
    seen = column[known]
    if seen.size <= LEAST_OF_A_COUNTER or seen.min() < 0:
        return False
    growth, reset = growth_of(seen)
    inside = same[known][1:]
    growth, reset = growth[inside], reset[inside]
    if growth.size < LEAST_OF_A_COUNTER or growth.min() < 0:
        return False
    if reset.mean() > MOST_RESETS or 2 * (growth > 0).sum() < growth.size:
        return False
    quarters = [float(part.mean()) for part in np.array_split(growth, 4)]
    return min(quarters) > 0.1 * max(quarters)
