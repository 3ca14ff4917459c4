"""What fitted attributes may be: their annotations say it, and a restored state is held to them.

Whoever makes a model folder chooses every value in it, and compiled code takes sizes and indices as
they are. So an attribute's annotation is its contract: ``NDArray[np.int64]`` its dtype, ``Shape``
its axes, ``Within`` its range::

    rows_: Annotated[IntArray, Shape("m"), Within(0, "n-1")]

A size is a number or a name. A name is a parameter or a fitted number of the same object, ``d`` the
number of columns it was trained on, and any other the same size wherever it stands in one object.
Times a number or a name, plus or minus a number may follow: ``"lags*d+1"``.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from tocsin.base.kinds import described, is_of
from tocsin.errors import CorruptModel

Size = int | str

_SIZE = re.compile(r"([a-z_]\w*)(?:\*(\w+))?([+-]\d+)?")
_LARGEST = sys.float_info.max
_MOST = 2**63 - 1
_ADVICE = "Restore the model from a copy, or train and save it again."


class Shape:
    """The size of each axis of an array, or of a list: a number, or a name as the module says.

    ``empty``: whether a size that is bound here may be 0.
    """

    def __init__(self, *sizes: Size, empty: bool = False) -> None:
        self.sizes = sizes
        self.empty = empty


@dataclass(frozen=True, slots=True)
class Within:
    """The least and the largest value, each a number or a size; all finite ones by default.

    ``rising``: no value is less than the one before it along the last axis.
    """

    low: float | str = -_LARGEST
    high: float | str = _LARGEST
    rising: bool = False


@dataclass(frozen=True, slots=True)
class _Declared:
    kind: Any = Any
    shape: Shape | None = None
    within: Within = Within()

    @property
    def multiplies(self) -> bool:
        """Whether a size is a product."""
        return self.shape is not None and any("*" in str(size) for size in self.shape.sizes)


def check_fitted(owner: Any, names: Sequence[str]) -> None:
    """Raise CorruptModel unless the fitted attributes of these names are as they are declared."""
    declared = _declared_attributes(owner.__class__)
    sizes = _Sizes(owner)
    # Products and ranges name sizes that others bind.
    names = sorted(names, key=lambda name: declared.get(name, _Declared()).multiplies)
    for check in (_kind_problem, _shape_problem, _range_problem):
        for name in names:
            problem = check(getattr(owner, name), declared.get(name, _Declared()), sizes)
            if problem:
                raise CorruptModel(f"{type(owner).__name__}.{name} {problem}. {_ADVICE}")


def check_parameters(owner: Any, names: Sequence[str]) -> None:
    """Raise CorruptModel unless the parameters of these names are of the types annotated."""
    if problem := parameter_problem(owner, names):
        raise CorruptModel(f"{problem} {_ADVICE}")


def parameter_problem(owner: Any, names: Sequence[str]) -> str:
    """Return what is wrong with the first parameter that is not as annotated, "" if all are."""
    declared = _declared_parameters(owner.__class__)
    for name in names:
        value, known = _plain(getattr(owner, name)), declared.get(name, _Declared())
        if problem := _kind_problem(value, known, _Sizes(owner)):
            return f"The parameter {name} {problem}; it must be {_named(known.kind)}."
        if problem := _range_problem(value, known, _Sizes(owner)):
            return f"The parameter {name} {problem}."
    return ""


def check_records(
    fields: Mapping[str, NDArray[Any]],
    form: np.dtype[np.void],
    shape: tuple[int, ...],
    ranges: Mapping[str, Within],
) -> None:
    """Raise CorruptModel unless arrays by the names of its fields are records of this form.

    ``shape`` is that of the records. Numbers are finite, and within their range if they have one.
    """
    if set(fields) != set(form.names or ()):
        raise CorruptModel(f"The records have other fields than {', '.join(form.names or ())}.")
    for name, values in fields.items():
        wanted = form[name]
        if not isinstance(values, np.ndarray) or values.dtype != wanted.base:
            raise CorruptModel(f"The records' {name} is {described(values)}. {_ADVICE}")
        if values.shape != (*shape, *wanted.shape):
            raise CorruptModel(f"The records' {name} has the shape {values.shape}. {_ADVICE}")
        declared = _Declared(within=ranges.get(name, Within()))
        if problem := _range_problem(values, declared, _Sizes()):
            raise CorruptModel(f"The records' {name} {problem}. {_ADVICE}")


def check_whole(owner: Any) -> None:
    """Raise CorruptModel unless a restored object, and all within it, have what they declare."""
    if isinstance(owner, list | tuple):
        for each in owner:
            check_whole(each)
    elif isinstance(owner, dict):
        check_whole(list(owner.values()))
    elif hasattr(owner, "set_state"):
        for name, declared in _declared_attributes(owner.__class__).items():
            if owner._learns(name) and not _is_there(owner, name, declared.kind):
                raise CorruptModel(f"{type(owner).__name__}.{name} is missing. {_ADVICE}")
        check_whole([value for name, value in vars(owner).items() if name.endswith("_")])


def _is_there(owner: Any, name: str, kind: Any) -> bool:
    """Return whether an object has an attribute, and one with a state has been restored."""
    has_state = isinstance(kind, type) and hasattr(kind, "set_state")
    return hasattr(owner, name) and not (has_state and isinstance(getattr(owner, name), dict))


@cache
def _declared_attributes(cls: Any) -> dict[str, _Declared]:
    hints = get_type_hints(cls, include_extras=True)
    return {
        name: _declaration(hint)
        for name, hint in hints.items()
        if name.endswith("_") and not name.startswith("_")
    }


@cache
def _declared_parameters(cls: Any) -> dict[str, _Declared]:
    found: dict[str, _Declared] = {}
    for base in reversed(cls.__mro__):
        if inspect.isfunction(own := vars(base).get("__init__")):
            hints = get_type_hints(own, include_extras=True)
            found |= {name: _declaration(hint) for name, hint in hints.items()}
    return found


def _declaration(hint: Any) -> _Declared:
    if get_origin(hint) is not Annotated:
        return _Declared(hint)
    kind, *extras = get_args(hint)
    shapes = [each for each in extras if isinstance(each, Shape)]
    ranges = [each for each in extras if isinstance(each, Within)]
    return _Declared(kind, next(iter(shapes), None), next(iter(ranges), Within()))


class _Sizes:
    """The sizes that names stand for in one object, bound where they are met first."""

    def __init__(self, owner: Any = None) -> None:
        self._own = {} if owner is None else vars(owner)
        self._bound = {"d": self._own.get("n_features_in_")}

    def fits(self, given: int, size: Size, *, empty: bool) -> bool:
        if isinstance(size, int):
            return given == size
        name, factor, offset = self._parsed(size)
        if (known := self._value(name)) is not None:
            return given == known * factor + offset
        known, rest = divmod(given - offset, max(1, factor))
        self._bound[name] = known
        return rest == 0 and known >= (0 if empty else 1)

    def limit(self, bound: float | str) -> float:
        if not isinstance(bound, str):
            return bound
        name, factor, offset = self._parsed(bound)
        known = self._value(name)
        return _LARGEST if known is None else known * factor + offset

    def _parsed(self, size: str) -> tuple[str, int, int]:
        found = _SIZE.fullmatch(size)
        assert found is not None, size  # noqa: S101 - written in our own annotations
        name, factor, offset = found.groups()
        factor = factor or "1"
        times = int(factor) if factor.isdigit() else self._value(factor)
        return name, times or 1, int(offset or 0)

    def _value(self, name: str) -> int | None:
        value = self._bound.get(name, self._own.get(name))
        return value if type(value) is int else None


def _plain(value: Any) -> Any:
    """Return a number of NumPy as Python's own."""
    return value.item() if isinstance(value, np.generic) else value


def _named(kind: Any) -> str:
    """Return a type as it is written in code, without modules."""
    return re.sub(r"\b\w+\.", "", inspect.formatannotation(kind))


def _kind_problem(value: Any, declared: _Declared, sizes: _Sizes) -> str:
    return "" if is_of(value, declared.kind) else f"is {described(value)}"


def _shape_problem(value: Any, declared: _Declared, sizes: _Sizes) -> str:
    if declared.shape is None or not isinstance(value, np.ndarray | list | tuple):
        return ""
    wanted, empty = declared.shape.sizes, declared.shape.empty
    shape = value.shape if isinstance(value, np.ndarray) else (len(value),)
    if len(shape) == len(wanted) and all(
        sizes.fits(given, size, empty=empty) for given, size in zip(shape, wanted, strict=True)
    ):
        return ""
    return f"has the shape {shape}, which is not ({', '.join(map(str, wanted))}) of the rest"


def _range_problem(value: Any, declared: _Declared, sizes: _Sizes) -> str:
    if isinstance(value, list | tuple):
        return next(filter(None, (_range_problem(each, declared, sizes) for each in value)), "")
    found = _extremes(value)
    if found is None:
        return ""
    low, high = found
    within = declared.within
    least, most = sizes.limit(within.low), sizes.limit(within.high)
    if not (low >= least and high <= most):  # NaN is neither
        return f"holds {high if low >= least else low}, which is not within {least} and {most}"
    if within.rising and isinstance(value, np.ndarray) and _falls(value):
        return "is not in rising order"
    return ""


def _extremes(value: Any) -> tuple[float, float] | None:
    """Return the least and the largest of numbers, NaN if one is, None for what is none."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "fiu" or not value.size:
            return None
        return value.min().item(), value.max().item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and abs(value) > _MOST:
        return float("nan"), float("nan")  # beyond what arrays and compiled code hold
    return value, value


def _falls(value: NDArray[Any]) -> bool:
    return bool((value[..., 1:] < value[..., :-1]).any())
