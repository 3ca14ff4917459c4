"""Robust seasonal decomposition: what neither the trend nor the neighbouring cycles explain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from tocsin.base import Stretch, Stretches
from tocsin.base.declared import Shape, Within
from tocsin.detectors.series._channels import check_counts
from tocsin.detectors.series._residuals import ResidualDetector
from tocsin.errors import CorruptModel
from tocsin.features.windows import autocorrelation, dominant_period, smooth
from tocsin.types import Card, FloatArray, IntArray, Scores

_CYCLES = (-2, -1, 1, 2)
_SHIFTS = 5  # of each cycle, up to an eighth of the period to either side
_LEAST_SCALE = 0.01  # of a channel's deviation: what is rebuilt exactly has no scale
_ALIGNED = 4_096  # points of a stretch at most tell its phase


class Seasonal(ResidualDetector):
    """Absolute residual of each channel from its trend and its season.

    The trend is the running median over the ``period`` (None: the dominant one of each channel's
    training series), the season the median of the training cycles, at the phase that the time
    of a stretch says or, where that is not known, suits it best; it may drift by an eighth of
    the period to either side. ``score_together`` takes the median of the two cycles before and
    the two after instead. Residuals, over their training median and smoothed over ``width``
    points (None: the dominant period, at least 16; 100 for several channels), are ``parts``
    (n, channels); the score is their mean, and more at single points beyond all of training;
    ``expected`` (n, channels) is trend and season. Raises ParameterError for a period below 2
    or a width below 1. After Cleveland et al., STL: A Seasonal-Trend Decomposition Procedure,
    Journal of Official Statistics 1990, with medians.

    >>> wave = np.sin(np.arange(1000) / 5)
    >>> broken = wave.copy()
    >>> broken[700:710] += 1
    >>> abs(int(Seasonal().fit(wave[:500]).score(broken).values.argmax()) - 700) < 20
    True
    """

    card = Card(
        name="seasonal",
        modality="series",
        family="forecast",
        learning=("one-class", "unlabelled"),
        summary="What neither the trend nor the neighbouring cycles explain.",
        paper="Cleveland et al., STL, Journal of Official Statistics 1990",
        cost="fit and score O(n log p) per channel of period p",
        also_known_as=("STL", "seasonal decomposition"),
    )

    def __init__(self, period: int | None = None, width: int | None = None, seed: int = 0) -> None:
        self.period = period
        self.width = width
        self.seed = seed

    periods_: Annotated[IntArray, Shape("s"), Within(0)]
    exact_: Annotated[FloatArray, Shape("s"), Within(0)]
    profiles_: Annotated[list[FloatArray], Shape("s")]
    levels_: Annotated[FloatArray, Shape("s", 2)]
    timed_: bool
    learned_: Annotated[int, Within(1)]

    def _check_parameters(self) -> None:
        check_counts(self, "width")
        check_counts(self, "period", least=2)

    def _choose(self, stretches: Stretches) -> None:
        self.width_ = self._usual_width(stretches, self.width)
        longest = max(stretches, key=len).values[:, self.scored_].T
        most = max(2, longest.shape[1] // 4)
        self.periods_ = np.array([min(self.period or dominant_period(x), most) for x in longest])

    def _learn_values(self, stretches: Stretches) -> None:
        self.timed_ = all(stretch.at is not None for stretch in stretches)
        self.learned_ = sum(map(len, stretches))
        folded = stretches if self.timed_ else [max(stretches, key=len)]
        self.exact_, self.profiles_, levels = self.periods_.astype(float), [], []
        for j, (own, period) in enumerate(zip(self.scored_, self.periods_.tolist(), strict=True)):
            xs = [stretch.values[:, own] for stretch in folded]
            lines = [trend(x, period) for x in xs]
            if self.period is None:
                self.exact_[j] = exact_period(max(xs, key=len), period)
            at = [(stretch.at or 0) + np.arange(len(stretch)) for stretch in folded]
            rest = np.concatenate([x - line for x, line in zip(xs, lines, strict=True)])
            self.profiles_.append(profile(rest, np.concatenate(at), self.exact_[j], period))
            levels.append([min(line.min() for line in lines), max(line.max() for line in lines)])
        self.levels_ = np.array(levels)
        found = [self._expected(stretch) for stretch in stretches]
        Z = np.concatenate([stretch.values[:, self.scored_] for stretch in stretches])
        residuals = np.abs(Z - np.concatenate(found))
        self._learn_residuals(residuals, np.median(residuals, axis=0) / 0.6745 + _LEAST_SCALE)

    def _residuals(self, stretch: Stretch) -> tuple[FloatArray, FloatArray]:
        standardised = self._standardise(stretch)
        expected = self._expected(standardised)
        return np.abs(standardised.values[:, self.scored_] - expected), expected

    def _together(self, residuals: FloatArray) -> FloatArray:
        return np.asarray(residuals.mean(axis=1))

    def _judge_together(
        self, stretches: Stretches, severities: Sequence[FloatArray]
    ) -> list[Scores]:
        standardised = [self._standardise(stretch) for stretch in stretches]
        expected = [self._expected(stretch) for stretch in standardised]
        for stretch, usual in zip(standardised, expected, strict=True):
            for j, (own, period) in enumerate(zip(self.scored_, self.periods_, strict=True)):
                if len(stretch) > 2 * period:
                    line = trend(stretch.values[:, own], int(period))
                    usual[:, j] = line + season(stretch.values[:, own] - line, int(period))
        residuals = [
            np.abs(stretch.values[:, self.scored_] - usual)
            for stretch, usual in zip(standardised, expected, strict=True)
        ]
        known = np.concatenate(residuals)[: self.learned_]
        size = self._usual_of(known, np.median(known, axis=0) / 0.6745 + _LEAST_SCALE)
        each = zip(residuals, expected, stretches, severities, strict=True)
        return [self._scores(r, usual, size, stretch, sev) for r, usual, stretch, sev in each]

    def _derive(self) -> None:
        if [each.shape for each in self.profiles_] != [(n,) for n in self.periods_.tolist()]:
            raise CorruptModel("The profiles of a season are not as long as its periods.")

    def _expected(self, stretch: Stretch) -> FloatArray:
        """Return trend and season (n, scored) of a standardised stretch."""
        at = stretch.at if self.timed_ else None
        ways = enumerate(zip(self.scored_, self.periods_.tolist(), strict=True))
        expected = np.empty((len(stretch), len(self.scored_)))
        for j, (own, period) in ways:
            x = stretch.values[:, own]
            wave = Wave(self.profiles_[j], self.exact_[j])
            if len(x) > period:
                line = trend(x, period)
                expected[:, j] = line + wave.followed(x - line, at)
            else:
                expected[:, j] = wave.shifted(x, at, *self._near(self.levels_[j]))
        return expected

    def _near(self, levels: FloatArray) -> tuple[float, float]:
        """Return bounds for the level of a stretch too short to have a trend."""
        low, high = levels.tolist()
        return low - (high - low), high + (high - low)


class Wave(NamedTuple):
    """A season: its values (bins,) over a ``period`` in points."""

    profile: FloatArray
    period: float

    def at(self, places: NDArray[np.floating]) -> FloatArray:
        """Return the values at places in time."""
        bins = len(self.profile)
        return self.profile[(places % self.period / self.period * bins).astype(np.int64) % bins]

    def followed(self, x: FloatArray, at: int | None) -> FloatArray:
        """Return the season (n,) of a series without trend, of unknown phase if ``at`` is None.

        It may drift by an eighth of the period to either side.
        """
        points = np.arange(len(x)) + (self._phase(x, 0.0, 0.0) if at is None else at)
        least, season = np.full(len(x), np.inf), np.zeros(len(x))
        for shift in np.linspace(-self.period / 8, self.period / 8, _SHIFTS):
            there = self.at(points + shift)
            error = smooth(np.abs(x - there), max(1, round(self.period)))
            better = error < least
            least[better], season[better] = error[better], there[better]
        return season

    def shifted(self, x: FloatArray, at: int | None, low: float, high: float) -> FloatArray:
        """Return the season (n,) of less than a period, at the level that suits it best."""
        phase = self._phase(x, low, high) if at is None else at
        there = self.at(np.arange(len(x)) + phase)
        return there + np.clip(np.median(x - there), low, high)

    def _phase(self, x: FloatArray, low: float, high: float) -> float:
        """Return the phase at which a series is most like the season, at a level in bounds."""
        x = x[:_ALIGNED]
        phases = np.arange(0, self.period, max(1.0, self.period / 64))
        apart = [x - self.at(np.arange(len(x)) + phase) for phase in phases]
        errors = [np.abs(d - np.clip(np.median(d), low, high)).mean() for d in apart]
        return float(phases[int(np.argmin(errors))])


def exact_period(x: FloatArray, period: int) -> float:
    """Return the period of a series (n,) in fractions of a point, near a whole one.

    From the autocorrelation at twice, four, eight … times the period.

    >>> round(exact_period(np.sin(np.arange(2000) * 2 * np.pi / 40.4), 40), 1)
    40.4
    """
    correlation = autocorrelation(x, len(x) // 2)
    correlation = correlation * len(x) / (len(x) - np.arange(len(correlation)))
    exact, times = float(period), 1
    while (2 * times * exact + 2) < len(correlation):
        times *= 2
        near = round(times * exact) + np.arange(-1, 2)
        best = int(near[correlation[near].argmax()])
        if correlation[best] < 0.3:
            break
        exact = best / times
    return exact


def profile(x: FloatArray, at: IntArray, period: float, bins: int) -> FloatArray:
    """Return the median (bins,) of a series without trend over its cycles."""
    place = (at % period / period * bins).astype(np.int64) % bins
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(1, bins))
    values = np.array([np.median(own) if len(own) else np.nan for own in np.split(x[order], edges)])
    known = np.flatnonzero(~np.isnan(values))
    return np.asarray(np.interp(np.arange(bins), known, values[known], period=bins))


def trend(x: FloatArray, period: int) -> FloatArray:
    """Return the running median (n,) of a series (n,), at the ends that of the last whole period.

    >>> trend(np.array([0.0, 1.0, 0.0, 9.0, 0.0, 1.0, 0.0]), 3).tolist()
    [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    """
    half = min(period // 2, (len(x) - 1) // 2)
    level: FloatArray = median_filter(x, size=2 * half + 1)
    return np.pad(level[half : len(x) - half], half, mode="edge")


def season(x: FloatArray, period: int) -> FloatArray:
    """Return the median (n,) of the neighbouring cycles of a series (n,) without trend.

    >>> season(np.tile([0.0, 1.0, 0.0, -1.0], 5), 4)[8:12].tolist()
    [0.0, 1.0, 0.0, -1.0]
    """
    at = np.arange(len(x))
    shifts = np.unique(np.linspace(-(period // 8), period // 8, _SHIFTS).round().astype(int))
    cycles = np.full((len(_CYCLES), len(x)), np.nan)
    for cycle, multiple in zip(cycles, _CYCLES, strict=True):
        least = np.full(len(x), np.inf)
        for shift in shifts:
            there = at + multiple * period + shift
            inside = (there >= 0) & (there < len(x))
            other = x[np.where(inside, there, 0)]
            error = smooth(np.where(inside, np.abs(x - other), 1e3), period)
            better = inside & (error < least)
            least[better], cycle[better] = error[better], other[better]
    cycles[:, np.isnan(cycles).all(axis=0)] = 0.0
    return np.asarray(np.nanmedian(cycles, axis=0))
