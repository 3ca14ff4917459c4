"""The files that ``tocsin detect`` writes: scores, a report, pictures, and the model."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

from tocsin import registry
from tocsin.cli.writer import score_writer

if TYPE_CHECKING:
    from tocsin.cli.loading import Loaded
    from tocsin.cli.options import OutputOptions
    from tocsin.pipeline import BasePipeline
    from tocsin.types import Detection, IntArray


def write(
    files: OutputOptions,
    loaded: Loaded,
    pipeline: BasePipeline,
    detection: Detection,
    labels: IntArray | None,
    *,
    key: bytes | None = None,
) -> None:
    """Write the files that were asked for.

    ``labels``: those of what was scored (n,), 1 = anomaly. ``key`` signs a saved model. Raises
    ParameterError when a file cannot be written.
    """
    if files.save is not None:
        pipeline.save(files.save, key=key)
    with score_writer(files.out) as write_scores:
        write_scores(loaded.cli.columns(detection))
    if files.given() <= {"save", "out"}:
        return
    report = registry.of_modality("report", loaded.cli.modality)
    for option, draw in report.pictures.items():
        if (path := getattr(files, option, None)) is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            draw(path, detection)
    if files.report is not None:
        files.report.parent.mkdir(parents=True, exist_ok=True)
        report.write(
            files.report,
            detection,
            pipeline=pipeline,
            data=loaded.data,
            labels=labels,
            command=shlex.join(["tocsin", *sys.argv[1:]]),
            title=loaded.source.path.resolve().name,
        )
