"""How checks report that a detector breaks the contract, and how they compare values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from tocsin.base import Detector, State
from tocsin.errors import NotSavable
from tocsin.types import FloatArray, IntArray, Scores


class CheckFailed(AssertionError):
    """A detector breaks the contract; the message states which part, and how."""


def require(condition: bool, message: str) -> None:
    """Raise CheckFailed with the message unless the condition holds."""
    if not condition:
        raise CheckFailed(message)


def require_raises(
    error: type[Exception], what: str, action: Callable[..., object], *arguments: Any
) -> None:
    """Raise CheckFailed unless the action raises the error, with a message."""
    try:
        action(*arguments)
    except error as raised:
        require(bool(str(raised).strip()), f"{what} raises {error.__name__} without a message")
    except Exception as raised:
        raise CheckFailed(
            f"{what} raises {type(raised).__name__}, not {error.__name__}: {raised}"
        ) from raised
    else:
        raise CheckFailed(f"{what} raises nothing; expected {error.__name__}")


def require_same(
    given: FloatArray, wanted: FloatArray, what: str, *, rtol: float = 1e-6, atol: float = 0.0
) -> None:
    """Raise CheckFailed unless two arrays agree; to the bit with both tolerances 0."""
    require(given.shape == wanted.shape, f"{what} have the shape {given.shape}")
    if not np.allclose(given, wanted, rtol=rtol, atol=atol):
        raise CheckFailed(f"{what} differ by up to {np.abs(given - wanted).max():.3g}")


def require_area(least: float, labels: IntArray, values: FloatArray, where: str) -> None:
    """Raise CheckFailed unless the ROC AUC of scores (n,) is above the least one."""
    area = roc_auc_score(labels, values)
    require(area > least, f"ROC AUC {where} is {area:.2f}, not above {least}")


def scored(detector: Detector, X: NDArray[Any]) -> Scores:
    """Return the scores, their shapes checked; ``Scores`` itself refuses infinite values."""
    scores = detector.score(X)
    require(scores.values.shape == (len(X),), f"scores have the shape {scores.values.shape}")
    for name in ("parts", "expected"):
        array = getattr(scores, name)
        if array is not None:
            require(
                X.ndim == 1 or array.shape == X.shape,
                f"{name} has the shape {array.shape}, not {X.shape}",
            )
            require(bool(np.isfinite(array).all()), f"{name} is not all finite")
    return scores


def require_training_scores(detector: Detector, n: int) -> None:
    """Raise CheckFailed unless there is one finite training score per item."""
    own = detector.training_scores_
    require(own.shape == (n,), f"training_scores_ has the shape {own.shape}, not ({n},)")
    require(bool(np.isfinite(own).all()), "training_scores_ are not all finite")


def state_or_nothing(detector: Detector) -> State:
    """Return the fitted state, empty for a detector that cannot be saved."""
    try:
        return detector.get_state()
    except NotSavable:
        return {}


def equal(a: Any, b: Any) -> bool:
    """Return whether two values hold the same; a list equals a tuple, as after JSON."""
    if is_dataclass(a) and type(a) is type(b):
        return all(equal(getattr(a, each.name), getattr(b, each.name)) for each in fields(a))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return _equal_arrays(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


def _equal_arrays(a: Any, b: Any) -> bool:
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype == object:
        return equal(a.tolist(), b.tolist())
    numbers = a.dtype.kind == b.dtype.kind == "f"
    return bool(np.array_equal(a, b, equal_nan=numbers))  # NaN may stand for "not yet seen"
