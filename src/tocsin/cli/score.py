"""``tocsin score``: score new items with a trained model."""

from __future__ import annotations

from typing import Annotated

import typer

from tocsin.cli import options


def score(
    model: options.Model,
    data: options.Data,
    out: options.Out = None,
    false_alarms: Annotated[
        float | None, typer.Option(help="Override the model's false-alarm rate.")
    ] = None,
    adapt: options.Adapt = False,
    chunk_rows: Annotated[
        int, typer.Option(help="Tables: rows in memory at a time.", show_default=True, min=1)
    ] = 50_000,
    sign_key: options.SignKey = None,
    top: options.Top = 10,
    as_json: options.Json = False,
) -> None:
    """Score new items with a trained model.

    Tables and images are read in bounded memory; with --adapt, and for other data, everything is
    read at once.
    """
    from tocsin.cli import printing
    from tocsin.cli.inputs import Input
    from tocsin.cli.loading import modality_cli, reject_options
    from tocsin.cli.models import opened_model
    from tocsin.cli.writer import score_writer

    with opened_model(model, false_alarms, sign_key) as pipeline:
        cli, name = modality_cli(pipeline.modality), pipeline.detector_name
        reject_options(cli, ["adapt"] * adapt)
        source = Input(data, options.DataOptions(), pipeline)
        with printing.progress("Scoring"), score_writer(out) as write:
            found = cli.score(pipeline, source, write, top=top, chunk_rows=chunk_rows, adapt=adapt)
    if as_json:
        printing.print_json(cli.as_dict(found, name))
        return
    cli.print_detection(found, name, top)
    printing.print_paths([] if out is None else [out])
