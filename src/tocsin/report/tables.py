"""The report of tables: one self-contained HTML file with rows, reasons and columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tocsin.base.abilities import Embeds
from tocsin.errors import InputError
from tocsin.report.base import Model
from tocsin.report.items import ItemReport
from tocsin.report.page import image
from tocsin.report.plots.tables import column_histogram, latent_map
from tocsin.types import Detection, FloatArray

_MOST_CELLS = 40
_MOST_COLUMN_PLOTS = 4


class TableReport(ItemReport):
    """The report of rows: values, columns that weigh most, and the latent map of a network."""

    modality = "tables"
    unit = "row"
    template = "tables.html"

    @classmethod
    def show_item(
        cls, detection: Detection, item: int, data: pd.DataFrame
    ) -> list[tuple[str, Any]]:
        """Return the first values of a row, by column."""
        cells = data.iloc[[item], :_MOST_CELLS]
        values = next(cells.itertuples(index=False, name=None))
        return list(zip(map(str, cells.columns), values, strict=True))

    @classmethod
    def context(cls, detection: Detection, pipeline: Model, data: pd.DataFrame) -> dict[str, Any]:
        """Return the plots of columns and of the latent space.

        ``data``: the n rows as the user gave them; InputError when there are not n.
        """
        if len(data) != len(detection):
            raise InputError(
                f"The report shows {len(detection)} detections, but the frame has {len(data)} rows."
            )
        names = [name for name, _ in cls.heaviest(detection)]
        return {
            "width": data.shape[1],
            "columns": _draw_columns(detection, data, names),
            "plots": {"map": _draw_map(detection, _embed(pipeline, data))},
        }


def _embed(pipeline: Model, data: pd.DataFrame) -> FloatArray | None:
    """Return where the rows (n, k) are in the model's latent space, if it has one."""
    if not isinstance(getattr(pipeline, "detector_", None), Embeds):
        return None
    points = np.asarray(pipeline.embed(data), dtype=np.float64)  # type: ignore[attr-defined]
    if len(points) != len(data):
        raise InputError(f"The embedding has {len(points)} rows for {len(data)} detections.")
    return points


def _draw_map(detection: Detection, points: FloatArray | None) -> str:
    if points is None:
        return ""
    scores, calls = detection.scores.values, detection.decision.is_anomaly
    return image(latent_map(points, scores, calls))


def _draw_columns(
    detection: Detection, frame: pd.DataFrame, names: list[str]
) -> list[tuple[str, str]]:
    place = {str(name): position for position, name in enumerate(frame.columns)}
    drawn: list[tuple[str, str]] = []
    for name in names:
        if name not in place or len(drawn) == _MOST_COLUMN_PLOTS:
            continue
        column = frame.iloc[:, place[name]]
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
            svg = column_histogram(numbers, detection.decision.is_anomaly, name)
            drawn.append((name, image(svg)))
    return drawn
