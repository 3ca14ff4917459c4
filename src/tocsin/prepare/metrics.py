"""Raw tables to readings of entities: times, entities and numbers, as they were reported."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, Self

import numpy as np
import pandas as pd

from tocsin.base import Stateful
from tocsin.base.declared import Shape
from tocsin.errors import InputError, NotFitted
from tocsin.prepare import schema
from tocsin.prepare.channels import (
    Channels,
    Remarks,
    find_entity,
    format_remarks,
    frame_of,
    named_column,
)
from tocsin.prepare.frames import Table, quote_columns
from tocsin.prepare.rows import sorted_rows
from tocsin.prepare.timestamps import TimeColumn, find_time
from tocsin.readers.delimited import Known
from tocsin.types import IntArray, ReadingArray
from tocsin.types.metrics import UNKNOWN, readings

_LEAST = 16


class PreparedReadings(NamedTuple):
    """Readings (n,), sorted by entity and time, the row of each, and what was noted of them.

    ``names``: (n,), the names of the entities, "" where the table has none.
    """

    items: ReadingArray
    rows: IntArray
    names: Any
    notes: list[str]


class MetricPreparer(Stateful):
    """Turns a table of readings into arrays: finds its times, entities and channels.

    ``time``, ``entity``: names of columns, None to find them; ``entity`` "none" states that there
    is one entity. Rows without a readable time or entity are dropped and counted, more than half
    of them is an error. Channels are the columns that read as numbers, see
    ``tocsin.prepare.channels.Channels``; missing values stay missing. Entities with fewer than 16
    readings are not learned; new ones are told. Raises InputError for a table without times or
    channels, SchemaMismatch for one that does not fit the training table.

    >>> times = pd.date_range("2026-01-01", periods=20, freq="min")
    >>> preparer = MetricPreparer()
    >>> preparer.fit_transform(pd.DataFrame({"time": times, "cpu": range(0, 100, 5)})).items.shape
    (20,)
    >>> preparer.columns_
    ['cpu']
    """

    columns_: list[str]
    time_: str
    entity_: str | None
    notes_: list[str]
    when_: TimeColumn
    channels_: Channels
    names_: Annotated[list[str], Shape("entities")]

    def __init__(self, time: str | None = None, entity: str | None = None) -> None:
        self.time = time
        self.entity = entity

    def fit_transform(self, table: Table) -> PreparedReadings:
        """Learn the columns of a table and its entities, and return its readings."""
        frame = frame_of(table)
        remarks: Remarks = defaultdict(list)
        self._find_roles(frame)
        self.channels_ = Channels()
        self.channels_.fit(frame.drop(columns=self._roles()), remarks)
        self.columns_ = self.channels_.names_
        self.names_ = []
        prepared = self._read(frame, remarks)
        names, counts = np.unique(prepared.names, return_counts=True)
        self.names_ = names[counts >= _LEAST].tolist()
        if not self.names_:
            raise InputError(
                f"Metrics are learned from at least {_LEAST} readings of an entity; the most that "
                f"one has here is {counts.max()}."
            )
        few = names[counts < _LEAST].tolist()
        if few:
            shown = ", ".join(f'"{name}"' for name in few[:3])
            remarks[f"{len(few):,} entities with fewer than {_LEAST} readings: {shown}"] = []
        known = np.isin(prepared.names, self.names_)
        self.notes_ = [*self._describe_roles(), *format_remarks(remarks)]
        return PreparedReadings(
            self._numbered(prepared)[known], prepared.rows[known], prepared.names[known], []
        )

    def prepare(self, table: Table) -> PreparedReadings:
        """Return the readings of a table, with what was noted; changes nothing."""
        if not hasattr(self, "notes_"):
            raise NotFitted("This preparation is not fitted yet: call fit_transform first.")
        remarks: Remarks = defaultdict(list)
        frame = frame_of(table)
        if not len(frame):
            raise InputError("The table has no rows: there is nothing to score.")
        schema.check_columns(frame.columns, self._roles() + self.columns_)
        prepared = self._read(frame, remarks)
        items = self._numbered(prepared)
        new = np.unique(prepared.names[items["entity"] == UNKNOWN]).tolist()
        if new:
            shown = ", ".join(f'"{name}"' for name in new[:3])
            remarks[f"{len(new):,} entities not in training, not judged: {shown}"] = []
        return prepared._replace(items=items, notes=format_remarks(remarks))

    def numbers_of(self, names: Any) -> IntArray:
        """Return the number of each entity (n,) by its name, UNKNOWN for those not learned."""
        place = {name: i for i, name in enumerate(self.names_)}
        return np.array([place.get(name, UNKNOWN) for name in names], dtype=np.int64)

    @property
    def known(self) -> Known:
        """What a reader of files must know about the columns to read new files as in training."""
        return self.channels_.known(self._roles())

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        super().set_state(state)
        self.channels_ = Channels().set_state(state["channels_"])
        self.when_ = TimeColumn().set_state(state["when_"])
        return self

    def _find_roles(self, frame: pd.DataFrame) -> None:
        name = named_column(self.time, frame, "time") if self.time else find_time(frame)
        if name is None:
            raise InputError(
                f"Metrics have a column of times; none of {quote_columns(list(frame.columns))} "
                "reads as such. Name it with time=."
            )
        self.time_, self.when_ = name, TimeColumn(name)
        moments = self.when_.fit(frame)
        self.entity_ = named_column(self.entity, frame, "entity") if self.entity else None
        if self.entity is None:
            self.entity_ = find_entity(frame.drop(columns=self.when_.columns), moments)

    def _roles(self) -> list[str]:
        return [*self.when_.columns, *([self.entity_] if self.entity_ else [])]

    def _read(self, frame: pd.DataFrame, remarks: Remarks) -> PreparedReadings:
        values = self.channels_.read(frame, remarks)
        times = frame[self.time_], self.when_.read(frame)
        rows = sorted_rows(values, times, frame[self.entity_] if self.entity_ else None, remarks)
        names = np.array(["" if name is None else name for name in rows.names], dtype=object)
        items = readings(rows.times // 1_000, rows.entities, rows.values)
        return PreparedReadings(items, rows.numbers, names[rows.entities], [])

    def _numbered(self, prepared: PreparedReadings) -> ReadingArray:
        items = prepared.items.copy()
        items["entity"] = self.numbers_of(prepared.names)
        return items

    def _describe_roles(self) -> list[str]:
        entities = f', entities from "{self.entity_}"' if self.entity_ else ""
        return [f'times from "{self.time_}" ({self.when_.words}){entities}']
