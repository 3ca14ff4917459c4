"""Saved pipelines as a monitor uses them: a batch of events in, a judgement out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from tocsin.base.source import Source
from tocsin.errors import InputError, MissingExtra, ParameterError
from tocsin.pipeline import (
    BasePipeline,
    ImagePipeline,
    LogPipeline,
    Pipeline,
    SeriesPipeline,
    TextPipeline,
    load,
)
from tocsin.store import folder
from tocsin.types import Batch, Decision, Judgement, Reason, Scores

LINE = "line"
"""The column of a log's events."""
PATH = "path"
"""The column of the events that are images."""
TIME, ENTITY = "time", "entity"
"""The columns that models of series find times and entities in."""

Description = tuple[tuple[Reason, ...], Mapping[str, Any], str]
"""Why an event is anomalous, the event itself as JSON values, and a sentence of it all."""

_LONGEST = 2_000
_MOST_ENTITIES = 10_000
_NUMBERS = ["numeric", "plain"]


class Scorer(ABC):
    """A trained pipeline and its name; what a batch must hold is the modality's.

    ``numeric``: the columns that it takes as numbers. ``budget``: the share of normal events that
    it may flag.
    """

    keeps_context: ClassVar[bool] = False

    def __init__(self, pipeline: Any, name: str) -> None:
        self.pipeline = pipeline
        self.name = name
        self.numeric: frozenset[str] = frozenset()
        self.budget: float = pipeline.budget.rate

    @abstractmethod
    def judge(self, batch: Batch) -> Judgement:
        """Return what the model says of each event. Raises InputError for what it cannot take."""

    @abstractmethod
    def describe(self, batch: Batch, i: int) -> Description:
        """Return why event ``i`` of a batch just judged is anomalous."""

    def moved(self, batch: Batch) -> list[str]:
        """Return the columns that lie elsewhere in a batch than in training, if it can tell."""
        return []

    def forget(self) -> None:  # noqa: B027 - most models have no state
        """Drop all that was remembered."""

    def remember(self, batch: Batch) -> None:  # noqa: B027 - most models have no state
        """Take events into the state that scores rest on."""

    def _judgement(self, scores: Scores, decision: Decision) -> Judgement:
        return Judgement(
            scores.values,
            decision.p_values,
            decision.is_anomaly,
            min(decision.threshold, float(np.finfo(np.float64).max)),
            self.name,
        )


class Rows(Scorer):
    """Rows that stand alone."""

    def __init__(self, pipeline: Pipeline, name: str) -> None:
        super().__init__(pipeline, name)
        ready = pipeline.preparer_
        kinds = zip(ready.columns_, ready.kinds_, ready.styles_, strict=True)
        self.numeric = frozenset(name for name, *kind in kinds if kind == _NUMBERS)

    def judge(self, batch: Batch) -> Judgement:
        """Return what the model says of each row; columns that are missing are unknown values."""
        scores = self.pipeline.score(self._frame(batch))
        return self._judgement(scores, self.pipeline.decide(scores))

    def moved(self, batch: Batch) -> list[str]:
        """Return the columns that lie elsewhere in a batch than in training."""
        found: list[str] = self.pipeline.moved(self._frame(batch))
        return found

    def describe(self, batch: Batch, i: int) -> Description:
        """Return the columns that made a row anomalous, and the row."""
        row = self._frame(batch).iloc[[i]]
        reasons = self.pipeline.explain(row, [0]).explanations[0].reasons
        return reasons, {"event": plain(row.iloc[0].to_dict())}, _sentence(reasons)

    def _frame(self, batch: Batch) -> pd.DataFrame:
        columns = self.pipeline.columns
        if list(batch.frame.columns) == columns:
            return batch.frame
        if not set(columns) & set(batch.frame.columns):
            raise InputError(
                f"Events have the columns {_some(batch.frame.columns)}, but the model {self.name} "
                f"was trained on {_some(columns)}."
            )
        return batch.frame.reindex(columns=columns)


class Lines(Scorer):
    """Log lines, each by itself; a line that continues another shares no score of its own."""

    def judge(self, batch: Batch) -> Judgement:
        """Return what the model says of each line."""
        found = self.pipeline.detect(_texts(batch, LINE), explain=False)
        at = found.numbers - 1
        scores, p_values = np.full(len(batch), found.scores.values.min()), np.ones(len(batch))
        anomalies = np.zeros(len(batch), dtype=bool)
        scores[at], p_values[at] = found.scores.values, found.decision.p_values
        anomalies[at] = found.decision.is_anomaly
        decision = Decision(
            p_values, found.decision.threshold, anomalies, found.decision.false_alarm_rate
        )
        return self._judgement(Scores(scores), decision)

    def describe(self, batch: Batch, i: int) -> Description:
        """Return what made a line anomalous, the line, and a similar normal one."""
        line = _texts(batch, LINE)[i]
        found = self.pipeline.explain([line], items=["line 1"])
        reasons = found.explanations[0].reasons if 0 in found.explanations else ()
        evidence = {"line": line[:_LONGEST], "nearest": list(found.nearest.get(0, ()))}
        return reasons, evidence, line[:200]


class Texts(Scorer):
    """Texts, each by itself."""

    def judge(self, batch: Batch) -> Judgement:
        """Return what the model says of each text."""
        scores = self.pipeline.score(_texts(batch, self._column(batch)))
        return self._judgement(scores, self.pipeline.decide(scores))

    def describe(self, batch: Batch, i: int) -> Description:
        """Return the words that made a text anomalous, the text, and a similar normal one."""
        text = _texts(batch, self._column(batch))[i]
        found = self.pipeline.explain([text], [0])
        reasons = found.explanations[0].reasons if 0 in found.explanations else ()
        evidence = {"text": text[:_LONGEST], "nearest": found.nearest.get(0, "")}
        return reasons, evidence, text[:200]

    def _column(self, batch: Batch) -> str:
        trained_on = self.pipeline.preparer_.column_
        return str(batch.frame.columns[0] if trained_on is None else trained_on)


class Pictures(Scorer):
    """Images, each by itself, as the paths of their files."""

    def judge(self, batch: Batch) -> Judgement:
        """Return what the model says of each image. Raises InputError if one cannot be read."""
        found = self.pipeline.detect(_texts(batch, PATH), explain=False)
        if found.skipped:
            raise InputError(f"{found.skipped[0].name} {found.skipped[0].reason}.")
        return self._judgement(found.scores, found.decision)

    def describe(self, batch: Batch, i: int) -> Description:
        """Return where an image is anomalous, its path and the boxes in pixels."""
        path = _texts(batch, PATH)[i]
        found = self.pipeline.explain([path], [0])
        reasons = found.explanations[0].reasons
        regions = [asdict(region) for region in found.regions.get(0, ())]
        return reasons, {"image": path, "regions": regions}, f"{path[-160:]}: {reasons[0].name}"


class Points(Scorer):
    """Points of time series, each entity's with the events before it in view."""

    keeps_context = True

    def __init__(self, pipeline: SeriesPipeline, name: str, context: int) -> None:
        super().__init__(pipeline, name)
        channels = pipeline.preparer_.channels_
        readings = zip(channels.names_, channels.readings_, strict=True)
        self.numeric = frozenset(
            name for name, each in readings if each["style"] == "plain" and not each["levels"]
        )
        self.context = context
        self._before: dict[str, pd.DataFrame] = {}

    def forget(self) -> None:
        """Drop the last events of all entities."""
        self._before.clear()

    def remember(self, batch: Batch) -> None:
        """Keep the last events of each entity."""
        for entity, rows in series_frame(batch).groupby(ENTITY, sort=False):
            joined = pd.concat([self._before.pop(str(entity), rows.iloc[:0]), rows])
            self._before[str(entity)] = joined.iloc[-self.context :]
        while len(self._before) > _MOST_ENTITIES:
            del self._before[next(iter(self._before))]  # the one heard of least recently

    def judge(self, batch: Batch) -> Judgement:
        """Return what the model says of each point; a point that is merged has its neighbour's."""
        scores, p_values = np.zeros(len(batch)), np.ones(len(batch))
        anomalies = np.zeros(len(batch), dtype=bool)
        threshold = np.inf
        frame = series_frame(batch).reset_index(drop=True)
        for entity, rows in frame.groupby(ENTITY, sort=False):
            before = self._before.get(str(entity), rows.iloc[:0])
            found = self.pipeline.detect(
                pd.concat([before, rows], ignore_index=True), explain=False
            )
            mine = found.rows >= len(before)
            at = rows.index.to_numpy()[found.rows[mine] - len(before)]
            scores[at], p_values[at] = found.scores.values[mine], found.decision.p_values[mine]
            anomalies[at] = found.decision.is_anomaly[mine]
            threshold = min(threshold, found.decision.threshold)
        decision = Decision(p_values, threshold, anomalies, self.pipeline.budget.rate)
        return self._judgement(Scores(scores), decision)

    def moved(self, batch: Batch) -> list[str]:
        """Return the channels that lie elsewhere in a batch than in training."""
        found: list[str] = self.pipeline.moved(series_frame(batch).reset_index(drop=True))
        return found

    def describe(self, batch: Batch, i: int) -> Description:
        """Return the channels that drove a point, and its values."""
        frame = series_frame(batch).reset_index(drop=True)
        entity = frame[ENTITY].iloc[i]
        rows = frame[frame[ENTITY] == entity].loc[:i]
        before = self._before.get(str(entity), rows.iloc[:0])
        found = self.pipeline.detect(pd.concat([before, rows], ignore_index=True))
        last = len(found) - 1
        over = [each for each in found.intervals if each.start <= last <= each.end]
        reasons = over[0].reasons if over else ()
        return reasons, {"event": plain(batch.frame.iloc[i].to_dict())}, _sentence(reasons)


def open_model(path: Path, context: int, source: Source | None = None) -> Scorer:
    """Return the saved pipeline of a folder, ready to score the events of a source.

    Raises NotAModel, CorruptModel or NewerFormat, and ParameterError for a model that cannot
    score single events, or not those of the source.
    """
    name = f"{path.name}@{folder.fingerprint(path)}"
    try:
        pipeline = load(path, runtime="onnx")
    except (ParameterError, MissingExtra):
        pipeline = load(path)
    if source is not None:
        check_source(pipeline.modality, source)
    return scorer(pipeline, name, context)


def check_source(modality: str, source: Source) -> None:
    """Raise ParameterError for a model of images where senders elsewhere would name the files."""
    if modality == "images" and not source.names_files:
        raise ParameterError(
            f"A model of images opens the files that events name, and {source.describe()} may not "
            "choose them; collect images by a source of the type folder."
        )


def scorer(pipeline: BasePipeline, name: str, context: int) -> Scorer:
    """Return a scorer of a trained pipeline."""
    if isinstance(pipeline, Pipeline):
        return Rows(pipeline, name)
    if isinstance(pipeline, SeriesPipeline):
        return Points(pipeline, name, context)
    if isinstance(pipeline, TextPipeline):
        return Texts(pipeline, name)
    if isinstance(pipeline, ImagePipeline):
        return Pictures(pipeline, name)
    if pipeline.session != LINE:
        raise ParameterError(
            f"A monitor scores log lines as they come, but the model {name} takes sessions by "
            f'{pipeline.session or "what it found"}; train it with "session: line".'
        )
    return Lines(pipeline, name)


def training_data(modality: str, batches: Iterable[Batch]) -> Any:
    """Return what a new pipeline of a modality learns from: the events of batches."""
    held = list(batches)
    if modality == "logs":
        return [line for batch in held for line in _texts(batch, LINE)]
    if modality == "images":
        return [path for batch in held for path in _texts(batch, PATH)]
    if modality == "series":
        return pd.concat([series_frame(batch) for batch in held], ignore_index=True)
    return pd.concat([batch.frame for batch in held], ignore_index=True)


def new_pipeline(modality: str, settings: Mapping[str, Any]) -> BasePipeline:
    """Return an untrained pipeline for a monitor. Raises ParameterError for unknown settings."""
    kinds: dict[str, type[BasePipeline]] = {
        "tables": Pipeline,
        "series": SeriesPipeline,
        "logs": LogPipeline,
        "text": TextPipeline,
        "images": ImagePipeline,
    }
    own: dict[str, Any] = {"series": {"time": TIME, "entity": ENTITY}, "logs": {"session": LINE}}
    try:
        return kinds[modality](**{**own.get(modality, {}), **settings})
    except TypeError as error:
        raise ParameterError(f"training.settings of a model of {modality}: {error}.") from error


def series_frame(batch: Batch) -> pd.DataFrame:
    """Return the events with their times and entities as columns."""
    entities = batch.entities if batch.entities is not None else ("",) * len(batch)
    return batch.frame.assign(time=batch.times, entity=list(entities))


def _texts(batch: Batch, column: str) -> list[str]:
    if column not in batch.frame:
        raise InputError(
            f'Events have the columns {_some(batch.frame.columns)}, but no column "{column}".'
        )
    return ["" if pd.isna(text) else str(text) for text in batch.frame[column]]


def _sentence(reasons: tuple[Reason, ...]) -> str:
    """Return the first reasons in a sentence.

    >>> _sentence((Reason("cpu", 98.25, 12.1, 1.0),))
    'cpu 98.25 (expected 12.1)'
    """
    return "; ".join(
        f"{each.name} {_short(each.seen)}"
        + ("" if each.expected is None else f" (expected {_short(each.expected)})")
        for each in reasons[:2]
    )


def _short(value: float | str | None) -> str:
    return f"{value:.4g}" if isinstance(value, float | int) else str(value)[:80]


def plain(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return values as JSON has them; what is no number and no truth is text, missing is None."""

    def one(value: Any) -> Any:
        if value is None or value is pd.NaT or (isinstance(value, float) and np.isnan(value)):
            return None
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, bool | int):
            return value
        return value if isinstance(value, float) and np.isfinite(value) else str(value)[:_LONGEST]

    return {str(name): one(value) for name, value in values.items()}


def _some(names: Iterable[Any]) -> str:
    shown = [str(name) for name in names]
    return ", ".join(shown[:6]) + (" …" if len(shown) > 6 else "")
