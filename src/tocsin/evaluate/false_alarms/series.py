"""The leading parts of benchmark series, split in time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from tocsin.errors import InputError
from tocsin.evaluate.false_alarms.later import TimeSplit
from tocsin.evaluate.sets.series import LabelledSeries, read_series

LEARNED = 0.7
"""This share of a series' leading part is learned from; the rest of it is measured on."""

LEAST = 500
"""Leading parts of fewer points are left out."""


def read_series_splits(
    data: Path, most: int = 20, only: Collection[str] | None = None
) -> Iterator[TimeSplit]:
    """Return splits of the univariate series of a folder, in the order of its index.

    ``data`` is a folder as ``read_series`` takes it. At most ``most`` series are taken, evenly: of
    each the first 70 % of the part meant for training are learned from, and the points labelled
    normal in the other 30 % measured on. Raises InputError for a folder without series that long,
    UnreadableFile for a file.
    """
    long = [s for s in read_series(data, "univariate", only=only) if s.train_end >= LEAST]
    if not long:
        raise InputError(f"{data} has no univariate series with {LEAST} points to learn from.")
    step = max(1, -(-len(long) // most))
    return map(_split, long[::step])


def _split(series: LabelledSeries) -> TimeSplit:
    edge, end = int(LEARNED * series.train_end), series.train_end
    later = (series.X[edge:end], series.y[edge:end])
    return TimeSplit(f"{series.family}/{series.name}", series.X[:edge], (later,), (True,))
