"""Prepare, detect, decide, explain: what is fitted, saved, loaded and scored.

One file a modality; what they share is in ``base``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from numpy.typing import ArrayLike

from tocsin.base import Detector
from tocsin.errors import NewerFormat, ParameterError
from tocsin.pipeline.base import BasePipeline
from tocsin.pipeline.images import ImagePipeline
from tocsin.pipeline.logs import LogPipeline
from tocsin.pipeline.series import SeriesPipeline
from tocsin.pipeline.serving import served
from tocsin.pipeline.tables import Pipeline
from tocsin.pipeline.text import TextPipeline
from tocsin.readers.table import Known, read_table
from tocsin.store import folder
from tocsin.types import Detection

__all__ = [
    "BasePipeline",
    "ImagePipeline",
    "LogPipeline",
    "Pipeline",
    "SeriesPipeline",
    "TextPipeline",
    "detect",
    "known_of",
    "load",
]

AnyPipeline = Pipeline | SeriesPipeline | LogPipeline | TextPipeline | ImagePipeline

_PIPELINES: dict[str, type[AnyPipeline]] = {
    "tables": Pipeline,
    "series": SeriesPipeline,
    "logs": LogPipeline,
    "text": TextPipeline,
    "images": ImagePipeline,
}


def load(
    path: str | Path, *, runtime: Literal["onnx"] | None = None, threads: int = 1
) -> AnyPipeline:
    """Return the pipeline saved in a folder; nothing in the folder is executed.

    With ``runtime="onnx"`` a network of a table pipeline scores in onnxruntime on the CPU, with
    so many ``threads``, and torch is not loaded: scores agree to about 1e-6 and the pipeline
    cannot be fitted or saved again. Detectors without a network are loaded as they are. Raises
    NotAModel, CorruptModel or NewerFormat; ParameterError for another runtime, and for a network
    that the folder holds no ONNX model of; MissingExtra without onnxruntime.
    """
    state, about = folder.load_state(path)
    if runtime == "onnx":
        state = served(path, state, about, threads)
    elif runtime is not None:
        raise ParameterError(f'runtime is "onnx" or None; got {runtime!r}.')
    if (modality := about["card"]["modality"]) not in _PIPELINES:
        raise NewerFormat(
            f"{path} holds a model of {modality!r}, which this Tocsin does not know; it knows "
            f"{', '.join(_PIPELINES)}. Update it: pip install --upgrade tocsin"
        )
    return _PIPELINES[modality].from_state(state, about)


def detect(
    data: Any,
    *,
    modality: Literal["tables", "series", "logs", "text", "images"] = "tables",
    train: Any = None,
    labels: ArrayLike | None = None,
    detector: str | Detector = "auto",
    false_alarms: float = 0.01,
    **settings: Any,
) -> Detection:
    """Return the anomalies of a table, of time series, of logs, of texts or of images.

    Tables and series are frames, arrays or a file's path; logs are a path, several as Path, or
    a list of lines; texts are a list, a frame with a column ``text=``, or a path; images are a
    folder, an image, or a list of paths and arrays. With ``train``, data known to be normal, the
    model learns from those; otherwise it learns from the data itself, taken as unlabelled, or
    labelled by ``labels`` (n,), 1 = anomaly. Of unlabelled logs, the threshold that the detector
    found decides where it found one, unless ``own_threshold=False`` is among ``settings``, those
    of the modality's pipeline. Raises ParameterError for another modality.

    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(300, 2))
    >>> rows[7] = 30.0
    >>> detect(rows).anomalies[0]
    np.int64(7)
    """
    if modality not in _PIPELINES:
        raise ParameterError(f"modality is one of {', '.join(_PIPELINES)}; got {modality!r}.")
    if modality != "series":
        settings.setdefault("training", "mixed" if train is None else "clean")
    pipeline = _PIPELINES[modality](detector, false_alarms=false_alarms, **settings)
    if train is None:
        return pipeline.fit_detect(_read(data, modality), labels=labels)
    pipeline.fit(_read(train, modality), labels=labels)
    return pipeline.detect(_read(data, modality, known_of(pipeline)))


def known_of(pipeline: AnyPipeline) -> Known | None:
    """Return what a reader of files has to know to read new ones as this pipeline's training."""
    if not isinstance(pipeline, Pipeline | SeriesPipeline):
        return None
    return pipeline.preparer_.known


def _read(data: Any, modality: str, known: Known | None = None) -> Any:
    """Return the table of a path; all else is read as it is taken in."""
    path = isinstance(data, str | Path) and modality in ("tables", "series")
    return read_table(data, known=known) if path else data
