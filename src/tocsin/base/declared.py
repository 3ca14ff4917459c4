"""What fitted attributes may be: their annotations say it, and a restored state is held to them.

Whoever makes a model folder chooses every value in it, and compiled code takes sizes and indices as
they are. So an attribute's annotation is its contract: ``NDArray[np.int64]`` its dtype, ``Shape``
its axes, ``Within`` its range::

    rows_: Annotated[IntArray, Shape("k"), Within(0, "n-1")]

A size is a number or a name. A name is a parameter or a fitted number of the same object, ``d`` the
number of columns it was trained on, and any other the same size wherever it stands in one object;
``+`` or ``-`` a number may follow. Numbers are finite unless ``Within`` reaches to infinity.
"""

from __future__ import annotations

import inspect
import math
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from tocsin.errors import CorruptModel

Size = int | str

_SIZE = re.compile(r"(\w+)([+-]\d+)?")
_LARGEST = 2**63 - 1


class Shape:
    """The size of each axis of an array: a number, or a name as the module says."""

    def __init__(self, *sizes: Size) -> None:
        self.sizes = sizes


@dataclass(frozen=True, slots=True)
class Within:
    """The least and the largest value, each a number or a name as the module says.

    ``nan``: whether values may be missing.
    """

    low: float | str = -math.inf
    high: float | str = math.inf
    nan: bool = False


@dataclass(frozen=True, slots=True)
class _Declared:
    kind: Any
    shape: Shape | None = None
    within: Within | None = None


def check_fitted(owner: Any, names: Sequence[str]) -> None:
    """Raise CorruptModel unless the fitted attributes of these names are as they are declared."""
    declared = _declared_attributes(type(owner))
    sizes: dict[str, int] = {}
    if isinstance(d := getattr(owner, "n_features_in_", None), int):
        sizes["d"] = d
    for name in names:
        known = declared.get(name, _Declared(Any))
        problem = _problem(getattr(owner, name), known, owner, sizes)
        if problem:
            raise CorruptModel(f"{type(owner).__name__}.{name} {problem}. {_ADVICE}")


def check_given(owner: Any, names: Sequence[str]) -> None:
    """Raise CorruptModel unless the parameters of these names have the types they are annotated."""
    declared = _declared_parameters(type(owner))
    for name in names:
        problem = _problem(getattr(owner, name), declared.get(name, _Declared(Any)), owner, {})
        if problem:
            raise CorruptModel(f"The parameter {type(owner).__name__}.{name} {problem}. {_ADVICE}")


_ADVICE = "Restore the model from a copy, or train and save it again."


@cache
def _declared_attributes(cls: type) -> dict[str, _Declared]:
    hints = get_type_hints(cls, include_extras=True)
    return {name: _declaration(hint) for name, hint in hints.items() if name.endswith("_")}


@cache
def _declared_parameters(cls: type) -> dict[str, _Declared]:
    found: dict[str, _Declared] = {}
    for base in reversed(cls.__mro__):
        if inspect.isfunction(own := vars(base).get("__init__")):
            hints = get_type_hints(own, include_extras=True)
            found |= {name: _declaration(hint) for name, hint in hints.items()}
    return found


def _declaration(hint: Any) -> _Declared:
    """Return a hint, without None beside ``Annotated``, and what it is annotated with."""
    if get_origin(hint) is not Annotated:
        return _Declared(hint)
    kind, *extras = get_args(hint)
    shape = next((each for each in extras if isinstance(each, Shape)), None)
    within = next((each for each in extras if isinstance(each, Within)), None)
    return _Declared(kind, shape, within)


def _problem(value: Any, declared: _Declared, owner: Any, sizes: dict[str, int]) -> str:
    """Return what is wrong with a value, "" for nothing."""
    if not _is_of(value, declared.kind):
        return f"is {_described(value)}"
    if isinstance(value, list | tuple):
        problems = (_problem(each, _element(declared), owner, sizes) for each in value)
        return next(filter(None, problems), "")
    if isinstance(value, np.ndarray) and declared.shape is not None:
        wanted = declared.shape.sizes
        fits = value.ndim == len(wanted) and all(
            _size_fits(given, size, owner, sizes)
            for given, size in zip(value.shape, wanted, strict=True)
        )
        if not fits:
            sought = ", ".join(map(str, wanted))
            return f"has the shape {value.shape}, not ({sought}) of the rest"
    return _out_of_range(value, declared.within or Within(), owner, sizes)


def _element(declared: _Declared) -> _Declared:
    """Return what the elements of a list are; a shape and a range are theirs."""
    arguments = [each for each in get_args(declared.kind) if each is not Ellipsis]
    kind = arguments[0] if len(arguments) == 1 else Any
    inner = _declaration(kind)
    return _Declared(inner.kind, inner.shape or declared.shape, inner.within or declared.within)


def _size_fits(given: int, size: Size, owner: Any, sizes: dict[str, int]) -> bool:
    if isinstance(size, int):
        return given == size
    name, offset = _parsed(size)
    known = _known(name, owner, sizes)
    if known is None:
        sizes[name] = given - offset
        return given - offset >= 0
    return given == known + offset


def _out_of_range(value: Any, within: Within, owner: Any, sizes: dict[str, int]) -> str:
    """Return what is wrong with the range of a number or an array, "" for nothing."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "b" or not value.size:
            return ""
        if value.dtype.kind == "f":
            return _floats_out_of_range(value, within, owner, sizes)
        low, high = int(value.min()), int(value.max())
    elif isinstance(value, bool) or not isinstance(value, int | float):
        return ""
    elif isinstance(value, float) and math.isnan(value):
        return "" if within.nan else "is not a number"
    else:
        low = high = value
        if isinstance(value, int) and abs(value) > _LARGEST:
            return "is beyond 64 bits"
    return _beyond(low, high, within, owner, sizes)


def _floats_out_of_range(
    value: NDArray[Any], within: Within, owner: Any, sizes: dict[str, int]
) -> str:
    low, high = value.min(), value.max()  # NaN if there is one
    if np.isnan(low):
        if not within.nan:
            return "holds what are not numbers"
        low, high = np.nanmin(value), np.nanmax(value)
        if np.isnan(low):
            return ""
    return _beyond(float(low), float(high), within, owner, sizes)


def _beyond(low: float, high: float, within: Within, owner: Any, sizes: dict[str, int]) -> str:
    least = _bound(within.low, owner, sizes)
    most = _bound(within.high, owner, sizes)
    if low < least or high > most:
        return f"holds {low if low < least else high}, beyond {least} to {most}"
    return ""


def _bound(bound: float | str, owner: Any, sizes: dict[str, int]) -> float:
    if isinstance(bound, str):
        name, offset = _parsed(bound)
        known = _known(name, owner, sizes)
        return math.inf if known is None else known + offset
    return bound


def _parsed(size: str) -> tuple[str, int]:
    found = _SIZE.fullmatch(size)
    assert found is not None, size  # noqa: S101 - written in our own annotations
    return found[1], int(found[2] or 0)


def _known(name: str, owner: Any, sizes: dict[str, int]) -> int | None:
    if name in sizes:
        return sizes[name]
    value = getattr(owner, name, None)
    return value if type(value) is int else None


def _is_of(value: Any, kind: Any) -> bool:
    """Return whether a restored value is of a type, as far as the type says something."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _is_of(value, arguments[0])
    if origin in (Union, types.UnionType):
        return any(_is_of(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments
    if origin is np.ndarray:
        return isinstance(value, np.ndarray) and _has_dtype(value, arguments[1])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            isinstance(key, str) and _is_of(each, arguments[1]) for key, each in value.items()
        )
    if isinstance(origin, type) and issubclass(origin, Sequence):
        one = [each for each in arguments if each is not Ellipsis]
        return isinstance(value, list | tuple) and (
            len(one) != 1 or all(_is_of(each, one[0]) for each in value)
        )
    return _is_plain(value, kind)


def _is_plain(value: Any, kind: Any) -> bool:
    if kind in (None, type(None)):
        return value is None
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if kind in (str, bool):
        return isinstance(value, kind)
    if isinstance(kind, type) and hasattr(kind, "set_state"):  # restored itself, or about to be
        return isinstance(value, kind | Mapping)
    return True


def _has_dtype(value: NDArray[Any], dtype: Any) -> bool:
    (scalar,) = get_args(dtype) or (Any,)
    return not isinstance(scalar, type) or issubclass(value.dtype.type, scalar)


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return f"{str(value)[:40]!r}, a {type(value).__name__}"
