"""``tocsin detectors``: what there is."""

from __future__ import annotations

from typing import Annotated

import typer

from tocsin.cli import options


def detectors(
    name: Annotated[str | None, typer.Argument(help="Show this one in detail.")] = None,
    modality: Annotated[
        str, typer.Option(help="tables, series, logs, text or images.", show_default=True)
    ] = "tables",
    as_json: options.Json = False,
) -> None:
    """List the detectors, or show one with its parameters."""
    import dataclasses

    from tocsin import registry
    from tocsin.cli import printing

    if name is not None:
        _details(name, modality, as_json=as_json)
        return
    cards = [registry.find(known, modality).card for known in registry.names(modality)]
    if as_json:
        printing.print_json([dataclasses.asdict(card) for card in cards])
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("name", "family", "learns from", "what it does", box=None, header_style="bold")
    for card in cards:
        table.add_row(card.name, card.family, ", ".join(card.learning), card.summary)
    Console().print(table)


def _details(name: str, modality: str, *, as_json: bool) -> None:
    import dataclasses

    from tocsin import registry
    from tocsin.cli import printing

    detector = registry.create(name, modality)
    details = {**dataclasses.asdict(detector.card), "parameters": detector.get_params()}
    if detector.card.name == "pyod":
        from tocsin.detectors.tables import pyod

        details["models"] = pyod.names()
    if as_json:
        printing.print_json(details)
        return
    for key in ("name", "summary", "family", "learning", "paper", "cost"):
        value = details[key]
        typer.echo(f"{key:10} {', '.join(value) if isinstance(value, tuple) else value}")
    typer.echo("parameters")
    for key, value in details["parameters"].items():
        typer.echo(f"  {key} = {value!r}")
    if "models" in details:
        typer.echo(f"models     {', '.join(details['models'])}")
