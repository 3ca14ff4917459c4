"""Promised against measured false alarms on later parts of series: hold-out splits in time."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from tocsin import registry
from tocsin.errors import InputError
from tocsin.evaluate.false_alarms.time_splits import MEASURED, limits
from tocsin.evaluate.sets.series import LabelledSeries, read_series
from tocsin.evaluate.threads import limited_threads
from tocsin.pipeline import SeriesPipeline
from tocsin.types import FloatArray

Row = dict[str, Any]

LEARNED = 0.7
"""This share of a series' leading part is learned from; the rest of it is measured on."""

LEAST = 500
"""Leading parts of fewer points are left out."""


def run_held_out_series(
    data: Path,
    budgets: Sequence[float] = (0.01, 0.05),
    detectors: Sequence[str] = ("auto",),
    *,
    most: int = 20,
    only: Collection[str] | None = None,
    progress: Callable[[Row], None] | None = None,
    threads: int = 1,
) -> list[Row]:
    """Measure which share of later normal points is flagged, against what was promised.

    ``data`` is a folder as ``run_series`` reads it. Of its univariate series, in the order of the
    index, at most ``most`` are taken, evenly: of each the first 70 % of the part meant for
    training are learned from, and the points labelled normal in the other 30 % measured on.

    Returns a row per series, detector and budget: ``dataset``, ``detector``, ``budget``,
    ``normals``, ``rate``, and ``inside``, whether the rate is one of those that
    ``time_splits.limits`` takes as kept; other keys are None. A detector that fails has None
    there, too, and the reason in ``error``. Raises UnknownName for a detector, and
    InputError and UnreadableFile for the folder.
    """
    for name in detectors:
        registry.find(name, "series")
    rows = []
    with limited_threads(threads):
        for series in _chosen(data, most, only):
            for name in detectors:
                for row in _measure(SeriesPipeline(name), series, budgets):
                    about = {"dataset": f"{series.family}/{series.name}", "detector": name}
                    rows.append({**about, **row})
                    if progress is not None:
                        progress(rows[-1])
    return rows


def _chosen(data: Path, most: int, only: Collection[str] | None) -> Iterator[LabelledSeries]:
    long = [s for s in read_series(data, "univariate", only=only) if s.train_end >= LEAST]
    if not long:
        raise InputError(f"{data} has no univariate series with {LEAST} points to learn from.")
    step = max(1, -(-len(long) // most))
    return iter(long[::step])


def _measure(
    pipeline: SeriesPipeline, series: LabelledSeries, budgets: Sequence[float]
) -> list[Row]:
    edge = int(LEARNED * series.train_end)
    later = slice(edge, series.train_end)
    normal = series.y[later] == 0
    nothing = dict.fromkeys(MEASURED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = pipeline.fit(series.X[:edge]).score(series.X[later])
    except Exception as error:  # noqa: BLE001 - a detector's failure is its result here
        failed = nothing | {"error": f"{type(error).__name__}: {error}"}
        return [failed | {"budget": budget} for budget in budgets]
    rows = []
    for budget in budgets:
        flagged: FloatArray = pipeline.set_params(false_alarms=budget).decide(scores).is_anomaly
        rate = float(flagged[normal].mean())
        low, high = limits(budget)
        about = {"budget": budget, "normals": int(normal.sum()), "rate": rate}
        rows.append(nothing | about | {"inside": low <= rate <= high})
    return rows
