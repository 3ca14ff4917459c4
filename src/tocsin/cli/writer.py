"""Writes scores into a file, chunk by chunk, whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tocsin.errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd

FORMATS = (".csv", ".parquet", ".jsonl")


class Writer:
    """Writes frames one after another into a file, by the ending of its name.

    The file appears when the block ends well. Without a path it writes nothing. Raises
    ParameterError for an unknown ending.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None and path.suffix not in FORMATS:
            raise ParameterError(f'--out must end in {", ".join(FORMATS)}; got "{path.name}".')
        self._path = path
        self._temporary = Path()
        self._parquet: Any = None
        self._started = False

    def __enter__(self) -> Self:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=f".{self._path.name}-", dir=self._path.parent)
            os.close(handle)
            self._temporary = Path(name)
        return self

    def write(self, frame: pd.DataFrame) -> None:
        """Append a frame, whose columns are those of the first."""
        if self._path is None:
            return
        if self._path.suffix == ".parquet":
            self._write_parquet(frame)
        elif self._path.suffix == ".csv":
            frame.to_csv(self._temporary, mode="a", header=not self._started, index=False)
        else:
            frame.to_json(self._temporary, mode="a", orient="records", lines=True)
        self._started = True

    def _write_parquet(self, frame: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(frame, preserve_index=False)
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(self._temporary, table.schema)
        self._parquet.write_table(table)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._path is None:
            return
        if self._parquet is not None:
            self._parquet.close()
        if kind is None:
            self._temporary.replace(self._path)
        else:
            self._temporary.unlink(missing_ok=True)
