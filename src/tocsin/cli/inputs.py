"""A path with its options, whose table is read once, whoever asks for it first."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tocsin.cli.options import DataOptions

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.pipeline import BasePipeline
    from tocsin.types import IntArray


class Input:
    """A path with its options, whose table is read once, whoever asks for it first.

    ``pipeline``: a trained one, whose columns are read as it knows them. ``needs_label``:
    whether a label column that the options name must be there.
    """

    def __init__(
        self,
        path: Path,
        options: DataOptions,
        pipeline: BasePipeline | None = None,
        *,
        needs_label: bool = True,
    ) -> None:
        self.path = path
        self.options = options
        self.pipeline = pipeline
        self._needs_label = needs_label

    @cached_property
    def table(self) -> pd.DataFrame:
        """The table of the path, its label column included. Raises UnreadableFile."""
        from tocsin.readers.table import read_table

        if self.pipeline is None:
            return read_table(self.path)
        table: pd.DataFrame = self.pipeline.read(self.path)
        return table

    def read_by(self, pipeline: BasePipeline) -> Input:
        """Return the same path, to be read with its columns as a trained pipeline knows them."""
        return Input(self.path, self.options, pipeline, needs_label=self._needs_label)

    def split_label(self, table: pd.DataFrame) -> tuple[pd.DataFrame, IntArray | None]:
        """Return a table without its label column, and the labels (n,) if there is one.

        Raises SchemaMismatch for a column that is not there, InputError for other values than two.
        """
        from tocsin.readers.table import split_label

        label = self.options.label
        if label is None or (label not in table.columns and not self._needs_label):
            return table, None
        return split_label(table, label)
