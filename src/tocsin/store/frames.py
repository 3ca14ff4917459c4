"""A batch of events as bytes: the frame's columns, then those that the store adds."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from tocsin.errors import InputError, StoreError
from tocsin.types import Batch, BatchDecision

EXTRAS = pa.schema(
    {
        "_time": pa.timestamp("us", "UTC"),
        "_id": pa.string(),
        "_entity": pa.string(),
        "_score": pa.float64(),
        "_p_value": pa.float64(),
        "_is_anomaly": pa.bool_(),
    }
)
"""The columns after the frame's, in this order; one that a batch lacks has the type null."""

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_REFUSED = (pa.ArrowException, TypeError, ValueError, OverflowError)


def encode(batch: Batch, decision: BatchDecision | None) -> bytes:
    """Return a batch as an Arrow stream. Raises InputError for a column of mixed types."""
    try:
        frame = _columns(batch.frame)
        n = len(batch)
        extras: list[Any] = [
            batch.times.astype("datetime64[us]"),
            batch.ids,
            batch.entities,
            *(
                (decision.scores, decision.p_values, decision.is_anomaly)
                if decision is not None
                else (None, None, None)
            ),
        ]
        arrays = [
            pa.nulls(n) if values is None else pa.array(values, field.type)
            for values, field in zip(extras, EXTRAS, strict=True)
        ]
        record = pa.RecordBatch.from_arrays(
            [*frame.columns, *arrays],
            schema=pa.schema(
                [*frame.schema, *map(_field, EXTRAS.names, arrays)], frame.schema.metadata
            ),
        )
    except _REFUSED as error:
        raise InputError(f"These events cannot be stored: {error}.") from error
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, record.schema, options=_OPTIONS) as writer:
        writer.write_batch(record)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def decode(content: bytes, number: int) -> pa.Table:
    """Return the columns of batch ``number``: the frame's, then those of ``EXTRAS``.

    Raises StoreError when it cannot be decoded.
    """
    try:
        with pa.ipc.open_stream(pa.py_buffer(content)) as reader:
            table = reader.read_all()
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"Batch {number} of the store cannot be decoded: {error}.") from error
    return table


def frame_of(table: pa.Table) -> pd.DataFrame:
    """Return the frame with its original types; rows are numbered from 0."""
    columns = table.select(range(table.num_columns - len(EXTRAS)))
    frame: pd.DataFrame = columns.to_pandas()
    about = columns.schema.pandas_metadata or {"columns": []}
    for place, column in enumerate(about["columns"]):
        if column["numpy_type"] == "object" and column["pandas_type"] == "unicode":
            # pandas would read Python strings as its own string type.
            found = columns.column(place).to_pylist()
            frame.isetitem(place, cast("Any", pd.Series(found, frame.index, dtype=object)))
    return frame


def values(table: pa.Table, name: str) -> NDArray[Any]:
    """Return one of the columns of ``EXTRAS``."""
    found: NDArray[Any] = _extra(table, name).to_numpy()
    return found


def texts(table: pa.Table, name: str) -> tuple[str, ...] | None:
    """Return a column of texts of ``EXTRAS``, None if the batch has none."""
    found = _extra(table, name)
    return None if pa.types.is_null(found.type) else tuple(found.to_pylist())


def _extra(table: pa.Table, name: str) -> pa.ChunkedArray:
    return table.column(table.num_columns - len(EXTRAS) + EXTRAS.get_field_index(name))


def _field(name: str, array: pa.Array) -> pa.Field:
    return pa.field(name, array.type)


def _columns(frame: pd.DataFrame) -> pa.RecordBatch:
    names = list(frame.columns)
    plain = all(isinstance(dtype, np.dtype) and dtype.kind in "fiub" for dtype in frame.dtypes)
    if plain and all(isinstance(name, str) for name in names):
        # The same without the metadata of pandas, in a third of the time.
        arrays = [pa.array(column.to_numpy()) for _, column in frame.items()]
        return pa.RecordBatch.from_arrays(arrays, names=names)
    # Via a table: texts of merged batches are in chunks, which a record batch refuses.
    table = pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
    arrays = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)
