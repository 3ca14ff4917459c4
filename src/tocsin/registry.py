"""Parts by name: the folders are the register, and a module is imported when it is used.

A file ``detectors/<modality>/<name>.py`` registers the detector ``<name>`` of that
modality. Other packages register theirs with an entry point in the group
``tocsin.detectors.<modality>``. Sources and responders are found the same way: a file
``sources/<name>.py`` holds the class ``<Name>``; others use the group ``tocsin.sources``.

What a modality needs on a floor stands in ``<floor>/<modality>.py``, as the class whose attribute
``modality`` is that name; other packages register it by an entry point of the modality's name in
the group ``tocsin.<floor>``, such as ``tocsin.pipeline`` or ``tocsin.cli.modalities``.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.util
import pkgutil
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tocsin.errors import ParameterError, UnknownName, UnusablePart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint

_PACKAGE = Path(__file__).parent
_FOLDER = _PACKAGE / "detectors"


def modalities() -> list[str]:
    """Return the modalities that there are pipelines of, without importing any of them.

    >>> "tables" in modalities()
    True
    """
    return sorted(_own_modalities() | set(_entry_points("pipeline")))


def of_modality(floor: str, modality: str) -> type[Any]:
    """Return the class that a floor, such as "pipeline" or "cli.modalities", has for a modality.

    Raises UnknownName for a modality that there is none of, or that this floor has nothing for,
    UnusablePart for what another package registers and cannot be imported.

    >>> of_modality("pipeline", "text").__name__
    'TextPipeline'
    """
    if _is_own(floor, modality):
        for found in _classes(f"tocsin.{floor}.{modality}"):
            if getattr(found, "modality", None) == modality:
                return found
    if modality in (points := _entry_points(floor)):
        return _load(points[modality])
    if modality not in modalities():
        raise _unknown(f'There is no modality "{modality}".', modality, modalities())
    raise UnknownName(
        f"tocsin.{floor} has nothing for {modality}: the package that adds {modality} registers "
        f'it by an entry point of that name in the group "tocsin.{floor}".'
    )


def modalities_of(floor: str) -> list[str]:
    """Return the modalities that a floor, such as "cli.bench", has something for.

    None of it is imported.

    >>> "tables" in modalities_of("report")
    True
    """
    points = _entry_points(floor)
    return [name for name in modalities() if name in points or _is_own(floor, name)]


def names(modality: str = "tables") -> list[str]:
    """Return the names of the detectors of a modality, without importing any of them.

    Raises UnknownName for a modality that has none.

    >>> "autoencoder" in names("tables")
    True
    """
    others = _entry_points(f"detectors.{modality}")
    if not others and modality not in modalities():
        raise UnknownName(
            f'There are no detectors for "{modality}"; there are for {", ".join(modalities())}.'
        )
    return sorted(_modules(_FOLDER / modality) | set(others))


def find(name: str, modality: str = "tables") -> type[Any]:
    """Return the class of a detector, a ``base.Detector``; ``pyod:KNN`` gives that of ``pyod``.

    Raises UnknownName, with the nearest names, when there is none, and UnusablePart for that of
    another package which cannot be imported.
    """
    stem = name.partition(":")[0]
    if stem not in names(modality):
        raise _unknown_detector(name, modality)
    if stem not in _modules(_FOLDER / modality):
        return _load(_entry_points(f"detectors.{modality}")[stem])
    module = f"tocsin.detectors.{modality}.{stem}"
    for found in _classes(module):
        card = getattr(found, "card", None)
        if card is not None and card.name == stem:
            return found
    raise UnknownName(f"{module} defines no class whose card is named {stem!r}.")


def closest_to(method: str) -> list[Any]:
    """Return the cards of detectors that implement a method known by another name, or come close.

    Case, blanks and hyphens do not matter. Only detectors whose file mentions the method are
    imported, and all of other packages but those that cannot be.

    >>> [card.name for card in closest_to("Half Space Trees")]
    ['streaming_forest']
    """
    wanted = _spelled(method)
    cards = (card for modality in modalities() for card in _cards_that_mention(wanted, modality))
    return [card for card in cards if wanted in map(_spelled, (card.name, *card.also_known_as))]


def create(name: str, modality: str = "tables", **parameters: Any) -> Any:
    """Return a new, untrained ``base.Detector``.

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


def part_names(kind: str) -> list[str]:
    """Return the names of "sources", "responders" or "encoders.text", without importing any.

    >>> "host" in part_names("sources")
    True
    """
    return sorted(_modules(_PACKAGE.joinpath(*kind.split("."))) | set(_entry_points(kind)))


def find_part(kind: str, name: str) -> type[Any]:
    """Return the class of a source, a responder or an encoder.

    Raises UnknownName, with the nearest names, and UnusablePart.
    """
    if name not in part_names(kind):
        raise _unknown(f'{kind.capitalize()} have no "{name}".', name, part_names(kind))
    if name not in _modules(_PACKAGE.joinpath(*kind.split("."))):
        return _load(_entry_points(kind)[name])
    module = importlib.import_module(f"tocsin.{kind}.{name}")
    found: type[Any] = getattr(module, "".join(word.capitalize() for word in name.split("_")))
    return found


def _own_modalities() -> set[str]:
    return {path.name for path in _FOLDER.iterdir() if (path / "__init__.py").exists()}


def _is_own(floor: str, modality: str) -> bool:
    """Return whether a floor has a file of ours for a modality."""
    if modality not in _own_modalities():  # another's name may be that of any file, or of none
        return False
    return importlib.util.find_spec(f"tocsin.{floor}.{modality}") is not None


def _cards_that_mention(method: str, modality: str) -> Iterator[Any]:
    for name in names(modality):
        file = _FOLDER / modality / f"{name}.py"
        if file.exists() and method not in _spelled(file.read_text(encoding="utf-8")):
            continue
        with contextlib.suppress(UnusablePart):
            yield find(name, modality).card


def _load(point: EntryPoint) -> type[Any]:
    """Return what another package registers. Raises UnusablePart."""
    try:
        loaded: type[Any] = point.load()
    except Exception as error:
        package = f'The package "{point.dist.name}"' if point.dist else "A package"
        raise UnusablePart(
            f'{package} registers "{point.name}" in {point.group}, but {point.value} cannot be '
            f"imported ({type(error).__name__}: {error}). Repair the package or uninstall it."
        ) from error
    return loaded


def _classes(module: str) -> list[type[Any]]:
    """Return the classes that a module defines itself."""
    values = vars(importlib.import_module(module)).values()
    return [each for each in values if isinstance(each, type) and each.__module__ == module]


def _modules(folder: Path) -> set[str]:
    modules = pkgutil.iter_modules([str(folder)])
    return {module.name for module in modules if not module.name.startswith("_")}


def _unknown_detector(name: str, modality: str) -> UnknownName:
    """Return the error with the nearest names, or else with the detectors of that method."""
    message, known = f'There is no detector "{name}" for {modality}', names(modality)
    if not difflib.get_close_matches(name, known) and (cards := closest_to(name)):
        cards.sort(key=lambda card: card.modality != modality)
        found = ", ".join(f"{card.name} (for {card.modality})" for card in cards)
        return UnknownName(f"{message}; what comes closest: {found}.")
    return _unknown(f"{message}.", name, known)


def _spelled(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _unknown(message: str, name: str, known: list[str]) -> UnknownName:
    near = difflib.get_close_matches(name, known, n=3)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    return UnknownName(f"{message}{hint} Known: {', '.join(known)}.")


@cache
def _entry_points(floor: str) -> dict[str, EntryPoint]:
    """Return what other packages register on a floor, by name; they are looked at once."""
    from importlib.metadata import entry_points  # 60 modules, which fitted state does without

    return {point.name: point for point in entry_points(group=f"tocsin.{floor}")}
