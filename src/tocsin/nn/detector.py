"""The common part of the detectors of tables that train a network."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, TypedDict

import numpy as np
import torch
from torch import Tensor

from tocsin.base import (
    TableDetector,
    contiguous_folds,
    correlation_length,
    fold_of_rows,
    out_of_fold_scores,
)
from tocsin.errors import NotFitted, ParameterError
from tocsin.nn.device import pick_device
from tocsin.nn.network import NetworkDetector, mean_and_scale, seeded, to_numpy
from tocsin.nn.training import Player, Rows, Schedule, train
from tocsin.types import FloatArray, IntArray, Scores

_LIMIT = 1e6
"""Standardised values are clipped here, so that float32 squares stay finite."""


class Training(TypedDict, total=False):
    """How networks are trained: keywords that every neural detector takes."""

    members: int
    steps: int
    batch_size: int
    learning_rate: float
    device: str
    seed: int


class NeuralDetector(NetworkDetector, TableDetector):
    """A detector that trains an ensemble of networks on standardised rows.

    Each member holds out its own fold for early stopping, so a training row's honest score
    is that of the member that has not learned from it; with fewer rows than members, members
    share folds. Where rows depend on those before them, folds are contiguous, with gaps.
    With one member, the rows' scores come from refits on five folds. Networks
    train in float32 and score in float64, where a row's score does not depend on the size
    of the batch it comes in.

    ``members`` networks; ``steps`` of ``batch_size`` rows each at ``learning_rate``, which
    decays; ``device`` "auto", "cuda", "mps" or "cpu"; ``seed`` of every random choice. A
    subclass takes these as ``**training`` beside its own keywords.

    A subclass builds ``_network``, and gives the training ``_loss`` (members,) and the
    ``_row_scores`` of a batch (members, batch, d).
    """

    mean_: FloatArray
    scale_: FloatArray
    holds_out_blocks_: bool = False

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
    def _loss(self, net: Any, x: Tensor) -> Tensor:
        """Return the training loss (members,) of a standardised batch (members, batch, d)."""

    @abstractmethod
    def _row_scores(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return scores (members, batch), parts and expected rows (members, batch, d) or None."""

    def _initialise(self, net: Any, x: Tensor) -> None:
        """Set what the training needs from rows x (members, k, d); nothing by default."""

    def _players(self, net: Any) -> list[Player]:
        return [Player(list(net.parameters()), lambda x: self._loss(net, x))]

    def _validate(self, net: Any, x: Tensor) -> Tensor:
        """Return the held-out loss (members,), with the same random draws at every check."""
        with seeded(self.seed, x.device):
            return self._loss(net, x)

    def _rows(
        self, X: FloatArray, fold: IntArray, y: IntArray | None, device: torch.device
    ) -> Rows:
        """Return the rows that the members learn from and are checked on."""
        return Rows(X, fold, self.members, self._standardise, device, self.seed)

    def _calibrate(self, net: Any, held_out: Tensor) -> None:
        """Set what the scores need beyond the weights, from held-out rows; nothing by default."""

    def _schedule(self) -> Schedule:
        return Schedule(
            steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate
        )

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        self._check_parameters()
        self.mean_, self.scale_ = mean_and_scale(X)
        self._length = correlation_length(X) if y is None else 0
        self.holds_out_blocks_ = self._length > 0 and self.members > 1
        self._train(X, self._fold(len(X), y), y)

    def _fold(self, n: int, y: IntArray | None) -> IntArray:
        """Return which fold (n,) each row is in; a lone member holds out one fold of ten."""
        folds = min(self.members if self.members > 1 else 10, n)
        if self._length:
            return contiguous_folds(n, folds, self._length)
        return fold_of_rows(n, folds, seed=self.seed, y=y)

    def _train(self, X: FloatArray, fold: IntArray, y: IntArray | None) -> None:
        device = pick_device(self.device)
        with seeded(self.seed, device):
            net = self._network(X.shape[1]).to(device)
            rows = self._rows(X, fold, y, device)
            with torch.no_grad():
                self._initialise(net, rows.batch(4096))
            train(
                net,
                self._players(net),
                rows,
                lambda x: self._validate(net, x),
                self._schedule(),
            )
            with torch.no_grad():
                self._calibrate(net, rows.held_out(4096))
        self.net_ = self._ready(net, device)

    def to_onnx(self) -> bytes:
        """Return the trained detector as an ONNX model: rows (n, d) float64 to scores (n,).

        Parts and expected rows (n, d) are further outputs, where the detector has them.
        Raises NotFitted before ``fit``, MissingExtra without the package onnx, and NotSavable for
        a network that ONNX has no operators for.
        """
        from tocsin.nn.export import to_onnx

        if not hasattr(self, "net_"):
            raise NotFitted(f"{self.card.name} is not trained yet: call fit before to_onnx.")
        return to_onnx(self)

    def _score(self, X: FloatArray) -> Scores:
        values, parts, expected = [], [], []
        for x in self._chunks(X):
            row, part, expect = self._row_scores(self.net_, x.expand(self.members, -1, -1))
            values.append(to_numpy(row.mean(0)))
            if part is not None:
                parts.append(to_numpy(part.mean(0)))
            if expect is not None:
                expected.append(to_numpy(expect.mean(0)) * self.scale_ + self.mean_)
        return Scores(
            np.concatenate(values),
            np.concatenate(parts) if parts else None,
            np.concatenate(expected) if expected else None,
        )

    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        if self.members == 1:
            return out_of_fold_scores(self, X, y)
        # Rows between contiguous folds have served no member: the first one scores them.
        fold = torch.from_numpy(self._fold(len(X), y)).clamp(min=0)
        start, values = 0, []
        for x in self._chunks(X):
            scores, _, _ = self._row_scores(self.net_, x.expand(self.members, -1, -1))
            own = fold[start : start + x.shape[1]].to(scores.device)
            values.append(to_numpy(scores.gather(0, own.unsqueeze(0))[0]))
            start += x.shape[1]
        return np.concatenate(values)

    def _chunks(self, X: FloatArray, size: int = 4096) -> Iterator[Tensor]:
        """Yield standardised rows as (1, chunk, d), in the precision of the trained network."""
        weight = next(self.net_.parameters())
        with torch.inference_mode():
            for start in range(0, len(X), size):
                rows = torch.from_numpy(np.array(X[start : start + size]))
                yield self._standardise(rows).to(weight.dtype).to(weight.device).unsqueeze(0)

    def _standardise(self, x: Tensor) -> Tensor:
        """Return x in units of the training rows' standard deviation, clipped."""
        mean, scale = torch.from_numpy(self.mean_), torch.from_numpy(self.scale_)
        return ((x - mean) / scale).clamp(-_LIMIT, _LIMIT)

    def _check_parameters(self) -> None:
        for name in ("members", "steps", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} must be above 0; got {getattr(self, name)}.")


class EncodingDetector(NeuralDetector):
    """A neural detector whose network has a latent representation of a row."""

    @abstractmethod
    def _encode(self, net: Any, x: Tensor) -> Tensor:
        """Return the latent representation (members, batch, latent) of standardised rows."""

    def embed(self, X: Any) -> FloatArray:
        """Return the latent representation (n, latent) of rows X, by the first member.

        Raises NotFitted before ``fit``, and SchemaMismatch for another number of columns.
        """
        if not hasattr(self, "net_"):
            raise NotFitted(f"{self.card.name} is not trained yet: call fit before embed.")
        chunks = self._chunks(self._check_scoring(X))
        latent = [self._encode(self.net_, x.expand(self.members, -1, -1))[0] for x in chunks]
        return to_numpy(torch.cat(latent)).astype(np.float64)
