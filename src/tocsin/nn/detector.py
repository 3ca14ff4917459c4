"""The common part of the detectors of tables that train a network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tocsin.base import State, TableDetector, fold_of_rows, out_of_fold_scores
from tocsin.errors import InputError, ParameterError
from tocsin.nn.device import pick_device
from tocsin.nn.training import Player, Progress, Rows, Schedule, train
from tocsin.types import FloatArray, IntArray, Scores

_LIMIT = 1e6
"""Standardised values are clipped here, so that float32 squares stay finite."""


class NeuralDetector(TableDetector):
    """A detector that trains an ensemble of networks on standardised rows.

    Each member holds out its own fold for early stopping, so a training row's honest score
    is that of the member that has not learned from it. With one member, the rows' scores
    come from refits on five folds.

    A subclass builds ``_network``, and gives the training ``_loss`` (members,) and the
    ``_row_scores`` of a batch (members, batch, d).
    """

    net_: nn.Module
    mean_: FloatArray
    scale_: FloatArray
    progress: Progress | None = None

    def __init__(
        self,
        *,
        members: int = 3,
        steps: int = 600,
        batch_size: int = 256,
        learning_rate: float = 2e-3,
        device: str = "auto",
        seed: int = 0,
    ) -> None:
        self.members = members
        self.steps = steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.device = device
        self.seed = seed

    @abstractmethod
    def _network(self, n_features: int) -> nn.Module:
        """Return a new network; its sizes follow from n_features and the parameters alone."""

    @abstractmethod
    def _loss(self, net: Any, x: Tensor) -> Tensor:
        """Return the training loss (members,) of a standardised batch (members, batch, d)."""

    @abstractmethod
    def _row_scores(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return scores (members, batch), parts and expected rows (members, batch, d) or None."""

    def _players(self, net: Any) -> list[Player]:
        return [Player(list(net.parameters()), lambda x: self._loss(net, x))]

    def _validate(self, net: Any, x: Tensor) -> Tensor:
        return self._loss(net, x)

    def _calibrate(self, net: Any, held_out: Tensor) -> None:
        """Set what the scores need beyond the weights, from held-out rows; nothing by default."""

    def _schedule(self) -> Schedule:
        return Schedule(
            steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate
        )

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self._check_parameters()
        self.mean_, self.scale_ = X.mean(axis=0), X.std(axis=0)
        self.scale_[~(self.scale_ > 1e-12 * np.abs(self.mean_))] = 1.0
        self._train(X, self._fold(len(X), y), y)

    def _fold(self, n: int, y: IntArray | None) -> IntArray:
        """Return which fold (n,) each row is in; a lone member holds out one fold of ten."""
        folds = self.members if self.members > 1 else 10
        return fold_of_rows(n, min(folds, n), seed=self.seed, y=y)

    def _train(self, X: FloatArray, fold: IntArray, y: IntArray | None) -> None:
        device = pick_device(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            net = self._network(X.shape[1]).to(device)
            rows = Rows(X, fold, self.members, self._standardise, device, self.seed)
            train(
                net,
                self._players(net),
                rows,
                lambda x: self._validate(net, x),
                self._schedule(),
                self.progress,
            )
            with torch.no_grad():
                self._calibrate(net, rows.held_out(4096))
        self.net_ = net

    def _score(self, X: FloatArray) -> Scores:
        values, parts, expected = [], [], []
        for x in self._chunks(X):
            row, part, expect = self._row_scores(self.net_, x.expand(self.members, -1, -1))
            values.append(_numpy(row.mean(0)))
            if part is not None:
                parts.append(_numpy(part.mean(0)))
            if expect is not None:
                expected.append(_numpy(expect.mean(0)) * self.scale_ + self.mean_)
        return Scores(
            np.concatenate(values),
            np.concatenate(parts) if parts else None,
            np.concatenate(expected) if expected else None,
        )

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        if self.members == 1:
            return out_of_fold_scores(self, X, y)
        fold = torch.from_numpy(self._fold(len(X), y))
        start, values = 0, []
        for x in self._chunks(X):
            scores, _, _ = self._row_scores(self.net_, x.expand(self.members, -1, -1))
            own = fold[start : start + x.shape[1]].to(scores.device)
            values.append(_numpy(scores.gather(0, own.unsqueeze(0))[0]))
            start += x.shape[1]
        return np.concatenate(values)

    def _chunks(self, X: FloatArray, size: int = 4096) -> Iterator[Tensor]:
        """Yield standardised rows as (1, chunk, d)."""
        device = next(self.net_.parameters()).device
        with torch.inference_mode():
            for start in range(0, len(X), size):
                rows = torch.from_numpy(np.ascontiguousarray(X[start : start + size]))
                yield self._standardise(rows).to(device).unsqueeze(0)

    def _standardise(self, x: Tensor) -> Tensor:
        """Return x in units of the training rows' standard deviation, as float32, clipped."""
        mean, scale = torch.from_numpy(self.mean_), torch.from_numpy(self.scale_)
        return ((x - mean) / scale).clamp(-_LIMIT, _LIMIT).float()

    def _check_training(self, X: Any) -> FloatArray:
        matrix = super()._check_training(X)
        if len(matrix) < self.members:
            raise InputError(
                f"{self.card.name} needs at least {self.members} rows; got {len(matrix)}."
            )
        return matrix

    def _check_parameters(self) -> None:
        for name in ("members", "steps", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} must be above 0; got {getattr(self, name)}.")

    def get_state(self) -> State:
        """Return the fitted arrays, the weights among them as float32 by their names."""
        state = {k: v for k, v in vars(self).items() if k.endswith("_") and k != "net_"}
        state["net_"] = {name: _numpy(value) for name, value in self.net_.state_dict().items()}
        return state

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Rebuild the network for the saved number of columns and load its weights."""
        weights = {name: torch.from_numpy(value.copy()) for name, value in state["net_"].items()}
        super().set_state({name: value for name, value in state.items() if name != "net_"})
        self.net_ = self._network(self.n_features_in_)
        self.net_.load_state_dict(weights)
        self.net_.to(pick_device(self.device)).eval()
        return self


def _numpy(tensor: Tensor) -> NDArray[Any]:
    return np.asarray(tensor.detach().cpu().numpy())
