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
def opened_model(
    folder: Path, false_alarms: float | None = None, sign_key: Path | None = None
) -> Iterator[BasePipeline]:
    """Give a trained pipeline, which decides by this share of normal items if one is given.

    ``sign_key``: the file of the key that the folder has to be signed by, if any. Raises
    ModelFolderError and ParameterError. What is in a folder is checked when it is loaded; what
    that misses and goes wrong inside Tocsin while the model is used raises CorruptModel.
    """
    from tocsin.pipeline import load

    pipeline = load(folder, key=read_key(sign_key))
    if false_alarms is not None:
        pipeline.restate_budget(false_alarms)
    try:
        yield pipeline
    except (TocsinError, OSError, MemoryError):
        raise
    except Exception as error:
        raise CorruptModel(
            f"{folder} cannot score this ({type(error).__name__}: {error}). Restore it from a "
            "copy, or train and save it again; if that does not help, please report it."
        ) from error
