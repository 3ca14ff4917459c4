"""Prepare, detect, decide, explain: what is fitted, saved, loaded and scored.

One file a modality; what they share is in ``base``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from numpy.typing import ArrayLike

from tocsin.base import Detector
from tocsin.errors import ParameterError
from tocsin.pipeline.base import BasePipeline
from tocsin.pipeline.series import SeriesPipeline
from tocsin.pipeline.tables import Pipeline
from tocsin.sources.file import read_table
from tocsin.store import folder
from tocsin.types import Detection

__all__ = ["BasePipeline", "Pipeline", "SeriesPipeline", "detect", "load"]

_PIPELINES: dict[str, type[Pipeline | SeriesPipeline]] = {
    "tables": Pipeline,
    "series": SeriesPipeline,
}


def load(path: str | Path) -> Pipeline | SeriesPipeline:
    """Return the pipeline saved in a folder; raises NotAModel, CorruptModel or NewerFormat."""
    state, about = folder.load_state(path)
    return _PIPELINES[about["card"]["modality"]].from_state(state, about)


def detect(
    data: Any,
    *,
    modality: Literal["tables", "series"] = "tables",
    train: Any = None,
    labels: ArrayLike | None = None,
    detector: str | Detector = "auto",
    false_alarms: float = 0.01,
    **settings: Any,
) -> Detection:
    """Return the anomalies of a table or of time series: a frame, an array or a file's path.

    With ``train``, data known to be normal, the model learns from those; otherwise it
    learns from the data itself, taken as unlabelled, or labelled by ``labels`` (n,),
    1 = anomaly. ``settings`` are those of Pipeline or SeriesPipeline. Raises ParameterError
    for another modality.

    >>> import numpy as np
    >>> rows = np.random.default_rng(0).normal(size=(300, 2))
    >>> rows[7] = 30.0
    >>> detect(rows).anomalies[0]
    np.int64(7)
    """
    if modality not in _PIPELINES:
        raise ParameterError(f"modality is one of {', '.join(_PIPELINES)}; got {modality!r}.")
    data = read_table(data) if isinstance(data, str | Path) else data
    if modality == "tables":
        settings.setdefault("training", "mixed" if train is None else "clean")
    pipeline = _PIPELINES[modality](detector, false_alarms=false_alarms, **settings)
    if train is None:
        return pipeline.fit_detect(data, labels=labels)
    train = read_table(train) if isinstance(train, str | Path) else train
    return pipeline.fit(train, labels=labels).detect(data)
