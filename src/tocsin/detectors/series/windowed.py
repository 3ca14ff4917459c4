"""Any table detector over the windows of a series, by its name."""

from __future__ import annotations

from typing import Any

from tocsin import registry
from tocsin.base import TableDetector
from tocsin.detectors.series._subsequences import SubsequenceDetector
from tocsin.errors import CorruptModel, ParameterError
from tocsin.types import Card, FloatArray, Scores


class Windowed(SubsequenceDetector):
    """The table detector ``model``, with its own ``parameters``, over windows as rows.

    ``registry.create("windowed:pca", "series")`` is ``Windowed("pca")``. A row is a window of
    ``window`` points (None: 100, or the dominant period of a single channel if it is longer; at
    most a quarter of the training series), standardised, in at most 32 smoothed points a
    channel, without the window's own mean unless ``centre`` is false. It learns from at most
    5,000 rows. A point's score is the mean over the windows that cover it; ``parts`` and
    ``expected`` (n, channels) are there where the table detector has them. Raises UnknownName
    for a model that tables do not have, and ParameterError for one that learns from labels,
    for parameters that it does not take, or for a window below 2 points.

    >>> import numpy as np
    >>> wave = np.sin(np.arange(1000) / 5)
    >>> broken = wave.copy()
    >>> broken[700:710] = 0
    >>> scores = Windowed("neighbours").fit(wave[:500]).score(broken)
    >>> 600 < int(scores.values.argmax()) < 800
    True
    """

    card = Card(
        name="windowed",
        modality="series",
        family="composite",
        learning=("one-class", "unlabelled"),
        summary="Any table detector by its name over windows, as windowed:pca.",
        paper="Schmidl, Wenig, Papenbrock, Anomaly Detection in Time Series, VLDB 2022",
        cost="four fits of the detector named on at most 5,000 rows, 16 rows per window to score",
    )

    rows_: TableDetector

    def __init__(
        self,
        model: str = "pca",
        window: int | None = None,
        centre: bool = True,
        parameters: dict[str, Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.window = window
        self.centre = centre
        self.parameters = parameters
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters that make this detector small enough for the contract checks."""
        return {"model": "neighbours"}

    def _learn_rows(self, V: FloatArray) -> None:
        parameters = dict(self.parameters or {})
        cls = registry.find(self.model, "tables")
        if cls.needs_labels:
            raise ParameterError(
                f'The table detector "{self.model}" learns from labels; windows have none. '
                "Take one that does not."
            )
        if "seed" in cls.parameter_names():
            parameters.setdefault("seed", self.seed)
        self.rows_ = registry.create(self.model, "tables", **parameters)
        # Not fit: the scores that it would give to its own rows, by folds, are not needed.
        self.rows_._check_all_parameters()
        self.rows_._fit(self.rows_._check_training(V), None)

    def _derive(self) -> None:
        if self.rows_.n_features_in_ != self.points_ * len(self.scored_):
            raise CorruptModel("The detector of windows was trained on windows of another size.")

    def _compare(self, V: FloatArray) -> Scores:
        return self.rows_._score(V)
