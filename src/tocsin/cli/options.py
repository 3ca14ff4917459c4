"""What several commands take, declared once: arguments, options, and groups of options."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import typer


def modality_names(incomplete: str = "") -> list[str]:
    """Return the modalities whose names begin so, for the completion of --as."""
    from tocsin import registry

    return [name for name in registry.modalities() if name.startswith(incomplete)]


Data = Annotated[
    Path,
    typer.Argument(
        help="Rows, series or texts: CSV, TSV, Parquet, JSON lines, or NumPy (.npy, .npz); "
        "logs: a file, plain or gzipped, or a folder; texts: also the lines of a .txt file; "
        "images: a folder of them, or one."
    ),
]
Model = Annotated[Path, typer.Argument(help="A model folder, written by 'tocsin fit'.")]
SignKey = Annotated[
    Path | None,
    typer.Option(
        envvar="TOCSIN_MODEL_KEY",
        help="A file with a key of 16 characters or more: models are signed by it when they are "
        "saved, and taken only if they are.",
    ),
]
Top = Annotated[int, typer.Option(help="Anomalies to print.", show_default=True)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--set", help="A parameter of the detector, as name=value. May be repeated."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Write the scores here: .csv, .parquet or .jsonl. In .csv, a text that a spreadsheet "
        "would run as a formula gets an apostrophe in front."
    ),
]
Adapt = Annotated[
    bool,
    typer.Option(
        "--adapt",
        help="Tables: where more rows are flagged over a stretch than the budget allows, take the "
        "levels of the columns that moved there as normal, and score its rows around them.",
    ),
]
CONFIG = Path("tocsin.yaml")
Config = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration.", show_default=True)
]


@dataclass(frozen=True)
class OptionGroup:
    """Options that commands take together; see ``takes_options``."""

    def given(self) -> frozenset[str]:
        """Return the names of those that were given; "none" says that there is no such thing."""
        return frozenset(
            field.name
            for field in fields(self)
            if getattr(self, field.name) not in (field.default, "none")
        )

    def values(self, *names: str) -> dict[str, Any]:
        """Return the values of these options by name, or of all."""
        return {name: getattr(self, name) for name in names or [each.name for each in fields(self)]}


@dataclass(frozen=True)
class TrainingOptions(OptionGroup):
    """What to train on in place of the data that are scored."""

    train: Annotated[
        Path | None, typer.Option(help="Train on this normal data instead of DATA.")
    ] = None
    train_rows: Annotated[
        int | None, typer.Option(help="Train on the first N rows of DATA.", metavar="N", min=1)
    ] = None


@dataclass(frozen=True)
class DataOptions(OptionGroup):
    """What the data are and where their labels stand."""

    kind: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="MODALITY",
            autocompletion=modality_names,
            help="What the data are: rows that stand alone (tables) or follow in time (series), "
            "lines of a log (logs), texts (text), or image files (images).",
            show_default="detected automatically and reported",
        ),
    ] = None
    time: Annotated[
        str | None,
        typer.Option(help='Series: the time column, or "none".', show_default="detected"),
    ] = None
    entity: Annotated[
        str | None,
        typer.Option(
            help='Series: the column that says which series a row belongs to, or "none".',
            show_default="detected",
        ),
    ] = None
    format: Annotated[
        str | None,
        typer.Option(
            help='Logs: the name of a format, or a pattern such as "<time> <level> <message>".',
            show_default="detected",
        ),
    ] = None
    session: Annotated[
        str | None,
        typer.Option(
            help="Logs: what the lines of a session share: a field, or a regular expression such "
            'as "(job [0-9]+)"; "line" makes each line a session.',
            show_default="detected",
        ),
    ] = None
    window: Annotated[
        float | None,
        typer.Option(help="Logs: group lines into windows of this many seconds."),
    ] = None
    text: Annotated[
        str | None,
        typer.Option(
            help="Text: the column of texts to score.", show_default="with --as text, detected"
        ),
    ] = None
    label: Annotated[
        str | None,
        typer.Option(help="The column that says which rows are anomalies (1, true, yes …)."),
    ] = None
    labels: Annotated[
        Path | None,
        typer.Option(
            help="A file of labels, .npy or CSV: one label per row; for images, one per image in "
            "name order, or two columns, name and label; for logs, one per session, or two "
            "columns, the key of a session (or a line, or file:line) and its label."
        ),
    ] = None


@dataclass(frozen=True)
class ModelOptions(DataOptions):
    """What the data are, and how a model is trained on them."""

    models: Annotated[
        Literal["shared", "each"] | None,
        typer.Option(
            help="Series: one model for all entities, or one for each.", show_default="shared"
        ),
    ] = None
    missing: Annotated[
        Literal["ignore", "zero", "anomaly"],
        typer.Option(
            help="Series: what missing points are: unknown; zero, where only events are recorded; "
            "or outages, which are anomalies.",
            show_default=True,
        ),
    ] = "ignore"
    detector: Annotated[
        str,
        typer.Option(help="A detector's name; 'tocsin detectors' lists them.", show_default=True),
    ] = "auto"
    parameters: Parameters = None
    clean: Annotated[
        bool | None,
        typer.Option(
            "--clean/--mixed",
            help="Whether the training data are normal only, or unlabelled with anomalies among "
            "them.",
            show_default="detected automatically and reported",
        ),
    ] = None
    false_alarms: Annotated[
        float | None,
        typer.Option(
            help="The share of normal items that may be flagged.",
            show_default="0.01; for unlabelled logs, the threshold found in them",
        ),
    ] = None
    alarms_per_day: Annotated[
        float | None,
        typer.Option(
            help="False alarms allowed per day, instead of a share; for series, intervals of all "
            "entities together."
        ),
    ] = None
    rows_per_day: Annotated[
        float | None, typer.Option(help="Rows that arrive per day; goes with --alarms-per-day.")
    ] = None
    calibration: Annotated[
        Literal["conformal", "extreme_value", "quantile"],
        typer.Option(help="How scores become p-values.", show_default=True),
    ] = "extreme_value"
    scale: Annotated[
        Literal["standard", "robust", "minmax", "none"],
        typer.Option(help="Tables: how columns are scaled.", show_default=True),
    ] = "standard"
    examples: Annotated[
        bool,
        typer.Option(
            "--examples/--no-examples",
            help="Logs and texts: whether the model keeps training sessions or texts, to show the "
            "nearest normal one.",
            show_default=True,
        ),
    ] = True
    seed: Annotated[
        int, typer.Option(help="The seed of every random choice.", show_default=True)
    ] = 0

    @classmethod
    def of(cls, data: DataOptions) -> Self:
        """Return default options for data of which more is known."""
        return cls(**data.values(*(field.name for field in fields(DataOptions))))

    def states_budget(self) -> bool:
        """Return whether a false-alarm budget was given."""
        return self.false_alarms is not None or self.alarms_per_day is not None


@dataclass(frozen=True)
class ProtocolOptions(OptionGroup):
    """What detectors learn from when they are measured, and what they are measured on."""

    protocol: Annotated[
        Literal["clean", "mixed", "supervised"],
        typer.Option(
            help="clean: learn from half of the normal items. mixed: learn from all items without "
            "labels. supervised: learn with labels, out of fold.",
            show_default=True,
        ),
    ] = "clean"
    split: Annotated[
        Literal["random", "time"] | None,
        typer.Option(
            help="clean: which half. random: any normal items; all others are tested. time: the "
            "normal items of the first half; the second half is tested.",
            show_default="time for logs, else random",
        ),
    ] = None
    train_rows: Annotated[
        int | None,
        typer.Option(
            help="Series: train on the first N rows.",
            metavar="N",
            show_default="those before the first anomaly, at most half",
        ),
    ] = None


@dataclass(frozen=True)
class OutputOptions(OptionGroup):
    """The files that a detection is written to."""

    report: Annotated[Path | None, typer.Option(help="Write an HTML report here.")] = None
    png: Annotated[
        Path | None,
        typer.Option(help="Series: draw them with their anomalies, as a PNG file, here."),
    ] = None
    out: Out = None
    overlays: Annotated[
        Path | None,
        typer.Option(help="Images: draw where each is anomalous, as PNG files in this folder."),
    ] = None
    save: Annotated[Path | None, typer.Option(help="Save the trained model here.")] = None

    def paths(self) -> list[Path]:
        """Return where files are to be written."""
        return [getattr(self, field.name) for field in fields(self) if field.name in self.given()]
