"""The template of pipelines whose items stand alone: texts, log sessions, images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.base import Detector, check_labels
from tocsin.pipeline.base import BasePipeline, check_rows
from tocsin.types import (
    Decision,
    Detection,
    Drift,
    Explanation,
    FloatArray,
    IntArray,
    Reason,
    Scores,
    Training,
)

_ORDINARY = 0.9
"""The share of unlabelled training items, those of the lowest scores, taken as examples."""


class Prepared(Protocol):
    """What was made of the data that a call was given."""

    @property
    def items(self) -> NDArray[Any]:
        """What the detector takes (n,)."""

    @property
    def notes(self) -> Sequence[str]:
        """What was found and done, in plain words."""


@dataclass(frozen=True, slots=True)
class PreparedItems:
    """Items (n,) as the detector takes them, and what was done to get them."""

    items: NDArray[Any]
    notes: Sequence[str] = ()


P = TypeVar("P", bound=Prepared)
D = TypeVar("D", bound=Detection)


@dataclass(frozen=True, slots=True)
class Found(Generic[P]):
    """The answer before any item is explained."""

    prepared: P
    scores: Scores
    decision: Decision
    notes: tuple[str, ...]
    drift: Drift | None = None

    def ranked(self) -> list[int]:
        """Return the places of the anomalies, the most anomalous first."""
        every: IntArray = np.arange(len(self.scores))
        ranked: list[int] = Detection(self.scores, self.decision, every).anomalies.tolist()
        return ranked


class ItemPipeline(BasePipeline, Generic[P, D]):
    """From items that stand alone to explained anomalies under a false-alarm budget.

    A subclass defines what prepares the items (``_new_preparer``) and what made one anomalous
    (``_reasons``), or makes a detection of its own (``_detection``). ``training``: what the
    training items are: "clean" (normal only), "mixed" (unlabelled, some anomalous) or "guess".
    """

    preparer_: Any

    def __init__(
        self,
        detector: str | Detector = "auto",
        *,
        training: Training = "guess",
        false_alarms: float = 0.01,
        alarms_per_day: float | None = None,
        rows_per_day: float | None = None,
        calibration: str = "extreme_value",
        reasons: int = 5,
        seed: int = 0,
    ) -> None:
        self.detector = detector
        self.training = training
        self.false_alarms = false_alarms
        self.alarms_per_day = alarms_per_day
        self.rows_per_day = rows_per_day
        self.calibration = calibration
        self.reasons = reasons
        self.seed = seed

    def fit(self, X: Any, y: Any = None, *, labels: ArrayLike | None = None) -> Self:
        """Learn what is normal; y is ignored, labels (n,), 1 = anomaly, are used.

        Raises UnreadableFile, SchemaMismatch for a column that is not there, InputError for data
        that cannot be learned from, and ParameterError for settings that cannot work.
        """
        self._learn(X, labels)
        return self

    def score(self, X: Any, y: Any = None) -> Scores:
        """Return the score of each item, higher = more anomalous; y is ignored.

        Raises NotFitted, UnreadableFile, SchemaMismatch and InputError.
        """
        return self._fitted().detector_.score(self._prepare(X).items)

    def fit_detect(self, X: Any, *, labels: ArrayLike | None = None, explain: bool = True) -> D:
        """Fit, and return the answer for the training items, each scored leaving itself out."""
        return self._answer(self._training_found(*self._learn(X, labels)), explain=explain)

    def detect(self, X: Any, *, explain: bool = True) -> D:
        """Return scores and decisions for new items, and reasons for the anomalies.

        Explains the most anomalous ones, at most ``most_explained``. Raises as ``score`` does.
        """
        return self._answer(self._found(X, self.most_explained if explain else 0), explain=explain)

    def explain(self, X: Any, items: Sequence[Any] | IntArray | None = None) -> D:
        """Return the answer with reasons for these items of X, or for the anomalies.

        Raises InputError for an item that is not there, and as ``score`` does.
        """
        if items is None:
            return self.detect(X)
        found = self._found(X, items)
        places = self._places(found.prepared, items)
        return self._detection(found, places, places)

    @property
    def columns(self) -> list[str]:
        """What single items have none of: an empty list."""
        return []

    @property
    def preparation_notes(self) -> list[str]:
        """What was found, cut, filled and counted in preparation."""
        return [*self.preparer_.notes_, *self.detector_.warnings_]

    @abstractmethod
    def _new_preparer(self) -> Any:
        """Return a ``Stateful`` that prepares items, not yet fitted.

        It has ``fit_transform(X)``, the items, ``prepare(X)``, the items and what was done to get
        them, and once it is fitted ``notes_``.
        """

    def _learn_preparation(self, preparer: Any, X: Any) -> P:
        """Fit the preparer to the training data, and return these prepared."""
        return cast("P", PreparedItems(preparer.fit_transform(self._opened(X))))

    def _prepare(self, X: Any) -> P:
        """Return new data prepared as those of training."""
        return cast("P", PreparedItems(*self.preparer_.prepare(self._opened(X))))

    def _opened(self, X: Any) -> Any:
        return self.read(X) if isinstance(X, str | Path) else X

    def _detection(self, found: Found[P], shown: Sequence[int], explained: Sequence[int]) -> D:
        """Return the answer, with what is shown of some items and the reasons of some."""
        explanations = {row: Explanation(row, self._reasons(found, row)) for row in explained}
        rows = np.arange(len(found.scores))
        every = Detection(
            found.scores, found.decision, rows, explanations, found.notes, found.drift
        )
        return cast("D", every)

    def _reasons(self, found: Found[P], place: int) -> tuple[Reason, ...]:
        """Return what made an item anomalous, the heaviest reason first; nothing by default."""
        return ()

    def _answer(self, found: Found[P], *, explain: bool) -> D:
        """Return the answer that shows the anomalies, and explains the most anomalous ones."""
        ranked = found.ranked()
        return self._detection(found, ranked, ranked[: self.most_explained] if explain else [])

    def _places(self, prepared: P, items: Sequence[Any] | IntArray) -> list[int]:
        """Return where the items that people name stand among those prepared."""
        places: list[int] = check_rows(items, len(prepared.items)).tolist()
        return places

    def _known(self, prepared: P, labels: ArrayLike) -> IntArray:
        """Return the labels of the prepared items, from those of all that were given."""
        return check_labels(labels, len(prepared.items))

    def _remember(self, prepared: P, known: IntArray | None) -> None:
        """Keep what explanations need of the training items; nothing by default."""

    def _learn(self, X: Any, labels: ArrayLike | None) -> tuple[P, IntArray | None]:
        detector = self._new_detector(seed=self.seed, training=self.training)
        preparer = self._new_preparer()
        prepared = self._learn_preparation(preparer, X)
        known = None if labels is None else self._known(prepared, labels)
        self.detector_ = detector.fit(prepared.items, known)
        self.preparer_ = preparer
        self._calibrate(prepared.items, known)
        self._remember(prepared, known)
        return prepared, known

    def _training_found(self, prepared: P, known: IntArray | None) -> Found[P]:
        scores = Scores(self.detector_.training_scores_)
        decision = self._decide_training(self._counted(known), scores.values, known)
        return Found(prepared, scores, decision, self.notes_)

    def _found(self, X: Any, explained: int | Sequence[Any] | IntArray = 0) -> Found[P]:
        """Return scores and decisions; ``explained``: how many, or which items, reasons follow for.

        Those of a subclass that explains by more than the scores keep it for these.
        """
        prepared = self._fitted()._prepare(X)
        return self._decided(prepared, self.detector_.score(prepared.items))

    def _decided(self, prepared: P, scores: Scores) -> Found[P]:
        decision = self.decide(scores)
        drift, remarks = self._drift(scores, decision)
        notes = tuple(dict.fromkeys([*self.notes_, *prepared.notes, *remarks]))
        return Found(prepared, scores, decision, notes, drift)

    def _drift(self, scores: Scores, decision: Decision) -> tuple[Drift | None, list[str]]:
        """Return where more is flagged than the budget allows, and what to note of it."""
        drift = self._drifting(decision)
        return drift, [] if drift is None else [str(drift)]

    def _examples(self, known: IntArray | None) -> IntArray:
        """Return which training items may stand for normal ones."""
        scores = self.detector_.training_scores_
        if known is not None:
            return np.flatnonzero(known == 0)
        if self.training == "clean":
            return np.arange(len(scores))
        return np.flatnonzero(scores <= self._ordinary_up_to(scores))

    def _ordinary_up_to(self, scores: FloatArray) -> float:
        """Return the score up to which an unlabelled training item is taken as normal."""
        return float(np.quantile(scores, _ORDINARY))

    def _state(self) -> dict[str, Any]:
        return {
            "detector": self.detector_.get_state(),
            "calibration": self.calibration_.get_state(),
            "preparer": self.preparer_.get_state(),
        }

    def _restore(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        self._restore_model(state)
        self.preparer_ = self._new_preparer().set_state(state["preparer"])
