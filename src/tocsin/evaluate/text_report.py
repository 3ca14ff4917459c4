"""The report of texts: one self-contained HTML file, the telling words marked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from tocsin.evaluate.item_report import pieces, write_item_report
from tocsin.printable import printable
from tocsin.types import Card, Explanation, Reason, TextDetection

_MOST_CHARACTERS = 1200
_MOST_NEAREST = 400
_KEPT = "\n\t"


@dataclass(frozen=True, slots=True)
class _Shown:
    """A text in pieces, marked or not, and the most similar normal one."""

    pieces: list[tuple[str, float | None]]
    nearest: str | None


def write_text_report(
    path: str | os.PathLike[str],
    detection: TextDetection,
    *,
    card: Card,
    settings: Mapping[str, Any] | None = None,
    command: str | None = None,
    labels: ArrayLike | None = None,
    title: str = "Anomalies",
) -> Path:
    """Write what was detected in texts as one HTML file that loads nothing; return its path.

    ``card``: of the detector that scored them. ``settings`` and ``command`` are shown as what it
    takes to reproduce the result. ``labels`` (n,), 1 = anomaly, add measures and curves. The
    table holds the 200 most anomalous texts, 1,200 characters of each at most. A file of that
    name is replaced only when the new one is complete.

    Raises InputError for labels of another length, and ParameterError when ``path`` cannot be
    written.
    """

    def show(item: int) -> _Shown:
        row, text = int(detection.rows[item]), detection.texts[item]
        nearest = detection.nearest.get(row)
        return _Shown(
            pieces(text, detection.marks.get(row, ()), _MOST_CHARACTERS, _KEPT),
            None if nearest is None else printable(_cut(nearest), keep=_KEPT),
        )

    told = {row: Explanation(row, _beside_marks(detection, row)) for row in detection.explanations}
    return write_item_report(
        path,
        "text_report.html",
        replace(detection, explanations=told),
        show,
        card=card,
        settings=settings,
        command=command,
        labels=labels,
        title=title,
        unit="text",
        more={"characters": sum(map(len, detection.texts))},
    )


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_NEAREST else f"{text[:_MOST_NEAREST]}…"


def _beside_marks(detection: TextDetection, row: int) -> tuple[Reason, ...]:
    """Return what is said of a text besides its marked words, these where there is nothing else."""
    at = int(np.flatnonzero(detection.rows == row)[0])
    text = detection.texts[at]
    marked = {text[mark.start : mark.end] for mark in detection.marks.get(row, ())}
    reasons = detection.explanations[row].reasons
    rest = tuple(reason for reason in reasons if reason.name not in marked) or reasons
    return tuple(each if each.seen is not None else replace(each, seen="") for each in rest)
