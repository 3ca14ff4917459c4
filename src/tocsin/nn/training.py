"""The one training loop: every network of Tocsin is trained here."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tocsin.errors import TrainingFailed
from tocsin.progress import report
from tocsin.types import IntArray

_CACHED = 2**25
"""Arrays of up to this many values are kept as float32 (128 MB) while networks train."""


@dataclass(frozen=True, slots=True)
class Objective:
    """Parameters and the loss (members,) that they minimise on a batch (members, batch, …).

    One objective is plain training; several, in turn on each batch, are adversaries.
    """

    parameters: Sequence[nn.Parameter]
    loss: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to train: AdamW with a cosine decay of the learning rate.

    The held-out loss is taken every ``check_every`` steps; each member keeps the weights of its
    best check, and training ends early after ``patience`` checks without a better one in
    any member.
    """

    steps: int = 600
    batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    gradient_norm: float = 5.0
    check_every: int = 25
    patience: int = 8
    max_held_out: int = 4096


@dataclass(slots=True)
class History:
    """What happened: the step and each member's held-out loss at every check."""

    steps: list[int] = field(default_factory=list)
    held_out: list[list[float]] = field(default_factory=list)


class MemberBatches:
    """Rows of an array, in memory or memory-mapped, as float32 batches for each member.

    ``transform`` takes float64 rows to what the network sees: once for arrays of up to
    ``_CACHED`` values, else batch by batch, so that a large array is never copied whole.
    Member m is checked on the rows of fold m (modulo the number of folds) and learns from the
    others; rows of fold -1 serve no member.
    """

    def __init__(
        self,
        data: NDArray[np.float64],
        fold: IntArray,
        members: int,
        transform: Callable[[Tensor], Tensor],
        device: torch.device,
        seed: int,
    ) -> None:
        self._data, self._transform, self._device = data, transform, device
        self._cache = self._prepare(data) if data.size <= _CACHED else None
        self._random = np.random.default_rng(seed)
        own = np.arange(members) % (fold.max() + 1)
        self._inside = [np.flatnonzero((fold != held_out) & (fold >= 0)) for held_out in own]
        self._outside = [np.flatnonzero(fold == held_out) for held_out in own]
        self._order = np.empty((members, 0), dtype=np.int64)

    def batch(self, size: int) -> Tensor:
        """Return the next batch (members, size, …); each epoch is a new shuffle."""
        shortest = min(map(len, self._inside))
        size = min(size, shortest)
        if self._order.shape[1] < size:
            self._order = np.stack([self._random.permutation(i)[:shortest] for i in self._inside])
        rows, self._order = self._order[:, :size], self._order[:, size:]
        return self._take(rows)

    def held_out(self, at_most: int) -> Tensor:
        """Return held-out rows (members, k, …), the same number k per member."""
        size = min(at_most, *map(len, self._outside))
        return self._take(np.stack([self._random.permutation(i)[:size] for i in self._outside]))

    def _take(self, rows: IntArray) -> Tensor:
        if self._cache is not None:
            return self._cache[torch.from_numpy(rows)]
        return self._prepare(self._data[rows])

    def _prepare(self, data: NDArray[np.float64]) -> Tensor:
        return self._transform(torch.tensor(data)).float().to(self._device)


def train(
    network: nn.Module,
    objectives: Sequence[Objective],
    batches: MemberBatches,
    validate: Callable[[Tensor], Tensor],
    schedule: Schedule,
) -> History:
    """Train the network in place and leave each member with its best held-out weights.

    ``validate`` gives the loss (members,) of held-out rows. Raises TrainingFailed when a
    loss is not finite.
    """
    optimisers = [
        torch.optim.AdamW(
            list(objective.parameters),
            lr=schedule.learning_rate,
            betas=schedule.betas,
            weight_decay=schedule.weight_decay,
            fused=True,
        )
        for objective in objectives
    ]
    held_out = batches.held_out(schedule.max_held_out)
    best = _BestWeights(network)
    history = History()
    for step in range(1, schedule.steps + 1):
        batch = batches.batch(schedule.batch_size)
        rate = 0.5 * schedule.learning_rate * (1 + math.cos(math.pi * (step - 1) / schedule.steps))
        for objective, optimiser in zip(objectives, optimisers, strict=True):
            _step(objective, optimiser, batch, rate, schedule.gradient_norm)
        if step % schedule.check_every and step != schedule.steps:
            continue
        loss = _held_out_loss(network, validate, held_out, step)
        history.steps.append(step)
        history.held_out.append(loss.tolist())
        stale = best.keep(loss)
        report(f"held-out loss {float(loss.mean()):.4g}", step, schedule.steps)
        if stale >= schedule.patience:
            break
    best.restore()
    network.eval()
    return history


def _step(
    objective: Objective, optimiser: torch.optim.Optimizer, batch: Tensor, rate: float, norm: float
) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate
    # Members share no weights, so the gradient of the sum is each member's own gradient.
    loss = objective.loss(batch).sum()
    parameters = list(objective.parameters)
    gradients: tuple[Tensor | None, ...] = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    present = [gradient for gradient in gradients if gradient is not None]
    joined = torch.cat([gradient.flatten(1) for gradient in present], 1)
    shrink = norm / torch.linalg.vector_norm(joined, dim=1).clamp_min(norm)
    if (shrink < 1).any():
        for gradient in present:
            gradient.mul_(shrink.view(-1, *[1] * (gradient.ndim - 1)))
    optimiser.step()


def _held_out_loss(
    network: nn.Module, validate: Callable[[Tensor], Tensor], held_out: Tensor, step: int
) -> Tensor:
    network.eval()
    with torch.no_grad():
        loss = validate(held_out)
    network.train()
    if not torch.isfinite(loss).all():
        raise TrainingFailed(
            f"The held-out loss is {loss.tolist()} at step {step}. "
            "Lower learning_rate, or look for extreme values in the training rows."
        )
    return loss


class _BestWeights:
    """The best weights so far of each member."""

    def __init__(self, network: nn.Module) -> None:
        self._live = list(network.state_dict(keep_vars=True).values())
        self._kept = [value.detach().clone() for value in self._live]
        self._loss: Tensor | None = None
        self._stale = 0

    def keep(self, loss: Tensor) -> int:
        """Keep the members that improved; return the number of checks since any did."""
        better = torch.ones_like(loss, dtype=torch.bool)
        if self._loss is not None:
            better = loss < self._loss
        self._loss = loss if self._loss is None else torch.minimum(loss, self._loss)
        self._stale = 0 if better.any() else self._stale + 1
        for kept, live in zip(self._kept, self._live, strict=True):
            kept[better] = live.detach()[better]
        return self._stale

    def restore(self) -> None:
        """Put the best weights back into the network."""
        with torch.no_grad():
            for kept, live in zip(self._kept, self._live, strict=True):
                live.copy_(kept)
