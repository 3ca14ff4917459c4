"""Compare detectors over several data sets: means, ranks and a Wilcoxon test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata, wilcoxon

from tocsin.errors import InputError, UnknownName
from tocsin.evaluate.metrics.names import humanised
from tocsin.types import FloatArray

if TYPE_CHECKING:
    from rich.console import Console

_TIE = 1e-9


@dataclass(frozen=True, slots=True)
class Standing:
    """How one detector stands among the others and against the baseline.

    ``mean`` over sets, a fraction; ``mean_rank``: 1 is the best. ``wins``, ``losses`` and
    ``ties`` count sets against the baseline. ``p_value``: two-sided Wilcoxon signed-rank
    test of the differences to the baseline, 1 where there is no difference.
    """

    detector: str
    mean: float
    mean_rank: float
    wins: int
    losses: int
    ties: int
    p_value: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Standings by mean, the best first, over the sets that every detector finished."""

    metric: str
    baseline: str
    datasets: tuple[str, ...]
    left_out: tuple[str, ...]
    standings: tuple[Standing, ...]


def compare(
    rows: Iterable[Mapping[str, Any]], metric: str = "roc_auc", baseline: str | None = None
) -> Comparison:
    """Compare detectors by a metric where more is better, averaged over seeds in each set.

    Each row holds ``dataset``, ``detector``, ``seed`` and the metric. A set that any
    detector has not finished with every seed (no row, or None) is left out for all, and
    listed. The baseline is the detector of the first row unless named. Raises InputError
    when nothing is left to compare, UnknownName for a baseline without rows.
    Demšar, Statistical comparisons of classifiers over multiple data sets, JMLR 2006.

    >>> rows = [
    ...     {"dataset": s, "detector": d, "seed": 0, "roc_auc": r}
    ...     for s, d, r in [("a", "x", 0.7), ("a", "y", 0.9), ("b", "x", 0.5), ("b", "y", 0.6)]
    ... ]
    >>> [(s.detector, s.mean, s.wins) for s in compare(rows, baseline="x").standings]
    [('y', 0.75, 2), ('x', 0.6, 0)]
    """
    table = _table(rows, metric)
    chosen = baseline or str(table.columns[0])
    if chosen not in table.columns:
        raise UnknownName(
            f'The baseline "{chosen}" has no results; there are: {", ".join(table.columns)}.'
        )
    complete = table.notna().all(axis=1).groupby(level="dataset", sort=False).all()
    kept = [str(name) for name in complete.index[complete]]
    if not kept:
        raise InputError(f"No data set has a {metric} of every detector, so none can be compared.")
    means = table.groupby(level="dataset", sort=False).mean().loc[kept]
    return Comparison(
        metric=metric,
        baseline=chosen,
        datasets=tuple(kept),
        left_out=tuple(str(name) for name in complete.index[~complete]),
        standings=_standings(means, chosen),
    )


def print_comparison(comparison: Comparison, console: Console) -> None:
    """Print a comparison as a table; means are shown × 100."""
    from rich.table import Table

    count = len(comparison.datasets)
    title = f"{humanised(comparison.metric)} over {count} sets"
    table = Table(title=title, title_justify="left")
    table.add_column("detector")
    for name in ("mean", "mean rank", "wins", "losses", "ties", "p"):
        table.add_column(name, justify="right")
    for standing in comparison.standings:
        against = ["", "", "", "baseline"]
        if standing.detector != comparison.baseline:
            counts = (standing.wins, standing.losses, standing.ties)
            against = [*map(str, counts), f"{standing.p_value:.2g}"]
        table.add_row(
            standing.detector, f"{100 * standing.mean:.1f}", f"{standing.mean_rank:.2f}", *against
        )
    console.print(table)
    console.print(f"Wins, losses, ties and the Wilcoxon p are against {comparison.baseline}.")
    if comparison.left_out:
        console.print(
            f"Left out, not finished by all: {', '.join(comparison.left_out)}.", markup=False
        )


def _table(rows: Iterable[Mapping[str, Any]], metric: str) -> pd.DataFrame:
    """Return the metric with a row per (dataset, seed) and a column per detector, as they came."""
    frame = pd.DataFrame([dict(row) for row in rows])
    missing = {"dataset", "detector", "seed", metric} - set(frame.columns)
    if missing:
        raise InputError(
            f"The results to compare have no {', '.join(sorted(missing))}; "
            f"they have: {', '.join(map(str, frame.columns)) or 'no rows'}."
        )
    keys = ["dataset", "seed", "detector"]
    if frame.duplicated(keys).any():
        first = frame.loc[frame.duplicated(keys), keys].iloc[0].to_dict()
        raise InputError(f"There are two results for {first}; compare one run at a time.")
    values = frame.assign(**{metric: frame[metric].astype(float)}).set_index(keys)[metric]
    return values.unstack("detector", sort=False)


def _standings(means: pd.DataFrame, baseline: str) -> tuple[Standing, ...]:
    values = means.to_numpy(dtype=np.float64)
    ranks = rankdata(-np.round(values / _TIE), axis=1).mean(axis=0)
    standings = []
    for column, name in enumerate(means.columns):
        difference = values[:, column] - means[baseline].to_numpy(dtype=np.float64)
        standings.append(
            Standing(
                detector=str(name),
                mean=float(values[:, column].mean()),
                mean_rank=float(ranks[column]),
                wins=int((difference > _TIE).sum()),
                losses=int((difference < -_TIE).sum()),
                ties=int((np.abs(difference) <= _TIE).sum()),
                p_value=_signed_rank_p(difference),
            )
        )
    return tuple(sorted(standings, key=lambda standing: -standing.mean))


def _signed_rank_p(difference: FloatArray) -> float:
    untied = difference[np.abs(difference) > _TIE]
    return float(wilcoxon(untied).pvalue) if len(untied) else 1.0
