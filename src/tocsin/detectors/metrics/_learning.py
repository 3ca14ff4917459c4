"""What is learned of each entity: the usual day of each channel, and its forecasts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from tocsin.detectors.metrics._kernels import (
    DAY,
    DRIFT,
    LAGS,
    LEVEL,
    LOGARITHM,
    MEANS,
    PLAIN,
    RELATION,
    RELATIONS,
    ROOT,
    SHIFT,
    SPREAD,
    UNSEEN,
    Parameters,
    new_memory,
    statistics,
    transformed,
    usual_at,
)
from tocsin.detectors.metrics._profile import kinds_of_days, usual_day
from tocsin.types import BoolArray, FloatArray, IntArray

MINUTE = 60_000_000
_SLOT, _MOST_SLOTS = 5 * MINUTE, 288
_HALF_LIVES = {SHIFT: (0, 3), LEVEL: (15, 3), DRIFT: (120, 12), RELATION: (15, 3)}
"""Minutes after which half of a running mean is newer, and readings at least."""
_HALF_LIVES |= {RELATIONS: (60, 8), SPREAD: (15, 6)}
_NORMAL_MAD = 1.4826
_SMALL_OFFSET = 0.02
_HUBER, _ROUNDS, _RIDGE = 2.5, 3, 1e-3
_GROUPS = 8


class Stream(NamedTuple):
    """The readings of one entity in order: times (n,), microseconds, and values (n, C)."""

    times: IntArray
    values: FloatArray


def choose_forms(streams: list[Stream]) -> IntArray:
    """Return how the values of each channel (C,) are taken, so that their spread is even."""
    votes = [
        [_form(stream.values[:, c]) for c in range(stream.values.shape[1])] for stream in streams
    ]
    return np.array([np.bincount(column).argmax() for column in np.array(votes).T])


def _form(values: FloatArray) -> int:
    values = values[~np.isnan(values)]
    if len(values) < _GROUPS**2 or values.min() < 0 or values.min() == values.max():
        return PLAIN
    order = np.argsort(values[:-1], kind="stable")
    offset = _offset(values)
    uneven = []
    for form in (PLAIN, ROOT, LOGARITHM):
        steps = np.abs(np.diff(np.array([transformed(form, offset, x) for x in values.tolist()])))
        spreads = [np.mean(group) for group in np.array_split(steps[order], _GROUPS)]
        uneven.append(np.std(np.log(np.maximum(spreads, 1e-12))))
    return int(np.argmin(uneven))


def _offset(values: FloatArray) -> float:
    positive = values[values > 0]
    return _SMALL_OFFSET * float(np.median(positive)) if positive.size else 1.0


class Learner:
    """Learns the parameters of entities, each from those of its readings that are ``inside``."""

    def __init__(self, streams: list[Stream]) -> None:
        self.streams = streams
        self.forms = choose_forms(streams)
        self.step = np.array([_step(stream.times) for stream in streams])
        width = max(_SLOT, int(np.median(self.step)))
        self.slots = int(np.clip(DAY // width, 1, _MOST_SLOTS))

    def parameters(self, e: int, inside: BoolArray) -> Parameters:
        """Return the parameters of entity e alone."""
        times, values = self.streams[e]
        channels = values.shape[1]
        offset = np.array([_offset(column[~np.isnan(column)]) for column in values[inside].T])
        taken = np.column_stack(
            [_taken(self.forms[c], offset[c], values[:, c]) for c in range(channels)]
        )
        kinds = kinds_of_days(times[inside])
        rhythmic = kinds.max() != UNSEEN
        shape = (1, channels, kinds.max() + 1, self.slots) if rhythmic else (1, channels, 1, 1)
        profile = np.empty(shape)
        for c in range(channels):
            profile[0, c] = usual_day(
                times[inside], taken[inside, c], kinds, profile.shape[-1], int(self.step[e])
            )
        fades = np.array([[fade_of(k, int(self.step[e])) for k in range(SHIFT, SHIFT + MEANS)]])
        blank = Parameters(
            self.step[e : e + 1],
            self.forms,
            offset[None],
            profile,
            kinds[None],
            np.zeros((1, channels, LAGS)),
            np.zeros((1, channels, channels)),
            np.ones((1, channels, 3)),
            fades,
        )
        return _with_forecasts(blank, times, taken, inside)


def run(p: Parameters, stream: Stream) -> FloatArray:
    """Return the statistics (n, C, views) of the readings of one entity, with its parameters."""
    memory = new_memory(1, stream.values.shape[1])
    return statistics(p, memory, stream.times, stream.values)


def join(parameters: list[Parameters]) -> Parameters:
    """Return the parameters of entities, each given alone, as those of all."""
    slots = max(each.profile.shape[3] for each in parameters)
    kinds = max(each.profile.shape[2] for each in parameters)
    profiles = [_widened(each.profile, kinds, slots) for each in parameters]
    first = parameters[0]
    together = {
        name: np.concatenate([getattr(each, name) for each in parameters])
        for name in ("step", "kinds", "offset", "lags", "others", "scales", "fades")
    }
    return first._replace(profile=np.concatenate(profiles), **together)


def _widened(profile: FloatArray, kinds: int, slots: int) -> FloatArray:
    if profile.shape[3] < slots:
        profile = np.repeat(profile, slots, axis=3)
    if profile.shape[2] < kinds:
        profile = np.repeat(profile, kinds, axis=2)
    return profile


def _step(times: IntArray) -> int:
    apart = np.diff(times)
    apart = apart[apart > 0]
    return int(np.median(apart)) if apart.size else MINUTE


def fade_of(view: int, step: int) -> float:
    """Return the weight of a new reading in the running mean of a view."""
    minutes, readings = _HALF_LIVES[view]
    return float(1 - 0.5 ** (1 / max(minutes * MINUTE / step, readings)))


def _taken(form: int, offset: float, values: FloatArray) -> FloatArray:
    if form == ROOT:
        return np.sqrt(np.maximum(values, 0))
    return np.log(np.maximum(values, 0) + offset) if form == LOGARITHM else values


@njit(cache=True)
def _usual(p, times, taken):  # type: ignore[no-untyped-def]
    from_profile = np.empty(taken.shape)
    for i in range(len(times)):
        for c in range(taken.shape[1]):
            from_profile[i, c] = usual_at(p, 0, c, times[i], taken[i, c])
    return from_profile


def _with_forecasts(
    p: Parameters, times: IntArray, taken: FloatArray, inside: BoolArray
) -> Parameters:
    """Return parameters with the forecasts from the last differences, and the other channels."""
    now = taken - _usual(p, times, taken)
    known = _carried(now)
    for c in range(taken.shape[1]):
        before = np.column_stack([_lagged(now[:, c], lag) for lag in range(1, LAGS + 1)])
        p.lags[0, c] = _robust_fit(before[inside], now[inside, c])
        others = np.delete(np.arange(taken.shape[1]), c)
        p.others[0, c, others] = _robust_fit(known[inside][:, others], now[inside, c])
        errors = now[:, c] - before @ p.lags[0, c], now[:, c], now[:, c] - known @ p.others[0, c]
        p.scales[0, c] = [_scale(each[inside], taken[inside, c]) for each in errors]
    return p


def _lagged(values: FloatArray, lag: int) -> FloatArray:
    return np.concatenate([np.full(min(lag, len(values)), np.nan), values[:-lag]])[: len(values)]


def _carried(values: FloatArray) -> FloatArray:
    """Return values (n, C) with the last known one in place of those missing, 0 before any."""
    place = np.where(np.isnan(values), -1, np.arange(len(values))[:, None])
    place = np.maximum.accumulate(place, axis=0)
    found = np.take_along_axis(values, np.maximum(place, 0), axis=0)
    return np.where(place < 0, 0.0, found)


def _robust_fit(inputs: FloatArray, wanted: FloatArray) -> FloatArray:
    """Return coefficients by least squares that large errors do not decide (Huber's weights)."""
    whole = ~(np.isnan(inputs).any(axis=1) | np.isnan(wanted))
    inputs, wanted = inputs[whole], wanted[whole]
    k = inputs.shape[1]
    if len(wanted) <= 2 * k or k == 0:
        return np.zeros(k)
    weights: Any = np.ones(len(wanted))
    found: FloatArray = np.zeros(k)
    ridge = _RIDGE * np.diag((inputs**2).mean(axis=0) + 1e-12) * len(wanted)
    for _ in range(_ROUNDS):
        weighted = inputs * weights[:, None]
        found = np.linalg.solve(inputs.T @ weighted + ridge, weighted.T @ wanted)
        errors = np.abs(wanted - inputs @ found)
        limit = _HUBER * _NORMAL_MAD * np.median(errors) + 1e-12
        weights = np.minimum(1.0, limit / np.maximum(errors, 1e-300))
    return found


def _scale(errors: FloatArray, values: FloatArray) -> float:
    """Return the robust scale of errors: at least half the resolution of the values."""
    errors = errors[~np.isnan(errors)]
    if not errors.size:
        return 1.0
    distinct = np.unique(values[~np.isnan(values)])
    apart = np.diff(distinct)
    finest = float(apart.min()) / 2 if apart.size else 0.0
    finest = max(finest, 1e-9 * float(np.abs(distinct).max(initial=0)), 1e-12)
    spread = _NORMAL_MAD * float(np.median(np.abs(errors - np.median(errors))))
    if spread < finest:  # most errors are equal
        spread = min(float(np.std(errors)), 1e3 * finest) if errors.std() > 0 else 0.0
    return max(spread, finest)
