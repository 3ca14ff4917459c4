"""Scores into a file, chunk by chunk, whole or not at all."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tocsin.errors import ParameterError
from tocsin.files import replacing

if TYPE_CHECKING:
    import pandas as pd

    from tocsin.types import Detection, ImageDetection, TextDetection

FORMATS = (".csv", ".parquet", ".jsonl")


class Writer:
    """Writes row, score, p_value, is_anomaly, and of series the time and the entity.

    Of logs, in place of the row, the key of a session and the file and number of its first line.
    Of texts also ``marked``, the words that made an explained anomaly such; of images the name,
    and ``regions``, a JSON list of boxes [left, top, right, bottom] in pixels.

    The file appears when the block ends well. Without a path it writes nothing. Raises
    ParameterError for an unknown ending.
    """

    def __init__(self, path: Path | None) -> None:
        if path is not None and path.suffix not in FORMATS:
            raise ParameterError(f'Scores go to {", ".join(FORMATS)}; got "{path.name}".')
        self._path = path
        self._replacing = ExitStack()
        self._temporary = Path()
        self._parquet: Any = None
        self._started = False

    def __enter__(self) -> Self:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = self._replacing.enter_context(replacing(self._path))
        return self

    def write(self, detection: Detection) -> None:
        """Append one chunk."""
        if self._path is None:
            return
        import pandas as pd

        from tocsin.types import ImageDetection, LogDetection, SeriesDetection, TextDetection

        frame = pd.DataFrame(
            {
                "row": detection.rows,
                "score": detection.scores.values,
                "p_value": detection.decision.p_values,
                "is_anomaly": detection.decision.is_anomaly,
            }
        )
        if isinstance(detection, SeriesDetection):
            for name in ("times", "entities"):
                if (values := getattr(detection, name)) is not None:
                    frame.insert(0, {"times": "time", "entities": "entity"}[name], values)
        if isinstance(detection, LogDetection):
            places = {"key": detection.keys, "file": detection.files, "line": detection.numbers}
            frame = pd.DataFrame(places).join(frame.drop(columns="row"))
        if isinstance(detection, TextDetection):
            frame["marked"] = [_marked(detection, row) for row in detection.rows.tolist()]
        if isinstance(detection, ImageDetection):
            frame.insert(1, "name", detection.names)
            frame["regions"] = [_boxes(detection, row) for row in detection.rows.tolist()]
        if self._path.suffix == ".parquet":
            self._write_parquet(frame)
        elif self._path.suffix == ".csv":
            frame.to_csv(self._temporary, mode="a", header=not self._started, index=False)
        else:
            frame.to_json(self._temporary, mode="a", orient="records", lines=True)
        self._started = True

    def _write_parquet(self, frame: pd.DataFrame) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.Table.from_pandas(frame, preserve_index=False)
        if self._parquet is None:
            self._parquet = pq.ParquetWriter(self._temporary, table.schema)
        self._parquet.write_table(table)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._parquet is not None:
            self._parquet.close()
        self._replacing.__exit__(kind, error, trace)


def _marked(detection: TextDetection, row: int) -> str:
    marks = detection.marks.get(row, ())
    return " ".join(detection.texts[row][mark.start : mark.end] for mark in marks)


def _boxes(detection: ImageDetection, row: int) -> str:
    found = detection.regions.get(row, ())
    boxes = [[each.left, each.top, each.right, each.bottom] for each in found]
    return json.dumps(boxes) if boxes else ""
