"""``tocsin detectors``: which there are, and their parameters."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli import options, terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tocsin.types import Card


def detectors(
    name: Annotated[str | None, typer.Argument(help="Show this one in detail.")] = None,
    modality: Annotated[
        str,
        typer.Option(
            help="What they detect in: tables, series, logs, text, images …",
            autocompletion=options.modality_names,
            show_default=True,
        ),
    ] = "tables",
    as_json: options.Json = False,
) -> None:
    """List the detectors, or show one with its parameters."""
    from tocsin.cli import printing

    if name is not None:
        details = _describe(*_found(name, modality))
        if as_json:
            printing.print_json(details)
        else:
            _print_details(details)
        return
    cards = list(_cards(modality))
    if as_json:
        printing.print_json([asdict(card) for card in cards])
        return
    printing.print_table(
        [
            {
                "name": card.name,
                "family": card.family,
                "learns from": ", ".join(card.learning),
                "what it does": card.summary,
            }
            for card in cards
        ]
    )


def _cards(modality: str) -> Iterator[Card]:
    """Yield the cards of a modality's detectors; say on stderr which cannot be imported."""
    from tocsin import registry
    from tocsin.errors import UnusablePart

    for name in registry.names(modality):
        try:
            card: Card = registry.find(name, modality).card
        except UnusablePart as unusable:
            terminal.echo(f"tocsin: left out: {unusable}", err=True)
            continue
        yield card


def _found(name: str, modality: str) -> tuple[str, str]:
    """Return name and modality of the detector that is asked for, also by the name of a method."""
    from tocsin import registry

    stem = name.partition(":")[0]
    if stem not in registry.names(modality):
        cards = registry.closest_to(stem)
        cards.sort(key=lambda card: card.modality != modality)
        if cards:
            return cards[0].name, cards[0].modality
    return name, modality


def _describe(name: str, modality: str) -> dict[str, Any]:
    """Return the card of a detector, its parameters, and the models it can wrap, if any."""
    from tocsin import registry

    detector = registry.create(name, modality)
    details = {**asdict(detector.card), "parameters": detector.get_params()}
    if detector.card.name == "pyod":
        from tocsin.detectors.tables import pyod

        details["models"] = pyod.names()
    return details


def _print_details(details: dict[str, Any]) -> None:
    details = {**details, "closest to": details["also_known_as"]}
    for key in ("name", "closest to", "modality", "summary", "family", "learning", "paper", "cost"):
        value = details[key]
        if value:
            terminal.echo(f"{key:10} {', '.join(value) if isinstance(value, tuple) else value}")
    terminal.echo("parameters")
    for key, value in details["parameters"].items():
        terminal.echo(f"  {key} = {value!r}")
    if "models" in details:
        terminal.echo(f"models     {', '.join(details['models'])}")
