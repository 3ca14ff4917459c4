"""From a command's options to data and a pipeline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin.errors import InputError, ParameterError

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.base import Detector
    from tocsin.pipeline import BasePipeline
    from tocsin.pipeline.series import Models
    from tocsin.prepare.encode import Scale
    from tocsin.prepare.gaps import Missing
    from tocsin.readers.log import RawLine
    from tocsin.types import Detection, IntArray, Training


IMAGES = "images"

_SAMPLE = 1000


def take(
    data: Path,
    kind: str | None,
    *,
    text: str | None,
    time: str | None,
    logs: Mapping[str, Any],
    label: str | None,
    labels: Path | None,
    model: BasePipeline | None = None,
) -> tuple[str, Any, IntArray | None]:
    """Return the kind of data, the data as the pipeline takes them, and labels (n,) if any.

    What was given decides, else what is found; see ``are_images``, ``is_log`` and ``kind_of``.
    Raises as ``read`` does, and ParameterError for options that contradict.
    """
    if text is not None and kind not in (None, "text"):
        raise ParameterError(f"--text names a column of texts, which --as {kind} does not judge.")
    if text is not None or kind == "text":
        return "text", *read(data, label, labels, texts=True)
    if are_images(data, kind, *logs.values()):
        refuse(IMAGES, label=label)
        return IMAGES, data, None if labels is None else _labels_of_images(data, labels)
    if is_log(data, kind, *logs.values()):
        refuse("logs", label=label)
        return "logs", data, None if labels is None else _labels_of_logs(data, labels, logs)
    frame, known = read(data, label, labels, model=model)
    if kind is None and frame.shape[1] == 1 and text_column(frame) is not None:
        return "text", frame, known
    return kind_of(frame, kind, time), frame, known


def _labels_of_images(data: Path, labels: Path) -> IntArray:
    from tocsin.prepare.images import gather
    from tocsin.readers.item_labels import read_image_labels

    return read_image_labels(labels, gather(data).names)


def _labels_of_logs(data: Path, labels: Path, logs: Mapping[str, Any]) -> IntArray:
    from tocsin.evaluate.items.logs import LogItems

    return LogItems(data, **logs).labels(labels)


def text_column(frame: pd.DataFrame) -> str | None:
    """Return the column of a table that holds texts, None for none."""
    from tocsin.prepare.text import reads_as_text

    return reads_as_text(frame)


def read(
    data: Path,
    label: str | None = None,
    labels: Path | None = None,
    *,
    texts: bool = False,
    model: BasePipeline | None = None,
) -> tuple[pd.DataFrame, IntArray | None]:
    """Return a table without its label column, and its labels (n,) if it has any.

    ``texts``: of a .txt file the lines. ``model``: read columns as those it learned. Raises
    UnreadableFile, and InputError when labels and rows do not match.
    """
    from tocsin.readers.table import read_labels, read_table, split_label
    from tocsin.readers.text import read_texts

    if label is not None and labels is not None:
        raise ParameterError("Give --label (a column) or --labels (a file), not both.")
    frame = (
        read_texts(data)
        if texts
        else read_table(data, known=None if model is None else model.preparer_.known)
    )
    if label is not None:
        return split_label(frame, label)
    if labels is None:
        return frame, None
    known = read_labels(labels)
    if len(known) != len(frame):
        raise InputError(f"{labels} has {len(known)} labels for {len(frame)} rows of {data}.")
    return frame, known


def read_again(
    made: BasePipeline, data: Path, frame: Any, label: str | None, labels: Path | None
) -> Any:
    """Return a table as its pipeline, now trained, knows its columns; anything else as it is."""
    if made.modality not in ("tables", "series") or not data.is_file():  # a pipe is read once
        return frame
    return read(data, label, labels, model=made)[0]


def read_training(
    data: Path, label: str | None = None, *, texts: bool = False
) -> tuple[pd.DataFrame, IntArray | None]:
    """Return a table to learn from, and its labels (n,) if it has that label column."""
    from tocsin.readers.table import read_table, split_label
    from tocsin.readers.text import read_texts

    frame = read_texts(data) if texts else read_table(data)
    if label is None or label not in frame.columns:
        return frame, None
    return split_label(frame, label)


def are_images(data: Path, kind: str | None, *settings: str | float | None) -> bool:
    """Return whether data are images: what was given decides, else the names of the files.

    ``settings``: those for logs alone; one that is given decides too.
    """
    from tocsin.readers.image import ENDINGS, is_image_folder

    if kind is not None or any(setting is not None for setting in settings):
        return kind == IMAGES
    return data.suffix.lower() in ENDINGS if data.is_file() else is_image_folder(data)


def is_log(data: Path, kind: str | None, *settings: str | float | None) -> bool:
    """Return whether data are logs: what was given decides, else a folder, the name, the lines.

    ``settings``: those for logs alone; one that is given decides too.
    """
    from tocsin.readers.table import ENDINGS

    if kind is not None or any(setting is not None for setting in settings):
        return kind in (None, "logs")
    if not data.is_file():  # of a pipe, what is looked at is gone
        return data.is_dir()
    if ".log" in data.name.lower():
        return True
    ending = next((each for each in reversed(data.suffixes) if each != ".gz"), "").lower()
    return ending not in ENDINGS and _reads_like_a_log(data)


def _reads_like_a_log(data: Path) -> bool:
    """Return whether the first lines are of a known format; a mere time begins table rows too."""
    from itertools import islice

    from tocsin.errors import UnreadableFile
    from tocsin.prepare.log_formats import recognise
    from tocsin.prepare.log_patterns import GENERAL, PLAIN
    from tocsin.readers.log import read_lines

    try:
        return recognise(x.text for x in islice(read_lines(data), _SAMPLE)) not in (PLAIN, GENERAL)
    except UnreadableFile:
        return False


def refuse(kind: str, **options: object) -> None:
    """Raise ParameterError if one of these options is given, which this kind does not take."""
    given = [f"--{name}" for name, value in options.items() if value is not None]
    if given:
        raise ParameterError(
            f"{kind.capitalize()} take no {' and no '.join(given)}; say --as tables if this is a "
            "table."
        )


def check_adapt(kind: str, *, apart: bool) -> None:
    """Raise ParameterError where levels cannot be followed: other data, nothing to compare with."""
    if kind != "tables":
        raise ParameterError(f"--adapt follows the levels of tables; this is taken as {kind}.")
    if not apart:
        raise ParameterError(
            "--adapt follows levels that differ from those of normal rows: give these with --train "
            "or --train-rows."
        )


def first_lines(data: Path, count: int) -> list[RawLine]:
    """Return the first lines of logs."""
    from itertools import islice

    from tocsin.readers.log import read_lines

    return list(islice(read_lines(data), count))


def labels_of(detection: Detection, known: IntArray | None) -> IntArray | None:
    """Return the labels of what a detection scored, from those of all that was given."""
    from tocsin.types import ImageDetection

    if known is None or not isinstance(detection, ImageDetection):
        return known
    return known[detection.rows]  # images that cannot be read have labels, but no scores


def training_images(
    data: Path, labels: IntArray | None, train: Path | None, first: int | None
) -> tuple[Any, IntArray | None]:
    """Return the images to learn from, those of a folder or the first of the data; their labels."""
    from tocsin.prepare.images import gather

    if train is not None:
        return train, None
    return gather(data).images[:first], None if labels is None else labels[:first]


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
    missing: Missing,
    logs: Mapping[str, Any],
    seed: int,
    false_alarms: float | None,
    text: str | None = None,
    **budget: Any,
) -> BasePipeline:
    """Return an untrained pipeline of this kind, from the settings that are for it.

    ``logs``: those for logs alone. Raises UnknownName and ParameterError.
    """
    from tocsin.pipeline import ImagePipeline, LogPipeline, Pipeline, SeriesPipeline, TextPipeline

    made = _detector(detector, kind, parameters, seed)
    stated = false_alarms is not None or budget["alarms_per_day"] is not None
    budget["false_alarms"] = 0.01 if false_alarms is None else false_alarms
    if kind == "series":
        return SeriesPipeline(
            made, time=time, entity=entity, models=models, missing=missing, seed=seed, **budget
        )
    training: Training = "guess" if clean is None else "clean" if clean else "mixed"
    if kind == "logs":
        return LogPipeline(
            made, **logs, training=training, own_threshold=not stated, seed=seed, **budget
        )
    if kind == "text":
        return TextPipeline(made, text=text, training=training, seed=seed, **budget)
    if kind == IMAGES:
        return ImagePipeline(made, training=training, seed=seed, **budget)
    return Pipeline(made, training=training, scale=scale, seed=seed, **budget)


def align(made: BasePipeline, frame: Any) -> Any:
    """Return a table with the columns that its pipeline was trained on, anything else as it is."""
    from tocsin.pipeline import Pipeline

    return made.preparer_.align(frame) if isinstance(made, Pipeline) else frame


def _detector(name: str, modality: str, parameters: list[str] | None, seed: int) -> str | Detector:
    from tocsin import registry

    if not parameters:
        return name
    values = dict(parse(item) for item in parameters)
    made: Detector = registry.create(name, modality, **values)
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


def unlabelled(modality: str) -> list[str]:
    """Return the names of a modality's detectors that learn without labels and name no other."""
    from tocsin import registry

    found = [name for name in registry.names(modality) if name != "pyod"]
    return [name for name in found if not registry.find(name, modality).needs_labels]
