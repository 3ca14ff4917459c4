"""A report of beats: a list of the anomalous ones."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from tocsin.files import write_atomically
from tocsin.report.base import Model, Report
from tocsin.types import Detection


class PulseReport(Report):
    """One line per anomalous beat, with its reasons."""

    modality = "pulses"

    @classmethod
    def write(
        cls,
        path: str | os.PathLike[str],
        detection: Detection,
        *,
        pipeline: Model,
        data: Any = None,
        labels: ArrayLike | None = None,
        command: str | None = None,
        title: str = "Anomalies",
    ) -> Path:
        """Write the anomalous beats as an HTML list."""
        lines = [
            f"<li>beat {row}: {detection.explanations[row].reasons[0].name}</li>"
            for row in detection.anomalies.tolist()
        ]
        page = f"<!doctype html><h1>{html.escape(title)}</h1><ul>{''.join(lines)}</ul>"
        write_atomically(path, page)
        return Path(path)
