"""Readings of many entities as they come: scored in their order, by what is remembered of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from tocsin.detectors.metrics._kernels import (
    FORECAST_OF,
    FORECASTS,
    Parameters,
    look,
    new_memory,
    untransformed,
)
from tocsin.detectors.metrics._tails import Tails, rarest
from tocsin.types import FloatArray, IntArray, ReadingArray
from tocsin.types.metrics import VIEWS, Judged, columns_of, known_entities

USUAL_DECADES = np.linspace(0.0, 2.0, 41)
"""The scores whose quantiles are kept; beyond the last they grow as the tails do."""


_STEPS, _GAPS = 5, 3
_DOUBT = 3.0
"""Decades by which readings of days that training did not show are taken for less rare."""


class Tracker:
    """Scores readings in the order in which they come, and remembers what the next rest on.

    ``usual``: (41,), the quantiles of the rarest statistics of training that ``USUAL_DECADES`` are
    of. ``gaps``: (E,), microseconds that hardly any pause of training was longer than. Readings of
    unknown entities score 0.
    """

    def __init__(
        self, parameters: Parameters, tails: Tails, usual: FloatArray, gaps: IntArray
    ) -> None:
        self.parameters = parameters
        self.tails = tails
        self.usual = usual
        self.gaps = gaps
        self.memory = new_memory(len(parameters.step), len(parameters.forms))

    @property
    def steps(self) -> IntArray:
        """Microseconds between the readings of each entity (E,)."""
        return self.parameters.step

    @property
    def patience(self) -> IntArray:
        """Microseconds after which each entity is silent (E,)."""
        return np.maximum(_STEPS * self.steps, _GAPS * self.gaps)

    def take(self, given: ReadingArray) -> Judged:
        """Score readings (n,), and remember them."""
        times, entities, values = columns_of(given)
        found = Judged(
            np.zeros(len(times)),
            np.zeros(values.shape),
            np.zeros(values.shape, dtype=np.int8),
            np.zeros(values.shape),
        )
        _take(self.parameters, self.tails, self.usual, self.memory, times, entities, values, *found)
        return found

    def peek(self, given: ReadingArray) -> tuple[Judged, tuple[NDArray[Any], ...]]:
        """Score readings (n,) and forget them; also return what would be remembered.

        That is the memory of the entities concerned, in rising order; ``remember`` takes it.
        """
        concerned = known_entities(given)
        before = self.recalled(concerned)
        found = self.take(given)
        after = self.recalled(concerned)
        self.remember(concerned, before)
        return found, after

    def recalled(self, entities: IntArray) -> tuple[NDArray[Any], ...]:
        """Return what is remembered of some entities."""
        return tuple(part[entities] for part in self.memory)

    def remember(self, entities: IntArray, recalled: tuple[NDArray[Any], ...]) -> None:
        """Remember what ``recalled`` returned of some entities."""
        for part, values in zip(self.memory, recalled, strict=True):
            part[entities] = values

    def forget(self) -> None:
        """Remember nothing."""
        self.memory = new_memory(len(self.parameters.step), len(self.parameters.forms))


@njit(cache=True, error_model="numpy")
def _take(p, t, usual, m, times, entities, values, scores, parts, views, expected):  # type: ignore[no-untyped-def]
    channels = values.shape[1]
    found, forecasts = np.zeros((channels, len(VIEWS))), np.zeros((channels, FORECASTS))
    for i in range(len(times)):
        e = entities[i]
        if e < 0:
            continue
        seen = look(p, m, times[i], e, values[i], found, forecasts)
        decades = calibrated(usual, rarest(t, e, found, parts[i], views[i]))
        scores[i] = decades if seen else max(decades - _DOUBT, 0.0)
        for c in range(channels):
            forecast = forecasts[c, FORECAST_OF[views[i, c]]]
            expected[i, c] = untransformed(p.forms[c], p.offset[e, c], forecast)


@njit(cache=True, error_model="numpy")
def calibrated(usual, decades):  # type: ignore[no-untyped-def]
    """Return minus the logarithm of the share of readings whose rarest statistic is as rare."""
    last = len(usual) - 1
    if decades > usual[last]:
        return USUAL_DECADES[last] + decades - usual[last]
    k = np.searchsorted(usual, decades)
    if k == 0:
        return 0.0
    part = (decades - usual[k - 1]) / max(usual[k] - usual[k - 1], 1e-300)
    return USUAL_DECADES[k - 1] + part * (USUAL_DECADES[k] - USUAL_DECADES[k - 1])
