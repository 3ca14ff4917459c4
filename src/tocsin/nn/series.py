"""The common part of the detectors of series that train networks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypedDict, cast

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch import Tensor, nn

from tocsin.base import SeriesDetector, Stretch, Stretches
from tocsin.base.declared import Shape, Within
from tocsin.base.faults import FaultAware
from tocsin.base.likely_past import REMEMBERED, likely_past
from tocsin.base.parameters import check_positive
from tocsin.base.series import blocks_of
from tocsin.errors import ParameterError
from tocsin.nn.device import pick_device
from tocsin.nn.network import NetworkDetector, mean_and_scale, seeded, to_numpy
from tocsin.nn.single import SingleMember
from tocsin.nn.training import MemberBatches, Schedule, train
from tocsin.types import BoolArray, FloatArray, IntArray, Scores

_LIMIT = 20.0
"""Standardised values are clipped here, so that one spike does not dominate a window."""

_HELD_OUT = (1, 4)
"""The block of five, counted from 0, that each network does not learn from: the loss there stops
its training, the errors there are called usual, and the scores there calibrate."""

_SHARE = 4
"""The training series is at least this many windows long: where it is short, windows shrink."""


@dataclass(frozen=True, slots=True)
class ResidualRule:
    """How residuals (n, k) of k channels become parts (n, k) and scores (n,).

    ``period`` takes the longest standardised training stretch (n, k) and the window to the number
    of points that residuals are averaged over. ``usual`` takes held-out residuals (h, k) to a
    usual one (k,). ``parts`` takes residuals in these units (n, k), their mean (k,) and the period
    to parts; ``together`` takes parts to scores.
    """

    period: Callable[[FloatArray, int], int]
    usual: Callable[[FloatArray], FloatArray]
    parts: Callable[[FloatArray, FloatArray, int], FloatArray]
    together: Callable[[FloatArray], FloatArray]


class SeriesTraining(TypedDict, total=False):
    """How networks are trained: keywords that every neural detector of series takes."""

    window: int | None
    steps: int
    batch_size: int
    learning_rate: float
    device: str
    seed: int


class NeuralSeriesDetector(FaultAware, NetworkDetector, SeriesDetector):
    """A detector that trains two networks on windows of a standardised series.

    Channels are standardised by the training series and clipped. Channels of two distinct
    training values (commands, flags), or of nothing but 0 or 1, are not scored, unless there
    are no others. Each network holds out a block of its own, a fifth of each stretch, to stop
    the training; its scores there calibrate thresholds. The score is the mean of theirs.

    ``window`` points per window, chosen by the subclass where None, and never more than a
    quarter of the training series; ``steps`` of ``batch_size`` windows for each network at
    ``learning_rate``, which decays; ``device`` "auto", "cuda", "mps" or "cpu"; ``seed`` of
    every random choice. A subclass takes these as ``**training`` beside its own keywords.

    A subclass builds a ``_network``, gives ``_window_length``, the training ``_loss`` of a batch
    of windows (batch, window, channels), the ``_residuals`` of a whole series, and the ``rule``
    by which they become scores.
    """

    rule: ClassVar[ResidualRule]
    scores_in: ClassVar[torch.dtype] = torch.float32
    most_held_out: ClassVar[int] = 1024
    """Windows that the held-out loss is taken on, at most."""

    mean_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]
    scored_: Annotated[IntArray, Shape("s"), Within(0, "d-1", rising=True)]
    window_: Annotated[int, Within(1)]
    period_: Annotated[int, Within(1)]
    usual_: Annotated[FloatArray, Shape("members_", "s")]
    mean_residual_: Annotated[FloatArray, Shape("members_", "s")]
    remembered_: Annotated[FloatArray, Shape("kept", "d")]
    net_: nn.ModuleList

    def __init__(
        self,
        *,
        window: int | None = None,
        steps: int = 250,
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
    def _residuals(self, net: Any, x: Tensor, at: int) -> tuple[Tensor, Tensor]:
        """Return residuals (n, channels), at least 0, and expected values (n, channels).

        Of a standardised series x (n, channels) on the device, n ≥ the window, by one network
        and in bounded memory. ``at``: the place in time of its first point.
        """

    def _objectives(self, net: Any) -> list[tuple[nn.Module, Callable[[Tensor], Tensor]]]:
        """Return who learns: a part of the network, and its scalar loss of a batch of windows."""
        return [(net, lambda x: self._loss(net, x))]

    def _schedule(self) -> Schedule:
        return Schedule(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            max_held_out=self.most_held_out,
        )

    def _built(self) -> nn.Module:
        return nn.ModuleList(self._network(self.n_features_in_) for _ in _HELD_OUT)

    def _learn(self, stretches: Stretches) -> FloatArray:
        X = np.concatenate([stretch.values for stretch in stretches])
        self.mean_, self.scale_ = mean_and_scale(X)
        self.scored_ = _scored_channels(X)
        longest = self._standardise(max(stretches, key=len).values)
        wanted = self.window or self._window_length(longest)
        self.window_ = max(2, min(wanted, len(longest) // _SHARE))
        self.remembered_ = longest[-REMEMBERED:]
        self.period_ = self.rule.period(longest[:, self.scored_], self.window_)
        lengths = [len(stretch) for stretch in stretches]
        held = [_held_out(lengths, block) for block in _HELD_OUT]
        self.held_out_ = np.any(held, axis=0)
        device = pick_device(self.device)
        nets = nn.ModuleList(
            self._trained(self._standardise(X), lengths, own, self.seed + 1000 * member, device)
            for member, own in enumerate(held)
        )
        self.net_ = cast("nn.ModuleList", self._ready(nets, device))
        found = [
            np.concatenate([self._residuals_of(net, stretch)[0] for stretch in stretches])
            for net in self.net_
        ]
        there = [residuals[own] for residuals, own in zip(found, held, strict=True)]
        self.usual_ = np.stack([self.rule.usual(residuals) for residuals in there])
        self.mean_residual_ = np.stack([x.mean(axis=0) for x in there]) / self.usual_
        return self._out_of_sample(found, held, np.cumsum(lengths)[:-1])

    def _out_of_sample(
        self, residuals: list[FloatArray], held_out: list[BoolArray], edges: IntArray
    ) -> FloatArray:
        """Return the scores (n,) of the training points from the residuals of each network.

        ``held_out``: the points (n,) that each has not learned from; ``edges``: where stretches
        begin but the first.
        """
        each = [
            np.concatenate([self._together(x, i) for x in np.split(own, edges)])
            for i, own in enumerate(residuals)
        ]
        values = np.asarray(np.mean(each, axis=0), dtype=np.float64)
        for i, (own, held) in enumerate(zip(residuals, held_out, strict=True)):
            # Each block by itself: smaller errors beside it, of what was learned, say nothing.
            blocks = zip(np.split(own, edges), np.split(held, edges), strict=True)
            alone = [self._together(x[at], i) for x, at in blocks if at.any()]
            values[held] = np.concatenate([np.empty(0), *alone])
        return values

    def _trained(
        self,
        x: FloatArray,
        lengths: list[int],
        held: BoolArray,
        seed: int,
        device: torch.device,
    ) -> nn.Module:
        """Return a network that has learned from a standardised series but for what is held.

        Windows that reach into the held-out part are checked on and not learned from.
        """
        view = sliding_window_view(x, self.window_, axis=0).transpose(0, 2, 1)
        touched = sliding_window_view(held, self.window_).any(axis=1)
        fold = np.asarray(~touched, dtype=np.int64)
        for end in np.cumsum(lengths)[:-1].tolist():  # nobody sees what crosses to another stretch
            fold[max(0, end - self.window_ + 1) : end] = -1
        with seeded(seed, device):
            net = self._network(x.shape[1]).to(device)
            rows = MemberBatches(view, fold, 1, lambda windows: windows, device, seed)
            single = SingleMember(net)
            train(
                single,
                [single.objective(part, loss) for part, loss in self._objectives(net)],
                rows,
                lambda windows: self._validate(net, windows[0])[None],
                self._schedule(),
            )
        return net

    def _validate(self, net: Any, x: Tensor) -> Tensor:
        """Return the loss of held-out windows, with the same random draws at every check."""
        with seeded(self.seed, x.device):
            return self._loss(net, x)

    def _judge(self, stretch: Stretch, severity: FloatArray) -> Scores:
        X, members = stretch.values, len(self.net_)
        values, parts, expected = np.zeros(len(X)), np.zeros_like(X), np.zeros_like(X)
        for i, net in enumerate(self.net_):
            residuals, own_expected = self._residuals_of(net, stretch)
            own_parts = self._parts(residuals, i)
            values += self.rule.together(own_parts) / members
            parts[:, self.scored_] += own_parts / members
            expected += own_expected / members
        return Scores(values, parts, self._in_units(expected))

    def _parts(self, residuals: FloatArray, member: int) -> FloatArray:
        """Return the parts (n, k) of residuals (n, k) of the scored channels, by one network."""
        mean = self.mean_residual_[member]
        return self.rule.parts(residuals / self.usual_[member], mean, self.period_)

    def _together(self, residuals: FloatArray, member: int) -> FloatArray:
        """Return the scores (n,) of residuals (n, k) of the scored channels, by one network."""
        return self.rule.together(self._parts(residuals, member))

    def _residuals_of(self, net: nn.Module, stretch: Stretch) -> tuple[FloatArray, FloatArray]:
        """Return the residuals (n, scored) and expected values (n, c) of a stretch."""
        x, at = self._standardise(stretch.values), stretch.at or 0
        n, missing = len(x), max(0, self.window_ - len(x))
        if missing:
            past = self._likely_past(x, missing)
            x, at = np.concatenate([past, x]), at - len(past)
        device = next(net.parameters()).device
        with torch.inference_mode():
            given = torch.from_numpy(x.astype(np.float32)).to(device)
            residuals, expected = self._residuals(net, given, at)
        return (
            to_numpy(residuals)[-n:, self.scored_].astype(np.float64),
            to_numpy(expected)[-n:].astype(np.float64),
        )

    def _likely_past(self, x: FloatArray, length: int) -> FloatArray:
        """Return points (length, channels) that may have come before a standardised series."""
        return likely_past(self.remembered_, x, length, self.scored_)

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
        check_positive(
            steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate
        )
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


def _held_out(lengths: list[int], block: int) -> BoolArray:
    """Return the points (n,) in this block of each stretch."""
    held = [np.zeros(n, dtype=np.bool_) for n in lengths]
    for own in held:
        start, end = blocks_of(len(own))[min(block, len(own) - 1)]
        own[start:end] = len(own) > 1
    return np.concatenate(held)


def _pieces(n: int, size: int) -> Iterator[tuple[int, int]]:
    for begin in range(0, n, size):
        yield begin, min(n, begin + size)


def _scored_channels(X: FloatArray) -> IntArray:
    """Return the channels that are not flags; else those not constant; else all.

    A flag has two values in the training series, or only 0 or only 1.
    """
    distinct = np.array([len(np.unique(x)) for x in X.T])
    still = (distinct == 1) & ~np.isin(X[0], (0.0, 1.0))
    for chosen in ((distinct > 2) | still, distinct > 1):
        if chosen.any():
            return np.flatnonzero(chosen)
    return np.arange(X.shape[1])
