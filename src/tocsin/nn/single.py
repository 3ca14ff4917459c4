"""A network of any kind, trained by itself: on batches, or on items by their numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from tocsin.nn.training import MemberBatches, Objective, Schedule, train
from tocsin.types import IntArray

ItemLoss = Callable[[Tensor], Tensor]
"""A scalar from the numbers of items (k,), int64 on the CPU."""


class SingleMember(nn.Module):
    """A network as the only member of an ensemble, as the training loop expects.

    Its weights share the network's memory, with a leading member dimension of 1, so that any
    layer of torch can be trained, also recurrent ones.
    """

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        # In a tuple, the network's own weights are not registered a second time.
        self.own = (net,)
        self.names = {id(weight): name for name, weight in net.named_parameters()}
        for name, weight in net.named_parameters():
            self.register_parameter(_flat(name), nn.Parameter(weight.detach()[None]))

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the network as well."""
        self.own[0].train(mode)
        return super().train(mode)

    def objective(self, part: nn.Module, loss: Callable[[Tensor], Tensor]) -> Objective:
        """Return the objective that trains this part of the network by a scalar loss."""
        names = [self.names[id(weight)] for weight in part.parameters()]
        module = _LossModule(self.own[0], loss)

        def member_loss(x: Tensor) -> Tensor:
            weights = {f"net.{name}": getattr(self, _flat(name))[0] for name in names}
            value: Tensor = functional_call(module, weights, (x[0],))
            return value[None]

        return Objective([getattr(self, _flat(name)) for name in names], member_loss)


class _LossModule(nn.Module):
    """A loss as a module, so that it can be taken at other weights than the network's own."""

    def __init__(self, net: nn.Module, loss: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net = net
        self.loss = loss

    def forward(self, x: Tensor) -> Tensor:
        return self.loss(x)


def _flat(name: str) -> str:
    return name.replace(".", "/")


def train_by_number(
    net: nn.Module,
    objectives: Sequence[tuple[nn.Module, ItemLoss]],
    validate: ItemLoss,
    inside: IntArray,
    outside: IntArray,
    schedule: Schedule,
    device: torch.device,
    seed: int,
) -> None:
    """Train a network in place on items that are looked up by their numbers.

    ``objectives``: parts of the network and the losses that they minimise; ``validate``: the loss
    of held-out items. ``inside`` and ``outside``: the numbers of the items to learn from, each as
    often as it is shown in an epoch, and of those held out. Raises TrainingFailed when a loss is
    not finite.
    """
    # The loop takes rows of numbers: here each row is the number of an item.
    rows = np.concatenate([inside, outside]).astype(np.float64)[:, None]
    fold = np.repeat([1, 0], [len(inside), len(outside)])
    single = SingleMember(net)
    train(
        single,
        [single.objective(part, _of_rows(loss)) for part, loss in objectives],
        MemberBatches(rows, fold, 1, lambda x: x, device, seed),
        lambda rows: _of_rows(validate)(rows[0])[None],
        schedule,
    )


def _of_rows(loss: ItemLoss) -> Callable[[Tensor], Tensor]:
    return lambda rows: loss(rows[:, 0].long().cpu())
