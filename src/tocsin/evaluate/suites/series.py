"""The benchmark of series detectors: VUS over labelled series, beside published figures.

- univariate, multivariate: fit on the prefix, score the whole series.
- streaming: the univariate series, event by event; the prefix keeps the scores it got while
  it was learned from.

A series whose prefix is shorter than 16 points is learned from as a whole.

Sets are read as ``evaluate.sets.series`` describes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd

from tocsin.base import Detector, StreamingDetector, Stretch
from tocsin.evaluate.metrics import ranking
from tocsin.evaluate.metrics.ranges import buffer_period, vus
from tocsin.evaluate.sets.series import Kind, LabelledSeries, read_published, read_series
from tocsin.evaluate.suites.base import Column, Row, Stopwatch, Suite
from tocsin.types import FloatArray

if TYPE_CHECKING:
    from rich.console import Console

MOST_PUBLISHED = 8


class SeriesTask(NamedTuple):
    """A series, and the period that its VUS allows for."""

    series: LabelledSeries
    period: int


@dataclass(frozen=True)
class SeriesSuite(Suite[SeriesTask]):
    """Measures detectors on every series of a kind.

    ``parameters`` are given to each detector that has them; in streaming, ``mode="streaming"``
    likewise. A streaming detector's scores are those it gave on the way, to the prefix and then to
    the rest. ``exact``: series with published figures alone. ``only``: of these families, or
    FAMILY/NAME. Measured are ``vus_pr``, ``vus_roc``, ``average_precision`` (fractions), and
    ``seconds`` to fit and score.
    """

    modality: ClassVar[str] = "series"
    title: ClassVar[str] = "Means over series"
    columns: ClassVar[Mapping[str, Column]] = {
        "vus_pr": Column("VUS-PR"),
        "vus_roc": Column("VUS-ROC"),
        "average_precision": Column("average precision"),
        "seconds": Column("seconds", 1.0, 2),
    }
    measures: ClassVar[tuple[str, ...]] = tuple(columns)

    data: Path
    kind: Kind = "univariate"
    exact: bool = False
    only: Collection[str] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def tasks(self) -> Iterator[SeriesTask]:
        """Yield every series of the kind; raises as ``read_series`` does."""
        for series in read_series(self.data, self.kind, self.exact, self.only):
            yield SeriesTask(series, buffer_period(series.X[:, 0]))

    def describe(self, task: SeriesTask) -> Row:
        """Return family, name, and the name in TSB-AD."""
        series = task.series
        return {
            "family": series.family,
            "dataset": series.name,
            "tsb_ad_file": series.tsb_ad_file,
        }

    def locate(self, row: Row) -> str:
        """Return family and name."""
        return f"{row['family']}/{row['dataset']}"

    def measure(self, task: SeriesTask, detector: str | Detector) -> Row:
        """Return measures of a new detector; see the class."""
        offered = {"mode": "streaming"} if self.kind == "streaming" else {}
        made, watch = self.create(detector, **offered), Stopwatch()
        scores = _scores(made, task.series)
        seconds = watch.lap()
        volumes = vus(task.series.y, scores, task.period)
        return {
            "vus_pr": volumes.vus_pr,
            "vus_roc": volumes.vus_roc,
            "average_precision": ranking(task.series.y, scores).average_precision,
            "seconds": seconds,
        }

    def print(self, rows: Sequence[Row], console: Console) -> None:
        """Print means, failures, and VUS-PR by family beside the best of the published figures."""
        super().print(rows, console)
        print_families(rows, read_published(self.data, self.kind), console)


def print_families(rows: Sequence[Row], published: pd.DataFrame | None, console: Console) -> None:
    """Print VUS-PR by family beside the best of the published figures.

    Published means and those beside them are over the same series, and the best come first.
    """
    frame = pd.DataFrame(rows)
    if published is None:
        console.print("There is no table of published figures for these series.")
        published = pd.DataFrame()
    same = frame[frame["tsb_ad_file"].isin(published.index)]
    if same.empty:
        _print_families(frame, frame, console)
        return
    series = same.drop_duplicates("tsb_ad_file").set_index("tsb_ad_file")["family"]
    theirs = published.loc[series.index]
    theirs = theirs[theirs.mean().nlargest(MOST_PUBLISHED).index].assign(family=series)
    theirs = theirs.melt("family", var_name="detector", value_name="vus_pr")
    theirs["detector"] += ", published"
    _print_families(pd.concat([same, theirs]), same, console)
    if len(same) < len(frame):
        console.print("Series without a published figure are in the first table alone.")


def _print_families(frame: pd.DataFrame, ours: pd.DataFrame, console: Console) -> None:
    """Print the mean VUS-PR of every detector by family; ``ours`` are those just measured."""
    from rich.table import Table

    series = ours.drop_duplicates(["family", "dataset"])["family"].value_counts().sort_index()
    table = Table(title=f"VUS-PR over {series.sum()} series, by family", title_justify="left")
    table.add_column("detector")
    for name in ("all", *(f"{family} ({count})" for family, count in series.items())):
        table.add_column(name, justify="right")
    values = frame.astype({"vus_pr": float})
    grouped = values.groupby(["detector", "family"])["vus_pr"].mean()
    means = grouped.unstack("family")[list(series.index)]
    means.insert(0, "all", values.groupby("detector")["vus_pr"].mean())
    own = set(ours["detector"])
    for detector, row in means.sort_values("all", ascending=False).iterrows():
        table.add_row(
            str(detector),
            *("failed" if np.isnan(value) else f"{100 * value:.1f}" for value in row),
            style="bold" if detector in own else None,
        )
    console.print(table)


def _scores(detector: Detector, series: LabelledSeries) -> FloatArray:
    """Return the scores (n,) of a series that a detector gives once it learned from the prefix."""
    known, rest = series.X[: series.learned], series.X[series.learned :]
    detector.fit(known)
    if not _is_streaming(detector):
        together: FloatArray = detector.score_together(series.X).values
        return together
    if not len(rest):
        return detector.training_scores_
    later = detector.score(Stretch(rest, len(known)))
    return np.concatenate([detector.training_scores_, later.values])


def _is_streaming(detector: Detector) -> bool:
    """Return whether it watches events as they come: by its mode if it has one, or its kind."""
    usual = "streaming" if isinstance(detector, StreamingDetector) else "batch"
    return bool(detector.get_params().get("mode", usual) == "streaming")
