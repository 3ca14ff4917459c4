"""Parquet files, in memory bounded by bytes: a few of them can stand for gigabytes.

Numbers are counted before they are read, from the metadata. Texts that may be many times as long
as the file are read as dictionaries, and written out once their length is known; those that share
their beginnings (DELTA_BYTE_ARRAY) are read a few at a time first, to count them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tocsin.readers.delimited import Known
from tocsin.readers.limits import CHUNK_TEXT, check_size, rows_per_chunk
from tocsin.readers.nested import frame_of_arrow

_WIDTHS = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT96": 12, "BYTE_ARRAY": 4}
_COUNTED = 8 * CHUNK_TEXT  # bytes that texts may come to while they are counted
_COUNTED_ROWS = 1_000
_DAYS = (-719_162, 2_932_896)  # of the years 1 to 9999, from 1970


def read_parquet(
    path: Path, chunk_rows: int | None, _known: Known | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the table of a Parquet file, whole or in chunks."""
    metadata = pq.read_metadata(path)
    packed, size = path.stat().st_size, _fixed_size(metadata)
    check_size(path, size, packed)
    size += _shared_size(path, metadata, packed)
    texts = _expanding(metadata)
    rows = max(1, metadata.num_rows)
    batch_rows = rows_per_chunk(chunk_rows, size // rows) if chunk_rows else rows
    with pq.ParquetFile(
        path, metadata=metadata, coerce_int96_timestamp_unit="us", read_dictionary=texts
    ) as file:
        for batch in file.iter_batches(batch_size=batch_rows):
            table = pa.Table.from_batches([batch])
            if texts:
                size += sum(_written_size(column) for column in table.columns)
                check_size(path, size, packed)
            for part in _parts(table) if texts and chunk_rows else [table]:
                frame = frame_of_arrow(_written_out(part) if texts else _dated(part))
                yield frame[[name for name in frame if not str(name).startswith("__index_level_")]]


def _columns(
    metadata: pq.FileMetaData,
) -> Iterator[tuple[pq.ColumnChunkMetaData, pq.ColumnSchema]]:
    """Yield the part of each column in each group of rows, with the column's type."""
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        for j in range(group.num_columns):
            yield group.column(j), metadata.schema.column(j)


def _fixed_size(metadata: pq.FileMetaData) -> int:
    """Return the bytes of all numbers, and of texts as they are packed."""
    size = 0
    for column, schema in _columns(metadata):
        kind = column.physical_type
        width = {**_WIDTHS, "FIXED_LEN_BYTE_ARRAY": 4 + (schema.length or 0)}.get(kind, 8)
        size += width * column.num_values
        size += column.total_uncompressed_size if kind == "BYTE_ARRAY" else 0
    return size


def _shared_size(path: Path, metadata: pq.FileMetaData, packed: int) -> int:
    """Return the bytes of texts that share their beginnings. Raises UnreadableFile for too many.

    Each may be as long as all that is stored, so only so many are read at once.
    """
    longest: dict[str, int] = {}
    for column, _ in _columns(metadata):
        stored, name = column.total_uncompressed_size, column.path_in_schema
        if "DELTA_BYTE_ARRAY" in column.encodings and column.num_values * stored > CHUNK_TEXT:
            longest[name] = max(stored, longest.get(name, 0))
    size = 0
    for name, most in longest.items():
        rows = max(1, min(_COUNTED_ROWS, _COUNTED // most))
        with pq.ParquetFile(path, metadata=metadata) as file:
            for batch in file.iter_batches(batch_size=rows, columns=[name]):
                size += batch.nbytes
                check_size(path, size, packed)
    return size


def _expanding(metadata: pq.FileMetaData) -> list[str]:
    """Return the columns of texts that could come to more than a chunk may have."""
    return sorted(
        {
            column.path_in_schema
            for column, _ in _columns(metadata)
            if column.physical_type == "BYTE_ARRAY"
            and column.has_dictionary_page
            and column.num_values * column.total_uncompressed_size > CHUNK_TEXT
        }
    )


def _written_size(column: pa.ChunkedArray | pa.Array) -> int:
    """Return the bytes of the texts that a column of dictionaries stands for."""
    if isinstance(column, pa.ChunkedArray):
        return sum(map(_written_size, column.chunks))
    if pa.types.is_struct(column.type):
        return sum(map(_written_size, column.flatten()))
    if pa.types.is_map(column.type):
        return _written_size(column.keys) + _written_size(column.items)
    if pa.types.is_nested(column.type):
        return _written_size(column.flatten())
    if not pa.types.is_dictionary(column.type):
        return 0
    lengths = pc.fill_null(pc.binary_length(column.dictionary), 0).to_numpy(zero_copy_only=False)
    counts = np.bincount(column.indices.drop_null().to_numpy(), minlength=len(lengths))
    return int(counts @ lengths.astype(np.int64))


def _parts(table: pa.Table) -> Iterator[pa.Table]:
    """Yield a table in parts of which none is too large when it is written out."""
    rows = table.num_rows
    if rows > 1 and sum(_written_size(column) for column in table.columns) > CHUNK_TEXT:
        yield from _parts(table.slice(0, rows // 2))
        yield from _parts(table.slice(rows // 2))
    else:
        yield table


def _written_out(table: pa.Table) -> pa.Table:
    fields = [field.with_type(_plain(field.type)) for field in table.schema]
    return _dated(table.cast(pa.schema(fields)))


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return a type with the values of dictionaries in place of these."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_plain(field.type)) for field in kind])
    if pa.types.is_map(kind):
        return pa.map_(_plain(kind.key_type), _plain(kind.item_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain(kind.value_type))
    return pa.list_(_plain(kind.value_type)) if pa.types.is_list(kind) else kind


def _dated(table: pa.Table) -> pa.Table:
    """Return a table whose days that are of no year from 1 to 9999 are missing."""
    for i, field in enumerate(table.schema):
        if pa.types.is_date32(field.type):
            days = pc.cast(table[i], pa.int32())
            good = pc.and_(pc.greater_equal(days, _DAYS[0]), pc.less_equal(days, _DAYS[1]))
            dates = pc.if_else(good, table[i], pa.scalar(None, field.type))
            table = table.set_column(i, field, dates)
    return table
