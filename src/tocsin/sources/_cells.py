"""Cells of database tables as events have values: objects by dotted names, odd types as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pandas as pd

from tocsin.sources._fields import Fields
from tocsin.sources._records import flat

_KEPT = (bool, int, float, str, bytes, Decimal, UUID, date, time, timedelta, type(None))
_FIELDS = Fields()


def frame_of_cells(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> pd.DataFrame:
    """Return rows of a database as a table of values that every store keeps.

    >>> frame_of_cells([(1, {"heat": 2.5}), (2, None)], ["n", "of"]).to_dict("list")
    {'n': [1, 2], 'of.heat': [2.5, nan]}
    """
    frame = pd.DataFrame(list(map(tuple, rows)), columns=list(names))
    odd = {name for name in frame if not frame[name].map(_is_kept).all()}
    if not odd:
        return frame
    columns: dict[str, Any] = {}
    for name, column in frame.items():
        columns |= _spread(str(name), column.tolist()) if name in odd else {str(name): column}
    return pd.DataFrame(columns, index=frame.index)


def _spread(name: str, cells: list[Any]) -> dict[str, list[Any]]:
    """Return the columns of cells of any types: a column for each name that their objects have."""
    columns: dict[str, list[Any]] = {}
    for i, cell in enumerate(cells):
        values = [(name, cell)]
        if isinstance(cell, dict):
            values = flat(cell, f"{name}.", 0, _FIELDS)
        for of, value in values:
            columns.setdefault(of, [None] * len(cells))[i] = _plain(value)
    held = {of: values for of, values in columns.items() if any(v is not None for v in values)}
    return held or {name: [None] * len(cells)}


def _is_kept(value: Any) -> bool:
    return isinstance(value, _KEPT)


def _plain(value: Any) -> Any:
    if _is_kept(value):
        return value
    if isinstance(value, list | tuple):
        return msgspec.json.encode(value, enc_hook=str).decode()
    return str(value)
