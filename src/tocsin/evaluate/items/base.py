"""Labelled items of which some are learned from and others scored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from tocsin.errors import InputError, ParameterError
from tocsin.evaluate.results import Result, SeriesResult, measure
from tocsin.evaluate.splits import Split, halves
from tocsin.pipeline import BasePipeline
from tocsin.readers.table import read_labels
from tocsin.types import Detection, IntArray


class Items:
    """Items of a modality, as held-out evaluation takes them apart.

    This class is for data that can be indexed: a data frame, an array or a list. A modality whose
    data cannot has a subclass, found by ``registry.of_modality("evaluate.items", modality)``.
    ``split``: that of the clean protocol where none is asked for. ``settings``: what was found in
    all items, so that a pipeline that sees only some of them reads them in the same way.

    >>> Items(["a", "b", "c"]).take(np.array([0, 2]))
    ['a', 'c']
    """

    split: ClassVar[Split] = "random"
    settings: Mapping[str, Any] = {}

    def __init__(self, data: Any) -> None:
        self.data = data

    @classmethod
    def read_by(cls, data: Any, pipeline: BasePipeline) -> Self:
        """Return the items that a pipeline, trained or not, finds in data as it takes them."""
        return cls(data)

    def __len__(self) -> int:
        return len(self.data)

    def take(self, positions: IntArray) -> Any:
        """Return some of the items as a pipeline takes them."""
        if isinstance(self.data, pd.DataFrame | pd.Series):
            return self.data.iloc[positions]
        if isinstance(self.data, np.ndarray):
            return self.data[positions]
        if not hasattr(self.data, "__getitem__"):
            raise InputError(
                f"Items cannot be taken from a {type(self.data).__name__}, which has no index: the "
                'package that adds this modality registers a part in "tocsin.evaluate.items".'
            )
        return [self.data[position] for position in positions.tolist()]

    def pick(self, detection: Detection, positions: IntArray) -> Detection:
        """Return of a detection for ``take(positions)`` what it states of these items."""
        return detection

    def labels(self, path: str | Path) -> IntArray:
        """Return the labels (n,), 1 = anomaly, that a file gives the items in their order.

        Raises UnreadableFile, and InputError for labels that do not fit.
        """
        labels = read_labels(path)
        if len(labels) != len(self):
            raise InputError(f"{path} has {len(labels):,} labels for {len(self):,} items.")
        return labels

    def parts(
        self, y: IntArray, split: Split, seed: int, train_items: int | None = None
    ) -> tuple[IntArray, IntArray]:
        """Return which items to learn from, normal ones, and which to test; see ``halves``."""
        if train_items is not None:
            raise ParameterError("Only of series, the number of points to train on can be set.")
        return halves(y, split, seed)

    def measure(
        self, pipeline: BasePipeline, detection: Detection, y: IntArray, **about: Any
    ) -> Result | SeriesResult:
        """Return the measures of a detection against labels y (n,); see ``results.measure``."""
        name = pipeline.detector_.card.name
        return measure(detection, y, name, seed=pipeline.seed, **about)
