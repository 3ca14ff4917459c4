"""The fusion of several views of a series into one score."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Annotated, Any, Self

import numpy as np

from tocsin.base import SeriesDetector, Stretch, Stretches
from tocsin.base.declared import Shape, Within
from tocsin.detectors.series._learned import Learned, training_context
from tocsin.detectors.series._memory import rise, scale_of
from tocsin.detectors.series._signs import SIGNS, Excess, limits_of
from tocsin.detectors.series._units import Units
from tocsin.detectors.series._views import (
    NearestWindows,
    SeriesContext,
    SeriesView,
    ViewScores,
    WindowView,
    clipped,
)
from tocsin.errors import CorruptModel
from tocsin.features.windows import dominant_period, smooth
from tocsin.types import BoolArray, FloatArray, IntArray, Scores

_MOST_WEIGHT = 2.0
"""A view whose peak is twice as high as its second one counts twice; more counts no more."""

_INDEPENDENT = (8, 16)
"""The training series of one channel, or of several, is at least this many windows long, so that it
tells how they vary."""


class FusedViews(SeriesDetector):
    """A detector that looks at a series in several ways and adds up what it sees.

    ``score`` compares the windows of a stretch with those of the training series. Each view's
    scores s become log1p(max(0, (s − m) / (q − m + .02·range)) / 3), where m and q are the
    median and the 99 % quantile over the training points, each seen by a model without its
    block. Their mean is smoothed over an eighth of the dominant period. What single points and
    the spread show beyond what training did (see ``_signs.py``) is added where it is, unsmoothed.

    ``score_together`` looks at the whole series: its windows are compared with each other, and
    views are weighted by how far each one's highest peak stands out. Both are divided by their
    own 99 % quantile of the training series.
    """

    series_: Annotated[FloatArray, Shape("n", "d")]
    ends_: Annotated[IntArray, Shape("stretches"), Within(1, "n", rising=True)]
    period_: Annotated[int, Within(1, "n")]
    scales_: Annotated[FloatArray, Shape("views", 2)]
    limits_: Annotated[FloatArray, Shape(SIGNS, "judged+1", empty=True), Within(0, inf)]
    usual_: Annotated[FloatArray, Shape(2)]
    beyond_: Annotated[FloatArray, Shape("n")]
    channel_: Annotated[IntArray, Shape("n"), Within(0, "d-1")]

    _known: Learned | None = None

    @abstractmethod
    def _views(self, context: SeriesContext) -> list[SeriesView]:
        """Return the ways to look at a series in view, one with windows among them."""

    def _fit(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        self.series_ = np.concatenate([stretch.values for stretch in stretches])
        self.ends_ = np.cumsum([len(stretch) for stretch in stretches])
        self.period_ = context_period(self._training_context())
        self._known = None
        return self._calibrate()

    def _calibrate(self) -> FloatArray:
        """Learn what is usual of each view, and return the scores (n,) of the training points."""
        learned = self._learned()
        held_out = learned.held_out()
        self.scales_ = np.stack([scale_of(values) for values in held_out.raw])
        self.limits_ = limits_of(held_out.magnitudes)
        beyond = learned.beyond_held_out(held_out)
        self.beyond_, self.channel_ = beyond.values, beyond.channel
        rises = np.stack([rise(*each) for each in zip(held_out.raw, self.scales_, strict=True)])
        pieces = np.split(rises, self.ends_[:-1], axis=1)
        fused = np.concatenate(
            [smooth(piece.T, self.period_ // 8).T.mean(axis=0) for piece in pieces]
        )
        usual = _quantile(fused)
        values = fused / usual + beyond.values
        self.usual_ = np.array([usual, _quantile(values)])
        return np.asarray(values / self.usual_[1])

    def _score(self, stretch: Stretch) -> Scores:
        X, learned = stretch.values, self._learned()
        if len(self.scales_) != len(learned.memories):
            raise CorruptModel(f"{self.card.name} has no scale for each of its views.")
        seen = learned.scored(X, self.scales_, self.usual_[0])
        rises = np.stack(
            [np.zeros(len(X)) if s is None else rise(s.values, scale) for s, scale in seen]
        )
        adds = smooth(rises.T, self.period_ // 8).T / (len(rises) * self.usual_[0])
        scored = [each for each, _ in seen]
        beyond = learned.beyond(X, self.limits_)
        parts = _parts(scored, adds, beyond, learned.units.judged) / self.usual_[1]
        expected = learned.expected(X, _first_windows(scored))
        return Scores(parts.sum(axis=1), parts, expected)

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        self._known = None
        super().set_state(state)
        if "ends_" in state:
            lengths = np.diff(self.ends_, prepend=0)
            if lengths.min() < 1 or lengths.sum() != len(self.series_):
                raise CorruptModel(f"The stretches of {self.card.name} are not its series.")
        return self

    def _score_together(self, stretches: Stretches) -> Scores:
        values = [stretch.values for stretch in stretches]
        series, known = np.concatenate(values), len(self.series_)
        context = SeriesContext.of(series, known, np.cumsum([len(each) for each in values]))
        scored = [view(context) for view in self._views(context)]
        nearest = _first_windows(scored).expected(context.series, context.series)
        expected = clipped(nearest, 1) * context.unit
        adds = fuse(scored, known, context_period(context))
        beyond = self._beyond(values)
        parts = _parts(scored, adds, beyond, context.judged)
        total = parts.sum(axis=1)
        usual = _quantile(total[:known])
        return Scores(total / usual, parts / usual, expected)

    def _beyond(self, stretches: Sequence[FloatArray]) -> Excess:
        """Return what exceeds the limits in stretches that begin with the training series."""
        seen = Excess.joined([self._learned().beyond(X, self.limits_) for X in stretches])
        if len(seen.values) == len(self.beyond_):
            return Excess(self.beyond_, self.channel_)
        return seen

    def _learned(self) -> Learned:
        """Return what the views have learned, made again from the training series when loaded."""
        if self._known is None:
            stretches = np.split(self.series_, self.ends_[:-1])
            self._known = Learned(stretches, Units.of(self.series_), self._learned_views())
        return self._known

    def _training_context(self) -> SeriesContext:
        """Return the training series as the views see it, without glitches."""
        stretches = np.split(self.series_, self.ends_[:-1])
        return training_context(stretches, Units.of(self.series_))

    def _learned_views(self) -> list[SeriesView]:
        """Return the views without those that differ only in what they compare with."""
        context = self._training_context()
        windows = _INDEPENDENT[len(context.judged) > 1]
        most = max(1, min(context.longest // 2, context.known // windows))
        views: dict[Any, SeriesView] = {}
        for view in self._views(context):
            if isinstance(view, WindowView):
                shorter = replace(view, length=min(view.length, most))
                views.setdefault((shorter.length, shorter.form), shorter)
            else:
                forecast = replace(view, smoothing=min(view.smoothing, most))
                views.setdefault(forecast.lags, forecast)
        return list(views.values())


def fuse(scored: Sequence[ViewScores], known: int, period: int) -> FloatArray:
    """Return what each view adds (views, n) to the score of a whole series."""
    rises = np.stack([_rise_together(each.values, known) for each in scored])
    weights = np.array([_peak(values, period) for values in rises])
    rises *= weights[:, None] / weights.sum()
    adds = smooth(rises.T, period // 8).T
    return np.asarray(adds / _quantile(adds.sum(axis=0)[:known]))


def _first_windows(scored: Sequence[ViewScores | None]) -> NearestWindows:
    """Return what the first view of windows compared."""
    return next(each.nearest for each in scored if each and each.nearest)


def context_period(context: SeriesContext) -> int:
    """Return the dominant period of the first channel that is judged, in the longest stretch."""
    lengths = np.diff(context.ends, prepend=0)
    end = int(context.ends[lengths.argmax()])
    return dominant_period(context.series[end - context.longest : end, context.judged][:, 0])


def _parts(
    scored: Sequence[ViewScores | None], adds: FloatArray, beyond: Excess, judged: BoolArray
) -> FloatArray:
    """Return what each channel adds (n, channels): by views, and by what exceeds the limits."""
    parts = np.zeros((adds.shape[1], len(judged)))
    for each, add in zip(scored, adds, strict=True):
        if each is not None:
            own = each.parts + np.finfo(np.float64).tiny
            parts[:, judged] += own / own.sum(axis=1, keepdims=True) * add[:, None]
    parts[np.arange(len(parts)), beyond.channel] += beyond.values
    return parts


def _rise_together(values: FloatArray, known: int) -> FloatArray:
    """Return a view's scores in units of how they spread over the training series."""
    middle, high = np.quantile(values[:known], [0.5, 0.99])
    spread = high - middle + 0.02 * np.ptp(values)
    return rise(values, np.array([middle, spread or 1.0]))


def _peak(values: FloatArray, period: int) -> float:
    """Return how far the highest peak stands out from the others, at most 2."""
    at, middle = int(values.argmax()), float(np.median(values))
    others = np.r_[values[: max(0, at - 3 * period)], values[at + 3 * period :]]
    second = float(others.max(initial=middle)) - middle
    height = float(values[at]) - middle
    return height / second if height < _MOST_WEIGHT * second else _MOST_WEIGHT


def _quantile(values: FloatArray) -> float:
    """Return the 99 % quantile of the training points, 1 if it is 0."""
    return float(np.quantile(values, 0.99)) or 1.0
