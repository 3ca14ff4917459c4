"""Pictures of time series: channels with the expected band, the score, and the anomalies.

Of many points, the lowest and the highest of each of some 1,000 stretches are drawn, so no
spike is lost.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tocsin.errors import InputError
from tocsin.files import write_atomically
from tocsin.report.plots.canvas import (
    ANOMALY,
    INK,
    MUTED,
    NORMAL,
    TITLE,
    draw,
    draw_png,
    drawable,
    scale_to,
    short_name,
    time_axis,
)
from tocsin.types import BoolArray, FloatArray, IntArray, Interval, SeriesDetection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_STRETCHES = 1000
_GAP = 10
"""Where this many times the usual time between points passes, nothing is drawn."""
_TAIL = 1e4  # a channel whose spikes are this many times its usual spread hides all else


def series_plot(
    detection: SeriesDetection, entity: str | None = None, most_channels: int = 4
) -> str:
    """Return the series of one entity with its anomalous intervals and its score, as SVG.

    Shows the channels that weigh most in the intervals' reasons, each with the band in which
    values were expected. Without ``entity``, the most anomalous one. Raises InputError for an
    entity without points.

    >>> from tocsin.pipeline import SeriesPipeline
    >>> wave = np.sin(np.arange(300) / 4)
    >>> detection = SeriesPipeline("autoregression").fit_detect(wave)
    >>> series_plot(detection).lstrip().startswith("<?xml")
    True
    """
    panels = _of_entity(detection, entity, most_channels)
    return draw(panels.paint, *panels.size, layout=None)


def interval_plot(detection: SeriesDetection, interval: Interval, most_channels: int = 2) -> str:
    """Return one interval with what comes before and after it, as SVG."""
    whole = entity_slice(detection, interval.entity)
    margin = max(2 * (interval.end - interval.start + 1), 40)
    shown = slice(max(whole.start, interval.start - margin), min(whole.stop, interval.end + margin))
    channels = _heaviest(detection, [interval], most_channels)
    panels = _Panels(detection, shown, channels, width=5.6)
    return draw(panels.paint, *panels.size, layout=None)


def write_png(path: str | os.PathLike[str], detection: SeriesDetection) -> Path:
    """Write the picture of the most anomalous entity's series as PNG; return its path.

    Raises ParameterError when ``path`` cannot be written.
    """
    panels = _of_entity(detection, None, 4)
    return write_atomically(Path(path), draw_png(panels.paint, *panels.size, layout=None))


def entities_by_anomaly(detection: SeriesDetection) -> list[str | None]:
    """Return the entities, the one with the most anomalous interval first; [None] without any."""
    if detection.entities is None:
        return [None]
    found = [interval.entity for interval in detection.intervals]
    return list(dict.fromkeys([*found, *detection.entities.tolist()]))


def entity_slice(detection: SeriesDetection, entity: str | None) -> slice:
    """Return where the points of an entity are; raises InputError when there are none."""
    if entity is None and detection.entities is None:
        return slice(0, len(detection))
    at = np.flatnonzero(np.asarray(detection.entities) == entity)
    if not len(at):
        raise InputError(f"The detection has no points of an entity {entity!r}.")
    return slice(int(at[0]), int(at[-1]) + 1)


def _of_entity(detection: SeriesDetection, entity: str | None, most: int) -> _Panels:
    if entity is None:
        entity = entities_by_anomaly(detection)[0]
    own = [interval for interval in detection.intervals if interval.entity == entity]
    channels = _heaviest(detection, own, most)
    return _Panels(detection, entity_slice(detection, entity), channels, width=11.4)


def _heaviest(detection: SeriesDetection, intervals: list[Interval], most: int) -> list[int]:
    """Return the channels that weigh most in the reasons of intervals, in their own order."""
    weight = dict.fromkeys(detection.channels, 0.0)
    for interval in intervals:
        for reason in interval.reasons:
            weight[reason.name] = weight.get(reason.name, 0.0) + reason.weight
    order = np.argsort([-weight[name] for name in detection.channels], kind="stable")
    return sorted(order[:most].tolist())


class _Panels:
    """Some channels and the score over one stretch of a detection, one panel above the other."""

    def __init__(
        self, detection: SeriesDetection, shown: slice, channels: list[int], width: float
    ) -> None:
        self.detection = detection
        self.shown = shown
        self.channels = channels
        self.size = (width, 1.35 * len(channels) + 1.6)
        n = shown.stop - shown.start
        self.stretches = np.unique(np.linspace(0, n, min(n, _MOST_STRETCHES) + 1).astype(int)[:-1])
        self.x = np.arange(n, dtype=np.float64)
        if detection.times is not None:
            from matplotlib.dates import date2num

            self.x = date2num(detection.times[shown])  # type: ignore[no-untyped-call]
        passed = np.diff(self.x)
        self.gaps = np.flatnonzero(passed > _GAP * np.median(passed)) if n > 1 else passed
        self.marked = self._marked(n)

    def paint(self, figure: Figure) -> None:
        """Draw all panels, over one axis of time."""
        count = len(self.channels)
        width, height = self.size
        # Set by hand: matplotlib's own layout takes longer than all the rest.
        figure.subplots_adjust(
            left=0.62 / width,
            right=1 - 0.12 / width,
            bottom=0.55 / height,
            top=1 - 0.28 / height,
            hspace=0.34,
        )
        heights = [1.0] * count + [0.85]
        panels = figure.subplots(count + 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, channel in zip(panels, self.channels, strict=False):
            self._paint_channel(axes, channel)
        self._paint_score(panels[-1])
        for axes in panels:
            self._shade(axes)
            axes.grid(visible=False, axis="x")
            if axes.get_yscale() == "linear":
                axes.locator_params(axis="y", nbins=4)
            axes.yaxis.get_offset_text().set_horizontalalignment("right")
            axes.margins(x=0.005)
        self._label_time(panels[-1])

    def _paint_channel(self, axes: Axes, channel: int) -> None:
        detection, shown = self.detection, self.shown
        values = drawable(detection.values[shown, channel])
        low, high = (drawable(edge[shown, channel]) for edge in (detection.low, detection.high))
        outside = self.marked & ((values < low) | (values > high))
        low = np.minimum.reduceat(low, self.stretches)
        high = np.maximum.reduceat(high, self.stretches)
        axes.fill_between(self.x[self.stretches], low, high, color=NORMAL, alpha=0.16, linewidth=0)
        self._line(axes, values, outside, NORMAL)
        if np.ptp(np.quantile(values, [0.05, 0.95])) > 0:
            scale_to(axes, "y", values, _TAIL)
        name = detection.channels[channel]
        axes.set_title(short_name(name, 60), y=1.0, **TITLE)

    def _paint_score(self, axes: Axes) -> None:
        scores = drawable(self.detection.scores.values[self.shown])
        threshold = drawable([self.detection.decision.threshold])[0]
        self._line(axes, scores, self.detection.decision.is_anomaly[self.shown], MUTED)
        scale_to(axes, "y", scores)
        if abs(threshold) <= 100 * np.abs(scores).max():
            axes.axhline(threshold, color=INK, linewidth=1.1, linestyle=(0, (4, 2)))
        axes.set_title("score, and the threshold", y=1.0, **TITLE)

    def _line(self, axes: Axes, values: FloatArray, anomalous: BoolArray, colour: str) -> None:
        at = extremes(values, self.stretches)
        broken = np.searchsorted(at, self.gaps, side="right")  # no line leads across a gap
        x, y = (np.insert(each[at], broken, np.nan) for each in (self.x, values))
        axes.plot(x, y, color=colour, linewidth=1.0)
        inside = anomalous[at]
        inside[1:] |= anomalous[at[:-1]]  # so that a single point has a line to it
        inside[:-1] |= anomalous[at[1:]]
        if inside.any():
            lit = np.where(inside, values[at], np.nan)
            axes.plot(self.x[at], lit, color=ANOMALY, linewidth=1.3)

    def _shade(self, axes: Axes) -> None:
        lit = np.logical_or.reduceat(self.marked, self.stretches)
        edges = np.flatnonzero(np.diff(np.concatenate([[0], lit.astype(np.int8), [0]])))
        if not len(edges):
            return
        ends = np.append(self.stretches[1:], len(self.x))
        begin, stop = self.x[self.stretches[edges[::2]]], self.x[ends[edges[1::2] - 1] - 1]
        least = (self.x[-1] - self.x[0]) / 400 or 1.0
        wide = np.maximum(stop - begin, least)
        bars = list(zip(begin - (wide - (stop - begin)) / 2, wide, strict=True))
        across = axes.get_xaxis_transform()
        axes.broken_barh(bars, (0, 1), transform=across, color=ANOMALY, alpha=0.15, linewidth=0)

    def _label_time(self, axes: Axes) -> None:
        if self.detection.times is None:
            axes.set_xlabel("point")
            return
        time_axis(axes)

    def _marked(self, n: int) -> BoolArray:
        """Return which of the points (n,) shown lie in an interval."""
        marked = np.zeros(n, dtype=bool)
        for interval in self.detection.intervals:
            start, end = interval.start - self.shown.start, interval.end - self.shown.start
            if end >= 0 and start < n:
                marked[max(start, 0) : end + 1] = True
        return marked


def extremes(values: FloatArray, begin: IntArray) -> IntArray:
    """Return where each stretch of values (n,) is lowest and highest, in order.

    ``begin``: the first point of each stretch, ascending from 0.

    >>> extremes(np.array([1.0, 5.0, 0.0, 2.0, 2.0]), np.array([0, 3])).tolist()
    [1, 2, 3, 4]
    """
    stretch = np.repeat(np.arange(len(begin)), np.diff(np.append(begin, len(values))))
    # Sorted by stretch, then by value: the lowest of a stretch is the first, the highest the last.
    order = np.lexsort((values, stretch))
    highest = order[np.append(begin[1:], len(values)) - 1]
    return np.unique(np.concatenate([order[begin], highest]))
