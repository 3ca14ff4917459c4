"""A benchmark of beats."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


class PulseBench:
    """Detectors of beats on files NAME.pulses with labels in NAME.csv."""

    modality = "pulses"

    @staticmethod
    def command(data: Annotated[Path, typer.Option(help="A folder of NAME.pulses files.")]) -> None:
        """Measure the detectors of beats."""
        from tocsin.evaluate.holdout import hold_out
        from tocsin.evaluate.items import find_items
        from tocsin.readers.table import read_labels
        from tocsin_pulses.pipeline import PulsePipeline

        for path in sorted(data.glob("*.pulses")):
            if not path.with_suffix(".csv").exists():
                continue
            pipeline = PulsePipeline()
            items = find_items(pipeline.read(path), pipeline)
            labels = read_labels(path.with_suffix(".csv"))
            result, _, _ = hold_out(items, labels, pipeline, "clean")
            typer.echo(f"{path.stem} ROC AUC {result.ranking.roc_auc:.3f}")
