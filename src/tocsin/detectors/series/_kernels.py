"""The compiled recursion of ``recursive_ar``: one record, one value, one score at a time.

A channel's record holds a slow mean and scale, the last values, the coefficients of an
autoregression, products of lagged values from which the dominant period is read, and for each
of four window lengths a sample of earlier windows to compare with.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from tocsin.base.declared import Within
from tocsin.detectors.series._streams import (
    CHANNEL_FIELDS,
    CHANNEL_RANGES,
    COUNT,
    GLITCH,
    LIMIT,
    WARM_UP,
    doubt,
    learn_scale,
    look,
)

LONGEST = 300
"""The longest period and window, in events."""
RECENT = LONGEST + 2
LONGEST_DELAY = 128
SHORT_LAGS = 16
COEFFICIENTS = SHORT_LAGS + 4
"""Lags 1 to 16, three around the period, and a constant."""
VIEWS, SAMPLE, POINTS, PENDING = 4, 128, 8, 8
FIXED_LENGTH = 100
STEPS = 512.0
"""Windows are kept in units of 1/512 of the channel's scale, as int16."""

SLOWEST_ERROR = 1 / 2_000
"""The least weight of an event in the scale of the errors."""
FIRST_ESTIMATE, LAST_ESTIMATE = 64, 8192
FLOOR = 1e-3
HUBER, LEVERAGE = 3.0, 4.0
STRANGE, OUTLANDISH = 10.0, 12.0
"""An error this many times the usual one, this many scales from the mean, may be a glitch."""
LONG, STUCK = 3, 10.0
"""Equal values are stuck when they last this many times longer than any did before."""
PEAK_FADES, SMOOTHING = 0.99, 0.7
PEAK_WEIGHT, LEVEL_WEIGHT, RAW_WEIGHT = 2.0, 0.5, 0.25

RECORD_RANGES = {
    **CHANNEL_RANGES,
    "run": COUNT,
    "longest": COUNT,
    "period": Within(SHORT_LAGS + 2, LONGEST),
    "length": Within(0, LONGEST),
    "asked": COUNT,
    "asked_at": COUNT,
}

SURPRISE, PEAK, CURRENT, SMOOTHED, FIRST_VIEW = 0, 1, 2, 3, 4


def channel_record(delay: int) -> np.dtype[np.void]:
    """Return the type of the state of one channel of one entity, 16 KB, 20 KB with a delay.

    There are but two types, with and without delay, as each is compiled for.
    """
    return np.dtype(
        [
            *CHANNEL_FIELDS,
            ("error", "f8"),
            ("last", "f8"),
            ("run", "i8"),
            ("longest", "i8"),
            ("period", "i8"),
            ("recent", "f8", (RECENT,)),
            ("products", "f4", (RECENT,)),
            ("coefficients", "f8", (COEFFICIENTS,)),
            ("covariance", "f8", (COEFFICIENTS, COEFFICIENTS)),
            ("random", "u8"),
            ("length", "i8", (VIEWS,)),
            ("asked", "i8", (VIEWS,)),
            ("asked_at", "i8", (VIEWS,)),
            ("usual", "f8", (VIEWS, 2)),
            ("sample", "i2", (VIEWS, SAMPLE, POINTS)),
            ("pending", "i2", (VIEWS, PENDING, POINTS)),
            ("terms", "f4", (LONGEST_DELAY + 1 if delay else 1, FIRST_VIEW + VIEWS)),
        ]
    )


def new_channels(entities: int, channels: int, delay: int, seed: int) -> Any:
    """Return the state (entities, channels) before the first event."""
    states = np.zeros((entities, channels), channel_record(delay))
    states["period"] = SHORT_LAGS + 2
    states["coefficients"][..., 0] = 1.0  # until it knows better: the next value is the last one
    states["covariance"][...] = np.eye(COEFFICIENTS)
    states["random"] = np.random.default_rng(seed).integers(1, 2**63, channels, dtype=np.uint64)
    return states


def begin(states: Any) -> None:
    """Let a new recording begin for all channels (entities, channels)."""
    for name in ("fresh", "doubted", "run", "terms"):
        states[name] = 0


@njit(cache=True, error_model="numpy")
def update(s, x, delay):  # type: ignore[no-untyped-def]
    """Take in one value; return what was forecast for it."""
    t = s.count
    missing = np.isnan(x)
    x, scale = look(s, x)
    inputs = np.empty(COEFFICIENTS)
    forecast = _forecast(s, scale, inputs)
    z = forecast if missing else min(max((x - s.mean) / scale, -LIMIT), LIMIT)
    error = z - forecast
    # After a pause the lags have to fill again before errors count.
    filled = s.fresh == s.count or s.fresh > s.period + 1
    surprise, level, strange = 0.0, 0.0, False
    if s.known >= WARM_UP and not missing:
        level = np.log1p(abs(z) / 2)
        if filled:
            surprise = np.log1p(abs(error) / max(s.error, FLOOR))
            strange = abs(z) > OUTLANDISH and abs(error) > STRANGE * max(s.error, FLOOR)
        surprise = max(surprise, _stuck(s, x))
    expected = s.mean + scale * forecast
    rows = delay + 1
    before, now = s.terms[(t - 1) % rows], s.terms[t % rows]
    peak, smoothed = before[PEAK], before[SMOOTHED]
    if not missing:
        for k in range(doubt(s, strange, peak, smoothed)):
            # It was a glitch: others near it are not odd for its sake.
            s.terms[(t - 1 - k) % rows, SURPRISE] = s.terms[(t - 1 - k) % rows, CURRENT] = 0.0
            peak, smoothed = s.calm[0], s.calm[1]
    doubted = strange and s.doubted <= GLITCH
    s.recent[t % RECENT] = expected if missing or doubted else x
    s.count += 1
    s.fresh += 1
    if not missing:
        if filled:
            _learn(s, inputs, error)
        learn_scale(s, x, scale)
        _learn_period(s, z, scale)
    now[SURPRISE] = surprise
    now[PEAK] = max(PEAK_FADES * peak, surprise)
    now[CURRENT] = surprise + LEVEL_WEIGHT * level
    now[SMOOTHED] = SMOOTHING * smoothed + (1 - SMOOTHING) * now[CURRENT]
    for view in range(VIEWS):
        now[FIRST_VIEW + view] = before[FIRST_VIEW + view]
        if not missing:
            _compare(s, view, scale, now)
    return expected


@njit(cache=True, error_model="numpy")
def _stuck(s, x):  # type: ignore[no-untyped-def]
    """Return how surprising it is that a value is the last one again, and again."""
    if s.run > 0 and x == s.last:
        s.run += 1
    else:
        s.longest = max(s.longest, s.run)
        s.run = 1
    s.last = x
    if s.longest == 0 or s.known < FIRST_ESTIMATE:
        return 0.0
    return np.log1p(STUCK * max(s.run / (LONG * (1 + s.longest)) - 1, 0.0))


@njit(cache=True, error_model="numpy")
def score_at(s, t, delay):  # type: ignore[no-untyped-def]
    """Return the score of event t, from 0, by what is known now, at most ``delay`` events on."""
    rows, ahead, terms = delay + 1, s.count - 1 - t, s.terms
    now = terms[t % rows]
    peak, smoothed = now[PEAK], now[SMOOTHED]
    if ahead > 0:
        fade, weight, later = 1.0, 1 - SMOOTHING, 0.0
        for k in range(ahead + 1):
            then = terms[(t + k) % rows]
            peak = max(peak, fade * then[SURPRISE])
            later += weight * then[CURRENT]
            fade *= PEAK_FADES
            weight *= SMOOTHING
        smoothed = (smoothed + later) / 2
    score = PEAK_WEIGHT * peak + smoothed
    for view in range(VIEWS):
        step = _step(s.length[view])
        total, count = 0.0, 0
        for k in range(0, min(ahead, (PENDING - 1) * step) + 1, step):
            total += terms[(t + k) % rows, FIRST_VIEW + view]
            count += 1
        score += total / count
    return score


@njit(cache=True, error_model="numpy")
def _forecast(s, scale, inputs):  # type: ignore[no-untyped-def]
    """Fill in the inputs of the autoregression; return its forecast, in units of the scale."""
    forecast, recent, coefficients = 0.0, s.recent, s.coefficients
    for i in range(COEFFICIENTS):
        lag = i + 1 if i < SHORT_LAGS else s.period - 1 + i - SHORT_LAGS
        value = 1.0
        if i < COEFFICIENTS - 1:
            value = (recent[(s.count - lag) % RECENT] - s.mean) / scale if lag <= s.fresh else 0.0
        inputs[i] = min(max(value, -LIMIT), LIMIT)
        forecast += coefficients[i] * inputs[i]
    return min(max(forecast, -LIMIT), LIMIT)


@njit(cache=True, error_model="numpy")
def _learn(s, inputs, error):  # type: ignore[no-untyped-def]
    """Take one step of recursive least squares, with less weight for outliers and leverage."""
    size, limit = abs(error), max(s.error, FLOOR)
    coefficients, covariance = s.coefficients, s.covariance
    gain, along, squares = np.empty(COEFFICIENTS), 0.0, 0.0
    for i in range(COEFFICIENTS):
        gain[i] = 0.0
        for j in range(COEFFICIENTS):
            gain[i] += covariance[i, j] * inputs[j]
        along += gain[i] * inputs[i]
        squares += inputs[i] * inputs[i]
    weight = min(1.0, LEVERAGE * COEFFICIENTS / squares)
    if s.known >= 2 * WARM_UP:
        weight *= min(1.0, HUBER * limit / size)
        size = min(size, 5 * limit)
    share = 1 / (1 / weight + along)
    for i in range(COEFFICIENTS):
        coefficients[i] += gain[i] * error * share
        for j in range(COEFFICIENTS):
            covariance[i, j] -= gain[i] * gain[j] * share
    if not along >= 0:  # rounding has spoilt the matrix: start it again, keep the coefficients
        for i in range(COEFFICIENTS):
            _forget(covariance, i)
    s.error += (size - s.error) * max(3 / (s.known + 3), SLOWEST_ERROR)


@njit(cache=True, error_model="numpy")
def _forget(covariance, i):  # type: ignore[no-untyped-def]
    """Make coefficient i as uncertain as it was at the start."""
    for j in range(COEFFICIENTS):
        covariance[i, j] = covariance[j, i] = 0.0
    covariance[i, i] = 1.0


@njit(cache=True, error_model="numpy")
def _learn_period(s, z, scale):  # type: ignore[no-untyped-def]
    """Add to the autocorrelation, and at 64, 128, … 8192 events read the period from it."""
    if s.count > LAST_ESTIMATE:
        return
    z = min(max(z, -10.0), 10.0)
    recent, products = s.recent, s.products
    for k in range(min(s.fresh, RECENT)):
        other = (recent[(s.count - 1 - k) % RECENT] - s.mean) / scale
        products[k] += z * min(max(other, -10.0), 10.0)
    if s.count < FIRST_ESTIMATE or s.count & (s.count - 1):
        return
    limit = min(LONGEST, s.count // 4)
    period, highest = 0, 0.0
    for k in range(3, limit):
        here = products[k]
        if here > highest and here > products[k - 1] and here >= products[k + 1]:
            period, highest = k, here
    if period == 0:
        period = min(FIXED_LENGTH, limit)
    period = max(period, SHORT_LAGS + 2)
    if abs(period - s.period) > 0.1 * s.period:
        s.period = period
        for i in range(SHORT_LAGS, SHORT_LAGS + 3):
            s.coefficients[i] = 0.0
            _forget(s.covariance, i)


@njit(cache=True, error_model="numpy")
def _view_length(view, period):  # type: ignore[no-untyped-def]
    if view == 0:
        return max(8, period // 4)
    if view == 1:
        return period
    if view == 2:
        return FIXED_LENGTH
    return min(LONGEST, 3 * period)


@njit(cache=True, error_model="numpy")
def _step(length):  # type: ignore[no-untyped-def]
    """Return after how many events a window of this length is looked at again."""
    return max((length + PENDING - 1) // PENDING, 1)


@njit(cache=True, error_model="numpy")
def _compare(s, view, scale, now):  # type: ignore[no-untyped-def]
    """Each eighth of a window, compare the latest with the sample; one a length old joins it."""
    length = _view_length(view, s.period)
    if length != s.length[view]:
        s.length[view], s.asked[view], s.asked_at[view] = length, 0, s.count
        s.usual[view, 0] = s.usual[view, 1] = 0.0
    if s.fresh < length or s.count - s.asked_at[view] < _step(length):
        return
    window = _window(s, length, scale)
    slot = s.pending[view, s.asked[view] % PENDING]
    joined = s.asked[view] - PENDING
    sample = s.sample[view]
    if joined >= 0:
        _join(s, sample, slot, joined)
    if joined >= 3:
        raw, centred = _nearest(sample, min(joined + 1, SAMPLE), window)
        now[FIRST_VIEW + view] = _excess(s.usual[view], 0, centred, joined)
        now[FIRST_VIEW + view] += RAW_WEIGHT * _excess(s.usual[view], 1, raw, joined)
    for i in range(POINTS):
        slot[i] = np.int16(window[i])
    s.asked[view] += 1
    s.asked_at[view] = s.count


@njit(cache=True, error_model="numpy")
def _window(s, length, scale):  # type: ignore[no-untyped-def]
    """Return the means of 8 stretches of the last ``length`` values, in whole steps."""
    window, recent = np.empty(POINTS, np.float32), s.recent
    for i in range(POINTS):
        first = i * length // POINTS
        last = max((i + 1) * length // POINTS, first + 1)
        total = 0.0
        for k in range(first, last):
            value = (recent[(s.count - length + k) % RECENT] - s.mean) / scale
            total += min(max(value, -LIMIT), LIMIT)
        window[i] = np.round(min(max(total / (last - first) * STEPS, -32767.0), 32767.0))
    return window


@njit(cache=True, error_model="numpy")
def _join(s, sample, window, joined):  # type: ignore[no-untyped-def]
    """Let a window into the sample; when it is full, in a random place, ever less often."""
    place = joined
    if joined >= SAMPLE:
        s.random ^= s.random << np.uint64(13)
        s.random ^= s.random >> np.uint64(7)
        s.random ^= s.random << np.uint64(17)
        place = np.int64(s.random % np.uint64(min(joined + 1, 2 * SAMPLE)))
    if place < SAMPLE:
        for i in range(POINTS):
            sample[place, i] = window[i]


@njit(cache=True, error_model="numpy")
def _nearest(sample, count, window):  # type: ignore[no-untyped-def]
    """Return the distance to the nearest window of the sample, as it is and mean-centred."""
    raw, centred = np.inf, np.inf
    for j in range(count):
        squares, total = np.float32(0), np.float32(0)
        for i in range(POINTS):
            difference = window[i] - np.float32(sample[j, i])
            total += difference
            squares += difference * difference
        moved = squares - total * total / np.float32(POINTS)
        raw, centred = min(raw, float(squares)), min(centred, float(moved))
    return np.sqrt(raw / POINTS) / STEPS, np.sqrt(max(centred, 0.0) / POINTS) / STEPS


@njit(cache=True, error_model="numpy")
def _excess(usual, which, distance, joined):  # type: ignore[no-untyped-def]
    """Return log(1 + the distance over what is usual), and learn what is usual."""
    before = usual[which]
    excess = np.log1p(distance / max(before, FLOOR)) if joined >= PENDING else 0.0
    clipped = distance if before == 0 else min(distance, 4 * before)
    usual[which] += (clipped - before) * max(3 / joined, 0.002)
    return excess
