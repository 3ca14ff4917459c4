"""Tables as they are given: frames with text for column names."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tocsin.errors import InputError

Table = pd.DataFrame | ArrayLike
"""A data frame, or an array of rank 2 or more, whose rows are flattened."""


def as_frame(table: Table) -> pd.DataFrame:
    """Return a table as a frame with text for column names; raises InputError for repeated ones."""
    if isinstance(table, pd.DataFrame):
        frame = table.set_axis([str(name) for name in table.columns], axis=1)
        repeated = frame.columns[frame.columns.duplicated()]
        if len(repeated):
            raise InputError(
                f"{quote_columns(sorted(set(repeated)))} occurs twice: rename the columns."
            )
    else:
        array = np.asarray(table)
        if array.ndim < 2:
            raise InputError(
                f"A table has rows and columns; got an array of shape {array.shape}. "
                "Reshape your data, with reshape(-1, 1) if it is one column."
            )
        array = array.reshape(len(array), int(np.prod(array.shape[1:])))
        frame = pd.DataFrame(array, columns=[f"x{i}" for i in range(array.shape[1])], copy=False)
        if array.dtype == object:
            frame = frame.infer_objects()
    if holds_complex(frame):
        raise InputError(
            "Complex data not supported: give real and imaginary parts as two columns."
        )
    return frame


def holds_complex(frame: pd.DataFrame) -> bool:
    """Return whether a column holds complex numbers."""
    return any(isinstance(dtype, np.dtype) and dtype.kind == "c" for dtype in frame.dtypes)


def quote_columns(names: list[str]) -> str:
    """Return the names of columns in words, the first five at most."""
    shown = ", ".join(f'"{name}"' for name in names[:5])
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return f"column{'s' if len(names) > 1 else ''} {shown}{more}"
