"""What the checks work on: a detector under check, made-up data, and one fit of it."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from tocsin.base import Detector
from tocsin.checks.asserting import require_training_scores, scored
from tocsin.store import folder
from tocsin.types import FloatArray, IntArray

Items = NDArray[Any]
"""Rows (n, d), points (n, channels), or texts, log sessions or images (n,)."""


class Subject:
    """An untrained detector under check; ``fitted`` is one copy, trained once on easy data.

    Each modality has its own, which makes the data: ``normal`` to learn from, ``unseen`` of
    the same kind, and what is anomalous in ``testing``. Its checks are the functions ``check_…``
    of the modules ``shared`` with others, and of the module that it stands in.
    """

    modality: ClassVar[str]
    shared: ClassVar[tuple[ModuleType, ...]] = ()

    least_area: ClassVar[float]
    """What the ROC AUC on easy data is above."""
    shares: ClassVar[tuple[float, float]]
    """The least and the largest share of unseen items above 90 % of the training scores."""
    least: ClassVar[int] = 2
    """The fewest items to learn from."""

    normal: Items
    unseen: Items

    def __init__(self, detector: Detector) -> None:
        self.detector = detector

    def new(self, **changed: Any) -> Detector:
        """Return an untrained copy, with other parameters where named."""
        copy: Detector = clone(self.detector).set_params(**changed)
        return copy

    @property
    def training(self) -> tuple[Items, IntArray | None]:
        """Easy items to learn from: with anomalies and labels if the detector needs them."""
        return self.normal, None

    @property
    def testing(self) -> tuple[Items, IntArray]:
        """Items the detector has not seen, and which of them are anomalies."""
        raise NotImplementedError

    @property
    def calibration(self) -> tuple[FloatArray, FloatArray]:
        """The training scores that a threshold is set by, and scores of unseen normal items."""
        raise NotImplementedError

    @property
    def bad(self) -> dict[str, Any]:
        """Inputs that neither ``fit`` nor ``score`` takes, by what is wrong with them."""
        raise NotImplementedError

    def unlike(self, X: Items) -> Items:
        """Return one item that is unlike these."""
        raise NotImplementedError

    def fit(self, X: Any, **changed: Any) -> Detector:
        """Return a copy trained on these; every fourth is labelled an anomaly if need be."""
        n = len(X) if self.detector.needs_labels and hasattr(X, "__len__") else 0
        labels = (np.arange(n) % 4 == 1).astype(np.int64)
        return self.new(**changed).fit(X, labels if self.detector.needs_labels else None)

    @cached_property
    def fitted(self) -> Detector:
        """A copy trained on the easy data. Checks must leave it as it is."""
        X, y = self.training
        return self.new().fit(X, y)

    def fits(self, X: Items, **changed: Any) -> Detector:
        """Return a copy trained on these, its training scores and its scores of them checked."""
        detector = self.fit(X, **changed)
        require_training_scores(detector, len(X))
        scored(detector, X)
        scored(detector, self.unlike(X))
        return detector

    def restored(self, detector: Detector) -> Detector:
        """Return what comes back from the folder that a trained detector is written to.

        Raises NotSavable for a detector without a safe file format.
        """
        state = detector.get_state()
        with tempfile.TemporaryDirectory() as path:
            folder.save_state(Path(path) / "model", state, {})
            loaded, _ = folder.load_state(Path(path) / "model")
        return self.new().set_state(loaded)


class MatrixSubject(Subject):
    """Data of numbers: rows or points of several columns or channels."""

    spots: IntArray
    """Positions among the unseen items where single values can be changed."""

    @property
    def testing_first(self) -> tuple[FloatArray, IntArray]:
        """As ``testing``, with anomalies in the first column or channel alone."""
        raise NotImplementedError

    @property
    def bad(self) -> dict[str, Any]:
        """Inputs that neither ``fit`` nor ``score`` takes, by what is wrong with them."""
        good = self.normal[:40]
        holes, infinite = good.copy(), good.copy()
        holes[3, 1], infinite[3, 1] = np.nan, np.inf
        return {
            "missing values": holes,
            "infinite values": infinite,
            "three dimensions": good[:, :, None],
            "nothing": good[:0],
            "no columns": good[:, :0],
            "text": np.full(good.shape, "red"),
        }

    def unlike(self, X: Items) -> Items:
        """Return the first item, moved by 1 in every column."""
        return X[:1] + 1.0


class ItemSubject(Subject):
    """Data of items that have nothing to do with each other: rows, texts, sessions or images."""

    anomalies: Items
    """60 of them; the first 30 may be learned from."""

    @property
    def training(self) -> tuple[Items, IntArray | None]:
        """Easy items to learn from, with 30 anomalies if the detector needs labels."""
        if not self.detector.needs_labels:
            return self.normal, None
        return _labelled(self.normal, self.anomalies[:30])

    @property
    def testing(self) -> tuple[Items, IntArray]:
        """The unseen items, then 30 anomalies."""
        return _labelled(self.unseen, self.anomalies[30:])

    @property
    def calibration(self) -> tuple[FloatArray, FloatArray]:
        """The scores of normal training items, and of the unseen ones."""
        _, y = self.training
        own = self.fitted.training_scores_
        return own if y is None else own[y == 0], self.fitted.score(self.unseen).values


def _labelled(normal: Items, anomalies: Items) -> tuple[Items, IntArray]:
    labels: IntArray = np.repeat([0, 1], [len(normal), len(anomalies)])
    return np.concatenate([normal, anomalies]), labels
