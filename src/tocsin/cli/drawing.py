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
    from tocsin import registry
    from tocsin.types import SeriesDetection

    for path in filter(None, (report, png)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(detection, SeriesDetection) and known is not None:
        known = detection.labels(known)
    reporter = registry.of_modality("report", made.modality)
    for option, drawn in (("png", png), ("overlays", overlays)):
        if drawn is not None:
            reporter.pictures[option](drawn, detection)
    if report is not None:
        reporter.write(
            report,
            detection,
            pipeline=made,
            data=frame,
            labels=known,
            command=shlex.join(["tocsin", *sys.argv[1:]]),
            title=title,
        )
