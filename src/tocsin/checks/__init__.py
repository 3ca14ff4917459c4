"""The public contract that every detector passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType

from tocsin import registry
from tocsin.base import Detector
from tocsin.checks import common, images, items, logs, numbers, series, streaming, tables, text
from tocsin.checks.asserting import CheckFailed
from tocsin.checks.subject import Subject
from tocsin.errors import ParameterError

__all__ = ["CheckFailed", "Subject", "check_detector", "checks_for", "subject_for"]

Check = Callable[[Subject], None]

_MODALITIES: dict[str, tuple[type[Subject], tuple[ModuleType, ...]]] = {
    "tables": (tables.TableSubject, (common, numbers, items, tables)),
    "series": (series.SeriesSubject, (common, numbers, series, streaming)),
    "text": (text.TextSubject, (common, items, text)),
    "logs": (logs.LogSubject, (common, items, logs)),
    "images": (images.ImageSubject, (common, items, images)),
}


def checks_for(modality: str = "tables") -> Iterator[tuple[str, Check]]:
    """Yield the name and the function of each check, for a test to be parametrised with.

    Those of series pass for a detector that is not streaming where they concern streams.
    Raises ParameterError for a modality without checks.

    >>> dict(checks_for("tables"))["check_fit"].__doc__[:18]
    'Check that ``fit``'
    """
    _, modules = _of(modality)
    for module in modules:
        for name, value in vars(module).items():
            if name.startswith("check_"):
                yield name, value


def subject_for(detector: Detector) -> Subject:
    """Return what the checks take: an untrained detector with made-up data of its modality.

    Raises ParameterError for a modality without checks.
    """
    kind, _ = _of(detector.card.modality)
    return kind(detector)


def check_detector(detector: str | Detector, modality: str = "tables") -> None:
    """Run every check on an untrained detector, or on one of that name, kept small.

    ``modality`` says where to look for a name; a detector's own card says it otherwise.
    Raises CheckFailed, which names the check and says what is wrong.

    >>> check_detector("hbos")
    """
    subject = subject_for(
        small_detector(detector, modality) if isinstance(detector, str) else detector
    )
    card = subject.detector.card
    for name, check in checks_for(card.modality):
        try:
            check(subject)
        except Exception as error:
            raise CheckFailed(f"{card.name}: {name}: {error}") from error


def small_detector(name: str, modality: str = "tables") -> Detector:
    """Return an untrained detector of that name, with the parameters that keep it small."""
    parameters = registry.find(name, modality).test_parameters()
    detector: Detector = registry.create(name, modality, **parameters)
    return detector


def _of(modality: str) -> tuple[type[Subject], tuple[ModuleType, ...]]:
    if modality not in _MODALITIES:
        known = ", ".join(f'"{name}"' for name in _MODALITIES)
        raise ParameterError(f"There are checks for {known}, none for {modality!r}.")
    return _MODALITIES[modality]
