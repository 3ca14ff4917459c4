"""The compiled recursion of metrics: what each view says of one reading, in constant memory.

A channel's value is compared with the usual one of its time of day, the difference with what the
last differences and the other channels let expect. Eight statistics follow from that, see
``VIEWS``; each is exactly the same however the readings are cut into batches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from tocsin.types import FloatArray, IntArray
from tocsin.types.metrics import VIEWS

JUMP, SHIFT, LEVEL, DRIFT, RELATION, RELATIONS, SPREAD, STUCK, MISSING = range(len(VIEWS))
MEANS = SPREAD - SHIFT + 1
BY_LAST, BY_TIME, BY_OTHERS = range(3)
FORECASTS = 3
FORECAST_OF = np.repeat([BY_LAST, BY_TIME, BY_OTHERS, BY_LAST], [2, 2, 2, 3])
"""The forecast that each view compares with."""
LAGS = 3
UNSEEN = -1
PLAIN, ROOT, LOGARITHM = range(3)
"""How a channel's values are taken."""

DAY = 86_400_000_000
"""Microseconds."""
_THURSDAY = 3  # 1 January 1970
_BETWEEN = 7_200_000_000  # two hours on either side of a midnight between unlike days
_CLIP = 8.0
_QUIET = 0.05
_USUAL_SPREAD = -0.45  # the mean of log(|z| + 0.05) of normal z
_LONG_GAP = 1.5
_ORDINARY, _UNUSUAL = 1.5, 3.0


class Parameters(NamedTuple):
    """What was learned of E entities with C channels; B slots of a day, K kinds of days.

    ``step``: (E,), microseconds between readings. ``forms``: (C,), how values are taken;
    ``offset``: (E, C), added before the logarithm. ``profile``: (E, C, K, B), the usual value by
    time of day; ``kinds``: (E, 7), the kind of each day of the week, Monday first, ``UNSEEN`` for
    one that training did not show. ``lags``: (E, C, LAGS), and ``others``: (E, C, C), the
    coefficients of the forecasts. ``scales``: (E, C, 3), of what is left by the forecast, the
    profile and the other channels. ``fades``: (E, MEANS), the weight of a new reading in each
    running mean.
    """

    step: IntArray
    forms: IntArray
    offset: FloatArray
    profile: FloatArray
    kinds: IntArray
    lags: FloatArray
    others: FloatArray
    scales: FloatArray
    fades: FloatArray


class Memory(NamedTuple):
    """What is remembered of E entities with C channels between readings.

    ``time``: (E,), of the last reading, microseconds, 0 before the first. ``last``: (E, C), the
    last values, and ``runs``: (E, C, 2), how often in a row they came again, or lacked.
    ``before``: (E, C, LAGS + 1), the last differences from the profile, NaN where missing;
    ``known``: (E, C), the last that was not missing. ``sums`` and ``weights``: (E, C, MEANS), of
    the running means.
    """

    time: IntArray
    last: FloatArray
    runs: IntArray
    before: FloatArray
    known: FloatArray
    sums: FloatArray
    weights: FloatArray


def new_memory(entities: int, channels: int) -> Memory:
    """Return the memory before the first reading."""
    shape = (entities, channels)
    return Memory(
        time=np.zeros(entities, dtype=np.int64),
        last=np.full(shape, np.nan),
        runs=np.zeros((*shape, 2), dtype=np.int64),
        before=np.full((*shape, LAGS + 1), np.nan),
        known=np.zeros(shape),
        sums=np.zeros((*shape, MEANS)),
        weights=np.zeros((*shape, MEANS)),
    )


def statistics(
    parameters: Parameters, memory: Memory, times: IntArray, values: FloatArray
) -> FloatArray:
    """Return the statistics (n, C, views) of the only entity's readings; the memory moves on."""
    found = np.zeros((*values.shape, len(VIEWS)))
    _statistics(parameters, memory, times, values, found)
    return found


@njit(cache=True, error_model="numpy")
def _statistics(p, m, times, values, found):  # type: ignore[no-untyped-def]
    forecasts = np.empty((values.shape[1], FORECASTS))
    for i in range(len(times)):
        look(p, m, times[i], 0, values[i], found[i], forecasts)


@njit(cache=True, error_model="numpy")
def look(p, m, time, e, values, found, forecasts):  # type: ignore[no-untyped-def]
    """Take in one reading (C,) of entity e; write its statistics (C, views), and the forecasts.

    These (C, FORECASTS) are in the form in which the channel is taken: by the last readings, by
    the time of day, by the other channels. Returns whether training showed such a day.
    """
    channels = len(values)
    passed = _steps_since(p, m, time, e)
    for c in range(channels):
        _count_runs(m, e, c, values[c], found[c])
        x = transformed(p.forms[c], p.offset[e, c], values[c])
        usual = usual_at(p, e, c, time, x)
        forecasts[c, :] = usual
        if passed > 1:
            _skip(p, m, e, c, passed)
        for lag in range(LAGS, 0, -1):
            m.before[e, c, lag] = m.before[e, c, lag - 1]
        m.before[e, c, 0] = x - usual
        if not np.isnan(x):
            m.known[e, c] = x - usual
    seen = _is_seen(p, e, time)
    if seen and not _is_seen(p, e, m.time[e]):  # what it remembers is not of such a day
        m.sums[e, :, LEVEL - SHIFT : SPREAD - SHIFT] = 0.0
        m.weights[e, :, LEVEL - SHIFT : SPREAD - SHIFT] = 0.0
    for c in range(channels):
        _update(p, m, e, c, seen, found[c], forecasts[c])
        if not seen:
            found[c, LEVEL : RELATIONS + 1] = 0.0
    m.time[e] = time
    return seen


@njit(cache=True, error_model="numpy")
def _is_seen(p, e, time):  # type: ignore[no-untyped-def]
    """Return whether training showed such a day of the week."""
    return p.kinds[e, (time // DAY + _THURSDAY) % 7] != UNSEEN


@njit(cache=True, error_model="numpy")
def transformed(form, offset, x):  # type: ignore[no-untyped-def]
    """Return a value as its channel takes it."""
    if form == ROOT:
        return np.sqrt(max(x, 0.0)) if not np.isnan(x) else x
    if form == LOGARITHM:
        return np.log(max(x, 0.0) + offset) if not np.isnan(x) else x
    return x


@njit(cache=True, error_model="numpy")
def untransformed(form, offset, x):  # type: ignore[no-untyped-def]
    """Return the value that a channel takes as x."""
    if form == ROOT:
        return max(x, 0.0) ** 2
    if form == LOGARITHM:
        return np.exp(min(x, 700.0)) - offset
    return x


@njit(cache=True, error_model="numpy")
def usual_at(p, e, c, time, x):  # type: ignore[no-untyped-def]
    """Return the usual value of a channel at a time, of those usual the nearest to x.

    Near a midnight between unlike days what is usual reaches towards that of the other day.
    """
    day, passed = time // DAY, time % DAY
    table = p.profile[e, c]
    slot = min(passed * table.shape[1] // DAY, table.shape[1] - 1)
    kind = p.kinds[e, (day + _THURSDAY) % 7]
    value = table[max(kind, 0), slot]
    other, away = kind, min(passed, DAY - passed) / _BETWEEN
    if away < 1:
        other = p.kinds[e, (day + _THURSDAY + (1 if 2 * passed > DAY else -1)) % 7]
    if other in (kind, UNSEEN) or kind == UNSEEN:
        return value
    farthest = value + (1 - away) * (table[other, slot] - value)
    low, high = min(value, farthest), max(value, farthest)
    return (low + high) / 2 if np.isnan(x) else min(max(x, low), high)


@njit(cache=True, error_model="numpy")
def _steps_since(p, m, time, e):  # type: ignore[no-untyped-def]
    """Return how many steps ago the entity's last reading was, 1 for the usual one."""
    if m.time[e] == 0:
        return 1
    steps = (time - m.time[e]) / p.step[e]
    return int(min(max(steps + 0.5, 1.0), 1e9)) if steps > _LONG_GAP else 1


@njit(cache=True, error_model="numpy")
def _skip(p, m, e, c, passed):  # type: ignore[no-untyped-def]
    """Let the means of a channel fade, and its last differences be missing, over a gap."""
    m.before[e, c, :] = np.nan
    for k in range(MEANS):
        fade = (1 - p.fades[e, k]) ** (passed - 1)
        m.sums[e, c, k] *= fade
        m.weights[e, c, k] *= fade


@njit(cache=True, error_model="numpy")
def _count_runs(m, e, c, value, found):  # type: ignore[no-untyped-def]
    runs = m.runs[e, c]
    if np.isnan(value):
        runs[1] += 1
    else:
        runs[1] = 0
        runs[0] = runs[0] + 1 if value == m.last[e, c] else 0
        m.last[e, c] = value
    found[STUCK], found[MISSING] = runs[0], runs[1]


@njit(cache=True, error_model="numpy")
def _update(p, m, e, c, seen, found, forecasts):  # type: ignore[no-untyped-def]
    """Bring the means of a channel up to date, and write what they say.

    What is usual on a day that training did not show is not known: changes are judged around
    the level of the last hours.
    """
    now = m.before[e, c, 0]
    level = 0.0 if seen else _level(p, m, e, c)
    by_last, by_others = level, 0.0
    for lag in range(1, LAGS + 1):
        by_last += p.lags[e, c, lag - 1] * (m.before[e, c, lag] - level)
    for other in range(p.others.shape[2]):
        by_others += p.others[e, c, other] * m.known[e, other]
    error, left = now - by_last, now - by_others
    forecasts[BY_LAST] += 0.0 if np.isnan(by_last) else by_last
    forecasts[BY_OTHERS] += by_others
    scales = p.scales[e, c]
    z = min(max(error / scales[0], -1e6), 1e6)  # NaN stays
    away = min(max(now / scales[1], -1e6), 1e6)
    left = min(max(left / scales[2], -1e6), 1e6)
    found[JUMP] = 0.0 if np.isnan(z) else z
    _add(p, m, e, c, SHIFT, min(max(z, -_CLIP), _CLIP), found)
    _add(p, m, e, c, LEVEL, away, found)
    _add(p, m, e, c, DRIFT, away, found)
    _add(p, m, e, c, RELATION, left, found)
    _add(p, m, e, c, RELATIONS, left, found)
    spread = np.nan if now == 0.0 else np.log(abs(z) + _QUIET)  # 0 between two kinds of days
    _add(p, m, e, c, SPREAD, spread, found)
    _return_to_normal(m, e, c, LEVEL, DRIFT, found)
    _return_to_normal(m, e, c, RELATION, RELATIONS, found)


@njit(cache=True, error_model="numpy")
def _level(p, m, e, c):  # type: ignore[no-untyped-def]
    """Return the mean difference of a channel from its profile over the last hours."""
    k = DRIFT - SHIFT
    weight = m.weights[e, c, k]
    return m.sums[e, c, k] / weight * p.scales[e, c, 1] if weight > 0 else 0.0


@njit(cache=True, error_model="numpy")
def _add(p, m, e, c, view, value, found):  # type: ignore[no-untyped-def]
    """Add a value to a running mean; a missing one lets it fade."""
    k = view - SHIFT
    fade = p.fades[e, k]
    m.sums[e, c, k] *= 1 - fade
    m.weights[e, c, k] *= 1 - fade
    if not np.isnan(value):
        m.sums[e, c, k] += fade * value
        m.weights[e, c, k] += fade
    before = _USUAL_SPREAD if view == SPREAD else 0.0  # as little as is known is taken for usual
    found[view] = m.sums[e, c, k] + (1 - m.weights[e, c, k]) * before


@njit(cache=True, error_model="numpy")
def _return_to_normal(m, e, c, fast, slow, found):  # type: ignore[no-untyped-def]
    """Let a slow mean follow a fast one that is ordinary again, so that what is over is over."""
    if abs(found[fast]) < _ORDINARY and abs(found[slow]) > _UNUSUAL:
        k = slow - SHIFT
        found[slow] = found[fast]
        m.sums[e, c, k] = found[fast] * m.weights[e, c, k]
