"""The public contract that every detector passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tocsin import registry
from tocsin.base import Detector
from tocsin.checks import detector as _detector_checks
from tocsin.checks.detector import CheckFailed
from tocsin.checks.subject import Subject
from tocsin.errors import ParameterError

__all__ = ["CheckFailed", "Subject", "check_detector", "checks_for"]

Check = Callable[[Subject], None]


def checks_for(modality: str = "tables") -> Iterator[tuple[str, Check]]:
    """Yield the name and the function of each check, for a test to be parametrised with.

    Raises ParameterError for a modality without checks.

    >>> dict(checks_for("tables"))["check_fit"].__doc__[:18]
    'Check that ``fit``'
    """
    if modality != "tables":
        raise ParameterError(f'There are checks for "tables", none for {modality!r}.')
    for name, value in vars(_detector_checks).items():
        if name.startswith("check_"):
            yield name, value


def check_detector(detector: str | Detector, modality: str = "tables") -> None:
    """Run every check on an untrained detector, or on one of that name, kept small.

    Raises CheckFailed, which names the check and says what is wrong.

    >>> check_detector("hbos")
    """
    if isinstance(detector, str):
        small = registry.find(detector, modality).test_parameters()
        detector = registry.create(detector, modality, **small)
    subject = Subject(detector)
    for name, check in checks_for(modality):
        try:
            check(subject)
        except Exception as error:
            raise CheckFailed(f"{subject.detector.card.name}: {name}: {error}") from error
