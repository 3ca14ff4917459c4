"""From a path and its options to data: which modality it is, what it holds, and its labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin import registry
from tocsin.cli import terminal
from tocsin.cli.inputs import Input
from tocsin.cli.modalities.base import ModalityCli
from tocsin.cli.models import build_pipeline
from tocsin.cli.options import DataOptions, ModelOptions
from tocsin.errors import InputError, ParameterError, UnusablePart

if TYPE_CHECKING:
    from tocsin.pipeline import BasePipeline
    from tocsin.types import IntArray


@dataclass(frozen=True)
class Loaded:
    """Data as the pipeline of their modality takes them, and their labels (n,) if they are known.

    ``guessed``: no option stated what the data are.
    """

    source: Input
    cli: ModalityCli[Any]
    data: Any
    labels: IntArray | None
    guessed: bool = False

    @property
    def required_labels(self) -> IntArray:
        """The labels. Raises ParameterError if there are none."""
        if self.labels is None:
            column = "--label COLUMN or " if "label" in self.cli.options else ""
            raise ParameterError(
                f"Evaluation needs labels; for {self.cli.noun}, pass {column}--labels FILE."
            )
        return self.labels

    def training(self, path: Path) -> Loaded:
        """Return other data of the same modality, to train on; they need no label column."""
        source = Input(path, self.source.options, needs_label=False)
        return Loaded(source, self.cli, *self.cli.load(source))

    def read_by(self, pipeline: BasePipeline) -> Loaded:
        """Return the same data, read with their columns as a pipeline knows them by now."""
        data, _ = self.cli.load(self.source.read_by(pipeline))
        return replace(self, data=data)


def load_input(
    path: Path,
    options: DataOptions,
    *,
    more: Iterable[str] = (),
    pipeline: BasePipeline | None = None,
) -> Loaded:
    """Return the data of a path and their labels, read as the modality that they are of.

    ``more``: further options that were given, by name. ``pipeline``: a trained one, which says
    what the data are. Raises UnreadableFile, InputError for labels that do not fit,
    ParameterError for options that contradict each other, and UnknownName.
    """
    if options.label is not None and options.labels is not None:
        raise ParameterError("Give --label (a column) or --labels (a file), not both.")
    source = Input(path, options, pipeline)
    cli, guessed = _choose(source)
    reject_options(cli, options.given() | set(more), cli.hint if guessed else "")
    data, labels = cli.load(source)
    if options.labels is not None:
        labels = _read_labels(options.labels, cli, source, data)
    return Loaded(source, cli, data, labels, guessed)


def _read_labels(file: Path, cli: ModalityCli[Any], source: Input, data: Any) -> IntArray:
    """Return the labels (n,) of the items of data from a file of their own."""
    from tocsin.evaluate.items import find_items

    pipeline = source.pipeline or build_pipeline(cli, ModelOptions.of(source.options))
    return find_items(data, pipeline).labels(file)


def modality_cli(modality: str) -> ModalityCli[Any]:
    """Return what the command line knows of a modality. Raises UnknownName."""
    made: ModalityCli[Any] = registry.of_modality("cli.modalities", modality)()
    return made


def modality_clis() -> list[ModalityCli[Any]]:
    """Return what the command line knows of every modality, in the order in which it asks them.

    Says on stderr what another package registers and cannot be imported, and leaves it out.
    """
    found = []
    for name in registry.modalities_of("cli.modalities"):
        try:
            found.append(modality_cli(name))
        except UnusablePart as unusable:
            terminal.echo(f"tocsin: left out: {unusable}", err=True)
    return sorted(found, key=lambda cli: cli.order)


def guess_modality(source: Input) -> ModalityCli[Any]:
    """Return the modality that the options, or else the content of a path, speak for."""
    known = modality_clis()
    for cli in known:
        if cli.is_decided_by(source.options):
            return cli
    return next(cli for cli in known if _recognises(cli, source))


def _recognises(cli: ModalityCli[Any], source: Input) -> bool:
    try:
        return cli.recognises(source)
    except InputError:  # what one modality cannot read may be of another
        return False


def reject_options(cli: ModalityCli[Any], given: Collection[str], hint: str = "") -> None:
    """Raise ParameterError for options that only other modalities than this one take."""
    for name in sorted(set(given) - cli.options):
        takers = [other.modality for other in modality_clis() if name in other.options]
        if takers:
            raise ParameterError(
                f"--{name.replace('_', '-')} is for {' or '.join(takers)}; this is taken as "
                f"{cli.noun}{hint and '; '}{hint}."
            )
    if "report" in given and cli.modality not in registry.modalities_of("report"):
        raise ParameterError(f"The package that adds {cli.modality} writes no --report of it.")


def _choose(source: Input) -> tuple[ModalityCli[Any], bool]:
    """Return the modality of an input, and whether it was guessed from its content."""
    if source.pipeline is not None:
        return modality_cli(source.pipeline.modality), False
    if source.options.kind is not None:
        return modality_cli(source.options.kind), False
    cli = guess_modality(source)
    return cli, not cli.is_decided_by(source.options)
