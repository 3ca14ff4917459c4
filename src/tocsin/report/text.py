"""The report of texts: one self-contained HTML file, the telling words marked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tocsin.printable import printable
from tocsin.report.base import Model
from tocsin.report.items import ItemReport
from tocsin.report.marks import pieces
from tocsin.types import Reason, TextDetection

_MOST_CHARACTERS = 1200
_MOST_NEAREST = 400
_KEPT = "\n\t"


@dataclass(frozen=True, slots=True)
class _Text:
    """A text in pieces, marked or not, and the most similar normal one."""

    pieces: list[tuple[str, float | None]]
    nearest: str | None


class TextReport(ItemReport):
    """The report of texts, each with its telling words marked beside the nearest normal one."""

    modality = "text"
    unit = "text"
    template = "text.html"

    @classmethod
    def show_item(cls, detection: TextDetection, item: int, data: Any) -> _Text:
        """Return a text in pieces, 1,200 characters at most, and the nearest normal one."""
        row, text = int(detection.rows[item]), detection.texts[item]
        nearest = detection.nearest.get(row)
        return _Text(
            pieces(text, detection.marks.get(row, ()), _MOST_CHARACTERS, _KEPT),
            None if nearest is None else printable(_truncate(nearest), keep=_KEPT),
        )

    @classmethod
    def context(cls, detection: TextDetection, pipeline: Model, data: Any) -> dict[str, Any]:
        """Return how long all texts are together."""
        return {"characters": sum(map(len, detection.texts))}

    @classmethod
    def reasons(cls, detection: TextDetection, row: int) -> tuple[Reason, ...]:
        """Return the reasons besides the marked words; these where there is nothing else."""
        at = int(np.flatnonzero(detection.rows == row)[0])
        text = detection.texts[at]
        marked = {text[mark.start : mark.end] for mark in detection.marks.get(row, ())}
        reasons = super().reasons(detection, row)
        rest = tuple(reason for reason in reasons if reason.name not in marked) or reasons
        return tuple(each if each.seen is not None else replace(each, seen="") for each in rest)


def _truncate(text: str) -> str:
    return text if len(text) <= _MOST_NEAREST else f"{text[:_MOST_NEAREST]}…"
