"""The report: one self-contained HTML file with the anomalies, the reasons and the plots."""

from __future__ import annotations

import base64
import hashlib
import math
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from tocsin.base import check_labels
from tocsin.decide.calibration import NEVER
from tocsin.errors import InputError, ParameterError
from tocsin.evaluate import plots
from tocsin.evaluate.metrics import classification, ranking
from tocsin.types import Card, Detection, FloatArray, IntArray, Reason

MOST_ANOMALIES = 200
_MOST_CELLS = 40
_MOST_REASONS = 5
_MOST_CAUSES = 8
_MOST_COLUMN_PLOTS = 4

_FOLDER = Path(__file__).parent
_THEME = {
    plots.INK: "--ink",
    plots.MUTED: "--muted",
    plots.GRID: "--line",
    plots.NORMAL: "--normal",
    plots.ANOMALY: "--anomaly",
}
_DARK = ("#e7ecf2", "#9ba8b7", "#2a3440", "#6fb0e6", "#ff8a5c")


@dataclass(frozen=True, slots=True)
class _Anomaly:
    """One row of the ranked table."""

    row: int
    score: float
    p_value: float
    label: int | None
    reasons: tuple[Reason, ...]
    cells: list[tuple[str, Any]]


def write_report(
    path: str | os.PathLike[str],
    detection: Detection,
    *,
    frame: pd.DataFrame,
    card: Card,
    settings: Mapping[str, Any] | None = None,
    command: str | None = None,
    labels: ArrayLike | None = None,
    embedding: ArrayLike | None = None,
    title: str = "Anomalies",
) -> Path:
    """Write what was detected, and why, as one HTML file that loads nothing; return its path.

    ``frame``: the n rows as the user gave them, in the order of ``detection``. ``card``: of
    the detector that scored them, for ``auto`` that of the one it chose. ``settings`` and
    ``command`` are shown as what it takes to reproduce the result. ``labels`` (n,), 1 =
    anomaly, add measures and curves; ``embedding`` (n, 2 or more) adds a map. The table holds
    the 200 most anomalous rows. A file of that name is replaced only when the new one is
    complete.

    Raises InputError when the lengths differ, and ParameterError when ``path`` cannot be
    written.
    """
    n = len(detection)
    if len(frame) != n:
        raise InputError(f"The report shows {n} detections, but the frame has {len(frame)} rows.")
    known = None if labels is None else check_labels(labels, n)
    points = None if embedding is None else np.asarray(embedding, dtype=np.float64)
    if points is not None and len(points) != n:
        raise InputError(f"The embedding has {len(points)} rows for {n} detections.")
    context = _context(detection, frame, known)
    context["plots"] = _plots(detection, known, points)
    context |= {"title": title, "card": card, "command": command}
    context["settings"] = _settings(card, settings or {})
    return _replace(Path(path), _render(context))


def _context(detection: Detection, frame: pd.DataFrame, labels: IntArray | None) -> dict[str, Any]:
    decision, scores = detection.decision, detection.scores.values
    causes = _causes(detection)
    return {
        "n": len(detection),
        "width": frame.shape[1],
        "found": int(decision.is_anomaly.sum()),
        "budget": decision.false_alarm_rate,
        "threshold": decision.threshold,
        "can_ring": decision.threshold < NEVER,
        "lowest": float(scores.min()),
        "highest": float(scores.max()),
        "notes": detection.notes,
        "explained": len(detection.explanations),
        "causes": causes,
        "columns": _column_plots(detection, frame, [name for name, _ in causes]),
        "ranked": _ranked(detection, frame, labels),
        **_measured(detection, labels),
    }


def _ranked(detection: Detection, frame: pd.DataFrame, labels: IntArray | None) -> list[_Anomaly]:
    scores, decision = detection.scores.values, detection.decision
    found = np.flatnonzero(decision.is_anomaly)
    top = found[np.argsort(-scores[found], kind="stable")][:MOST_ANOMALIES]
    shown = frame.iloc[top, :_MOST_CELLS]
    names = [str(name) for name in shown.columns]
    anomalies = []
    for item, cells in zip(top, shown.itertuples(index=False, name=None), strict=True):
        row = int(detection.rows[item])
        explanation = detection.explanations.get(row)
        anomalies.append(
            _Anomaly(
                row=row,
                score=float(scores[item]),
                p_value=float(decision.p_values[item]),
                label=None if labels is None else int(labels[item]),
                reasons=explanation.reasons[:_MOST_REASONS] if explanation else (),
                cells=list(zip(names, cells, strict=True)),
            )
        )
    return anomalies


def _causes(detection: Detection) -> list[tuple[str, float]]:
    """Return the columns that weigh most in the explanations, each with its mean weight."""
    total: dict[str, float] = {}
    for explanation in detection.explanations.values():
        for reason in explanation.reasons:
            total[reason.name] = total.get(reason.name, 0.0) + reason.weight
    heaviest = sorted(total.items(), key=lambda pair: -pair[1])[:_MOST_CAUSES]
    return [(name, weight / len(detection.explanations)) for name, weight in heaviest]


def _column_plots(
    detection: Detection, frame: pd.DataFrame, names: list[str]
) -> list[tuple[str, str]]:
    place = {str(name): position for position, name in enumerate(frame.columns)}
    drawn: list[tuple[str, str]] = []
    for name in names:
        if name not in place or len(drawn) == _MOST_COLUMN_PLOTS:
            continue
        column = frame.iloc[:, place[name]]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            svg = plots.column_histogram(numbers, detection.decision.is_anomaly, name)
            drawn.append((name, _image(svg)))
    return drawn


def _measured(detection: Detection, labels: IntArray | None) -> dict[str, Any]:
    if labels is None:
        return {"labelled": False, "ranking": None, "classification": None, "measures": []}
    ranked = ranking(labels, detection.scores.values)
    called = classification(labels, detection.decision.is_anomaly)
    at_threshold = asdict(called)
    return {
        "labelled": True,
        "ranking": ranked,
        "classification": called,
        "measures": [
            *((_words(name), at_threshold[name]) for name in list(at_threshold)[:7]),
            ("ROC area", ranked.roc_auc),
            ("Average precision", ranked.pr_auc),
            ("Best F1 of any threshold", ranked.best_f1),
            (f"Precision of the top {ranked.anomalies}", ranked.precision_at_n),
        ],
    }


def _words(name: str) -> str:
    return {"f1": "F1", "mcc": "Matthews correlation"}.get(
        name, name.replace("_", " ").capitalize()
    )


def _plots(
    detection: Detection, labels: IntArray | None, embedding: FloatArray | None
) -> dict[str, str]:
    scores, decision = detection.scores.values, detection.decision
    drawn = {
        "histogram": plots.score_histogram(scores, decision.threshold, labels),
        "rows": plots.score_rows(scores, detection.rows, decision.is_anomaly, decision.threshold),
        "roc": "",
        "precision_recall": "",
        "map": "",
    }
    if labels is not None and 0 < labels.sum() < len(labels):
        drawn["roc"] = plots.roc_plot(labels, scores, decision.threshold)
        drawn["precision_recall"] = plots.precision_recall_plot(labels, scores, decision.threshold)
    if embedding is not None:
        drawn["map"] = plots.latent_map(embedding, scores, decision.is_anomaly)
    return {name: _image(svg) if svg else "" for name, svg in drawn.items()}


def _settings(card: Card, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    packages = ("tocsin", "numpy", "scikit-learn", "torch")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return [
        ("Detector", f"{card.name}: {card.summary}"),
        ("Kind", f"{card.family}; learns {', '.join(card.learning)}; {card.cost}"),
        ("Paper", card.paper),
        *((_words(name), str(value)) for name, value in settings.items()),
        ("Versions", f"{versions}, Python {platform.python_version()}"),
    ]


def _render(context: dict[str, Any]) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"shown": _shown, "percent": _percent, "share": _share, "short": _short}
    script = environment.get_template("report.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html").render(context, script_hash=f"sha256-{digest}")


def _image(svg: str) -> str:
    """Return SVG as a data URI, its colours following the reader's light or dark setting."""
    light = "".join(f"{name}:{colour};" for colour, name in _THEME.items())
    dark = "".join(f"{name}:{colour};" for name, colour in zip(_THEME.values(), _DARK, strict=True))
    for colour, name in _THEME.items():
        svg = svg.replace(colour, f"var({name})")
    svg = svg[svg.index("<svg") :].replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans'")
    style = f"<style>svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    opened = svg.index(">") + 1
    themed = svg[:opened] + style + svg[opened:]
    return "data:image/svg+xml;base64," + base64.b64encode(themed.encode()).decode()


def _shown(value: Any) -> str:
    """Return a value for reading: four figures for numbers, a dash for nothing.

    >>> _shown(12345.678), _shown(0.00012345), _shown(None), _shown(3.0)
    ('12,346', '0.0001234', '–', '3')
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return "–"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        return _short(value)
    number = float(value) + 0.0  # so that -0 reads 0
    if math.isnan(number):
        return "–"
    if not 1e-4 <= abs(number) < 1e9 and number != 0:
        return f"{number:.4g}"
    if float(number).is_integer() or abs(number) >= 1e4:
        return f"{number:,.0f}"
    return f"{number:.4g}"


def _percent(value: float) -> str:
    return f"{100 * value:.3g}\N{NO-BREAK SPACE}%"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def _replace(path: Path, text: str) -> Path:
    """Write a file under a temporary name beside it, then rename it into place."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise ParameterError(f"The report cannot be written to {path}: {error}.") from error
    finally:
        temporary.unlink(missing_ok=True)
    return path
