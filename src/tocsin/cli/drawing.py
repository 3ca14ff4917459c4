"""The pictures and reports that commands write of what they detected."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin.errors import ParameterError

if TYPE_CHECKING:
    from tocsin.pipeline import BasePipeline
    from tocsin.types import Detection, IntArray


def refuse_pictures(kind: str, png: Path | None, overlays: Path | None) -> None:
    """Raise ParameterError for pictures that are drawn of another kind of data than this."""
    for option, path, drawn, what in (
        ("--png", png, "series", "time series"),
        ("--overlays", overlays, "images", "images"),
    ):
        if path is not None and kind != drawn:
            raise ParameterError(f"{option} draws {what}; ask for a --report of anything else.")


def draw(
    report: Path | None,
    png: Path | None,
    made: BasePipeline,
    frame: Any,
    known: IntArray | None,
    detection: Detection,
    title: str,
    *,
    overlays: Path | None = None,
) -> None:
    """Write the report and the pictures that were asked for, of what ``made`` found in ``frame``.

    ``known``: the labels (n,) of the rows, texts, sessions or images, 1 = anomaly. Raises
    ParameterError when a file cannot be written.
    """
    from tocsin.types import ImageDetection, LogDetection, SeriesDetection, TextDetection

    for path in filter(None, (report, png)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if png is not None and isinstance(detection, SeriesDetection):
        from tocsin.evaluate.series_plots import write_png

        write_png(png, detection)
    if overlays is not None and isinstance(detection, ImageDetection):
        from tocsin.evaluate.image_plots import write_overlays

        write_overlays(overlays, detection)
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

        marked = None if known is None else detection.labels(known)
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
    if isinstance(detection, ImageDetection):
        from tocsin.evaluate.image_report import write_image_report

        write_image_report(report, detection, labels=known, **about)
        return
    from tocsin.evaluate.report import write_report

    embedding = (
        made.embed(frame) if hasattr(made, "embed") and hasattr(made.detector_, "embed") else None
    )
    write_report(report, detection, frame=frame, labels=known, embedding=embedding, **about)
