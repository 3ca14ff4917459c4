"""From options to pipelines, untrained or trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin import registry
from tocsin.cli.parsing import parse_parameter
from tocsin.errors import CorruptModel, TocsinError

if TYPE_CHECKING:
    from tocsin.base import Detector
    from tocsin.cli.modalities.base import ModalityCli
    from tocsin.cli.options import ModelOptions
    from tocsin.pipeline import BasePipeline

_TRAINING = {None: "guess", True: "clean", False: "mixed"}


def build_pipeline(cli: ModalityCli[Any], options: ModelOptions) -> BasePipeline:
    """Return an untrained pipeline with those of the options that it has parameters for.

    Raises UnknownName and ParameterError.
    """
    pipeline_class = cli.pipeline_class
    given = {
        **options.values(),
        "detector": _build_detector(cli.modality, options),
        "training": _TRAINING[options.clean],
        **cli.settings(options),
    }
    known = pipeline_class.parameter_names()
    settings = {name: given[name] for name in known if given.get(name) is not None}
    return pipeline_class(**settings)


def _build_detector(modality: str, options: ModelOptions) -> str | Detector:
    """Return a detector with its parameters, or its name if none were given."""
    if not options.parameters:
        return options.detector
    parameters = dict(map(parse_parameter, options.parameters))
    detector: Detector = registry.create(options.detector, modality, **parameters)
    if "seed" in detector.parameter_names() and "seed" not in parameters:
        detector.set_params(seed=options.seed)
    return detector


def read_key(path: Path | None) -> bytes | None:
    """Return the key in a file, None without one. Raises ParameterError if it cannot be read."""
    from tocsin.settings import Secret

    return None if path is None else Secret(file=path).reveal().encode()


@contextmanager
def blaming(folder: Path) -> Iterator[None]:
    """Raise CorruptModel for what goes wrong inside Tocsin while a saved model scores.

    What is in a folder is checked when it is loaded; what that misses is not a fault of Tocsin
    alone.
    """
    try:
        yield
    except (TocsinError, OSError, MemoryError):
        raise
    except Exception as error:
        raise CorruptModel(
            f"{folder} cannot score this ({type(error).__name__}: {error}). Restore it from a "
            "copy, or train and save it again; if that does not help, please report it."
        ) from error


def load_model(
    folder: Path, false_alarms: float | None = None, sign_key: Path | None = None
) -> BasePipeline:
    """Return a trained pipeline, which decides by this share of normal items if one is given.

    ``sign_key``: the file of the key that the folder has to be signed by, if any. Raises
    ModelFolderError and ParameterError.
    """
    from tocsin.pipeline import load

    pipeline = load(folder, key=read_key(sign_key))
    return pipeline if false_alarms is None else pipeline.restate_budget(false_alarms)
