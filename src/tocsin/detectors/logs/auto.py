"""The default: takes the detector that suits what is known about the training sessions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from tocsin import registry
from tocsin.base import LogDetector
from tocsin.base.abilities import Chooses, FindsThreshold
from tocsin.base.parameters import check_training
from tocsin.errors import NotFitted
from tocsin.types import Card, FloatArray, IntArray, SessionArray, Training


class Auto(Chooses, FindsThreshold, LogDetector):
    """Choose a detector by the training sessions and learn with it.

    ``training``: "clean" (the sessions are normal), "mixed" (some unknown ones are anomalies)
    or "guess". Where most sessions are single lines, they train ``log_lines``. Otherwise clean
    sessions, and those labelled normal, train ``log_counts``; mixed ones train ``log_rarity``.

    "guess" takes sessions for mixed. On sessions of a distributed file system ``log_rarity``
    lost nothing when they were clean, while ``log_counts``, with one anomaly in a hundred to
    learn from, fell from an F1 of 0.998 to 0.3. Nor were ``log_counts`` and ``log_lstm`` better
    than ``log_rarity`` when they learned from what it keeps. Mixed single lines lost more by
    leaving out rare ones than by keeping the anomalies.

    After ``fit``, ``chosen_`` is the detector, ``reason_`` a sentence that says why, and
    ``detector_threshold_`` the threshold that the chosen detector found by itself, or None.
    Raises ParameterError for any other ``training``.

    >>> import numpy as np
    >>> from tocsin.types import LogSession
    >>> normal = [LogSession(np.array([1, 2])), LogSession(np.array([1, 2, 3]))] * 5
    >>> auto = Auto(training="clean").fit(normal)
    >>> auto.chosen_.card.name, auto.reason_
    ('log_counts', 'training sessions are taken as normal (clean)')
    """

    card = Card(
        name="auto",
        modality="logs",
        family="composite",
        learning=("one-class", "unlabelled"),
        summary="Takes the detector that suits the training sessions, and says which and why.",
        paper="Tocsin's own benchmark of its detectors",
        cost="that of the chosen detector",
    )

    uses_labels = True
    items = "sessions"

    def __init__(self, training: Training = "guess", seed: int = 0) -> None:
        self.training = training
        self.seed = seed

    def _check_parameters(self) -> None:
        check_training(self.training)

    def _fit(self, X: SessionArray, y: IntArray | None) -> FloatArray:
        name, self.reason_ = self._choose(X, y)
        chosen = registry.create(name, "logs")
        if "seed" in chosen.parameter_names():
            chosen.set_params(seed=self.seed)
        own = self._learn_with(chosen, X, y)
        finds = isinstance(chosen, FindsThreshold)
        self.detector_threshold_ = chosen.detector_threshold_ if finds else None
        return own

    def _choose(self, X: SessionArray, y: IntArray | None) -> tuple[str, str]:
        """Return the name of a detector and the reason for it."""
        if np.median([len(session) for session in X]) == 1:
            return "log_lines", "most training sessions are single lines"
        if y is not None:
            return "log_counts", "labels say which training sessions are normal"
        return ("log_counts" if self.training == "clean" else "log_rarity"), self._assumption()

    def drift(self, scores: ArrayLike) -> str | None:
        """Return a warning when the flagged share of new scores (n,) is not that of training.

        None where the chosen detector has no threshold of its own. Raises NotFitted before
        ``fit``. See ``log_rarity``.
        """
        if not hasattr(self, "chosen_"):
            raise NotFitted("auto is not trained yet: call fit before drift.")
        return self.chosen_.drift(scores) if isinstance(self.chosen_, FindsThreshold) else None
