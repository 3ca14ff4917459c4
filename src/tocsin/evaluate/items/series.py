"""Points of series: what comes first is learned from, and all are scored."""

from __future__ import annotations

from typing import Any

import numpy as np

from tocsin.errors import ParameterError
from tocsin.evaluate.items.base import Items
from tocsin.evaluate.results import SeriesResult, measure_series
from tocsin.evaluate.splits import Split
from tocsin.pipeline import BasePipeline
from tocsin.types import IntArray


class SeriesItems(Items):
    """The rows of a table of series, in their order."""

    modality = "series"
    split = "time"

    def parts(
        self, y: IntArray, split: Split, seed: int, train_items: int | None = None
    ) -> tuple[IntArray, IntArray]:
        """Return the first rows, ``train_items`` of them, and all rows, which are tested.

        Without ``train_items``, training ends before the first anomaly, and at half of the rows at
        most; where fewer than a tenth would be left, the whole is learned from, without labels.
        Raises ParameterError for more rows than there are, and for a random split.
        """
        if split != "time":
            raise ParameterError(f"Points of series can be split by time only; got {split!r}.")
        if train_items is None:
            clean = min([*np.flatnonzero(y)[:1].tolist(), len(y) // 2])
            train_items = clean if clean >= len(y) // 10 else len(y)
        if train_items > len(y):
            raise ParameterError(f"There are {len(y)} rows; {train_items} were asked to train on.")
        return np.arange(train_items), np.arange(len(y))

    def measure(
        self, pipeline: BasePipeline, detection: Any, y: IntArray, **about: Any
    ) -> SeriesResult:
        """Return the measures of a detection against the labels (n,) of its points."""
        return measure_series(detection, y, pipeline.detector_name, about.get("seconds", 0.0))
