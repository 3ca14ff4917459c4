"""What some detectors can do besides learning and scoring: ask with ``isinstance``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

from numpy.typing import ArrayLike, NDArray

from tocsin.base.detector import Detector
from tocsin.base.state import Stateful
from tocsin.types import FloatArray, IntArray, ReadingArray, Scores, Training
from tocsin.types.metrics import Judged


class Embeds(ABC):
    """A detector with a latent representation of an item."""

    @abstractmethod
    def embed(self, X: Any) -> FloatArray:
        """Return the latent representation (n, latent) of items X.

        Raises NotFitted before ``fit``, and SchemaMismatch for another shape than trained on.
        """


class Samples(ABC):
    """A detector that can draw new normal items."""

    @abstractmethod
    def sample(self, n: int, seed: int = 0) -> FloatArray:
        """Return n new normal rows (n, d), in the units of the training rows.

        The same seed draws the same rows. Raises NotFitted before ``fit``, and ParameterError for
        n below 1.
        """


class Exports(ABC):
    """A detector that can be written as an ONNX model, which scores without torch."""

    @abstractmethod
    def to_onnx(self) -> bytes:
        """Return the trained detector as an ONNX model.

        Raises NotFitted before ``fit``, and NotSavable for what ONNX has no operators for.
        """


class FindsThreshold(Stateful, ABC):
    """A detector that may find a threshold in training items that nobody has labelled."""

    detector_threshold_: float | None
    """Items that score above it are anomalies; None where the training items show none."""

    @abstractmethod
    def drift(self, scores: ArrayLike) -> str | None:
        """Return a warning when the flagged share of new scores (n,) is not that of training.

        None where there is no threshold. Raises NotFitted before ``fit``.
        """

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Restore what ``get_state`` returned and return self."""
        names = {"natural_threshold_": "detector_threshold_"}  # as it was called until 2026
        return super().set_state({names.get(name, name): value for name, value in state.items()})


class ReadingTracker(Protocol):
    """Scores readings of metrics in the order in which they come, and remembers some of each."""

    @property
    def memory(self) -> tuple[NDArray[Any], ...]:
        """What is remembered: arrays (entities, …)."""

    @property
    def steps(self) -> IntArray:
        """Microseconds between the readings of each entity (entities,)."""

    @property
    def patience(self) -> IntArray:
        """Microseconds after which each entity is silent (entities,)."""

    def take(self, given: ReadingArray) -> Judged:
        """Score readings (n,), and remember them."""

    def peek(self, given: ReadingArray) -> tuple[Judged, tuple[NDArray[Any], ...]]:
        """Score readings (n,), and return what would then be remembered of their entities.

        These are the ones known, in rising order.
        """

    def remember(self, entities: IntArray, recalled: tuple[NDArray[Any], ...]) -> None:
        """Remember of some entities what ``peek`` returned."""

    def forget(self) -> None:
        """Remember nothing."""


class Tracks(ABC):
    """A detector of metrics that scores readings as they come, in constant memory."""

    @property
    @abstractmethod
    def tracker(self) -> ReadingTracker:
        """A new tracker, which has seen no reading. Raises NotFitted before ``fit``."""


class ScoresByView(ABC):
    """A detector of texts that looks at a text in several ways."""

    @abstractmethod
    def view_scores(self, X: Any) -> dict[str, FloatArray]:
        """Return −log p (n,) of texts X (n,) by the name of the view."""


class ScoresByToken(ABC):
    """A detector of texts that scores the tokens of a text."""

    @abstractmethod
    def token_surprise(self, X: Any) -> Sequence[tuple[Sequence[str], FloatArray]]:
        """Return the tokens of each of texts X (n,), and −log p of each token in nats."""


class Chooses(Detector):
    """A detector that chooses another one by the training items, and learns with that.

    After ``fit``, ``chosen_`` is the detector that was chosen and ``reason_`` says why.
    """

    items: ClassVar[str]
    """What is learned from, such as "rows"."""
    normal: ClassVar[str] = "normal"
    """What clean items are called."""

    chosen_: Detector

    training: Training

    @property
    def chosen(self) -> Detector:
        """The detector that scores: the one that was chosen."""
        return self.chosen_

    def _assumption(self) -> str:
        """Return what the items are taken for where there are no labels, as a reason."""
        if self.training == "clean":
            return f"training {self.items} are taken as {self.normal} (clean)"
        if self.training == "mixed":
            return (
                f"training {self.items} are taken as unlabelled, with anomalies among them (mixed)"
            )
        return (
            f"guessed that the training {self.items} may hold anomalies, the safer guess: say "
            f'--clean (training="clean") if they are all {self.normal}, --mixed '
            '(training="mixed") if not'
        )

    def _learn_with(self, chosen: Detector, X: Any, y: IntArray | None) -> FloatArray:
        """Let another detector learn from the items; return its training scores (n,)."""
        self.chosen_ = chosen.fit(X, y)
        return chosen.training_scores_

    def _score(self, X: Any) -> Scores:
        return self.chosen_.score(X)
