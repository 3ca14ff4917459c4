"""``tocsin score``: score new rows with a trained model, chunk by chunk."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli import options

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.pipeline import Pipeline
    from tocsin.types import Detection, Drift


def score(
    model: options.Model,
    data: options.Data,
    out: options.Out = None,
    false_alarms: Annotated[
        float | None, typer.Option(help="Another share of normal rows that may be flagged.")
    ] = None,
    adapt: options.Adapt = False,
    chunk_rows: Annotated[
        int, typer.Option(help="Rows in memory at a time.", show_default=True, min=1)
    ] = 50_000,
    top: options.Top = 10,
    as_json: options.Json = False,
) -> None:
    """Score new rows with a trained model: tables and images in bounded memory, all else whole.

    With --adapt, tables are read whole too.
    """
    from tocsin.cli import building, show
    from tocsin.cli.writer import Writer
    from tocsin.pipeline import ImagePipeline, LogPipeline, Pipeline, TextPipeline, load
    from tocsin.readers.table import iter_table

    pipeline = load(model)
    if false_alarms is not None:
        pipeline.set_params(false_alarms=false_alarms, alarms_per_day=None)
        if isinstance(pipeline, LogPipeline):
            pipeline.set_params(own_threshold=False)
    if adapt:
        building.check_adapt(pipeline.modality, apart=True)
    if adapt or not isinstance(pipeline, Pipeline):
        with show.progress("Scoring"), Writer(out) as writer:
            reads = isinstance(pipeline, LogPipeline | TextPipeline | ImagePipeline)
            given = data if reads else pipeline.read(data)
            if isinstance(pipeline, Pipeline):  # what moved is seen in all rows together
                detection = pipeline.detect(given, adapt=True)
            else:
                detection = pipeline.detect(given)
            writer.write(detection)
        _print_whole(detection, pipeline.detector_name, top, as_json=as_json)
        if out is not None and not as_json:
            typer.echo(f"Wrote {out}")
        return
    ranking = Ranking(top)
    with show.progress("Scoring"), Writer(out) as writer:
        for chunk in iter_table(data, chunk_rows, known=pipeline.preparer_.known):
            frame = pipeline.preparer_.align(chunk)
            writer.write(ranking.add(frame, pipeline.detect(frame, explain=False)))
    name, best = pipeline.detector_name, ranking.best(pipeline)
    if as_json:
        shown = show.as_dict(best, name) | {"rows": ranking.rows, "found": ranking.found}
        show.print_json(shown)
        return
    show.print_headline(ranking.found, ranking.rows, name, best)
    show.print_anomalies(best, top, ranking.found)
    if out is not None:
        typer.echo(f"Wrote {out}")


def _print_whole(detection: Detection, name: str, top: int, *, as_json: bool) -> None:
    from tocsin.cli import show

    if as_json:
        show.print_json(show.as_dict(detection, name))
    else:
        show.print_detection(detection, name, top)


class Ranking:
    """Counts the anomalies of a table read in chunks, and keeps the most anomalous rows.

    ``drift`` is that of the first chunk that has one.
    """

    drift: Drift | None = None

    def __init__(self, top: int) -> None:
        self.rows = self.found = 0
        self._top = top
        self._kept: list[tuple[float, int, pd.DataFrame]] = []

    def add(self, frame: pd.DataFrame, detection: Detection) -> Detection:
        """Take in a chunk and return its detection, rows numbered as in the whole table."""
        for row in detection.anomalies[: self._top]:
            score = float(detection.scores.values[row])
            self._kept.append((-score, self.rows + int(row), frame.iloc[[row]]))
        self._kept = sorted(self._kept, key=lambda kept: kept[:2])[: self._top]
        numbered: Detection = dataclasses.replace(detection, rows=detection.rows + self.rows)
        if self.drift is None and (drift := detection.drift) is not None:
            first, last = self.rows + drift.first, self.rows + drift.last
            self.drift = dataclasses.replace(drift, first=first, last=last)
        self.rows += len(detection)
        self.found += len(detection.anomalies)
        return numbered

    def best(self, pipeline: Pipeline) -> Detection:
        """Return the kept rows with their reasons, numbered as in the whole table."""
        import numpy as np
        import pandas as pd

        from tocsin.types import Detection, Scores

        if not self._kept:
            nothing = Scores(np.zeros(0))
            rows = np.zeros(0, dtype=np.int64)
            return Detection(nothing, pipeline.decide(nothing), rows, notes=pipeline.notes_)
        rows = np.array([row for _, row, _ in self._kept])
        detection = pipeline.detect(pd.concat([frame for *_, frame in self._kept]))
        reasons = {int(rows[i]): why for i, why in detection.explanations.items()}
        # The most anomalous rows alone always look like drift.
        notes = [note for note in detection.notes if note != str(detection.drift)]
        notes += [] if self.drift is None else [str(self.drift)]
        numbered: Detection = dataclasses.replace(
            detection, rows=rows, explanations=reasons, notes=tuple(notes), drift=self.drift
        )
        return numbered
