"""The common part of the detectors of tables that train a network."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import Annotated, Any, TypedDict

import numpy as np
import torch
from torch import Tensor, nn

from tocsin.base import (
    TableDetector,
    assign_folds,
    contiguous_folds,
    correlation_length,
)
from tocsin.base.abilities import Exports
from tocsin.base.declared import Shape
from tocsin.base.parameters import check_positive
from tocsin.errors import NotFitted, NotSavable
from tocsin.nn.device import pick_device
from tocsin.nn.network import NetworkDetector, mean_and_scale, seeded, to_numpy
from tocsin.nn.onnx.export import export_onnx
from tocsin.nn.onnx.tables import with_card
from tocsin.nn.training import MemberBatches, Objective, Schedule, train
from tocsin.types import FloatArray, IntArray, Scores

_LIMIT = 1e6
"""Standardised values are clipped here, so that float32 squares stay finite."""


class TableTraining(TypedDict, total=False):
    """How networks are trained: keywords that every neural detector of tables takes."""

    members: int
    steps: int
    batch_size: int
    learning_rate: float
    device: str
    seed: int


class NeuralTableDetector(NetworkDetector, TableDetector, Exports):
    """A detector that trains an ensemble of networks on standardised rows.

    Each member holds out its own fold for early stopping, so a training row's out-of-sample
    score is that of the member that has not learned from it; with fewer rows than members,
    members share folds. Where rows depend on those before them, folds are contiguous, with gaps.
    With one member, the rows' scores come from refits on five folds. Networks
    train in float32 and score in float64, where a row's score does not depend on the size
    of the batch it comes in.

    ``members`` networks; ``steps`` of ``batch_size`` rows each at ``learning_rate``, which
    decays; ``device`` "auto", "cuda", "mps" or "cpu"; ``seed`` of every random choice. A
    subclass takes these as ``**training`` beside its own keywords.

    A subclass builds ``_network``, and gives the training ``_loss`` (members,) and the
    ``_row_scores`` of a batch (members, batch, d).
    """

    mean_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]

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

    def _objectives(self, net: Any) -> list[Objective]:
        return [Objective(list(net.parameters()), lambda x: self._loss(net, x))]

    def _validate(self, net: Any, x: Tensor) -> Tensor:
        """Return the held-out loss (members,), with the same random draws at every check."""
        with seeded(self.seed, x.device):
            return self._loss(net, x)

    def _rows(
        self, X: FloatArray, fold: IntArray, y: IntArray | None, device: torch.device
    ) -> MemberBatches:
        """Return the rows that the members learn from and are checked on."""
        return MemberBatches(X, fold, self.members, self._standardise, device, self.seed)

    def _calibrate(self, net: Any, held_out: Tensor) -> None:
        """Set what the scores need beyond the weights, from held-out rows; nothing by default."""

    def _schedule(self) -> Schedule:
        return Schedule(
            steps=self.steps, batch_size=self.batch_size, learning_rate=self.learning_rate
        )

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray | None:
        self.mean_, self.scale_ = mean_and_scale(X)
        length = correlation_length(X) if y is None else 0
        self.holds_out_blocks_ = length > 0 and self.members > 1
        fold = self._folds(len(X), y, length)
        self._train(X, fold, y)
        return self._out_of_sample(X, fold) if self.members > 1 else None

    def _folds(self, n: int, y: IntArray | None, length: int = 0) -> IntArray:
        """Return which fold (n,) each row is in; a lone member holds out one fold of ten.

        Folds of rows that depend on each other over some ``length`` are contiguous.
        """
        folds = min(self.members if self.members > 1 else 10, n)
        if length:
            return contiguous_folds(n, folds, length)
        return assign_folds(n, folds, seed=self.seed, y=y)

    def _train(self, X: FloatArray, fold: IntArray, y: IntArray | None) -> None:
        device = pick_device(self.device)
        with seeded(self.seed, device):
            net = self._network(X.shape[1]).to(device)
            rows = self._rows(X, fold, y, device)
            with torch.no_grad():
                self._initialise(net, rows.batch(4096))
            train(
                net,
                self._objectives(net),
                rows,
                lambda x: self._validate(net, x),
                self._schedule(),
            )
            with torch.no_grad():
                self._calibrate(net, rows.held_out(4096))
        self.net_ = self._ready(net, device)

    def to_onnx(self) -> bytes:
        """Return the trained detector as an ONNX model: rows (n, d) float64 to scores (n,).

        Parts and expected rows (n, d) are further outputs, where the detector has them. The
        network computes in float32. The same detector gives the same bytes each time. Raises
        NotFitted before ``fit``, MissingExtra without the package onnx, and NotSavable for a
        network that ONNX has no operators for.
        """
        if not hasattr(self, "net_"):
            raise NotFitted(f"{self.card.name} is not trained yet: call fit before to_onnx.")
        serving = _Serving(self).eval()
        rows = torch.zeros(2, self.n_features_in_, dtype=torch.float64)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # shapes are traced on purpose
            names = list(serving.named(rows))
            try:
                # Frozen, what depends on weights alone is computed now: inverses, norms.
                traced = torch.jit.trace(serving, rows, check_trace=False)  # type: ignore[no-untyped-call]
                frozen = torch.jit.freeze(traced)
                content = export_onnx(frozen, rows, "rows", names, any_length=True)
            except (torch.onnx.OnnxExporterError, RuntimeError) as error:
                raise NotSavable(f"{self.card.name} has no ONNX form: {error}") from error
        return with_card(content, self.card)

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

    def _out_of_sample(self, X: FloatArray, fold: IntArray) -> FloatArray:
        """Return the score (n,) of each training row by the member that held out its fold."""
        # Rows between contiguous folds have served no member: the first one scores them.
        folds = torch.from_numpy(fold).clamp(min=0)
        start, values = 0, []
        for x in self._chunks(X):
            scores, _, _ = self._row_scores(self.net_, x.expand(self.members, -1, -1))
            own = folds[start : start + x.shape[1]].to(scores.device)
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

    def _embedded(self, X: Any, encode: Callable[[Any, Tensor], Tensor]) -> FloatArray:
        """Return the latent representation (n, latent) of rows X, by the first member.

        ``encode`` takes the network and standardised rows (members, batch, d) to that of each
        member. Raises NotFitted before ``fit``, and SchemaMismatch for another number of columns.
        """
        if not hasattr(self, "net_"):
            raise NotFitted(f"{self.card.name} is not trained yet: call fit before embed.")
        chunks = self._chunks(self._check_scoring(X))
        latent = [encode(self.net_, x.expand(self.members, -1, -1))[0] for x in chunks]
        return to_numpy(torch.cat(latent)).astype(np.float64)

    def _check_parameters(self) -> None:
        check_positive(
            members=self.members,
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
        )


class _Serving(nn.Module):
    """Rows (n, d) in the units of training to scores, parts and expected rows."""

    def __init__(self, detector: NeuralTableDetector) -> None:
        super().__init__()
        self.detector = detector
        self.net = copy.deepcopy(detector.net_).cpu().float()

    def named(self, rows: Tensor) -> dict[str, Tensor]:
        """Return the outputs by name."""
        detector = self.detector
        x = detector._standardise(rows).float().expand(detector.members, -1, -1)
        score, parts, expected = detector._row_scores(self.net, x)
        named = {"score": score.mean(0).double()}
        if parts is not None:
            named["parts"] = parts.mean(0).double()
        if expected is not None:
            mean, scale = torch.from_numpy(detector.mean_), torch.from_numpy(detector.scale_)
            named["expected"] = expected.mean(0).double() * scale + mean
        return named

    def forward(self, rows: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.named(rows).values())
