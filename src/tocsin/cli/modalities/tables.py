"""Tables on the command line: any file that nothing else recognises; scored in chunks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tocsin.cli.modalities.base import ModalityCli, Outcome
from tocsin.types import Detection

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.cli.inputs import Input
    from tocsin.types import Drift, IntArray


class TableCli(ModalityCli[Detection]):
    """Tables, whose rows stand alone."""

    modality = "tables"
    order = 100
    options = frozenset({"label", "scale", "adapt"})
    noun = "a table"

    def recognises(self, source: Input) -> bool:
        """Return True: what nothing before recognised is read as a table."""
        return True

    def load(self, source: Input) -> tuple[pd.DataFrame, IntArray | None]:
        """Return the table, with the columns of training if there is one, and its labels."""
        table, labels = source.split_label(source.table)
        pipeline: Any = source.pipeline
        return (table if pipeline is None else pipeline.preparer_.align(table)), labels

    def detect(self, pipeline: Any, data: Any, *, adapt: bool = False) -> Detection:
        """Return what a trained pipeline detects; with ``adapt``, around levels that moved."""
        detection: Detection = pipeline.detect(data, adapt=adapt)
        return detection

    def score(
        self,
        pipeline: Any,
        source: Input,
        write: Callable[[pd.DataFrame], None],
        *,
        top: int,
        chunk_rows: int,
        adapt: bool,
    ) -> Outcome[Detection]:
        """Score a table in chunks, in bounded memory; see ``ModalityCli.score``."""
        from tocsin.readers.table import iter_table

        if adapt:  # what moved is seen in all rows together
            return super().score(
                pipeline, source, write, top=top, chunk_rows=chunk_rows, adapt=adapt
            )
        ranking = Ranking(top)
        for chunk in iter_table(source.path, chunk_rows, known=pipeline.preparer_.known):
            rows = pipeline.preparer_.align(chunk)
            write(self.columns(ranking.add(rows, pipeline.detect(rows, explain=False))))
        return Outcome(ranking.best(pipeline), ranking.rows, ranking.found)

    def remarks(self, data: pd.DataFrame) -> list[str]:
        """Return how to score the texts of a table, if a column holds such."""
        from tocsin.prepare.text import reads_as_text

        column = reads_as_text(data)
        if column is None:
            return []
        return [f'column "{column}" holds texts; pass --text "{column}" to score them']


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
        """Count a chunk, and return its detection with rows numbered as in the whole table."""
        for row in detection.anomalies[: self._top]:
            score = float(detection.scores.values[row])
            self._kept.append((-score, self.rows + int(row), frame.iloc[[row]]))
        self._kept = sorted(self._kept, key=lambda kept: kept[:2])[: self._top]
        numbered: Detection = replace(detection, rows=detection.rows + self.rows)
        if self.drift is None and (drift := detection.drift) is not None:
            first, last = self.rows + drift.first, self.rows + drift.last
            self.drift = replace(drift, first=first, last=last)
        self.rows += len(detection)
        self.found += len(detection.anomalies)
        return numbered

    def best(self, pipeline: Any) -> Detection:
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
        numbered: Detection = replace(
            detection, rows=rows, explanations=reasons, notes=tuple(notes), drift=self.drift
        )
        return numbered
