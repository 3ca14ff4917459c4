"""The common part of the detectors of series that train a network."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, TypedDict

import numpy as np
import torch
from torch import Tensor

from tocsin.base import SeriesDetector
from tocsin.errors import ParameterError
from tocsin.nn.device import pick_device
from tocsin.nn.network import NetworkDetector, seeded, to_numpy
from tocsin.nn.training import Player, Rows, Schedule, train
from tocsin.types import FloatArray, IntArray, Scores

_LIMIT = 20.0
"""Standardised values are clipped here, so that one spike does not rule a window."""

HELD_OUT = 0.2
"""The last part of the training series, on which training is stopped and scores are honest."""


class SeriesTraining(TypedDict, total=False):
    """How networks are trained: keywords that every neural detector of series takes."""

    window: int | None
    steps: int
    batch_size: int
    learning_rate: float
    device: str
    seed: int


class NeuralSeriesDetector(NetworkDetector, SeriesDetector):
    """A detector that trains one network on windows of a standardised series.

    Channels are standardised by the training series and clipped. Channels of at most two
    distinct training values (commands, flags) are inputs, but not scored, unless there are no
    others. The last fifth of the training series is held out to stop the training, and the
    scores there calibrate thresholds.

    ``window`` points a window, chosen by the subclass where None; ``steps`` of ``batch_size``
    windows each at ``learning_rate``, which decays; ``device`` "auto", "cuda", "mps" or
    "cpu"; ``seed`` of every random choice. A subclass takes these as ``**training`` beside its
    own keywords.

    A subclass builds ``_network``, gives ``_window_length``, the training ``_loss`` of a batch
    of windows (batch, window, channels), and ``_residuals`` of a whole series.
    """

    scores_in: ClassVar[torch.dtype] = torch.float32

    mean_: FloatArray
    scale_: FloatArray
    scored_: IntArray
    window_: int

    def __init__(
        self,
        *,
        window: int | None = None,
        steps: int = 400,
        batch_size: int = 128,
        learning_rate: float = 3e-3,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.window = window
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.seed = seed

    @abstractmethod
    def _window_length(self, X: FloatArray) -> int:
        """Return the window for a standardised training series where none is set."""

    @abstractmethod
    def _loss(self, net: Any, x: Tensor) -> Tensor:
        """Return the mean loss, a scalar, of windows x (batch, window, channels)."""

    @abstractmethod
    def _residuals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return residuals (n, channels), at least 0, and expected values (n, channels).

        Of a standardised series x (n, channels), which may be shorter than a window.
        """

    @abstractmethod
    def _point_scores(self, residuals: FloatArray) -> FloatArray:
        """Return scores (n,) from the residuals (n, scored channels)."""

    def _players(self, net: Any) -> list[Player]:
        return [Player(list(net.parameters()), lambda x: self._loss(net, x[0])[None])]

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        ...

    def _score(self, X: FloatArray) -> Scores:
        ...
