"""What differs between the entities that share a model: where their values lie, and how wide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from tocsin.base import Stateful
from tocsin.base.declared import Shape
from tocsin.prepare.series import PreparedSeries
from tocsin.types import BoolArray, FloatArray

CLEARLY = 0.5
"""Levels differ when they are this many spreads of one entity apart, beyond chance."""

CLEARLY_WIDER = float(np.log(1.5))
"""Spreads differ when their logarithms are this far apart, beyond chance."""

_OF_MEDIAN, _OF_SPREAD = np.pi / 2, 1.36
"""Variances of a median, and of the logarithm of a median deviation, times n, of normal values."""

_LARGEST = 1e100


@dataclass(frozen=True, slots=True)
class Unit:
    """Where the values (n, channels) of an entity usually lie, and how far they spread."""

    location: FloatArray
    scale: FloatArray

    def of(self, values: FloatArray) -> FloatArray:
        """Return values in this unit."""
        with np.errstate(over="ignore"):
            return np.clip((values - self.location) / self.scale, -_LARGEST, _LARGEST)

    def back(self, values: FloatArray) -> FloatArray:
        """Return values of this unit as the user knows them."""
        with np.errstate(over="ignore"):
            return np.clip(values * self.scale + self.location, -_LARGEST, _LARGEST)

    def value(self, seen: float | str | None, channel: int) -> float | None:
        """Return one value of a channel as the user knows it."""
        if seen is None:
            return None
        return float(seen) * float(self.scale[channel]) + float(self.location[channel])


class Levels(Stateful):
    """The location and scale of each entity's channels, where these clearly differ.

    Medians and median deviations, each drawn towards that of all entities by as much as its own
    is uncertain (empirical Bayes), so that twelve points do not set a scale of their own. Where
    entities do not differ, and for channels of two values, nothing is scaled. An entity that
    training did not have is scaled by its own values.

    >>> rng = np.random.default_rng(0)
    >>> def series(name, level):
    ...     values = rng.normal(level, 1, size=(200, 1))
    ...     return PreparedSeries(name, values, np.zeros(200, bool), np.arange(200), None, ())
    >>> levels = Levels().fit([series("a", 20), series("b", 120)])
    >>> levels.differ, levels.unit(series("c", -30)).location.round().tolist()
    (True, [-30.0])
    """

    entities_: list[str]
    locations_: Annotated[FloatArray, Shape("entities", "c")]
    scales_: Annotated[FloatArray, Shape("entities", "c")]
    between_: Annotated[FloatArray, Shape(2, "c")]
    typical_: Annotated[FloatArray, Shape(2, "c")]

    def fit(self, series: Sequence[PreparedSeries]) -> Levels:
        """Learn from the series of all entities."""
        self.entities_ = [each.entity or "" for each in series]
        medians, spreads, counts = (
            np.stack(each) for each in zip(*map(_seen, series), strict=True)
        )
        usual = np.array([np.median(own[own > 0]) if own.any() else 1.0 for own in spreads.T])
        logs = np.log(np.where(spreads > 0, spreads, usual))
        chance = (_OF_MEDIAN * (usual**2 / counts)).mean(axis=0)
        apart = medians.var(axis=0) - chance
        wider = logs.var(axis=0) - (_OF_SPREAD / counts).mean(axis=0)
        state = _of_two_values(series)
        apart[(apart <= (CLEARLY * usual) ** 2) | state] = 0.0
        wider[(wider <= CLEARLY_WIDER**2) | state] = 0.0
        self.between_ = np.stack([apart, wider])
        self.typical_ = np.stack([np.median(medians, axis=0), np.log(usual)])
        self.locations_, self.scales_ = self._drawn(medians, spreads, counts)
        return self

    @property
    def differ(self) -> bool:
        """Whether any channel is scaled by entity."""
        return bool(self.between_.any())

    def knows(self, entity: str | None) -> bool:
        """Return whether training had this entity."""
        return (entity or "") in self.entities_

    def unit(self, series: PreparedSeries) -> Unit:
        """Return the unit of an entity, that of training where it had it."""
        name = series.entity or ""
        if name in self.entities_:
            i = self.entities_.index(name)
            return Unit(self.locations_[i], self.scales_[i])
        return Unit(*self._drawn(*_seen(series)))

    def _drawn(
        self, medians: FloatArray, spreads: FloatArray, counts: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return locations and scales, drawn towards the typical ones; 0 and 1 if none differ."""
        (apart, wider), (middle, log_usual) = self.between_, self.typical_
        usual = np.exp(log_usual)
        own = np.log(np.where(spreads > 0, spreads, usual))
        trust = apart / (apart + _OF_MEDIAN * usual**2 / counts)
        certain = wider / (wider + _OF_SPREAD / counts)
        scaled = (apart > 0) | (wider > 0)
        location = np.where(apart > 0, trust * medians + (1 - trust) * middle, middle)
        scale = np.exp(certain * own + (1 - certain) * log_usual)
        return np.where(scaled, location, 0.0), np.where(scaled, scale, 1.0)


def _seen(series: PreparedSeries) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return median, spread and number of the observed values of each channel."""
    seen = ~series.filled
    values = np.clip(series.values[seen] if seen.any() else series.values, -_LARGEST, _LARGEST)
    median = np.median(values, axis=0)
    spread = 1.4826 * np.median(np.abs(values - median), axis=0)
    spread = np.where(spread > 0, spread, (values / _LARGEST).std(axis=0) * _LARGEST)
    return median, spread, np.full(len(median), float(len(values)))


def _of_two_values(series: Sequence[PreparedSeries]) -> BoolArray:
    low = np.min([each.values.min(axis=0) for each in series], axis=0)
    high = np.max([each.values.max(axis=0) for each in series], axis=0)
    between = [((each.values > low) & (each.values < high)).any(axis=0) for each in series]
    several: BoolArray = np.any(between, axis=0)
    return ~several
