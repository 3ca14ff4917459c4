"""``tocsin explain``: why items score as they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli import options, terminal

if TYPE_CHECKING:
    from tocsin.pipeline import BasePipeline


def explain(
    model: options.Model,
    data: options.Data,
    row: Annotated[
        list[int] | None, typer.Option(help="A row, counted from 0. May be repeated.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="Logs: the key of a session, or file:line. May be repeated."),
    ] = None,
    sign_key: options.SignKey = None,
    as_json: options.Json = False,
) -> None:
    """Explain rows of a table, intervals of series, sessions of logs, texts, or images.

    Without --row and --key, the anomalies. For series, --row finds the intervals that hold it.
    """
    from tocsin.cli import printing
    from tocsin.cli.inputs import Input
    from tocsin.cli.loading import modality_cli
    from tocsin.cli.models import opened_model

    with opened_model(model, sign_key=sign_key) as pipeline:
        items = _choose_items(pipeline, row, key)
        cli = modality_cli(pipeline.modality)
        with printing.progress("Explaining"):
            given, _ = cli.load(Input(data, options.DataOptions(), pipeline))
            detection = pipeline.explain(given, items)
    explained = cli.explained(detection)
    if as_json:
        printing.print_json(cli.as_dicts(detection, explained))
    elif explained:
        cli.print_items(detection, explained)
    else:
        terminal.print_line("no anomalies" if items is None else "no anomaly holds these rows")


def _choose_items(
    pipeline: BasePipeline, rows: list[int] | None, keys: list[str] | None
) -> Sequence[int | str] | None:
    """Return the items to explain, None for the anomalies. Raises ParameterError."""
    from tocsin.errors import ParameterError

    wanted, other = (keys, "row") if pipeline.explained_by == "key" else (rows, "key")
    if (rows if other == "row" else keys) is not None:
        raise ParameterError(
            f"These are {pipeline.item}: name them by --{pipeline.explained_by}, not by --{other}."
        )
    return wanted
