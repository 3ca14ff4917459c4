"""The pictures and reports that commands write of what they detected."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin.errors import ParameterError

if TYPE_CHECKING:
    from tocsin.pipeline import AnyPipeline
    from tocsin.types import Detection, IntArray


def draw(
    report: Path | None,
    png: Path | None,
    made: AnyPipeline,
    frame: Any,
    known: IntArray | None,
    detection: Detection,
    title: str,
) -> None:
    """Write the report and the picture that were asked for, of what ``made`` found in ``frame``.

    ``known``: the labels (n,) of the rows, texts or sessions, 1 = anomaly. Raises ParameterError
    for a picture of anything but series, and when a file cannot be written.
    """
    from tocsin.types import LogDetection, SeriesDetection, TextDetection

    for path in filter(None, (report, png)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if png is not None:
        if not isinstance(detection, SeriesDetection):
            raise ParameterError("--png draws time series; ask for a --report of anything else.")
        from tocsin.evaluate.series_plots import write_png

        write_png(png, detection)
    if report is None:
        return
    about: dict[str, Any] = {
        "card": made.card,
        "settings": made.settings,
        "command": shlex.join(["tocsin", *sys.argv[1:]]),
        "title": title,
    }
    if isinstance(detection, SeriesDetection):
        from tocsin.evaluate.series_report import write_series_report

        marked = None if known is None else detection.at_points(known)
        write_series_report(report, detection, labels=marked, **about)
        return
    if isinstance(detection, LogDetection):
        from tocsin.evaluate.log_report import write_log_report

        write_log_report(report, detection, labels=known, **about)
        return
    if isinstance(detection, TextDetection):
        from tocsin.evaluate.text_report import write_text_report

        write_text_report(report, detection, labels=known, **about)
        return
    from tocsin.evaluate.report import write_report

    embedding = (
        made.embed(frame) if hasattr(made, "embed") and hasattr(made.detector_, "embed") else None
    )
    write_report(report, detection, frame=frame, labels=known, embedding=embedding, **about)
