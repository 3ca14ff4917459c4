"""Time series on the command line: intervals with their times and channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tocsin.cli import printing, terminal
from tocsin.cli.modalities.base import ModalityCli, Outcome
from tocsin.cli.results import format_measure, print_measures
from tocsin.types import SeriesDetection

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.cli.inputs import Input
    from tocsin.evaluate.results import SeriesResult
    from tocsin.types import IntArray, Interval

_MOST_REASONS = 3


class SeriesCli(ModalityCli[SeriesDetection]):
    """Tables whose rows follow in time; their anomalies are intervals."""

    modality = "series"
    order = 50
    options = frozenset({"label", "time", "entity", "models", "missing", "train_rows", "png"})
    decided_by = frozenset({"time"})
    noun = "time series"
    hint = "pass --as tables if the rows stand alone"

    def recognises(self, source: Input) -> bool:
        """Return whether a table has a regular time column."""
        from tocsin.prepare.series import looks_like_series

        return looks_like_series(source.split_label(source.table)[0])

    def load(self, source: Input) -> tuple[pd.DataFrame, IntArray | None]:
        """Return the table without its label column, and the labels of that column."""
        return source.split_label(source.table)

    def columns(self, detection: SeriesDetection) -> pd.DataFrame:
        """Return one row per point, with its entity and time if there are such."""
        frame = super().columns(detection)
        if detection.times is not None:
            frame.insert(0, "time", detection.times)
        if detection.entities is not None:
            frame.insert(0, "entity", detection.entities)
        return frame

    def measures(self, detection: SeriesDetection, labels: IntArray) -> dict[str, float | None]:
        """Return the volume under the surface of precision and recall, if it is defined."""
        if not 0 < labels.sum() < len(labels):
            return {}
        from tocsin.evaluate.metrics.ranges import buffer_period, vus

        period = buffer_period(detection.values[:, 0])
        return {"VUS-PR": vus(labels, detection.scores.values, period).vus_pr}

    def print_results(self, results: Sequence[SeriesResult], false_alarms: float) -> None:
        """Print the measures of detectors, and below them one that is optimistic."""
        first = results[0]
        noun = "range" if first.ranges == 1 else "ranges"
        title = f"{first.ranges} anomalous {noun}; decisions at a budget of {false_alarms:.2%}"
        measures = first.columns
        if not first.ranges:
            title += "; normal rows only, which show the false-alarm rate alone"
            measures = {"false alarms": "false_alarm_rate"}
        print_measures(title, [_cells(result, measures) for result in results])
        if first.ranges:
            optimistic = ", ".join(
                f"{result.detector} {format_measure(result.point_adjusted_f1)}"
                for result in results
            )
            terminal.print_line(f"Point-adjusted F1 (optimistic): {optimistic}")

    def anomalies(self, detection: SeriesDetection) -> Sequence[Interval]:
        """Return the intervals, the most anomalous first."""
        return detection.intervals

    def explained(self, detection: SeriesDetection) -> Sequence[Interval]:
        """Return the intervals that were asked for."""
        return detection.intervals

    def as_dicts(
        self, detection: SeriesDetection, items: Sequence[Interval]
    ) -> list[dict[str, Any]]:
        """Return intervals as JSON values."""
        return [
            {
                "entity": interval.entity,
                "start": _end(detection, interval, "start"),
                "end": _end(detection, interval, "end"),
                "peak": _end(detection, interval, "peak"),
                "points": _points(interval),
                "score": interval.score,
                "p_value": interval.p_value,
                "is_anomaly": bool(detection.decision.is_anomaly[interval.peak]),
                "reasons": printing.reasons_as_dicts(interval.reasons),
            }
            for interval in items
        ]

    def format_found(self, outcome: Outcome[SeriesDetection]) -> str:
        """Return how many intervals were found in how many points."""
        noun = "interval" if outcome.found == 1 else "intervals"
        return f"{outcome.found:,} anomalous {noun} in {outcome.total:,} points"

    def format_budget(self, detection: SeriesDetection) -> str:
        """Return the share of points flagged, and the budget."""
        share = float(detection.decision.is_anomaly.mean())
        return f"{share:.2%} of them flagged; {super().format_budget(detection)}"

    def print_list(self, detection: SeriesDetection, items: Sequence[Interval]) -> None:
        """Print intervals, one line each."""
        printing.print_table(
            [
                {
                    **({} if detection.entities is None else {"entity": str(interval.entity)}),
                    "from": _when(detection, interval, "start"),
                    "to": _when(detection, interval, "end"),
                    "points": f"{_points(interval):,}",
                    "score": f"{interval.score:.4g}",
                    "p-value": f"{interval.p_value:.2g}",
                    "why": "; ".join(map(printing.format_reason, interval.reasons[:_MOST_REASONS])),
                }
                for interval in items
            ]
        )

    def print_items(
        self, detection: SeriesDetection, items: Sequence[Interval], *, brief: bool = False
    ) -> None:
        """Print intervals one by one, with the channels that drove them."""
        for interval in items:
            words = [
                "" if interval.entity is None else str(interval.entity),
                f"{_when(detection, interval, 'start')} to {_when(detection, interval, 'end')}",
                f"{_points(interval):,} points",
                f"score {interval.score:.4g}",
                f"p-value {interval.p_value:.2g}",
            ]
            terminal.print_line(printing.cut("  ".join(filter(None, words))), "bold")
            printing.print_reasons(
                [(reason, printing.format_reason(reason)) for reason in interval.reasons]
            )


def _cells(result: SeriesResult, measures: Mapping[str, str]) -> dict[str, str]:
    values = result.as_dict()
    cells = {heading: format_measure(values[key]) for heading, key in measures.items()}
    if values["delay"] is not None and "delay" in cells:
        cells["delay"] = f"{values['delay']:.0f}"
    return {"detector": result.detector, **cells, "seconds": f"{result.seconds:.1f}"}


def _points(interval: Interval) -> int:
    return interval.end - interval.start + 1


def _end(detection: SeriesDetection, interval: Interval, name: str) -> dict[str, Any]:
    """Return the row and the time of an end or of the peak, None for those it has not."""
    row = int(detection.rows[getattr(interval, name)])
    time = printing.iso(getattr(interval, f"{name}_time"))
    return {"row": row if row >= 0 else None, "time": time}


def _when(detection: SeriesDetection, interval: Interval, name: str) -> str:
    end = _end(detection, interval, name)
    return end["time"] or f"row {end['row']}"
