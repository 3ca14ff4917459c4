"""The check that a state which somebody has changed is refused, or scores."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.checks.asserting import CheckFailed, state_or_nothing
from tocsin.checks.subject import Subject
from tocsin.errors import TocsinError

_Path = tuple[Any, ...]

_MOST = 60
"""Changes tried for one detector; each restores and scores."""
_FEW = 12
"""Items that are scored."""


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
        _require_no_fault(subject, _replaced(state, path, array), items[:_FEW], path)


def _require_no_fault(subject: Subject, state: Any, items: Any, path: _Path) -> None:
    try:
        detector = subject.new().set_state(state)
    except Exception:  # noqa: BLE001 - whatever it is, ``load`` raises CorruptModel
        return
    try:
        with np.errstate(all="ignore"):
            detector.score(items)
    except TocsinError:
        return
    except Exception as error:
        name = "/".join(map(str, path))
        raise CheckFailed(
            f"a state with another {name} is neither refused nor scores: {error!r}; annotate it"
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
