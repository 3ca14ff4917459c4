"""Plots of scores: histogram, over rows or time, and how many anomalies there are over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.evaluate.metrics import check_pairs
from tocsin.report.plots.canvas import (
    ANOMALY,
    INK,
    LARGEST,
    NORMAL,
    add_legend,
    bin_edges,
    draw_axes,
    draw_bars,
    drawable,
    sample,
    scale_to,
    tail_width,
    time_axis,
)
from tocsin.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def score_histogram(
    scores: ArrayLike, threshold: float, y: ArrayLike | None = None, unit: str = "row"
) -> str:
    """Return a histogram of scores (n,) with the threshold marked, as SVG.

    Coloured by the labels y (n,) where given, else by the side of the threshold. An axis
    with a few far larger scores is compressed towards its ends. ``unit``: what is scored.

    >>> score_histogram([0.1, 0.2, 0.9], threshold=0.5).lstrip().startswith("<?xml")
    True
    """
    values = drawable(scores)
    marked = values > threshold if y is None else check_pairs(y, values)[0] == 1
    names = ("below the threshold", "above") if y is None else ("labelled normal", "anomaly")

    def paint(axes: Axes) -> None:
        edges = bin_edges(values, tail_width(values), 60)
        groups = [(values[~marked], NORMAL, names[0]), (values[marked], ANOMALY, names[1])]
        for group, colour, name in groups:
            draw_bars(axes, group, edges, colour, f"{name} ({group.size:,})")
        if len(values) > 100:
            axes.set_yscale("log")
            axes.set_ylim(bottom=0.7)
            axes.yaxis.set_major_formatter("{x:,.0f}")
        scale_to(axes, "x", values)
        if abs(threshold) <= LARGEST:
            axes.axvline(threshold, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.grid(visible=False, axis="x")
        axes.set(xlabel="score", ylabel=f"{unit}s, log scale" if len(values) > 100 else f"{unit}s")
        add_legend(axes)

    return draw_axes(paint)


def score_rows(
    scores: ArrayLike,
    rows: ArrayLike,
    is_anomaly: BoolArray,
    threshold: float,
    seed: int = 0,
    unit: str = "row",
) -> str:
    """Return scores (n,) over the positions (n,) of their rows, the flagged ones marked, as SVG.

    The positions may be times, datetime64, UTC. ``unit``: what is scored.
    """
    values, positions = drawable(scores), np.asarray(rows)
    timed = positions.dtype.kind == "M"

    def paint(axes: Axes) -> None:
        _draw_points(
            axes, positions, values, *sample(~is_anomaly, "not flagged", seed), NORMAL, 2.6
        )
        _draw_points(axes, positions, values, *sample(is_anomaly, "flagged", seed), ANOMALY, 4.6)
        scale_to(axes, "y", values)
        if abs(threshold) <= LARGEST:
            axes.axhline(threshold, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.set(xlabel=unit, ylabel="score")
        if timed:
            time_axis(axes)
        add_legend(axes)

    return draw_axes(paint, width=12) if timed else draw_axes(paint)


def anomalies_over_time(times: ArrayLike, is_anomaly: BoolArray, unit: str = "row") -> str:
    """Return how many items, and how many flagged ones, fall into stretches of time, as SVG.

    ``times``: (n,) datetime64, UTC. ``unit``: what an item is called.
    """
    moments = np.asarray(times).astype("datetime64[s]").astype(np.float64) / 86_400  # in days
    edges = bin_edges(moments, None, 48)

    def paint(axes: Axes) -> None:
        groups = ((~is_anomaly, NORMAL, "not flagged"), (is_anomaly, ANOMALY, "flagged"))
        for inside, colour, name in groups:
            draw_bars(axes, moments[inside], edges, colour, f"{name} ({inside.sum():,})")
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set(ylabel=f"{unit}s, log scale")
        axes.grid(visible=False, axis="x")
        time_axis(axes)
        add_legend(axes)

    return draw_axes(paint)


def _draw_points(
    axes: Axes,
    x: NDArray[Any],
    y: FloatArray,
    shown: IntArray,
    label: str,
    colour: str,
    size: float,
) -> None:
    axes.plot(
        x[shown],
        y[shown],
        color=colour,
        label=label,
        marker="o",
        markersize=size,
        markeredgewidth=0,
        alpha=0.8,
        linestyle="none",
    )
