"""From a command's options to data and a pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin.errors import InputError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.pipeline import Pipeline
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


def pipeline(
    detector: str, parameters: list[str] | None, *, clean: bool | None, seed: int, **settings: Any
) -> Pipeline:
    """Return an untrained pipeline. Raises UnknownName and ParameterError."""
    from tocsin import registry
    from tocsin.pipeline import Pipeline

    training = {True: "clean", False: "mixed", None: "guess"}[clean]
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
