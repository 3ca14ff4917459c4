"""From options to pipelines, untrained or trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin import registry
from tocsin.cli.parsing import parse_parameter

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


def load_model(folder: Path, false_alarms: float | None = None) -> BasePipeline:
    """Return a trained pipeline, which decides by this share of normal items if one is given.

    Raises ModelFolderError and ParameterError.
    """
    from tocsin.pipeline import load

    pipeline = load(folder)
    return pipeline if false_alarms is None else pipeline.restate_budget(false_alarms)
