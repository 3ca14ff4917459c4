"""``tocsin sources`` and ``tocsin responders``: what a tocsin.yaml can hold, and its settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli import options, terminal

if TYPE_CHECKING:
    from pydantic import BaseModel

Name = Annotated[str | None, typer.Argument(help="Show this one with its settings.")]


def sources(name: Name = None, as_json: options.Json = False) -> None:
    """List the sources that a monitor can read, or show one with its settings."""
    _list_or_show("sources", name, as_json=as_json)


def responders(name: Name = None, as_json: options.Json = False) -> None:
    """List the responders that can be notified or act, or show one with its settings."""
    _list_or_show("responders", name, as_json=as_json)


def settings_page() -> str:
    """Return docs/settings.md: every setting of tocsin.yaml, read from the fields."""
    from tocsin import registry
    from tocsin.config import Config
    from tocsin.settings.reference import nested_in

    parts = [
        "# Settings",
        "Every setting of a tocsin.yaml. This page is written by `make docs` from the fields "
        "themselves; `tocsin sources NAME` and `tocsin responders NAME` print the same for one "
        "part. A duration is a number of seconds or a text such as 500ms, 30s, 5m, 4h, 7d.",
    ]
    models: list[type[BaseModel]] = [Config, *nested_in(Config)]
    for model in models:
        parts += _section(model.__name__, model)
    kinds: tuple[str, ...] = ("sources", "responders")
    for kind in kinds:
        for name in registry.part_names(kind):
            model = registry.find_part(kind, name)
            parts += _section(f"{kind.removesuffix('s').capitalize()} `{name}`", model)
            for inner in nested_in(model):
                if f"## {inner.__name__}" not in parts:
                    parts += _section(inner.__name__, inner)
    return "\n\n".join(parts) + "\n"


def _section(title: str, model: type[BaseModel]) -> Iterator[str]:
    from tocsin.settings.reference import explanation_of, settings_of

    yield f"## {title}"
    yield explanation_of(model)
    rows = [f"| `{each.name}` | {each.kind} | {each.default} |" for each in settings_of(model)]
    if rows:
        yield "\n".join(["| setting | holds | default |", "|---|---|---|", *rows])


def _list_or_show(kind: str, name: str | None, *, as_json: bool) -> None:
    if name is None:
        _list(kind, as_json=as_json)
    else:
        _show(kind, name, as_json=as_json)


def _list(kind: str, *, as_json: bool) -> None:
    from tocsin import registry
    from tocsin.cli.printing import print_json

    names = registry.part_names(kind)
    parts = [{"name": each, "summary": _summary(registry.find_part(kind, each))} for each in names]
    if as_json:
        print_json(parts)
        return
    for part in parts:
        terminal.echo(f"{part['name']:14} {part['summary']}")


def _show(kind: str, name: str, *, as_json: bool) -> None:
    from tocsin import registry
    from tocsin.cli.printing import print_json
    from tocsin.settings.reference import explanation_of, nested_in, settings_of

    model = registry.find_part(kind, name)
    groups = {name: model, **{inner.__name__: inner for inner in nested_in(model)}}
    settings = {title: settings_of(group) for title, group in groups.items()}
    if as_json:
        values = {title: [each._asdict() for each in held] for title, held in settings.items()}
        print_json({"name": name, "summary": _summary(model), "settings": values})
        return
    terminal.echo(explanation_of(model))
    for title, held in settings.items():
        terminal.echo(f"\n{title}")
        for setting in held:
            terminal.echo(f"  {setting.name:16} {setting.default:16} {setting.kind}")


def _summary(model: type[BaseModel]) -> str:
    from tocsin.settings.reference import explanation_of

    return explanation_of(model).partition("\n")[0].partition(". ")[0].rstrip(".")
