"""What the pipelines of all modalities share: one interface, and the model folder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from tocsin import registry
from tocsin._version import __version__
from tocsin.base import Detector
from tocsin.base.declared import check_fitted, check_parameters, check_whole
from tocsin.decide import create as create_calibration
from tocsin.errors import InputError, NewerFormat, ParameterError, UnknownName
from tocsin.pipeline.decisions import DecidesByBudget
from tocsin.store import folder
from tocsin.types import Card, Detection, IntArray, Scores


class BasePipeline(DecidesByBudget):
    """Prepare, detect, decide, explain for one modality.

    A subclass has the parameters that are declared here, sets ``detector_`` and
    ``calibration_`` when it learns, and defines how its state is written down.
    """

    modality: ClassVar[str]
    explained_by: ClassVar[Literal["row", "key"]] = "row"
    """How people name the items to explain."""
    adapts: ClassVar[bool] = False
    """Whether ``detect`` can follow levels that moved, with ``adapt=True``."""
    most_explained: ClassVar[int] = 200
    """Anomalies explained at most in one call, the most anomalous ones."""

    reasons: int
    seed: int

    @property
    @abstractmethod
    def columns(self) -> list[str]:
        """The names of what the user gave: columns or channels."""

    @property
    @abstractmethod
    def preparation_notes(self) -> list[str]:
        """What was found, assumed, dropped or filled in preparation."""

    @abstractmethod
    def fit(self, X: Any, y: Any = None, *, labels: ArrayLike | None = None) -> Self:
        """Learn what is normal; y is ignored, labels (n,), 1 = anomaly, are used.

        Raises InputError for data that cannot be learned from, ParameterError for settings that
        cannot work.
        """

    @abstractmethod
    def score(self, X: Any, y: Any = None) -> Scores:
        """Return one score per item, higher = more anomalous; y is ignored.

        Raises NotFitted, and SchemaMismatch for data unlike those trained on.
        """

    @abstractmethod
    def detect(self, X: Any, *, explain: bool = True) -> Detection:
        """Return scores and decisions for new items, and reasons for the anomalies."""

    @abstractmethod
    def fit_detect(
        self, X: Any, *, labels: ArrayLike | None = None, explain: bool = True
    ) -> Detection:
        """Fit, and return the answer for the training items, each scored leaving itself out."""

    @abstractmethod
    def explain(self, X: Any, items: Sequence[Any] | IntArray | None = None) -> Detection:
        """Return the answer with reasons for these items of X; None stands for the anomalies.

        ``items``: row numbers or keys, as ``explained_by`` states. Raises InputError for an item
        that is not there.
        """

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """Return all that was learned, as arrays, JSON values and nested states."""

    @abstractmethod
    def _restore(self, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
        """Take over what ``_state`` returned; ``about`` is the manifest."""

    @classmethod
    def parameter_names(cls) -> list[str]:
        """Return the names of the constructor's parameters."""
        return list(cls._get_param_names())

    def read(self, path: str | Path) -> Any:
        """Return what a path holds as ``fit`` and ``detect`` take it; here, the path.

        Tables are read with the columns as this pipeline learned them, once it is trained.
        Raises UnreadableFile.
        """
        return Path(path)

    def moved(self, X: Any) -> list[str]:
        """Return the columns that lie elsewhere in these items than in training, if any can."""
        return []

    @property
    def detector_name(self) -> str:
        """The name of the trained detector, with the one that it chose if it chooses."""
        name, own = self._fitted().detector_.card.name, self.card.name
        return name if own == name else f"{name} → {own}"

    @property
    def card(self) -> Card:
        """What the trained detector is, or the one that it chose."""
        card: Card = self._fitted().detector_.chosen.card
        return card

    @property
    def settings(self) -> dict[str, Any]:
        """The parameters of the pipeline and of its trained detector, as JSON values."""
        fitted = self._fitted()
        return {
            **self.get_params(deep=False),
            "detector": fitted.detector_.card.name,
            "detector_parameters": fitted.detector_.get_params(),
        }

    @property
    def notes_(self) -> tuple[str, ...]:
        """What was assumed, dropped or filled, in plain words."""
        notes = [*self._fitted().preparation_notes]
        if reason := self.detector_.reason_:
            notes.append(f"{self.detector_name}: {reason}")
        notes += self._promise()
        return tuple(notes)

    @property
    def keeps(self) -> str:
        """What of its training data a saved model holds, in words."""
        learned = f"what {self.detector_name} learned, of which training {self.item} may be part"
        return ", and ".join([*self._examples_kept(), learned])

    def _examples_kept(self) -> list[str]:
        """Return in words what is kept beside what the detector learned."""
        return []

    def save(
        self,
        path: str | Path,
        *,
        metrics: Mapping[str, Any] | None = None,
        key: bytes | None = None,
    ) -> None:
        """Write the pipeline into a folder, whole or not at all; load it with ``tocsin.load``.

        ``metrics``: what was measured of it, JSON values for the manifest. ``key``: signs the
        folder for ``load`` with the same key. Raises NotSavable for a detector without a safe
        format, and ParameterError for a key of fewer than 16 bytes.
        """
        fitted = self._fitted()
        about = {
            "kind": "pipeline",
            "pipeline": self.modality,
            "tocsin": __version__,
            "card": asdict(fitted.detector_.card),
            "settings": fitted.settings,
            "columns": list(fitted.columns),
            "notes": list(fitted.notes_),
            "keeps": fitted.keeps,
            "metrics": {"calibration_rows": fitted.calibration_.n_, **(metrics or {})},
        }
        folder.save_state(path, self._state(), about, self._more_files(), key)

    @classmethod
    def from_state(cls, state: Mapping[str, Any], about: Mapping[str, Any]) -> Self:
        """Return the pipeline that ``save`` wrote down; no code is run.

        ``state["detector"]`` may be a detector that is ready to score. Raises NewerFormat for a
        detector that is not known.
        """
        settings = dict(about["settings"])
        parameters = settings.pop("detector_parameters")
        detector = state.get("detector")
        if not isinstance(detector, Detector):
            detector = _known_detector(about["card"], parameters)
        pipeline = cls(**{**settings, "detector": detector})
        check_parameters(pipeline, cls.parameter_names())
        pipeline._restore(state, about)
        names = [name for name in vars(pipeline) if name.endswith("_")]
        check_fitted(pipeline, names)
        check_whole([value for name, value in vars(pipeline).items() if name.endswith("_")])
        return pipeline

    @classmethod
    def load(cls, path: str | Path, *, key: bytes | None = None) -> Self:
        """Return the pipeline saved in a folder; no code in the folder is run.

        ``key``: as for ``tocsin.load``. Raises NotAModel, CorruptModel, NewerFormat or
        WrongSignature, and ParameterError for the pipeline of another modality.
        """
        state, about = folder.load_state(path, key)
        with folder.decoding(path):
            modality = modality_of(about)
            pipeline = cls.from_state(state, about) if modality == cls.modality else None
        if pipeline is None:
            raise ParameterError(
                f"{path} holds a model of {modality}, not {cls.modality}; open it with tocsin.load."
            )
        return pipeline

    @classmethod
    def served(
        cls, path: str | Path, state: Mapping[str, Any], about: Mapping[str, Any], threads: int
    ) -> dict[str, Any]:
        """Return a saved state whose networks onnxruntime runs; here, one without networks.

        Raises ParameterError for a network that only torch can run.
        """
        if _holds_network(state):
            raise ParameterError(
                f'runtime="onnx" serves networks of tables; {path} holds one of {cls.modality}. '
                "Load it without runtime."
            )
        return dict(state)

    def _more_files(self) -> dict[str, bytes]:
        """Return what the folder of a saved pipeline holds beside its state, by file name."""
        return {}

    def _restore_model(self, state: Mapping[str, Any]) -> None:
        """Take over the detector, or one that is ready to score, and the calibration."""
        ready = state["detector"]
        self.detector_ = (
            ready if isinstance(ready, Detector) else self._new_detector().set_state(ready)
        )
        self.calibration_ = create_calibration(self.calibration).set_state(state["calibration"])

    def _new_detector(self, **offered: Any) -> Detector:
        """Return an untrained detector; it takes those of the settings offered that it has."""
        if isinstance(self.detector, Detector):
            copy: Detector = clone(self.detector)
            return copy
        if not isinstance(self.detector, str):
            raise ParameterError(
                "detector is the name of a detector, or an untrained one; got "
                f"{self.detector!r:.60}."
            )
        detector: Detector = registry.create(self.detector, self.modality)
        for name, value in offered.items():
            if name in detector.parameter_names():
                detector.set_params(**{name: value})
        return detector


def check_rows(items: Sequence[int] | IntArray, n: int) -> IntArray:
    """Return row numbers as an array.

    Raises InputError for one that is not among n rows, and for what is no list of row numbers.

    >>> check_rows([2, 0], 3)
    array([2, 0])
    """
    given = np.asarray(items)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise InputError(f"The rows to explain are a list of whole numbers; got {items!r:.60}.")
    rows: IntArray = given.astype(np.int64)
    if (beyond := rows[(rows < 0) | (rows >= n)]).size:
        raise InputError(f"There are rows 0 to {n - 1:,}; there is no row {beyond[0]:,}.")
    return rows


def modality_of(about: Mapping[str, Any]) -> str:
    """Return the modality of a saved pipeline by its manifest."""
    return str(about.get("pipeline", about["card"]["modality"]))


def _known_detector(card: Mapping[str, Any], parameters: Mapping[str, Any]) -> Detector:
    try:
        detector: Detector = registry.create(card["name"], card["modality"], **parameters)
    except UnknownName as unknown:
        raise NewerFormat(
            f"This model is of the detector {card['name']!r} of {card['modality']!r}, which this "
            "Tocsin does not know. Update it: pip install --upgrade tocsin"
        ) from unknown
    return detector


def _holds_network(state: Any) -> bool:
    if isinstance(state, Mapping):
        return "net_" in state or any(map(_holds_network, state.values()))
    return isinstance(state, list) and any(map(_holds_network, state))
