"""Any detector of PyOD, by its class's name, where PyOD is installed."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import inspect
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.base import State, TableDetector
from tocsin.detectors.scaling import location_and_scale, standardise
from tocsin.errors import InputError, MissingExtra, NotSavable, ParameterError, UnknownName
from tocsin.types import Card, FloatArray, IntArray, Scores


class Pyod(TableDetector):
    """The detector of PyOD whose class is called ``model``, with PyOD's own ``parameters``.

    Upper and lower case are alike: ``registry.create("pyod:knn")`` is ``Pyod("KNN")``. Rows
    (n, d) in any units, standardised before PyOD sees them. Some of PyOD's detectors, ECOD and
    COPOD among them, score a row by the rows beside it, and some draw random numbers while
    scoring; that is theirs. The model cannot be saved. Raises MissingExtra without PyOD,
    UnknownName for a class that it does not have, ParameterError for parameters that the class
    does not take, and InputError for rows that it cannot learn from. Zhao, Nasrullah and Li,
    PyOD: A Python Toolbox for Scalable Outlier Detection, JMLR 2019.

    >>> Pyod("IForest", {"n_estimators": 50}).get_params()["model"]
    'IForest'
    """

    card = Card(
        name="pyod",
        modality="tables",
        family="composite",
        learning=("one-class", "unlabelled"),
        summary="Any detector of PyOD by its class's name, as pyod:KNN; cannot be saved.",
        paper="Zhao, Nasrullah, Li, PyOD, JMLR 2019",
        cost="that of the detector named, times six for the training scores",
    )

    def __init__(
        self, model: str = "KNN", parameters: dict[str, Any] | None = None, seed: int = 0
    ) -> None:
        self.model = model
        self.parameters = parameters
        self.seed = seed

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        cls = _find(self.model)
        parameters = dict(self.parameters or {})
        given = {"random_state": self.seed, "n_features": X.shape[1]}
        for name in given.keys() & inspect.signature(cls).parameters.keys():
            parameters.setdefault(name, given[name])
        try:
            self._model = cls(**parameters)
        except TypeError as error:
            raise ParameterError(f"PyOD's {cls.__name__} does not take this: {error}.") from error
        self.mean_, self.scale_ = location_and_scale(X)
        try:
            self._model.fit(standardise(X, self.mean_, self.scale_), y)
        except ValueError as error:
            raise InputError(f"PyOD's {cls.__name__} cannot learn from these: {error}") from error

    def _score(self, X: FloatArray) -> Scores:
        scaled = standardise(X, self.mean_, self.scale_)
        values = np.asarray(self._model.decision_function(scaled), dtype=np.float64)
        return Scores(np.nan_to_num(values.ravel()))

    def get_state(self) -> State:
        """Raise NotSavable: PyOD's models are written as pickles alone."""
        raise NotSavable(
            f"PyOD's {self.model} cannot be saved: PyOD writes models as pickles, which run code "
            "when they are loaded. Take one of Tocsin's own detectors to save a model."
        )


def names() -> list[str]:
    """Return the names of PyOD's detector classes. Raises MissingExtra without PyOD."""
    return sorted(_modules())


def _find(name: str) -> Any:
    modules = _modules()
    spelled = {known.lower(): known for known in modules}
    known = spelled.get(name.lower())
    if known is None:
        near = difflib.get_close_matches(name.lower(), spelled, n=3)
        hint = f" Did you mean {', '.join(spelled[one] for one in near)}?" if near else ""
        raise UnknownName(
            f'PyOD has no detector "{name}".{hint} Known: {", ".join(sorted(modules))}.'
        )
    return getattr(importlib.import_module(f"pyod.models.{modules[known]}"), known)


@cache
def _modules() -> dict[str, str]:
    """Return module by class of PyOD's detectors, read from the source without importing it."""
    package = importlib.util.find_spec("pyod")
    if package is None or not package.submodule_search_locations:
        raise MissingExtra("pyod", extra="bench")
    folder = Path(package.submodule_search_locations[0]) / "models"
    return {
        node.name: path.stem
        for path in sorted(folder.glob("*.py"), reverse=True)  # so_gaal wins over so_gaal_new
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and _is_detector(node, path.stem)
    }


def _is_detector(node: ast.ClassDef, module: str) -> bool:
    """Tell a module's detectors from its helpers: they derive from a detector class."""
    bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
    own = not node.name.startswith(("_", "Base"))
    return own and any("Detector" in base for base in bases) and module != "base"
