"""Prepare, detect, decide, explain: what is fitted, saved, loaded and scored.

One file per modality, imported when it is used; what they share is in ``base`` and ``items``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import ArrayLike

from tocsin import registry
from tocsin.base import Detector
from tocsin.errors import NewerFormat, ParameterError
from tocsin.pipeline.base import BasePipeline, modality_of
from tocsin.store import folder
from tocsin.types import Detection

if TYPE_CHECKING:
    from tocsin.pipeline.images import ImagePipeline
    from tocsin.pipeline.logs import LogPipeline
    from tocsin.pipeline.series import SeriesPipeline
    from tocsin.pipeline.tables import Pipeline
    from tocsin.pipeline.text import TextPipeline

__all__ = [
    "BasePipeline",
    "ImagePipeline",
    "LogPipeline",
    "Pipeline",
    "SeriesPipeline",
    "TextPipeline",
    "detect",
    "load",
]

_HOMES = {
    "ImagePipeline": "images",
    "LogPipeline": "logs",
    "Pipeline": "tables",
    "SeriesPipeline": "series",
    "TextPipeline": "text",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'tocsin.pipeline' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tocsin.pipeline.{_HOMES[name]}"), name)


def load(
    path: str | Path,
    *,
    runtime: Literal["onnx"] | None = None,
    threads: int = 1,
    key: bytes | None = None,
) -> BasePipeline:
    """Return the pipeline saved in a folder; nothing in the folder is executed.

    ``key``: the one that the folder was saved with, 16 bytes or more; any other folder, also one
    that was saved without a key, raises WrongSignature.

    With ``runtime="onnx"`` a network of a table pipeline scores in onnxruntime on the CPU, on
    ``threads`` threads, and torch is not loaded: scores agree to about 1e-6 and the pipeline
    cannot be fitted or saved again. Detectors without a network are loaded as they are. Raises
    NotAModel, CorruptModel or NewerFormat; ParameterError for another runtime, and for a network
    that the folder holds no ONNX model of; MissingExtra without onnxruntime.
    """
    if runtime not in ("onnx", None):
        raise ParameterError(f'runtime is "onnx" or None; got {runtime!r}.')
    state, about = folder.load_state(path, key)
    with folder.decoding(path):
        pipeline = _pipeline_of(path, about)
    if runtime == "onnx":
        with folder.decoding(path, ParameterError):
            state = pipeline.served(path, state, about, threads)
    with folder.decoding(path):
        return pipeline.from_state(state, about)


def _pipeline_of(path: str | Path, about: Mapping[str, Any]) -> type[BasePipeline]:
    """Return the pipeline of a model by its manifest. Raises NewerFormat for one not known."""
    modality = modality_of(about)
    if modality not in registry.modalities():
        raise NewerFormat(
            f"{path} holds a model of {modality!r}, which this Tocsin does not know; it knows "
            f"{', '.join(registry.modalities())}. Update it: pip install --upgrade tocsin"
        )
    pipeline: type[BasePipeline] = registry.of_modality("pipeline", modality)
    return pipeline


def detect(
    data: Any,
    *,
    modality: str = "tables",
    train: Any = None,
    labels: ArrayLike | None = None,
    detector: str | Detector = "auto",
    false_alarms: float = 0.01,
    **settings: Any,
) -> Detection:
    """Return the anomalies of a table, of time series, of logs, of texts or of images.

    ``modality``: "tables", "series", "logs", "text", "images", or one that another package adds.
    Tables and series are frames, arrays or a file's path; logs are a path, several as Path, or
    a list of lines; texts are a list, a frame with a column ``text=``, or a path; images are a
    folder, an image, or a list of paths and arrays. With ``train``, data known to be normal, the
    model learns from those; otherwise it learns from the data itself, taken as unlabelled, or
    labelled by ``labels`` (n,), 1 = anomaly. On unlabelled logs, the threshold that the detector
    found decides where it found one, unless ``own_threshold=False`` is among ``settings``, those
    of the modality's pipeline. Raises ParameterError for another modality.

    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(300, 2))
    >>> rows[7] = 30.0
    >>> detect(rows).anomalies[0]
    np.int64(7)
    """
    if modality not in (known := registry.modalities()):
        raise ParameterError(f"modality is one of {', '.join(known)}; got {modality!r}.")
    kind: type[BasePipeline] = registry.of_modality("pipeline", modality)
    if "training" in kind.parameter_names():
        settings.setdefault("training", "mixed" if train is None else "clean")
    pipeline = kind(detector, false_alarms=false_alarms, **settings)
    if train is None:
        return pipeline.fit_detect(_opened(data, pipeline), labels=labels)
    pipeline.fit(_opened(train, pipeline), labels=labels)
    return pipeline.detect(_opened(data, pipeline))


def _opened(data: Any, pipeline: BasePipeline) -> Any:
    return pipeline.read(data) if isinstance(data, str | Path) else data
