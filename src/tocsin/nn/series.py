"""The common part of the detectors of series that train a network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, TypedDict

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn

from tocsin.base import SeriesDetector, Stretch, Stretches
from tocsin.errors import ParameterError
from tocsin.nn.device import pick_device
from tocsin.nn.network import NetworkDetector, mean_and_scale, seeded, to_numpy
from tocsin.nn.single import Single
from tocsin.nn.training import Rows, Schedule, train
from tocsin.types import FloatArray, IntArray, Scores

_LIMIT = 20.0
"""Standardised values are clipped here, so that one spike does not rule a window."""

_HELD_OUT = 0.2
"""The last part of the training series, on which training is stopped and scores are honest."""

_SHARE = 4
"""The training series is at least so many windows long: where it is short, windows shrink."""


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

    Channels are standardised by the training series and clipped. Channels of two distinct
    training values (commands, flags), or of nothing but 0 or 1, are not scored, unless there
    are no others. The last fifth of the training series is held out to stop the training, and the
    scores there calibrate thresholds.

    ``window`` points a window, chosen by the subclass where None, and never more than a
    quarter of the training series; ``steps`` of ``batch_size`` windows each at
    ``learning_rate``, which decays; ``device`` "auto", "cuda", "mps" or "cpu"; ``seed`` of
    every random choice. A subclass takes these as ``**training`` beside its own keywords.

    A subclass builds ``_network``, gives ``_window_length``, the training ``_loss`` of a batch
    of windows (batch, window, channels), the ``_residuals`` of a whole series, and the
    ``_point_scores`` that follow from them.
    """

    scores_in: ClassVar[torch.dtype] = torch.float32

    mean_: FloatArray
    scale_: FloatArray
    scored_: IntArray
    window_: int
    first_held_out_: int

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
    def _window_length(self, x: FloatArray) -> int:
        """Return the window for a standardised training series where none is set."""

    @abstractmethod
    def _loss(self, net: Any, x: Tensor) -> Tensor:
        """Return the mean loss, a scalar, of windows x (batch, window, channels)."""

    @abstractmethod
    def _residuals(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return residuals (n, channels), at least 0, and expected values (n, channels).

        Of a standardised series x (n, channels) on the device, n ≥ the window, by ``net_``
        and in bounded memory.
        """

    @abstractmethod
    def _point_scores(self, residuals: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return scores (n,) and parts (n, k) from residuals (n, k) of the scored channels."""

    def _calibrate(self, x: FloatArray, residuals: FloatArray) -> None:
        """Set what ``_point_scores`` needs; nothing by default.

        ``x`` (n, k) is the standardised training series, ``residuals`` (h, k) those of its
        held-out end, both of the scored channels.
        """

    def _players(self, net: Any) -> list[tuple[nn.Module, Callable[[Tensor], Tensor]]]:
        """Return who learns: a part of the network, and its scalar loss of a batch of windows."""
        return [(net, lambda x: self._loss(net, x))]

    def _schedule(self) -> Schedule:
        return Schedule(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            max_held_out=1024,
        )

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        self._check_parameters()
        self.mean_, self.scale_ = mean_and_scale(X)
        self.scored_ = _scored_channels(X)
        x = self._standardise(X)
        wanted = self.window or self._window_length(x)
        self.window_ = max(2, min(wanted, len(x) // _SHARE))
        self.first_held_out_ = len(x) - int(_HELD_OUT * len(x))
        self.held_out_[: self.first_held_out_] = False
        self._train(x)
        residuals, _ = self._residuals_of(x)
        self._calibrate(x[:, self.scored_], residuals[self.first_held_out_ :, self.scored_])

    def _train(self, x: FloatArray) -> None:
        device = pick_device(self.device)
        view = sliding_window_view(x, self.window_, axis=0).transpose(0, 2, 1)
        # Windows that reach into the held-out part are checked on and not learned from.
        ends = np.arange(len(view)) + self.window_
        fold = (ends <= self.first_held_out_).astype(np.int64)
        with seeded(self.seed, device):
            net = self._network(x.shape[1]).to(device)
            rows = Rows(view, fold, 1, lambda windows: windows, device, self.seed)
            single = Single(net)
            train(
                single,
                [single.player(part, loss) for part, loss in self._players(net)],
                rows,
                lambda windows: self._validate(net, windows[0])[None],
                self._schedule(),
            )
        self.net_ = self._ready(net, device)

    def _validate(self, net: Any, x: Tensor) -> Tensor:
        """Return the loss of held-out windows, with the same random draws at every check."""
        with seeded(self.seed, x.device):
            return self._loss(net, x)

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        residuals, expected = self._residuals_of(self._standardise(X))
        values, scored_parts = self._point_scores(residuals[:, self.scored_])
        parts = np.zeros_like(X)
        parts[:, self.scored_] = scored_parts
        return Scores(values, parts, self._in_units(expected))

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        X = np.concatenate([stretch.values for stretch in stretches])
        return self._score(Stretch(X)).values

    def _residuals_of(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the residuals and expected values of a standardised series of any length."""
        missing = max(0, self.window_ - len(x))
        # A series shorter than a window is continued backwards by its mirror image.
        whole = np.pad(x, ((missing, 0), (0, 0)), mode="symmetric").astype(np.float32)
        device = next(self.net_.parameters()).device
        with torch.inference_mode():
            residuals, expected = self._residuals(torch.from_numpy(whole).to(device))
        return (
            to_numpy(residuals)[missing:].astype(np.float64),
            to_numpy(expected)[missing:].astype(np.float64),
        )

    def _standardise(self, X: FloatArray) -> FloatArray:
        """Return X in units of the training series' standard deviation, clipped."""
        with np.errstate(over="ignore"):
            standardised: FloatArray = np.clip((X - self.mean_) / self.scale_, -_LIMIT, _LIMIT)
        return standardised

    def _in_units(self, x: FloatArray) -> FloatArray:
        """Return standardised values in the units of the series, as far as float64 goes."""
        with np.errstate(over="ignore"):
            return np.nan_to_num(x * self.scale_ + self.mean_)

    def _check_parameters(self) -> None:
        for name in ("steps", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} must be above 0; got {getattr(self, name)}.")
        if self.window is not None and self.window < 2:
            raise ParameterError(f"window must be at least 2 points, or None; got {self.window}.")


def overlapped(
    x: Tensor,
    length: int,
    reconstruct: Callable[[Tensor], Tensor],
    outputs: int | None = None,
    at_once: int = 2**20,
) -> Tensor:
    """Return the mean (n, outputs) of the reconstructions of all windows over each point.

    ``reconstruct`` takes windows (batch, length, channels), of about ``at_once`` values in all,
    to windows (batch, length, outputs), as many as channels if None.

    >>> overlapped(torch.arange(6.0)[:, None], 3, lambda windows: windows).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    """
    n, channels = x.shape
    total = x.new_zeros(n, channels if outputs is None else outputs)
    for begin, end in _pieces(n - length + 1, max(1, at_once // (length * channels))):
        view = x[begin : end + length - 1].unfold(0, length, 1).transpose(1, 2)
        rebuilt = reconstruct(view)
        for offset in range(length):
            total[begin + offset : end + offset] += rebuilt[:, offset]
    at = torch.arange(1, n + 1, device=x.device)
    count = torch.minimum(at, at.flip(0)).clamp_max(min(length, n - length + 1))
    return total / count[:, None]


def _pieces(n: int, size: int) -> Iterator[tuple[int, int]]:
    for begin in range(0, n, size):
        yield begin, min(n, begin + size)


def _scored_channels(X: FloatArray) -> IntArray:
    """Return the channels that are no flags; else those not constant; else all.

    A flag has two values in the training series, or only 0 or only 1.
    """
    distinct = np.array([len(np.unique(x)) for x in X.T])
    still = (distinct == 1) & ~np.isin(X[0], (0.0, 1.0))
    for chosen in ((distinct > 2) | still, distinct > 1):
        if chosen.any():
            return np.flatnonzero(chosen)
    return np.arange(X.shape[1])
