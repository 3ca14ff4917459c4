"""Trains a monitor's model on its events; a new one replaces it only if it works."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from tocsin import config
from tocsin.alarms.tracks import as_time
from tocsin.errors import InputError, NotAllowed
from tocsin.monitor.batches import as_datetime64, chosen
from tocsin.monitor.health import tolerable_anomalies
from tocsin.monitor.models import check_source, new_pipeline, scorer, scorer_class, training_data
from tocsin.monitor.reading import MOST_READ, read_source, read_span, read_store
from tocsin.monitor.stores import Stores
from tocsin.pipeline import BasePipeline
from tocsin.progress import report
from tocsin.store.folder import is_model
from tocsin.store.manifest import read_manifest
from tocsin.types import Alarm, Batch, BoolArray

_TENTH = 10
_NEARLY = 0.9


@dataclass(frozen=True, slots=True)
class Trained:
    """The result of training: where the model is, its detector, and how many events it saw."""

    model: Path
    detector: str
    events: int
    notes: tuple[str, ...]


def train(settings: config.Config, name: str, *, force: bool = False) -> Trained:
    """Fit a monitor's pipeline on its events in the store, or else of its source, and save it.

    An existing model is replaced only by one that learned from all but the newest tenth of the
    events and does not flag far more of that tenth than its budget; with ``force`` by one that
    learned from all, whatever it flags. Raises NotInStore for an unknown monitor, InputError for
    too few events, NotAllowed for a model that flags too much, and what the pipeline raises.
    """
    monitor = settings.monitor(name)
    training = monitor.training
    pipeline = untrained(monitor)
    most = max(MOST_READ, training.after)
    with Stores.opened(settings.store.reveal()) as stores:
        batches = list(_stored(stores, name, monitor))
    if _count(batches) < training.after:
        batches = max(batches, _of_source(monitor, most, _count(batches)), key=_count)
    n = _count(batches)
    if n < training.after:
        raise InputError(
            f"{name} has {n:,} events so far; training needs {training.after:,}. Let "
            "`tocsin up` collect more, or lower training.after."
        )
    report("training", 0, 1)
    newest: list[Batch] = []
    if not force and is_model(monitor.model):
        batches, newest = _split(batches, n - n // _TENTH)
    pipeline.fit(training_data(training.modality, batches))
    if newest:
        _check_on_newest(pipeline, name, monitor, batches, newest)
    learned = _count(batches)
    about = {"trained_events": learned, **trained_span(batches)}
    pipeline.save(monitor.model, metrics=about, key=monitor.signing_key)
    return Trained(monitor.model, pipeline.detector_name, learned, tuple(pipeline.notes_))


def is_due(monitor: config.Monitor, newest: datetime | None) -> bool:
    """Return whether a model that was trained here is to be trained again.

    ``newest``: the time of the newest event. See ``refit`` of the settings of training.
    """
    kind = scorer_class(monitor.training.modality)
    refit = monitor.training.refit or kind.refit
    if refit is None or newest is None:
        return False
    about = read_manifest(monitor.model).get("metrics", {})
    try:
        first, until = (
            datetime.fromisoformat(about[f"trained_{end}"]) for end in ("from", "until")
        )
        learned = (until - first).total_seconds()
    except (KeyError, TypeError, ValueError):
        return False  # it was not trained here
    learn = monitor.training.learn or kind.learn or math.inf
    return (newest - until).total_seconds() >= (refit if learned >= _NEARLY * learn else learned)


def trained_span(batches: Sequence[Batch]) -> dict[str, str]:
    """Return the times of the first and of the last event, as the manifest of a model has them."""
    first, last = (int(f([f(b.times) for b in batches]).astype(np.int64)) for f in (np.min, np.max))
    return {"trained_from": as_time(first).isoformat(), "trained_until": as_time(last).isoformat()}


def _stored(stores: Stores, name: str, monitor: config.Monitor) -> Iterator[Batch]:
    """Yield the stored events to learn from, without those of alarms where a model counts these."""
    training, kind = monitor.training, scorer_class(monitor.training.modality)
    learn = training.learn or kind.learn
    if learn is None:
        yield from read_store(stores, name, newest=max(MOST_READ, training.after))
        return
    alarms = [
        alarm
        for alarm in (stores.alarms.list(monitor=name) if kind.counts_alarms else ())
        if alarm.kind == "anomaly" and alarm.state != "false alarm"
    ]
    for batch in read_span(stores, name, learn):
        yield chosen(batch, ~_in_alarm(batch, alarms))


def _in_alarm(batch: Batch, alarms: Sequence[Alarm]) -> BoolArray:
    """Return which events (n,) are of an entity while it has an alarm."""
    found = np.zeros(len(batch), dtype=np.bool_)
    entities = np.array(batch.entities or ("",) * len(batch), dtype=object)
    for alarm in alarms:
        during = batch.times >= as_datetime64(alarm.opened)
        if alarm.closed is not None:
            during &= batch.times <= as_datetime64(alarm.closed)
        found |= during & (entities == alarm.entity)
    return found


def _of_source(monitor: config.Monitor, most: int, stored: int) -> list[Batch]:
    """Return the events of a source, none where it cannot be read and some are ``stored``."""
    try:
        return list(read_source(monitor, most=most, enough=monitor.training.after))
    except InputError:
        if not stored:
            raise
        return []  # `tocsin up` reads it, so that a second reader cannot listen


def _count(batches: Sequence[Batch]) -> int:
    return sum(map(len, batches))


def _split(batches: Sequence[Batch], at: int) -> tuple[list[Batch], list[Batch]]:
    """Return the first N events, and the others."""
    before: list[Batch] = []
    after: list[Batch] = []
    for batch in batches:
        first = np.arange(len(batch)) < at
        at -= len(batch)
        before += [chosen(batch, first)] if first.any() else []
        after += [chosen(batch, ~first)] if not first.all() else []
    return before, after


def _check_on_newest(
    pipeline: BasePipeline,
    name: str,
    monitor: config.Monitor,
    learned: Sequence[Batch],
    newest: Sequence[Batch],
) -> None:
    """Raise NotAllowed if a new model flags far more of the newest events than it may.

    So a model that learned from broken data does not take the place of one that works.
    """
    candidate = scorer(pipeline, "new", monitor.context)
    for batch in learned:
        candidate.remember(batch)
    flagged, events = 0, _count(newest)
    for batch in newest:
        flagged += int(candidate.judge(batch).is_anomaly.sum())
        candidate.remember(batch)
    if flagged > tolerable_anomalies(events, monitor.training.false_alarms):
        raise NotAllowed(
            f"The new model of {name} flags {flagged:,} of the newest {events:,} events, so the "
            "old one stays. If the newest events are what is normal now, train when there are more "
            "of them, or with --force."
        )


def untrained(monitor: config.Monitor) -> BasePipeline:
    """Return the pipeline to be trained. Raises ParameterError for invalid settings."""
    training = monitor.training
    check_source(training.modality, monitor.source)
    budget = training.stated_budget
    if not budget and not scorer_class(training.modality).counts_alarms:
        budget = {"false_alarms": training.false_alarms}
    own = {"detector": training.detector, **budget}
    return new_pipeline(training.modality, {**own, **training.settings}, clean=training.clean)
