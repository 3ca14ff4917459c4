"""Options that several commands share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Data = Annotated[
    Path,
    typer.Argument(
        help="Rows, series or texts: CSV, TSV, Parquet, JSON lines, or NumPy (.npy, .npz); "
        "logs: a file, plain or gzipped, or a folder; texts: also the lines of a .txt file; "
        "images: a folder of them, or one."
    ),
]
Kind = Annotated[
    Literal["tables", "series", "logs", "text", "images"] | None,
    typer.Option(
        "--as",
        help="Whether rows stand alone or follow in time, lines are a log, rows are texts, or "
        "files are images.",
        show_default="guessed, and said",
    ),
]
Time = Annotated[
    str | None,
    typer.Option(help='Series: the column of the time, or "none".', show_default="looked for"),
]
Entity = Annotated[
    str | None,
    typer.Option(
        help='Series: the column that says which series a row belongs to, or "none".',
        show_default="looked for",
    ),
]
Models = Annotated[
    Literal["shared", "each"] | None,
    typer.Option(help="Series: one model for all entities, or one each.", show_default="shared"),
]
Missing = Annotated[
    Literal["ignore", "zero", "anomaly"],
    typer.Option(
        help="Series: what missing points are: unknown; zero, where only events are recorded; or "
        "outages, which are anomalies.",
        show_default=True,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        help='Logs: a format\'s name, or a pattern such as "<time> <level> <message>".',
        show_default="recognised",
    ),
]
Session = Annotated[
    str | None,
    typer.Option(
        help='Logs: what lines of a session share: a field, a regular expression such as "(job '
        '[0-9]+)", or "line", each line by itself.',
        show_default="looked for",
    ),
]
Window = Annotated[float | None, typer.Option(help="Logs: lines of so many seconds are a session.")]
Text = Annotated[
    str | None,
    typer.Option(help="The column of texts to judge.", show_default="with --as text, looked for"),
]
Model = Annotated[Path, typer.Argument(help="A model folder, written by 'tocsin fit'.")]
Label = Annotated[
    str | None, typer.Option(help="The column that says which rows are anomalies (1, true, yes …).")
]
Labels = Annotated[
    Path | None,
    typer.Option(
        help="A file of labels, one a row: .npy or one-column CSV; of images, one an image in the "
        "order of their names, or two columns, name and label."
    ),
]
Detector = Annotated[
    str, typer.Option(help="A detector's name; 'tocsin detectors' lists them.", show_default=True)
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--set", help="A parameter of the detector, as name=value. May be repeated."),
]
Clean = Annotated[
    bool | None,
    typer.Option(
        "--clean/--mixed",
        help="Whether the training rows are normal only, or unlabelled with anomalies among them.",
        show_default="guessed, and said",
    ),
]
FalseAlarms = Annotated[
    float, typer.Option(help="The share of normal rows that may be flagged.", show_default=True)
]
StatedFalseAlarms = Annotated[
    float | None,
    typer.Option(
        "--false-alarms",
        help="The share of normal rows that may be flagged.",
        show_default="0.01; of unlabelled logs, the threshold found in them",
    ),
]
AlarmsPerDay = Annotated[
    float | None,
    typer.Option(
        help="False alarms allowed per day, instead of a share; of series, intervals of all "
        "entities together."
    ),
]
RowsPerDay = Annotated[
    float | None, typer.Option(help="Rows that come in a day; goes with --alarms-per-day.")
]
Calibration = Annotated[
    Literal["conformal", "extreme_value", "quantile"],
    typer.Option(help="How scores become p-values.", show_default=True),
]
Scale = Annotated[
    Literal["standard", "robust", "minmax", "none"],
    typer.Option(help="How columns are scaled.", show_default=True),
]
Seed = Annotated[int, typer.Option(help="Seed of every random choice.", show_default=True)]
Top = Annotated[int, typer.Option(help="Anomalies to print.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Adapt = Annotated[
    bool,
    typer.Option(
        "--adapt",
        help="Tables: where more rows are flagged over a stretch than the budget allows, take the "
        "levels of the columns that moved there as normal, and judge its rows around them.",
    ),
]
Out = Annotated[Path | None, typer.Option(help="Write the scores here: .csv, .parquet or .jsonl.")]
Picture = Annotated[
    Path | None, typer.Option("--png", help="Series: draw them with their anomalies here.")
]
Overlays = Annotated[
    Path | None,
    typer.Option(help="Images: draw where each anomaly is one, as PNG files in this folder."),
]
Report = Annotated[Path | None, typer.Option(help="Write an HTML report here.")]
CONFIG = Path("tocsin.yaml")
Config = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration.", show_default=True)
]
