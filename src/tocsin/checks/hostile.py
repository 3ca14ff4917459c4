"""The checks that a state or parameters which somebody has changed are refused, or score."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.checks.asserting import CheckFailed, require_raises, state_or_nothing
from tocsin.checks.subject import Subject
from tocsin.errors import ParameterError, TocsinError

_Path = tuple[Any, ...]

_MOST = 60
"""Changes tried for one detector; each restores and scores."""
_FEW = 12
"""Items that are scored."""
_OTHERS = (-1, 0, 2.5, float("inf"), None, "text")
"""What a parameter that is a number becomes; the last can never work."""


def check_changed_states(subject: Subject) -> None:
    """Check that arrays of other shapes, types or ranges are refused, or score without a fault.

    Whoever makes a model folder chooses what is in it. Annotate fitted attributes as
    ``tocsin.base.declared`` says: they are held to that before anything else sees them.
    """
    items, _ = subject.testing
    state = state_or_nothing(subject.fitted)
    changes = [(path, array) for path, x in _arrays(state, ()) for array in _changed(x)]
    order = np.random.default_rng(0).permutation(len(changes))[:_MOST]
    for path, array in (changes[i] for i in order):
        changed = _replaced(state, path, array)
        name = "/".join(map(str, path))
        _require_no_fault(subject.new(), changed, items[:_FEW], f"a state with another {name}")


def check_changed_parameters(subject: Subject) -> None:
    """Check that parameters which ``fit`` refuses are refused on loading, and others score.

    Say what they may be in ``_check_parameters``, or in the annotations of the constructor.
    """
    items, _ = subject.testing
    state = state_or_nothing(subject.fitted)
    own = subject.detector.get_params(deep=False)
    numbers = [name for name, value in own.items() if isinstance(value, int | float)]
    for name in numbers:
        for value in _OTHERS:
            detector = subject.new(**{name: value})
            _require_no_fault(detector, state, items[:_FEW], f"a state with {name}={value!r}")
        fit = partial(subject.fit, subject.normal, **{name: _OTHERS[-1]})
        require_raises(ParameterError, f"fit with {name}={_OTHERS[-1]!r}", fit)


def _require_no_fault(detector: Any, state: Any, items: Any, what: str) -> None:
    try:
        detector.set_state(state)
    except Exception:  # noqa: BLE001 - whatever it is, ``load`` raises CorruptModel
        return
    try:
        with np.errstate(all="ignore"):
            detector.score(items)
    except TocsinError:
        return
    except Exception as error:
        raise CheckFailed(
            f"{what} is neither refused nor scores: {error!r}; annotate it"
        ) from error


def _arrays(value: Any, path: _Path) -> Iterator[tuple[_Path, NDArray[Any]]]:
    """Yield the arrays of a state with where they are; not the bytes of ONNX models."""
    if isinstance(value, np.ndarray):
        if value.dtype != np.uint8:
            yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _arrays(each, (*path, key))
    elif isinstance(value, list):
        for i, each in enumerate(value):
            yield from _arrays(each, (*path, i))


def _changed(x: NDArray[Any]) -> Iterator[NDArray[Any]]:
    if x.ndim and len(x):
        yield x[:-1]
        yield np.concatenate([x, x])
        yield x[None]
    if x.dtype.kind == "f":
        yield x.astype(np.int64)
        yield np.full_like(x, np.nan)
    elif x.dtype.kind in "iu" and x.size:
        info = np.iinfo(x.dtype)
        for extreme in (info.min, -1, x.size + 1, info.max):
            changed = x.copy()
            changed.flat[x.size // 2] = max(info.min, extreme)
            yield changed


def _replaced(state: Any, path: _Path, array: NDArray[Any]) -> Any:
    changed = copy.deepcopy(state)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = array
    return changed
