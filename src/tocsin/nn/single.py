"""A network of any kind, trained by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from torch import Tensor, nn
from torch.func import functional_call

from tocsin.nn.training import Objective


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
