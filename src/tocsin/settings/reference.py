"""The reference of settings: their names, kinds and defaults, read from their fields."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tocsin.settings import UNITS, OneOf, Secret, seconds

REQUIRED = "required"

_KINDS: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    Path: "path",
    Secret: "{env: NAME} or {file: path}",
    Any: "anything",
}


class Setting(NamedTuple):
    """One setting as a person writes it: its name, what it holds, and its default."""

    name: str
    kind: str
    default: str


def settings_of(model: type[BaseModel]) -> list[Setting]:
    """Return the settings of a model, in the order of its fields, inherited ones last.

    >>> class Door(BaseModel):
    ...     width: float
    ...     open: bool = False
    >>> settings_of(Door)[1]
    Setting(name='open', kind='true or false', default='false')
    """
    own = [name for cls in model.__mro__ for name in vars(cls).get("__annotations__", ())]
    fields = sorted(model.model_fields.items(), key=lambda item: own.index(item[0]))
    return [
        Setting(field.alias or name, _kind(field.annotation, field.metadata), _default(field))
        for name, field in fields
    ]


def nested_in(model: type[BaseModel]) -> list[type[BaseModel]]:
    """Return the models of settings within a model's settings, each once, outer ones first."""
    found: dict[type[BaseModel], None] = {}
    for field in model.model_fields.values():
        for each in _models(field.annotation):
            if each not in found:
                found |= dict.fromkeys([each, *nested_in(each)])
    return list(found)


def explanation_of(model: type[BaseModel]) -> str:
    """Return what a model's docstring says, unwrapped: a paragraph per line, without examples."""
    text = inspect.cleandoc(model.__doc__ or "").partition(">>>")[0]
    paragraphs = [" ".join(each.split()) for each in text.split("\n\n")]
    return "\n\n".join(filter(None, paragraphs)).replace("``", "`")


def _kind(annotation: Any, metadata: Any = ()) -> str:
    """Return in words what a field of an annotation holds."""
    for each in metadata:
        if getattr(each, "func", None) is seconds:
            return "duration"
        if isinstance(each, OneOf):
            return ", ".join(each.names())
    if (origin := get_origin(annotation)) is not None:
        return _compound_kind(origin, get_args(annotation))
    return _KINDS.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _compound_kind(origin: Any, inner: tuple[Any, ...]) -> str:
    if origin is Annotated:
        kind = _kind(inner[0], inner[1:])
    elif origin is Literal:
        kind = ", ".join(map(str, inner))
    elif origin in (Union, types.UnionType):
        kind = " or ".join(
            dict.fromkeys(_kind(each) for each in inner if each is not types.NoneType)
        )
    elif issubclass(origin, Mapping):
        kind = f"mapping of names to: {_kind(inner[1])}"
    else:
        kind = f"list of: {_kind(inner[0])}"
    return kind


def _default(field: FieldInfo) -> str:
    """Return the default of a field as a person would write it."""
    if field.is_required():
        return REQUIRED
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value in ((), {}):
        shown = "none"
    elif isinstance(value, BaseModel):
        shown = "its defaults"
    elif isinstance(value, bool):
        shown = str(value).lower()
    elif isinstance(value, tuple | list):
        shown = ", ".join(map(str, value))
    elif isinstance(value, float):
        is_duration = "duration" in _kind(field.annotation, field.metadata)
        shown = _duration(value) if is_duration else f"{value:g}"
    else:
        shown = str(value)
    return shown


def _duration(value: float) -> str:
    """Return seconds in the largest unit that divides them.

    >>> _duration(300.0), _duration(2_592_000.0), _duration(0.05)
    ('5m', '30d', '50ms')
    """
    for unit in ("d", "h", "m", "s"):
        if value >= UNITS[unit] and value % UNITS[unit] == 0:
            return f"{value / UNITS[unit]:g}{unit}"
    return f"{1000 * value:g}ms" if value < 1 else f"{value:g}s"


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        if annotation is not Secret and not inspect.isabstract(annotation):
            yield annotation
        return
    for inner in get_args(annotation):
        yield from _models(inner)
