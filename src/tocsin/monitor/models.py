"""The models of monitors: opened from their folders, or new ones to be trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tocsin import config, registry
from tocsin.base.source import Source
from tocsin.errors import MissingExtra, ParameterError, UnknownName
from tocsin.monitor.scorers import Scorer
from tocsin.pipeline import BasePipeline, load
from tocsin.store import folder
from tocsin.types import Batch


def open_model(
    path: Path,
    context: int,
    source: Source | None = None,
    key: bytes | None = None,
    budget: Mapping[str, float] | None = None,
) -> Scorer:
    """Return the saved pipeline of a folder, ready to score the events of a source.

    ``key``: the one that the folder has to be signed by, if any. ``budget``: what to decide by in
    place of what the model was trained with, "false_alarms" or "alarms_per_day". Raises NotAModel,
    CorruptModel, NewerFormat or WrongSignature, and ParameterError for a model that cannot score
    single events, or not those of the source.
    """
    name = f"{path.name}@{folder.fingerprint(path)}"
    try:
        pipeline = load(path, runtime="onnx", key=key)
    except (ParameterError, MissingExtra):
        pipeline = load(path, key=key)
    if budget:
        pipeline.restate_budget(**budget)
    if source is not None:
        check_source(pipeline.modality, source)
    return scorer(pipeline, name, context)


def open_model_of(monitor: config.Monitor) -> Scorer:
    """Return the model of a monitor, decided by as its settings state. Raises as ``open_model``."""
    return open_model(
        monitor.model,
        monitor.context,
        monitor.source,
        monitor.signing_key,
        monitor.training.stated_budget,
    )


def scorer(pipeline: BasePipeline, name: str, context: int) -> Scorer:
    """Return a scorer of a trained pipeline.

    Raises ParameterError for a pipeline that cannot score single events.
    """
    return scorer_class(pipeline.modality)(pipeline, name, context)


def scorer_class(modality: str) -> type[Scorer]:
    """Return what scores the events of a modality, without importing its pipeline.

    Raises ParameterError for a modality that monitors cannot score.

    >>> scorer_class("logs").column
    'line'
    """
    try:
        return registry.of_modality("monitor.scorers", modality)
    except UnknownName as error:
        raise ParameterError(f'A monitor cannot score "{modality}": {error}') from error


def check_source(modality: str, source: Source) -> None:
    """Raise ParameterError where senders elsewhere would name the files that a model opens."""
    if scorer_class(modality).opens_files and not source.names_files:
        raise ParameterError(
            f"A model of {modality} opens the files that events name, and {source.describe()} may "
            f"not choose them; collect {modality} by a source of the type folder."
        )


def training_data(modality: str, batches: Iterable[Batch]) -> Any:
    """Return what a new pipeline of a modality learns from: the events of batches."""
    return scorer_class(modality).training_data(batches)


def new_pipeline(
    modality: str, settings: Mapping[str, Any], *, clean: bool | None = None
) -> BasePipeline:
    """Return an untrained pipeline for a monitor. Raises ParameterError for unknown settings.

    ``clean``: whether it learns from normal events alone, for pipelines that ask.
    """
    kind: type[BasePipeline] = registry.of_modality("pipeline", modality)
    own = dict(scorer_class(modality).settings)
    if clean is not None and "training" in kind.parameter_names():
        own["training"] = "clean" if clean else "mixed"
    try:
        return kind(**{**own, **settings})
    except TypeError as error:
        raise ParameterError(f"training.settings of a model of {modality}: {error}.") from error
