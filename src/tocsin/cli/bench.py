"""``tocsin bench``: the benchmark suites."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from tocsin.cli import options

app = typer.Typer(
    name="bench", help="Measure detectors on a folder of labelled sets.", no_args_is_help=True
)

Folder = Annotated[Path, typer.Option(help="A folder of NAME.npz files: X and y, or a split set.")]
Names = Annotated[str, typer.Option(help="Names, separated by commas.", show_default=True)]
Numbers = Annotated[str, typer.Option(help="Seeds, separated by commas.", show_default=True)]
File = Annotated[Path | None, typer.Option("--json", help="Write the rows here, as JSON.")]


@app.callback()
def _suites() -> None:
    pass


@app.command()
def tables(
    data: Folder,
    protocol: Annotated[
        Literal["clean", "mixed"],
        typer.Option(help="clean: one-class. mixed: unlabelled.", show_default=True),
    ] = "clean",
    seeds: Numbers = "0,1,2",
    detectors: Names = "auto,neighbours",
    json_file: File = None,
) -> None:
    """Measure detectors on tables; the others are compared with the first one named."""
    from rich.console import Console

    from tocsin.cli import parsing
    from tocsin.evaluate.tables_suite import print_tables, run_tables

    names = parsing.split_names(detectors)
    rows = run_tables(data, protocol, parsing.split_numbers(seeds), names, _say)
    if json_file is not None:
        _write(json_file, rows)
    print_tables(rows, Console())


@app.command()
def false_alarms(
    data: Annotated[
        Path,
        typer.Option(
            help="A folder of NAME.npz files, whose normal rows are split at random, or of folders "
            "with later data: train_normal.csv and test.csv, or train/good and test/good, or of "
            "series with an index.csv, whose leading parts are split in time."
        ),
    ],
    budgets: Annotated[
        str, typer.Option(help="Budgets, separated by commas.", show_default=True)
    ] = "0.01,0.05",
    seeds: Numbers = "0,1,2",
    detectors: Names = "auto",
    kind: Annotated[
        Literal["tables", "series", "text"],
        typer.Option("--as", help="Later data: what it is taken as.", show_default=True),
    ] = "tables",
    only: Annotated[str | None, typer.Option(help="Later data: sets, separated by commas.")] = None,
    most_rows: Annotated[
        int | None, typer.Option(help="Later data: rows read at most of a file.", min=100)
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Later data: draw promised against measured here, .png or .html."),
    ] = None,
    json_file: File = None,
) -> None:
    """Measure how many unseen normal items are flagged, against the budget.

    With --detectors all, every detector that learns without labels.
    """
    from rich.console import Console

    from tocsin.cli import parsing
    from tocsin.evaluate import tables_suite, time_splits
    from tocsin.evaluate.false_alarms_series import run_held_out_series

    rates = [float(word) for word in parsing.split_names(budgets)]
    if labelled_series := (data / "index.csv").exists():
        kind = "series"
    names = parsing.unlabelled_names(kind) if detectors == "all" else parsing.split_names(detectors)
    if labelled_series:
        chosen = parsing.split_names(only) if only else None
        rows = run_held_out_series(data, rates, names, only=chosen, progress=_say)
        printed = time_splits.print_time_splits
    elif any(data.glob("*.npz")):
        numbers = parsing.split_numbers(seeds)
        rows = tables_suite.run_false_alarms(data, rates, numbers, names, progress=_say)
        printed = tables_suite.print_false_alarms
    else:
        chosen = parsing.split_names(only) if only else None
        rows = time_splits.run_time_splits(
            data, rates, names, modality=kind, only=chosen, most_rows=most_rows, progress=_say
        )
        printed = time_splits.print_time_splits
    if json_file is not None:
        _write(json_file, rows)
    if plot is not None:
        from tocsin.report.promises import draw_promises

        draw_promises(plot, rows)
    printed(rows, Console())


@app.command()
def series(
    data: Annotated[
        Path,
        typer.Option(help="A folder: index.csv, KIND/FAMILY/NAME.npz (X, y, train_end)."),
    ],
    kind: Annotated[
        Literal["univariate", "multivariate", "streaming"],
        typer.Option(help="Which series; streaming: univariate, by event.", show_default=True),
    ] = "univariate",
    exact: Annotated[
        bool, typer.Option("--exact", help="Only series that have published figures.")
    ] = False,
    only: Annotated[
        str | None, typer.Option(help="Families, or FAMILY/NAME, separated by commas.")
    ] = None,
    detectors: Names = "auto",
    parameters: Annotated[
        list[str] | None,
        typer.Option("--set", help="name=value, for the detectors that have it; repeat for more."),
    ] = None,
    json_file: File = None,
) -> None:
    """Measure detectors on time series, beside published figures of the same series."""
    from rich.console import Console

    from tocsin.cli import parsing
    from tocsin.evaluate.series_suite import print_series, read_published, run_series

    rows = run_series(
        data,
        kind,
        parsing.split_names(detectors),
        exact,
        _say,
        only=parsing.split_names(only) if only else None,
        parameters=dict(parsing.parse_parameter(item) for item in parameters or []),
    )
    if json_file is not None:
        _write(json_file, rows)
    print_series(rows, read_published(data, kind), Console())


@app.command()
def text(
    data: Annotated[Path, typer.Option(help="A folder of NAME.csv files: text and label.")],
    protocols: Annotated[
        str | None, typer.Option(help="Of normal_only, unlabelled, five_labels; else all.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Sets, separated by commas.")] = None,
    seeds: Numbers = "0,1,2",
    detectors: Names = "auto",
    parameters: options.Parameters = None,
    json_file: File = None,
) -> None:
    """Measure detectors on texts: normal ones, unlabelled ones, five labelled anomalies.

    For the true speed of an encoder set TOCSIN_CACHE=off, so that it embeds every text anew.
    """
    from rich.console import Console

    from tocsin.cli import parsing
    from tocsin.evaluate.item_suite import print_tasks
    from tocsin.evaluate.text_suite import PROTOCOLS, run_text

    rows = run_text(
        data,
        parsing.split_names(detectors),
        parsing.split_numbers(seeds),
        _say,
        protocols=parsing.split_names(protocols) if protocols else PROTOCOLS,
        only=parsing.split_names(only) if only else None,
        parameters=dict(parsing.parse_parameter(item) for item in parameters or []),
    )
    if json_file is not None:
        _write(json_file, rows)
    print_tasks(rows, Console())


@app.command()
def images(
    data: Annotated[
        Path,
        typer.Option(
            help="A folder of sets: NAME/train/good, NAME/test/good, NAME/test/DEFECT, and masks "
            "in NAME/ground_truth/DEFECT or boxes in NAME/boxes."
        ),
    ],
    shots: Annotated[
        str | None,
        typer.Option(
            help="From how many good images to learn, separated by commas.", show_default="all"
        ),
    ] = None,
    only: Annotated[str | None, typer.Option(help="Sets, separated by commas.")] = None,
    seeds: Numbers = "0,1,2",
    detectors: Names = "auto",
    parameters: options.Parameters = None,
    json_file: File = None,
) -> None:
    """Measure detectors on images: which are anomalous, where, and in what time and memory.

    They learn from good images alone, on one thread. Memory is that of the whole process.
    """
    from rich.console import Console

    from tocsin.cli import parsing
    from tocsin.evaluate.image_suite import print_images, run_images

    rows = run_images(
        data,
        parsing.split_names(detectors),
        parsing.split_numbers(seeds),
        _say,
        shots=parsing.split_numbers(shots) if shots else (None,),
        only=parsing.split_names(only) if only else None,
        parameters=dict(parsing.parse_parameter(item) for item in parameters or []),
    )
    if json_file is not None:
        _write(json_file, rows)
    print_images(rows, Console())


@app.command()
def logs(
    data: Annotated[
        Path, typer.Option(help="A folder that holds hdfs_sessions, bgl/BGL_2k.log, or both.")
    ],
    protocols: Annotated[
        str | None,
        typer.Option(help="Of hdfs_clean, hdfs_1 (%) to hdfs_35, bgl_level, bgl_no_level."),
    ] = None,
    seeds: Numbers = "0,1,2",
    detectors: Names = "auto",
    json_file: File = None,
) -> None:
    """Measure detectors on sessions of events, clean and contaminated, and on log lines."""
    from rich.console import Console

    from tocsin.cli import parsing
    from tocsin.evaluate.item_suite import print_tasks
    from tocsin.evaluate.logs_suite import PROTOCOLS, run_logs

    rows = run_logs(
        data,
        parsing.split_names(detectors),
        parsing.split_numbers(seeds),
        _say,
        protocols=parsing.split_names(protocols) if protocols else PROTOCOLS,
    )
    if json_file is not None:
        _write(json_file, rows)
    print_tasks(rows, Console())


_SAID = {
    "roc": "ROC",
    "f1": "F1",
    "vus_pr": "VUS-PR",
    "image_auroc": "image ROC",
    "pro": "PRO",
}


def _say(row: dict[str, Any]) -> None:
    values = [
        row["dataset"],
        row.get("protocol", ""),
        f"{row['shots']} shots" if row.get("shots") else "",
        f"seed {row['seed']}" if "seed" in row else "",
        row["detector"],
    ]
    for key, name in _SAID.items():
        if row.get(key) is not None:
            values.append(f"{name} {row[key]:.3f}")
    if row.get("error"):
        values.append("failed")
    typer.echo("  ".join(filter(None, values)), err=True)


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    import json

    from tocsin.files import write_atomically

    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(rows, indent=1))
