"""The picture of promised against measured false-alarm rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tocsin.errors import ParameterError
from tocsin.evaluate.false_alarms.later import limits
from tocsin.files import write_atomically
from tocsin.report.plots.canvas import (
    ANOMALY,
    GRID,
    INK,
    MUTED,
    NORMAL,
    draw,
    draw_png,
    short_name,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE = (7.2, 4.4)


def draw_promises(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Draw promised against measured rates of all sets and detectors, as .png or .html.

    Raises ParameterError for another ending.
    """
    if path.suffix == ".png":
        write_atomically(path, draw_png(_paint(rows), *_SIZE))
    elif path.suffix == ".html":
        drawn = draw(_paint(rows), *_SIZE)
        title = "<title>False alarms on later normal data</title>"
        write_atomically(
            path,
            f'<!doctype html><meta charset="utf-8">{title}{drawn[drawn.index("<svg") :]}',
        )
    else:
        raise ParameterError(f"A plot is a .png or an .html file; got {path.name}.")


def _paint(rows: Sequence[Mapping[str, Any]]) -> Callable[[Figure], None]:
    """Return what draws each set's measured rates over the promised ones, the limits shaded."""
    frame = pd.DataFrame([row for row in rows if row["rate"] is not None])
    sets = list(dict.fromkeys(frame["dataset"]))
    names = [short_name(name, 60) for name in sets]

    def paint(figure: Figure) -> None:
        axes = figure.add_subplot()
        for place, budget in enumerate(sorted(frame["budget"].unique())):
            low, high = limits(budget)
            own = frame[frame["budget"] == budget]
            at = place * (len(sets) + 1) + own["dataset"].map(sets.index)
            start, end = place * (len(sets) + 1) - 0.4, (place + 1) * (len(sets) + 1) - 1.6
            axes.fill_between([start, end], low, high, color=GRID)
            axes.hlines(budget, start, end, color=INK, linewidth=1)
            colours = np.where(own["inside"].astype(bool), NORMAL, ANOMALY)
            axes.scatter(at, own["rate"], s=16, c=colours, zorder=3)
            axes.annotate(f"{budget:.0%} promised", (start, high), color=MUTED, fontsize=9)
        axes.set_yscale("symlog", linthresh=0.01)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
        ticks = [
            place * (len(sets) + 1) + i
            for place in range(frame["budget"].nunique())
            for i in range(len(sets))
        ]
        axes.set_xticks(ticks, names * frame["budget"].nunique(), rotation=60, ha="right")
        axes.set_ylabel("share of later normal items flagged")

    return paint
