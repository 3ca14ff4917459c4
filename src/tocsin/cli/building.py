"""From a command's options to data and a pipeline."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin.errors import InputError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.base import Detector
    from tocsin.pipeline import Pipeline, SeriesPipeline
    from tocsin.pipeline.series import Models
    from tocsin.pipeline.tables import Training
    from tocsin.prepare.encode import Scale
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


def kind_of(frame: pd.DataFrame, given: str | None, time: str | None) -> str:
    """Return "series" for rows that follow in time, else "tables"; what was given decides."""
    from tocsin.prepare.series import looks_like_series

    if given is not None:
        return given
    named = time is not None and time != "none"
    return "series" if named or looks_like_series(frame) else "tables"


def pipeline(
    kind: str,
    detector: str,
    parameters: list[str] | None,
    *,
    clean: bool | None,
    scale: Scale,
    time: str | None,
    entity: str | None,
    models: Models | None,
    seed: int,
    **budget: Any,
) -> Pipeline | SeriesPipeline:
    """Return an untrained pipeline of this kind, from the settings that are for it.

    Raises UnknownName and ParameterError.
    """
    from tocsin.pipeline import Pipeline, SeriesPipeline

    made = _detector(detector, kind, parameters, seed)
    if kind == "series":
        return SeriesPipeline(made, time=time, entity=entity, models=models, seed=seed, **budget)
    training: Training = "guess" if clean is None else "clean" if clean else "mixed"
    return Pipeline(made, training=training, scale=scale, seed=seed, **budget)


def align(made: Pipeline | SeriesPipeline, frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with the columns that a pipeline of tables was trained on."""
    from tocsin.pipeline import Pipeline

    return made.preparer_.align(frame) if isinstance(made, Pipeline) else frame


def _detector(name: str, modality: str, parameters: list[str] | None, seed: int) -> str | Detector:
    from tocsin import registry

    if not parameters:
        return name
    values = dict(parse(item) for item in parameters)
    made = registry.create(name, modality, **values)
    if "seed" in made.parameter_names() and "seed" not in values:
        made.set_params(seed=seed)
    return made


def parse(item: str) -> tuple[str, Any]:
    """Return the name and the value of ``name=value``, read as JSON where it is JSON."""
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
