"""Parts by name: the folders are the register, and a module is imported when it is used.

A file ``detectors/<modality>/<name>.py`` registers the detector ``<name>`` of that
modality. Other packages register theirs with an entry point in the group
``tocsin.detectors.<modality>``. Sources and responders are found the same way: a file
``sources/<name>.py`` holds the class ``<Name>``; others use the group ``tocsin.sources``.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tocsin.errors import ParameterError, UnknownName

if TYPE_CHECKING:
    from tocsin.base import Detector

_PACKAGE = Path(__file__).parent
_FOLDER = _PACKAGE / "detectors"

Kind = Literal["sources", "responders"]


def modalities() -> list[str]:
    """Return the modalities that have detectors.

    >>> "tables" in modalities()
    True
    """
    return sorted(path.name for path in _FOLDER.iterdir() if (path / "__init__.py").exists())


def names(modality: str = "tables") -> list[str]:
    """Return the names of the detectors of a modality, without importing any of them.

    Raises UnknownName for a modality that has none.

    >>> "autoencoder" in names("tables")
    True
    """
    others = _entry_points(modality)
    if not others and modality not in modalities():
        raise UnknownName(
            f'There are no detectors for "{modality}"; there are for {", ".join(modalities())}.'
        )
    return sorted(_modules(_FOLDER / modality) | set(others))


def find(name: str, modality: str = "tables") -> type[Detector]:
    """Return the class of a detector; ``pyod:KNN`` gives the class behind ``pyod``.

    Raises UnknownName, with the nearest names, when there is none.
    """
    stem = name.partition(":")[0]
    points = _entry_points(modality)
    if stem in points:
        loaded: type[Detector] = points[stem].load()
        return loaded
    if stem not in names(modality):
        raise _unknown(f'There is no detector "{name}" for {modality}.', name, names(modality))
    module = importlib.import_module(f"tocsin.detectors.{modality}.{stem}")
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module.__name__:
            card = getattr(value, "card", None)
            if card is not None and card.name == stem:
                return value
    raise UnknownName(f"{module.__name__} defines no class whose card is named {stem!r}.")


def create(name: str, modality: str = "tables", **parameters: Any) -> Detector:
    """Return a new, untrained detector.

    ``pyod:KNN`` passes ``KNN`` to the detector ``pyod``. Raises UnknownName, and
    ParameterError for a parameter that the detector does not have.

    >>> create("neighbours", k=7).get_params()["k"]
    7
    """
    cls = find(name, modality)
    _, separator, argument = name.partition(":")
    if separator:
        parameters["model"] = argument
    known = cls.parameter_names()
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise ParameterError(
            f'The detector "{name}" has no parameter {", ".join(unknown)}; '
            f"it has: {', '.join(known) or 'none'}."
        )
    return cls(**parameters)


def part_names(kind: Kind) -> list[str]:
    """Return the names of the sources or of the responders, without importing any of them.

    >>> "host" in part_names("sources")
    True
    """
    others = {point.name for point in entry_points(group=f"tocsin.{kind}")}
    return sorted(_modules(_PACKAGE / kind) | others)


def find_part(kind: Kind, name: str) -> type[Any]:
    """Return the class of a source or responder. Raises UnknownName, with the nearest names."""
    for point in entry_points(group=f"tocsin.{kind}", name=name):
        loaded: type[Any] = point.load()
        return loaded
    if name not in part_names(kind):
        raise _unknown(f'{kind.capitalize()} have no "{name}".', name, part_names(kind))
    module = importlib.import_module(f"tocsin.{kind}.{name}")
    found: type[Any] = getattr(module, "".join(word.capitalize() for word in name.split("_")))
    return found


def _modules(folder: Path) -> set[str]:
    modules = pkgutil.iter_modules([str(folder)])
    return {module.name for module in modules if not module.name.startswith("_")}


def _unknown(message: str, name: str, known: list[str]) -> UnknownName:
    near = difflib.get_close_matches(name, known, n=3)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return UnknownName(f"{message}{hint} Known: {', '.join(known)}.")


def _entry_points(modality: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=f"tocsin.detectors.{modality}")}
