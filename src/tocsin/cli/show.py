"""What commands print: tables for people, JSON for machines, progress on standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from tocsin.progress import reporting_to

if TYPE_CHECKING:
    from tocsin.types import Detection, Explanation, IntArray, Reason


_STEERING = re.compile("[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def print_json(value: Any) -> None:
    """Print a value as JSON on standard output, without anything that steers a terminal."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=_plain)
    typer.echo(_STEERING.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def _plain(value: Any) -> Any:
    if hasattr(value, "item"):
        return value.item()
    if hasattr(value, "tolist"):
        return value.tolist()
    return str(value)


@contextmanager
def progress(what: str) -> Iterator[None]:
    """Show on standard error what goes on, if somebody is looking."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        with reporting_to(
            lambda detail, done, total: bar.update(
                task, description=f"{what}: {detail}", completed=done, total=total
            )
        ):
            yield


def as_dict(detection: Detection, detector: str) -> dict[str, Any]:
    """Return a detection as JSON values, its anomalies ranked, and what was skipped."""
    from tocsin.cli import show_images, show_logs, show_series, show_text
    from tocsin.types import ImageDetection, LogDetection, SeriesDetection, TextDetection

    decision = detection.decision
    if isinstance(detection, SeriesDetection):
        ranked = show_series.intervals(detection)
    elif isinstance(detection, LogDetection):
        ranked = show_logs.sessions(detection, detection.anomalies.tolist())
    elif isinstance(detection, TextDetection):
        ranked = show_text.texts(detection, detection.anomalies.tolist())
    elif isinstance(detection, ImageDetection):
        ranked = show_images.images(detection, detection.anomalies.tolist())
    else:
        ranked = anomalies(detection)
    shown = {
        "rows": len(detection),
        "found": len(ranked),
        "detector": detector,
        "false_alarm_rate": decision.false_alarm_rate,
        "threshold": decision.threshold,
        "anomalies": ranked,
        "notes": list(detection.notes),
        "drift": None if detection.drift is None else asdict(detection.drift),
    }
    if isinstance(detection, ImageDetection):
        shown["skipped"] = [asdict(each) for each in detection.skipped]
    return shown


def anomalies(detection: Detection) -> list[dict[str, Any]]:
    """Return the anomalies as JSON values, the most anomalous first."""
    position = {int(row): i for i, row in enumerate(detection.rows)}
    return [
        {
            "row": int(row),
            "score": float(detection.scores.values[position[int(row)]]),
            "p_value": float(detection.decision.p_values[position[int(row)]]),
            "reasons": reasons(detection.explanations.get(int(row))),
        }
        for row in detection.anomalies
    ]


def reasons(explanation: Explanation | None) -> list[dict[str, Any]]:
    """Return the reasons as JSON values, the heaviest first."""
    if explanation is None:
        return []
    return [
        {
            "column": reason.name,
            "seen": reason.seen,
            "expected": reason.expected,
            "weight": round(reason.weight, 4),
        }
        for reason in explanation.reasons
    ]


def print_detection(detection: Detection, detector: str, top: int) -> None:
    """Print what was found, under which budget, with the reasons of the top anomalies."""
    from tocsin.cli import show_images, show_logs, show_series, show_text
    from tocsin.types import ImageDetection, LogDetection, SeriesDetection, TextDetection

    if isinstance(detection, SeriesDetection):
        show_series.print_intervals(detection, detector, top)
        return
    if isinstance(detection, LogDetection):
        show_logs.print_detection(detection, detector, top)
        return
    if isinstance(detection, TextDetection):
        show_text.print_detection(detection, detector, top)
        return
    if isinstance(detection, ImageDetection):
        show_images.print_detection(detection, detector, top)
        return
    print_headline(len(detection.anomalies), len(detection), detector, detection)
    print_anomalies(detection, top, len(detection.anomalies))


def print_headline(
    found: int, rows: int, detector: str, detection: Detection, items: str = "rows"
) -> None:
    """Print how many anomalies there are, under which budget, and the notes."""
    from rich.console import Console
    from rich.text import Text

    console, rate = Console(), detection.decision.false_alarm_rate
    console.print(
        Text(f"{number_of(found)} in {rows:,} {items}", style="bold"),
        Text(f"({detector}; budget: {rate:.2%} of normal {items})"),
    )
    for note in detection.notes:
        console.print(Text(f"· {note}", style="dim"))


def number_of(anomalies: int) -> str:
    """Return how many anomalies there are in words.

    >>> number_of(1), number_of(2000)
    ('1 anomaly', '2,000 anomalies')
    """
    return "1 anomaly" if anomalies == 1 else f"{anomalies:,} anomalies"


def print_anomalies(detection: Detection, top: int, found: int) -> None:
    """Print the top anomalies with their reasons, and how many of those found are left out."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = anomalies(detection)[:top]
    if not shown:
        return
    table = Table("row", "score", "p-value", "why", box=None, header_style="bold", pad_edge=False)
    for anomaly in shown:
        explanation = detection.explanations.get(anomaly["row"])
        why = "; ".join(map(sentence, explanation.reasons[:3])) if explanation else ""
        values = (str(anomaly["row"]), f"{anomaly['score']:.4g}", f"{anomaly['p_value']:.2g}")
        table.add_row(*values, Text(why))
    Console().print(table)
    print_more(found - len(shown))


def print_more(count: int) -> None:
    """Print how many anomalies were left out, if any."""
    from rich.console import Console
    from rich.text import Text

    if count > 0:
        Console().print(Text(f"… and {count:,} more: --top, --report or --json", style="dim"))


def print_agreement(detection: Detection, labels: IntArray) -> None:
    """Print how well a detection agrees with labels (n,), 1 = anomaly."""
    from rich.console import Console
    from rich.text import Text

    from tocsin.evaluate.metrics import classification, ranking
    from tocsin.types import SeriesDetection

    if isinstance(detection, SeriesDetection):
        labels = detection.labels(labels)
    ranked = ranking(labels, detection.scores.values)
    decided = classification(labels, detection.decision.is_anomaly)
    measures = {
        "ROC AUC": ranked.roc_auc,
        "PR AUC": ranked.average_precision,
        "precision": decided.precision,
        "recall": decided.recall,
        "F1": decided.f1,
        "false-alarm rate": decided.false_alarm_rate,
    }
    if isinstance(detection, SeriesDetection) and 0 < labels.sum() < len(labels):
        from tocsin.evaluate.metrics.ranges import buffer_period, vus

        period = buffer_period(detection.values[:, 0])
        measures["VUS-PR"] = vus(labels, detection.scores.values, period).vus_pr
    shown = (f"{name} {value:.3f}" for name, value in measures.items() if value is not None)
    Console().print(Text("Against the labels: " + ", ".join(shown)))


def sentence(reason: Reason) -> str:
    """Return a reason in a few words.

    >>> from tocsin.types import Reason
    >>> sentence(Reason("price", 812.5, 20.1, 0.71))
    'price 812.5 (expected 20.1)'
    """
    seen, expected = _value(reason.seen), _value(reason.expected)
    if reason.expected is None or expected == seen:
        return f"{reason.name} {seen}"
    return f"{reason.name} {seen} (expected {expected})"


def _value(value: float | str | None) -> str | None:
    if value is None:
        return "missing"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"
