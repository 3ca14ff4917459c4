"""Writes scores into a file, chunk by chunk, whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tocsin.errors import ParameterError
from tocsin.files import replacing, reporting
from tocsin.readers.formulas import defuse_formula

if TYPE_CHECKING:
    import pandas as pd

Write = Callable[["pd.DataFrame"], None]
"""Appends a frame, whose columns are those of the first."""


@contextmanager
def score_writer(path: Path | None) -> Iterator[Write]:
    """Yield what appends frames to a file, by its ending; without a path, what does nothing.

    The file appears when the block ends well. Raises ParameterError for an unknown ending.
    """
    if path is None:
        yield lambda frame: None
        return
    if path.suffix not in _WRITERS:
        raise ParameterError(f'--out must end in {", ".join(_WRITERS)}; got "{path.name}".')
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        writer = _WRITERS[path.suffix](temporary)

        def write(frame: pd.DataFrame) -> None:
            with reporting(path):
                writer.write(frame)

        try:
            yield write
        finally:
            with reporting(path):
                writer.close()


class _Writer(Protocol):
    def write(self, frame: pd.DataFrame) -> None: ...

    def close(self) -> None: ...


class _Csv:
    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", newline="")

    def write(self, frame: pd.DataFrame) -> None:
        texts = [str(name) for name, kind in frame.dtypes.items() if not _is_plain(kind)]
        frame = frame.assign(**{name: frame[name].map(_defuse) for name in texts})
        # Python's csv leaves a carriage return bare, which readers take for the end of a line.
        broken = any(frame[name].astype(str).str.contains("\r").any() for name in texts)
        quoting: Literal[0, 2] = csv.QUOTE_NONNUMERIC if broken else csv.QUOTE_MINIMAL
        frame.to_csv(self._file, header=not self._file.tell(), index=False, quoting=quoting)

    def close(self) -> None:
        self._file.close()


def _is_plain(kind: Any) -> bool:
    """Return whether a column of this dtype holds numbers or times, and no texts."""
    from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

    return bool(is_numeric_dtype(kind) or is_datetime64_any_dtype(kind))


def _defuse(cell: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    return defuse_formula(cell) if isinstance(cell, str) else cell


class _JsonLines:
    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")

    def write(self, frame: pd.DataFrame) -> None:
        frame.to_json(self._file, orient="records", lines=True)

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def write(self, frame: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(frame, preserve_index=False)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


_WRITERS: dict[str, Callable[[Path], _Writer]] = {
    ".csv": _Csv,
    ".parquet": _Parquet,
    ".jsonl": _JsonLines,
}
