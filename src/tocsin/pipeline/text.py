"""The pipeline of texts: texts scored, anomalies shown with the words that made them anomalous."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.base import Detector
from tocsin.explain.text import TextBackground, explain_texts
from tocsin.pipeline.items import Found, ItemPipeline, PreparedItems
from tocsin.prepare.text import TextPreparer
from tocsin.readers.text import read_texts
from tocsin.types import Explanation, IntArray, TextDetection, Training


class TextPipeline(ItemPipeline[PreparedItems, TextDetection]):
    """From texts to anomalies with the words that made them anomalous, under a budget.

    ``detector``: a name (see ``tocsin.detectors.names("text")``) or an untrained detector.
    ``text``: the column of a table that holds the texts; None finds it. ``training``: what the
    training texts are: "clean" (normal only), "mixed" (unlabelled, some anomalous) or "guess".
    ``false_alarms``: the share of normal texts that may be flagged; or ``alarms_per_day`` with
    ``rows_per_day``, which counts texts. ``calibration``: see ``Pipeline``. ``reasons``: the
    words named at most for each anomaly. ``examples``: whether training texts are kept, to show
    the nearest one and what is unusual about a text.

    Texts are a list, an array or a Series of str, a data frame, or a path: a table, or a .txt
    file with a text in each line.

    >>> from tocsin import registry
    >>> usual = [f"see you at {hour} for {meal}" for hour in range(24) for meal in ("tea", "food")]
    >>> views = registry.create("text_views", "text", training="clean", encoder=None)
    >>> pipeline = TextPipeline(views).fit(usual)
    >>> detection = pipeline.detect(["see you at 7 for tea", "WIN £5000!!! txt 80086"])
    >>> [detection.texts[i] for i in detection.anomalies]
    ['WIN £5000!!! txt 80086']
    """

    modality = "text"
    item = "texts"
    most_explained = 50

    preparer_: TextPreparer
    background_: TextBackground

    def __init__(
        self,
        detector: str | Detector = "auto",
        *,
        text: str | None = None,
        training: Training = "guess",
        false_alarms: float = 0.01,
        alarms_per_day: float | None = None,
        rows_per_day: float | None = None,
        calibration: str = "extreme_value",
        examples: bool = True,
        reasons: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__(
            detector,
            training=training,
            false_alarms=false_alarms,
            alarms_per_day=alarms_per_day,
            rows_per_day=rows_per_day,
            calibration=calibration,
            reasons=reasons,
            seed=seed,
        )
        self.text = text
        self.examples = examples

    def _examples_kept(self) -> list[str]:
        count = len(self.background_.texts_)
        return [f"{count:,} training texts to compare with"] if count else []

    def read(self, path: str | Path) -> Any:
        """Return the texts of a .txt file, or the table of any other. Raises UnreadableFile."""
        return read_texts(path)

    @property
    def columns(self) -> list[str]:
        """The column that holds the texts; an empty list if there are no columns."""
        column = self.preparer_.column_
        return [] if column is None else [column]

    def _new_preparer(self) -> TextPreparer:
        return TextPreparer(self.text)

    def _remember(self, prepared: PreparedItems, known: IntArray | None) -> None:
        self.background_ = TextBackground(self.seed)
        kept = self._examples(known) if self.examples else np.empty(0, dtype=np.int64)
        self.background_.fit(prepared.items[kept])

    def _detection(
        self, found: Found[PreparedItems], shown: Sequence[int], explained: Sequence[int]
    ) -> TextDetection:
        texts = found.prepared.items
        reasons = explain_texts(
            self.detector_.chosen,
            [texts[row] for row in explained],
            self.background_,
            self.reasons,
        )
        explanations, marks, nearest = {}, {}, {}
        for row, (why, where) in zip(explained, reasons, strict=True):
            explanations[row] = Explanation(row, why)
            marks[row] = where
            if (near := self.background_.nearest(texts[row])) is not None:
                nearest[row] = near
        return TextDetection(
            found.scores,
            found.decision,
            np.arange(len(texts)),
            explanations,
            found.notes,
            found.drift,
            texts=texts,
            marks=marks,
            nearest=nearest,
        )

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "background": self.background_.get_state()}

    def _restore(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        super()._restore(state, about)
        self.background_ = TextBackground(self.seed).set_state(state["background"])
