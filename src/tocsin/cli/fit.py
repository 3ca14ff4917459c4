"""``tocsin fit``: train a model and save it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli import options, terminal
from tocsin.cli.taking import takes_options


@takes_options
def fit(
    data: options.Data,
    *,
    out: Annotated[Path, typer.Option(help="The folder for the trained model.")],
    model: options.ModelOptions,
    sign_key: options.SignKey = None,
    as_json: options.Json = False,
) -> None:
    """Learn what is normal from a table, series, logs, texts or images; save it in a folder."""
    from tocsin.cli import printing
    from tocsin.cli.loading import load_input
    from tocsin.cli.models import build_pipeline, read_key

    key = read_key(sign_key)
    loaded = load_input(data, model)
    pipeline = build_pipeline(loaded.cli, model)
    with printing.progress("Training"):
        pipeline.fit(loaded.data, labels=None if model.clean is False else loaded.labels)
    pipeline.save(out, key=key)
    name, notes = pipeline.detector_name, list(pipeline.notes_)
    count = loaded.cli.count_items(pipeline, loaded.data)
    if as_json:
        told = {"model": str(out), "detector": name, "rows": count, "notes": notes}
        printing.print_json({**told, "keeps": pipeline.keeps})
        return
    terminal.echo(f"Trained {name} on {count:,} {pipeline.item}. Wrote {out}")
    printing.print_notes([*notes, f"the model keeps {pipeline.keeps}"])
