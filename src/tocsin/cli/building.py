"""From a command's options to data and a pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin.errors import InputError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.pipeline import Pipeline, Training
    from tocsin.types import IntArray


def read(
    data: Path, label: str | None = None, labels: Path | None = None
) -> tuple[pd.DataFrame, IntArray | None]:
    """Return a table without its label column, and its labels (n,) if it has any.

    Raises UnreadableFile, and InputError when labels and rows do not match.
    """
    from tocsin.sources.file import read_labels, read_table, split_label

    if label is not None and labels is not None:
        raise ParameterError("Give --label (a column) or --labels (a file), not both.")
    frame = read_table(data)
    if label is not None:
        return split_label(frame, label)
    if labels is None:
        return frame, None
    known = read_labels(labels)
    if len(known) != len(frame):
        raise InputError(f"{labels} has {len(known)} labels for {len(frame)} rows of {data}.")
    return frame, known


def read_training(data: Path, label: str | None = None) -> tuple[pd.DataFrame, IntArray | None]:
    """Return a table to learn from, and its labels (n,) if it has that label column."""
    from tocsin.sources.file import read_table, split_label

    frame = read_table(data)
    if label is None or label not in frame.columns:
        return frame, None
    return split_label(frame, label)


def pipeline(
    detector: str, parameters: list[str] | None, *, clean: bool | None, seed: int, **settings: Any
) -> Pipeline:
    """Return an untrained pipeline. Raises UnknownName and ParameterError."""
    from tocsin import registry
    from tocsin.pipeline import Pipeline

    training: Training = "guess" if clean is None else "clean" if clean else "mixed"
    if not parameters:
        return Pipeline(detector, training=training, seed=seed, **settings)
    values = dict(_parse(item) for item in parameters)
    made = registry.create(detector, **values)
    if "seed" in made.parameter_names() and "seed" not in values:
        made.set_params(seed=seed)
    return Pipeline(made, training=training, seed=seed, **settings)


def _parse(item: str) -> tuple[str, Any]:
    name, separator, text = item.partition("=")
    if not separator or not name:
        raise ParameterError(f'--set takes name=value, for instance --set k=10; got "{item}".')
    try:
        return name.strip(), json.loads(text)
    except json.JSONDecodeError:
        return name.strip(), text


def names(text: str) -> list[str]:
    """Return the words between commas. Raises ParameterError when there is none.

    >>> names("auto, pca")
    ['auto', 'pca']
    """
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise ParameterError(f'Expected names separated by commas; got "{text}".')
    return words


def numbers(text: str) -> list[int]:
    """Return the whole numbers between commas. Raises ParameterError for anything else.

    >>> numbers("0,1,2")
    [0, 1, 2]
    """
    try:
        return [int(word) for word in names(text)]
    except ValueError as error:
        raise ParameterError(f'Expected whole numbers, as in 0,1,2; got "{text}".') from error
