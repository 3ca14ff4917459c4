"""The usual value of a channel by the time of day, on working days and at weekends."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numba import njit

from tocsin.detectors.metrics._kernels import DAY, UNSEEN
from tocsin.types import FloatArray, IntArray

_MINUTE = 60_000_000
_SMOOTHED_OVER = 30 * _MINUTE
_AROUND = 120 * _MINUTE
_FEWEST_AROUND = 5
_SHARP = 6.0
_HOURS = 24
_WHOLE_DAY, _NEARLY = 0.8, 0.95
_NORMAL_MAD = 1.4826
LEAST_DAYS = 3
"""Fewer days do not show what is usual at a time of day."""


def kinds_of_days(times: IntArray) -> IntArray:
    """Return the kind of each day of the week (7,), Monday first: working days and weekends.

    Those of which no whole day was seen, or fewer than two days in all, are ``UNSEEN``.
    """
    days, counts = np.unique(times // DAY, return_counts=True)
    whole = days[counts >= _WHOLE_DAY * counts.max(initial=1)]
    weekend = np.isin(weekday(whole), (5, 6))
    kinds = np.full(7, UNSEEN)
    if (times[-1] - times[0]) / DAY < _NEARLY * LEAST_DAYS:
        return kinds
    if not weekend.all():
        kinds[:5] = 0
    if weekend.any():
        kinds[5:] = 0 if weekend.all() else 1
    return kinds


def weekday(days: IntArray) -> IntArray:
    """Return the day of the week, 0 for Monday, of days since 1970."""
    found: IntArray = (days + 3) % 7
    return found


def usual_day(
    times: IntArray, values: FloatArray, kinds: IntArray, slots: int, step: int
) -> FloatArray:
    """Return the usual values (kinds, slots) of a channel, from values (n,) at times (n,).

    The median of each slot is smoothed over half an hour, but for what begins and ends sharply
    each day. It is drawn to the median of all as far as it differs no more from it than days
    differ from each other; so are weekends to working days.
    """
    whole = float(np.nanmedian(values)) if not np.isnan(values).all() else 0.0
    if slots == 1:
        return np.full((max(kinds.max(), 0) + 1, 1), whole)
    slot = np.minimum(times % DAY * slots // DAY, slots - 1)
    kind = np.maximum(kinds[weekday(times // DAY)], 0)
    common = kind == 0
    sharp = _sharp(values, slot, slots, step)
    calm = values - sharp[slot]
    found = np.empty((kinds.max() + 1, slots))
    usual = _smoothed(_medians(calm[common], slot[common], slots)) - whole
    noise = _noise(times[common], (calm - whole - usual[slot])[common])
    found[0] = whole + _shrunk(usual, noise) + sharp
    for k in range(1, len(found)):
        own = kind == k
        away = _smoothed(_medians((calm - whole - usual[slot])[own], slot[own], slots))
        own_noise = noise * len(np.unique(times[common] // DAY)) / len(np.unique(times[own] // DAY))
        found[k] = found[0] + _shrunk(away, own_noise)
    return found


def _sharp(values: FloatArray, slot: IntArray, slots: int, step: int) -> FloatArray:
    """Return what each slot (slots,) has beyond the hours around it, where it stands out."""
    around = int(_AROUND // step)
    if around < _FEWEST_AROUND:
        return np.zeros(slots)
    level = pd.Series(values).rolling(around + 1, center=True, min_periods=1).median().to_numpy()
    beyond = np.nan_to_num(_medians(values - level, slot, slots))
    limit = _SHARP * _NORMAL_MAD * float(np.median(np.abs(beyond - np.median(beyond))))
    return np.where(np.abs(beyond) > limit + 1e-12, beyond, 0.0)


def _smoothed(medians: FloatArray) -> FloatArray:
    """Return medians (slots,) smoothed around the clock, those that lack bridged."""
    slots, known = len(medians), np.flatnonzero(~np.isnan(medians))
    if not known.size:
        return np.zeros(slots)
    bridged = np.interp(np.arange(slots), known, medians[known], period=slots)
    away = np.minimum(np.arange(slots), slots - np.arange(slots))
    weights = np.exp(-0.5 * (away / max(_SMOOTHED_OVER * slots / DAY, 0.1)) ** 2)
    smoothed = np.fft.irfft(np.fft.rfft(bridged) * np.fft.rfft(weights / weights.sum()), slots)
    return np.asarray(smoothed)


def _noise(times: IntArray, residuals: FloatArray) -> float:
    """Return the variance that days give to an hour of the usual day."""
    hours = times // (DAY // _HOURS)
    by_hour = pd.Series(residuals).groupby(hours).mean().dropna()
    days = len(np.unique(times // DAY))
    return float((by_hour**2).mean()) / max(days - 1, 1) if len(by_hour) else 0.0


def _shrunk(curve: FloatArray, noise: float) -> FloatArray:
    """Return a curve (slots,) drawn to 0 as far as noise of this variance explains it (Stein)."""
    power = float((curve**2).mean())
    return curve * max(0.0, 1 - noise / power) if power > 0 else curve


@njit(cache=True)
def _medians(values, slot, slots):  # type: ignore[no-untyped-def]
    """Return the median (slots,) of the values in each slot, NaN for none."""
    counts = np.zeros(slots + 1, dtype=np.int64)
    for i in range(len(values)):
        if not np.isnan(values[i]):
            counts[slot[i] + 1] += 1
    ends = np.cumsum(counts)
    placed, at = np.empty(ends[-1]), ends[:-1].copy()
    for i in range(len(values)):
        if not np.isnan(values[i]):
            placed[at[slot[i]]] = values[i]
            at[slot[i]] += 1
    found = np.full(slots, np.nan)
    for s in range(slots):
        if ends[s + 1] > ends[s]:
            found[s] = np.median(placed[ends[s] : ends[s + 1]])
    return found
