"""Whether a value that was read from JSON or safetensors is of an annotated type."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import (
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import numpy as np
from numpy.typing import NDArray


def is_of(value: Any, kind: Any) -> bool:
    """Return whether a value is of a type, as far as the type says something of written values.

    JSON knows no tuples, so a list stands for any sequence; a mapping stands for an object that has
    a state. Types that this does not know are taken to fit.

    >>> is_of(["a"], tuple[str, ...]), is_of(True, int), is_of(None, str | None)
    (True, False, True)
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return is_of(value, arguments[0])
    if origin in (Union, types.UnionType):
        return any(is_of(value, each) for each in arguments)
    if origin is Literal:
        return value in arguments and isinstance(value, type(arguments[arguments.index(value)]))
    if isinstance(origin, type):
        return _is_of_generic(value, origin, arguments)
    return _is_plain(value, kind)


def described(value: Any) -> str:
    """Return what a value is, for an error."""
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}"
    return f"{str(value)[:40]!r}, a {type(value).__name__}"


def _is_of_generic(value: Any, origin: type, arguments: tuple[Any, ...]) -> bool:
    if issubclass(origin, np.ndarray):
        return isinstance(value, np.ndarray) and _has_dtype(value, arguments[1])
    if issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(
            isinstance(key, str) and is_of(each, arguments[1]) for key, each in value.items()
        )
    if issubclass(origin, Sequence):
        one = [each for each in arguments if each is not Ellipsis]
        return isinstance(value, list | tuple) and (
            len(one) != 1 or all(is_of(each, one[0]) for each in value)
        )
    return True


_PLAIN: dict[Any, Callable[[Any], bool]] = {
    None: lambda value: value is None,
    type(None): lambda value: value is None,
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    str: lambda value: isinstance(value, str),
}


def _is_plain(value: Any, kind: Any) -> bool:
    if (check := _PLAIN.get(kind)) is not None:
        return check(value)
    if is_typeddict(kind):
        hints = get_type_hints(kind)
        return isinstance(value, dict) and all(
            name in value and is_of(value[name], hint) for name, hint in hints.items()
        )
    if isinstance(kind, type) and hasattr(kind, "set_state"):
        return isinstance(value, kind | Mapping)
    return True


def _has_dtype(value: NDArray[Any], dtype: Any) -> bool:
    (scalar,) = get_args(dtype) or (Any,)
    return not isinstance(scalar, type) or issubclass(value.dtype.type, scalar)
