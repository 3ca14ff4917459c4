"""Classifier: a fully connected network that learns from labelled anomalies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Unpack

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import expit
from torch import Tensor, nn
from torch.nn.functional import softplus

from tocsin.errors import InputError, ParameterError
from tocsin.nn.blocks import mlp
from tocsin.nn.tables import NeuralTableDetector, TableTraining
from tocsin.nn.training import MemberBatches
from tocsin.types import Card, FloatArray, IntArray

_LEAST_SPREAD = 1e-3
_LEAST_SLOPE = 0.05
"""Calibration never turns the order of the scores round."""


class Classifier(NeuralTableDetector):
    """An ensemble of fully connected networks with a sigmoid output, trained on labels.

    Rows (n, d) in any units, standardised inside; y (n,), 1 = anomaly, both classes present,
    one anomaly at least. Every batch holds as many anomalies as normal rows; ``weight`` is
    what an anomaly's loss counts against a normal row's. The score is the calibrated
    log-odds of being an anomaly, ``predict_probability`` the probability itself: Platt's
    sigmoid, fitted to log-odds of rows that a network was not trained on.

    With ``labels="few"`` the rows labelled 0 are unlabelled: mostly normal, with some
    anomalies among them, of kinds that may differ from the labelled ones. The networks then
    also tell the given rows from made-up ones, the same columns put together at random and
    widened by noise, so that whatever is unlike the given rows scores high; ``made_up``
    weighs those.

    Raises InputError when y has one class only, ParameterError for settings that cannot
    work, and TrainingFailed when the loss is not finite.
    Platt, Probabilistic Outputs for Support Vector Machines, 1999; on made-up anomalies
    Steinwart et al., A Classification Framework for Anomaly Detection, JMLR 2005.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> rows = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(4, 1, (20, 2))])
    >>> classifier = Classifier(steps=100).fit(rows, np.arange(220) >= 200)
    >>> classifier.predict_probability([[0, 0], [4, 4]]).round().tolist()
    [0.0, 1.0]
    """

    card = Card(
        name="classifier",
        modality="tables",
        family="supervised",
        learning=("supervised",),
        summary="A network trained on labelled anomalies, many or a handful, with probabilities.",
        paper="Platt, Probabilistic Outputs for Support Vector Machines, 1999",
        cost="fit O(steps · batch · d · width), score O(d · width) per row",
        also_known_as=("MLP",),
    )
    needs_labels = True

    slope_: float
    offset_: float

    def __init__(
        self,
        *,
        labels: Literal["complete", "few"] = "complete",
        weight: float = 1.0,
        made_up: float = 1.0,
        width: int = 64,
        **training: Unpack[TableTraining],
    ) -> None:
        defaults = TableTraining(steps=400)
        super().__init__(**(defaults | training))
        self.labels = labels
        self.weight = weight
        self.made_up = made_up
        self.width = width

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return a small network and a short training."""
        return {"width": 16, "steps": 150, "batch_size": 64}

    def predict_probability(self, X: Any) -> FloatArray:
        """Return the calibrated probability (n,) that each row is an anomaly.

        With ``labels="few"`` it is the probability of being like those labelled.
        Raises NotFitted before ``fit``, and SchemaMismatch for another number of columns.
        """
        probability: FloatArray = expit(self.score(X).values)
        return probability

    def _fit(self, X: FloatArray, y: IntArray | None) -> FloatArray | None:
        assert y is not None  # noqa: S101 - ``fit`` has checked ``needs_labels``
        anomalies = int(y.sum())
        if anomalies in (0, len(y)):
            raise InputError(
                f"classifier learns from both classes, but all {len(y)} rows are labelled "
                f"{int(anomalies > 0)}. Without labelled anomalies use a one-class detector, "
                'such as "local_geometry" or "autoencoder".'
            )
        self.slope_, self.offset_ = 1.0, 0.0
        logits = super()._fit(X, y)
        if logits is not None:
            self.slope_, self.offset_ = _platt(logits, y)
            return self._out_of_sample(X, self._folds(len(X), y))
        self.slope_, self.offset_ = _platt(*self._held_out(X, y))
        # No refit can do without the only row of a class.
        return self._score(X).values if np.bincount(y).min() < 2 else None

    def _held_out(self, X: FloatArray, y: IntArray) -> tuple[FloatArray, IntArray]:
        """Return log-odds of rows that a lone member was not trained on, and their labels."""
        held_out = self._folds(len(X), y) == 0
        if len(np.unique(y[held_out])) < 2:  # too few of one class to hold out any
            held_out[:] = True
        return self._score(X[held_out]).values, y[held_out]

    def _rows(
        self, X: FloatArray, fold: IntArray, y: IntArray | None, device: torch.device
    ) -> MemberBatches:
        assert y is not None  # noqa: S101 - as in ``_fit``
        return _Balanced(X, fold, self.members, self._standardise, device, self.seed, y)

    def _network(self, n_features: int) -> nn.Module:
        return _Classifier(self.members, n_features, self.width)

    def _loss(self, net: Any, x: Tensor) -> Tensor:
        normal, anomalies = x.chunk(2, dim=1)
        loss: Tensor = softplus(net(normal)).mean((1, 2))
        loss = loss + self.weight * softplus(-net(anomalies)).mean((1, 2))
        if self.labels == "few":
            loss = loss + self.made_up * softplus(-net(_made_up(normal))).mean((1, 2))
        return loss

    def _calibrate(self, net: Any, held_out: Tensor) -> None:
        logits = net(held_out.chunk(2, dim=1)[0])
        net.middle.copy_(logits.mean(1, keepdim=True))
        net.unit.copy_(logits.std(1, correction=0, keepdim=True).clamp_min(_LEAST_SPREAD))

    def _row_scores(self, net: Any, x: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
        # Members end at different steps, and so with log-odds of different spread.
        logits = (net(x) - net.middle) / net.unit
        return self.slope_ * logits[..., 0] + self.offset_, None, None

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.labels not in {"complete", "few"}:
            raise ParameterError(f'labels is "complete" or "few"; got {self.labels!r}.')
        if self.width < 1:
            raise ParameterError(f"width must be at least 1; got {self.width}.")
        for name in ("weight", "made_up"):
            if not getattr(self, name) >= 0:
                raise ParameterError(f"{name} must not be negative; got {getattr(self, name)}.")


class _Classifier(nn.Module):
    """Log-odds of a row, and the middle and spread that they have on held-out normal rows."""

    middle: Tensor
    unit: Tensor

    def __init__(self, members: int, n_features: int, width: int) -> None:
        super().__init__()
        self.body = mlp(members, [n_features, width, width, 1])
        self.register_buffer("middle", torch.zeros(members, 1, 1))
        self.register_buffer("unit", torch.ones(members, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.body(x)
        return logits


class _Balanced(MemberBatches):
    """Rows in batches whose first half is normal and whose second half is anomalous.

    A fold with one class only borrows the other from all rows, which happens with fewer
    anomalies than folds.
    """

    def __init__(
        self,
        data: FloatArray,
        fold: IntArray,
        members: int,
        transform: Callable[[Tensor], Tensor],
        device: torch.device,
        seed: int,
        y: IntArray,
    ) -> None:
        super().__init__(data, fold, members, transform, device, seed)
        classes = [np.flatnonzero(y == label) for label in (0, 1)]
        self._train = [_by_class(rows, y, classes) for rows in self._inside]
        self._check = [_by_class(rows, y, classes) for rows in self._outside]

    def batch(self, size: int) -> Tensor:
        """Return (members, size, …), drawn with replacement."""
        half = max(size // 2, 1)
        return self._take(
            np.stack(
                [np.concatenate([self._random.choice(c, half) for c in m]) for m in self._train]
            )
        )

    def held_out(self, at_most: int) -> Tensor:
        """Return held-out rows (members, k, …), the rarer class repeated."""
        half = min(at_most // 2, max(len(c) for m in self._check for c in m))
        return self._take(
            np.stack([np.concatenate([np.resize(c, half) for c in m]) for m in self._check])
        )


def _by_class(rows: IntArray, y: IntArray, classes: list[IntArray]) -> list[IntArray]:
    own = [rows[y[rows] == label] for label in (0, 1)]
    return [mine if len(mine) else every for mine, every in zip(own, classes, strict=True)]


def _made_up(x: Tensor) -> Tensor:
    """Return rows whose columns come from different rows of x, widened by noise."""
    mixed = x.gather(1, torch.rand_like(x).argsort(1))
    widths = torch.rand_like(x[..., :1]) * 2
    return mixed + widths * torch.randn_like(x)


def _platt(logits: FloatArray, y: IntArray) -> tuple[float, float]:
    """Return slope and offset of the sigmoid that turns log-odds into probabilities of y.

    The targets are Platt's smoothed ones, which keep a few rows from making it certain.
    """
    anomalies = int(y.sum())
    high, low = (anomalies + 1) / (anomalies + 2), 1 / (len(y) - anomalies + 2)
    target = np.where(y == 1, high, low)
    unit = max(float(np.std(logits)), 1e-9)
    design = np.column_stack([logits / unit, np.ones(len(y))])

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        z = design @ theta
        return float((np.logaddexp(0, z) - target * z).sum()), design.T @ (expit(z) - target)

    start = np.array([1.0, 0.0])
    bounds = [(_LEAST_SLOPE, None), (None, None)]
    slope, offset = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(slope / unit), float(offset)
