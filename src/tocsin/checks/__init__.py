"""The public contract that every detector passes: one file per modality, found by its name.

Other packages register their ``Subject`` with an entry point named like the modality in the
group ``tocsin.checks``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

from tocsin import registry
from tocsin.base import Detector
from tocsin.checks.asserting import CheckFailed
from tocsin.checks.subject import Subject
from tocsin.errors import ParameterError, UnknownName

__all__ = [
    "CheckFailed",
    "Subject",
    "check_detector",
    "checks_for",
    "small_detector",
    "subject_for",
]

Check = Callable[[Subject], None]


def checks_for(modality: str = "tables") -> Iterator[tuple[str, Check]]:
    """Yield the name and the function of each check, for a test to be parametrised with.

    Those of series pass for a detector that is not streaming where they concern streams.
    Raises ParameterError for a modality without checks.

    >>> dict(checks_for("tables"))["check_fit"].__doc__[:18]
    'Check that ``fit``'
    """
    subject = _subject_class(modality)
    for module in (*subject.shared, sys.modules[subject.__module__]):
        for name, value in vars(module).items():
            if name.startswith("check_"):
                yield name, value


def subject_for(detector: Detector) -> Subject:
    """Return what the checks take: an untrained detector with made-up data of its modality.

    Raises ParameterError for a modality without checks.
    """
    return _subject_class(detector.card.modality)(detector)


def check_detector(detector: str | Detector, modality: str = "tables") -> None:
    """Run every check on an untrained detector, or on the one of that name, kept small.

    ``modality``: where to look for a name; a detector is checked by the modality of its card.
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


def _subject_class(modality: str) -> type[Subject]:
    try:
        return registry.of_modality("checks", modality)
    except UnknownName as error:
        raise ParameterError(f'There are no checks for "{modality}": {error}') from error
