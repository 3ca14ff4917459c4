"""Metrics seen in nine ways: what changes, wanders, stops, lacks, or no longer goes together."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from tocsin.base import Detector
from tocsin.base.abilities import Tracks
from tocsin.base.declared import Shape, Within
from tocsin.detectors.metrics._kernels import (
    DAY,
    DRIFT,
    LAGS,
    LOGARITHM,
    MEANS,
    PLAIN,
    SPREAD,
    UNSEEN,
    Parameters,
)
from tocsin.detectors.metrics._learning import Learner, Stream, fade_of, join, run
from tocsin.detectors.metrics._profile import LEAST_DAYS
from tocsin.detectors.metrics._tails import LEVELS, Peaks, Tails, find_peaks, rarest_of, runs_of
from tocsin.detectors.metrics._tails import join as join_tails
from tocsin.detectors.metrics._tracking import USUAL_DECADES, Tracker, calibrated
from tocsin.errors import InputError, SchemaMismatch
from tocsin.types import Card, FloatArray, IntArray, ReadingArray, Scores
from tocsin.types.metrics import UNKNOWN, VIEWS, columns_of

_BLOCKS, _PARTS = 7, 5
_LEAST = 16
_MEANS_FILL = 4
_HARDLY_ANY = 0.999
_SHARES = 1 - 10.0**-USUAL_DECADES
_PARAMETERS = ("step", "forms", "offset", "profile", "kinds", "lags", "others", "scales", "fades")
_TAILS = ("centre", "knots", "decades", "scale", "shape", "runs")


class MetricViews(Detector, Tracks):
    """Nine views of each channel of each entity, each with a tail of its own; the rarest counts.

    Items are readings (n,) of entities with C channels, see ``tocsin.types.metrics.readings``, in
    the order in which they came. An entity's values are compared with the usual ones of their time
    of day and, once both were seen, of working days and weekends; the differences with those that
    the last ones and the other channels let expect. The views: the newest value, the last few, a
    quarter and two hours of the level, the same of the relation to other channels, the spread,
    a value that stays, one that is missing. What is remembered of an entity has a fixed size, and
    a score depends on earlier readings alone, however they are cut into batches.

    On days of a kind that training did not show, of fewer than three days on all, levels are not
    judged, and changes have to be a thousand times rarer.

    Each training score is that of a model that did not learn from its block, a seventh of the days.
    The tails are generalised Pareto, fitted to independent peaks. A score is minus the logarithm
    (base 10) of the share of normal readings that score as high. ``parts`` (n, C): decades of each
    channel's rarest view; ``expected`` (n, C): what that view compares with. Raises InputError for
    fewer than 16 readings of every entity.

    >>> from tocsin.types.metrics import readings
    >>> day = np.arange(2000)
    >>> cpu = 50 + np.random.default_rng(0).normal(size=(2000, 1))
    >>> detector = MetricViews().fit(readings(60_000_000 * day, 0 * day, cpu))
    >>> cpu[1500] = 90
    >>> int(detector.score(readings(60_000_000 * day, 0 * day, cpu)).values.argmax())
    1500
    """

    card = Card(
        name="auto",
        modality="metrics",
        family="forecast",
        learning=("one-class",),
        summary="Level, change, relation, spread, standstill of each channel by the time of day.",
        paper="Pickands, Annals of Statistics 1975 (tails); Roberts, Technometrics 1959 (means)",
        cost="fit O(n d²); score O(d²) per reading; memory O(d) per entity beside its profile",
        also_known_as=("EWMA",),
    )

    n_features_in_: Annotated[int, Within(1)]
    entities_: Annotated[int, Within(1)]
    step_: Annotated[IntArray, Shape("entities_"), Within(1, 2**60)]
    forms_: Annotated[IntArray, Shape("d"), Within(PLAIN, LOGARITHM)]
    offset_: Annotated[FloatArray, Shape("entities_", "d"), Within(1e-300)]
    profile_: Annotated[FloatArray, Shape("entities_", "d", "k", "slots")]
    kinds_: Annotated[IntArray, Shape("entities_", 7), Within(UNSEEN, "k-1")]
    lags_: Annotated[FloatArray, Shape("entities_", "d", LAGS)]
    others_: Annotated[FloatArray, Shape("entities_", "d", "d")]
    scales_: Annotated[FloatArray, Shape("entities_", "d", 3), Within(1e-300)]
    fades_: Annotated[FloatArray, Shape("entities_", MEANS), Within(0, 1)]
    centre_: Annotated[FloatArray, Shape("entities_", "d", SPREAD + 1)]
    knots_: Annotated[FloatArray, Shape("entities_", "d", SPREAD + 1, len(LEVELS))]
    decades_: Annotated[FloatArray, Shape("entities_", "d", SPREAD + 1, len(LEVELS)), Within(0)]
    scale_: Annotated[FloatArray, Shape("entities_", "d", SPREAD + 1), Within(1e-300)]
    shape_: Annotated[FloatArray, Shape("entities_", "d", SPREAD + 1), Within(1e-300, 1)]
    runs_: Annotated[FloatArray, Shape("entities_", "d", 2, 3), Within(0)]
    usual_: Annotated[FloatArray, Shape(len(USUAL_DECADES)), Within(rising=True)]

    gaps_: Annotated[IntArray, Shape("entities_"), Within(0, 2**60)]

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    @property
    def tracker(self) -> Tracker:
        """A new tracker, which scores readings as they come."""
        return Tracker(
            Parameters(*(getattr(self, f"{name}_") for name in _PARAMETERS)),
            Tails(*(getattr(self, f"{name}_") for name in _TAILS)),
            self.usual_,
            self.gaps_,
        )

    def _fit(self, X: ReadingArray, y: IntArray | None) -> FloatArray:
        times, entities, values = columns_of(X)
        self.n_features_in_, self.entities_ = values.shape[1], int(entities.max()) + 1
        places = [np.flatnonzero(entities == e) for e in range(self.entities_)]
        self.gaps_ = np.array([_usual_gap(times[own]) for own in places])
        learner = Learner([Stream(times[own], values[own]) for own in places])
        held_out = [_held_out(learner, e) for e in range(self.entities_)]
        self._keep(learner, held_out)
        tails, rarest = self.tracker.tails, np.zeros(len(X))
        for e, own in enumerate(places):
            rarest[own] = rarest_of(tails, e, held_out[e])
        self.usual_ = np.maximum.accumulate(np.quantile(rarest, _SHARES))
        return np.array([calibrated(self.usual_, each) for each in rarest])

    def _keep(self, learner: Learner, held_out: list[FloatArray]) -> None:
        """Keep the parameters, and the tails of the statistics (n, C, views) of each entity."""
        everything = [np.ones(len(stream.times), dtype=np.bool_) for stream in learner.streams]
        parameters = join([learner.parameters(e, all_) for e, all_ in enumerate(everything)])
        peaks = [_peaks(found) for found in held_out]
        tails = join_tails(peaks, np.array([runs_of(found) for found in held_out]))
        for name, value in {**parameters._asdict(), **tails._asdict()}.items():
            setattr(self, f"{name}_", value)
        self.usual_ = np.zeros(len(USUAL_DECADES))

    def _score(self, X: ReadingArray) -> Scores:
        found = self.tracker.take(X)
        return Scores(found.scores, parts=found.parts, expected=found.expected)

    def _check_training(self, X: Any) -> ReadingArray:
        given = _checked(X)
        entities = np.unique(given["entity"])
        if entities[0] < 0 or entities[-1] != len(entities) - 1:
            raise InputError(
                "The entities of readings to learn from are the whole numbers from 0 on; got "
                f"{len(entities)} of them, {entities[0]} to {entities[-1]}."
            )
        fewest = int(np.bincount(given["entity"]).min())
        if fewest < _LEAST:
            raise InputError(
                f"{self.card.name} learns from at least {_LEAST} readings of each entity; one has "
                f"{fewest}."
            )
        return given

    def _check_scoring(self, X: Any) -> ReadingArray:
        given = _checked(X)
        if (channels := given["values"].shape[1]) != self.n_features_in_:
            raise SchemaMismatch(
                f"{self.card.name} was trained on {self.n_features_in_} channels; these readings "
                f"have {channels}."
            )
        if given["entity"].max() >= self.entities_:
            raise SchemaMismatch(
                f"{self.card.name} was trained on {self.entities_} entities; these readings have "
                f"the entity {given['entity'].max()}. Those unknown are {UNKNOWN}."
            )
        return given


def _checked(X: Any) -> ReadingArray:
    """Return X if it is readings. Raises InputError."""
    if not isinstance(X, np.ndarray) or X.dtype.names != ("time", "entity", "values"):
        raise InputError(
            "Readings are an array that tocsin.types.metrics.readings makes; got "
            f"{type(X).__name__}."
        )
    if X.ndim != 1 or not len(X) or not X["values"].shape[-1]:
        raise InputError(f"Readings are (n,), of one channel or more; got {X.shape}.")
    if np.isinf(X["values"]).any():
        raise InputError("The values of readings are finite, or NaN where missing.")
    return X


def _held_out(learner: Learner, e: int) -> FloatArray:
    """Return the statistics (n, C, views) of an entity, each by what its block did not teach."""
    stream = learner.streams[e]
    times, values = stream
    before = _MEANS_FILL * int(np.ceil(np.log(2) / fade_of(DRIFT, int(learner.step[e]))))
    found = np.zeros((*values.shape, len(VIEWS)))
    for block in _blocks(times):
        first, last = block
        inside = np.ones(len(times), dtype=np.bool_)
        inside[first:last] = False
        start = max(0, first - before)
        own = Stream(times[start:last], values[start:last])
        found[first:last] = run(learner.parameters(e, inside), own)[first - start :]
    return found


def _blocks(times: IntArray) -> list[tuple[int, int]]:
    """Return the first place of each block of days, of a fifth within a day, and that after it."""
    days = np.unique(times // DAY)
    if len(days) > LEAST_DAYS:
        firsts = [part[0] for part in np.array_split(days, min(_BLOCKS, len(days)))]
        starts = np.searchsorted(times, np.array(firsts) * DAY).tolist()
    else:
        starts = np.linspace(0, len(times), _PARTS + 1).astype(int)[:-1].tolist()
    return list(zip(starts, [*starts[1:], len(times)], strict=True))


def _usual_gap(times: IntArray) -> int:
    """Return the pause that hardly any of an entity's readings had before it."""
    return int(np.quantile(np.diff(times), _HARDLY_ANY, method="lower"))


def _peaks(found: FloatArray) -> list[list[Peaks]]:
    channels = range(found.shape[1])
    return [[find_peaks(found[:, c, view]) for view in range(SPREAD + 1)] for c in channels]
