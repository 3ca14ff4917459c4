"""Any detector of tables of PyOD, by its class's name, where PyOD is installed."""

from __future__ import annotations

import ast
import contextlib
import difflib
import importlib
import importlib.util
import inspect
import io
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tocsin.base import State, TableDetector
from tocsin.errors import InputError, MissingExtra, NotSavable, ParameterError, UnknownName
from tocsin.features.sampling import subsample
from tocsin.features.scaling import location_and_scale, standardise
from tocsin.types import Card, FloatArray, IntArray, Scores

_TRIED = 20  # training rows that are scored in several ways to see how a detector behaves
_COMPANY = 200  # training rows beside which rows are scored that have no score alone
_FAR = 100.0  # deviations from the mean
_OTHER_KINDS = {
    "pyg_": "graphs",
    "ts_": "time series",
    "embedding": "texts and images",
    "audio_": "audio",
}
"""What the detectors of PyOD's other modules take, by how the module's name begins."""
_REFUSED = {
    "DevNet": "learns from labels, which are not passed on",
    "XGBOD": "learns from labels, which are not passed on",
    "LSCP": "is made from other detectors, which a setting cannot hold",
}


class Pyod(TableDetector):
    """The detector of PyOD whose class is called ``model``, with PyOD's own ``parameters``.

    Upper and lower case are alike: ``registry.create("pyod:knn")`` is ``Pyod("KNN")``. Rows
    (n, d) in any units, standardised before PyOD sees them. The model cannot be saved.

    Some of PyOD's detectors break what Tocsin's own promise: ECOD, COPOD, CD, COF, DIF, LMDD,
    LOCI, RGraph, ROD, SOD and SOS score a row by the rows beside it, ALAD and VAE draw random
    numbers while scoring, and QMCD and RGraph give rows far from all others low scores. ``fit``
    tries this out on a few rows, and ``reason_`` says what it found, "" for nothing. Rows that
    have no score of their own when they are scored alone (CD, COF, LMDD, SOD, SOS) are scored
    beside 200 training rows, drawn by ``seed``.

    Raises MissingExtra without PyOD, UnknownName for a class that it does not have or that does
    not detect rows of tables, ParameterError for parameters that the class does not take or a
    package that it lacks, and InputError for rows that it cannot learn from or gives no score
    (NaN). Zhao, Nasrullah and Li, PyOD: A Python Toolbox for Scalable Outlier Detection, JMLR
    2019.

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

    reason_: str

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
        except ImportError as error:
            raise _lacking(cls.__name__, error) from error
        except Exception as error:
            raise ParameterError(f"PyOD's {cls.__name__} does not take this: {error}.") from error
        self.mean_, self.scale_ = location_and_scale(X)
        scaled = standardise(X, self.mean_, self.scale_)
        self._asked(lambda: self._model.fit(scaled, y), "cannot learn from these rows")
        self._try_out(scaled)

    def _try_out(self, scaled: FloatArray) -> None:
        """Find out whether a row's score is its own, and whether rows far away score high."""
        some = scaled[subsample(len(scaled), _TRIED, self.seed)]
        far = np.vstack([np.full(scaled.shape[1], -_FAR), np.full(scaled.shape[1], _FAR)])
        self._company = np.empty((0, scaled.shape[1]))
        if not self._scores_alone(some[:1], far[:1]):
            self._company = scaled[subsample(len(scaled), _COMPANY, self.seed)]
        first, again = self._raw(some), self._raw(some)
        beside = self._raw(np.vstack([some, far]))
        name = type(self._model).__name__
        found = []
        if len(self._company):
            found.append(
                "scores a row by the rows beside it and has no score for a row alone, so "
                f"{len(self._company)} training rows are scored beside each"
            )
        elif not np.allclose(first, again, equal_nan=True):
            found.append("draws random numbers while scoring, so scores change from call to call")
        elif not np.allclose(first, beside[: len(some)], equal_nan=True):
            found.append("scores a row by the rows beside it, so scores change with the batch")
        if not (beside[len(some) :] >= np.median(first)).all():
            found.append("gives rows far from all others low scores")
        self.reason_ = f"PyOD's {name} {'; it '.join(found)}" if found else ""

    def _scores_alone(self, row: FloatArray, far: FloatArray) -> bool:
        """Return whether a row alone has a score, and another one than a row far away."""
        try:
            scores = [float(self._raw(one)[0]) for one in (row, far)]
        except InputError:
            return False
        return bool(np.isfinite(scores).all()) and scores[0] != scores[1]

    def _raw(self, scaled: FloatArray) -> FloatArray:
        """Return the scores (n,) as PyOD gives them, NaN and infinite ones included."""
        beside = np.vstack([scaled, self._company])
        found = self._asked(
            lambda: np.asarray(self._model.decision_function(beside), dtype=np.float64).ravel(),
            f"cannot score {len(scaled):,} rows",
        )
        values: FloatArray = found[: len(scaled)]
        return values

    def _asked(self, ask: Callable[[], Any], what: str) -> Any:
        """Return what PyOD answers; what it raises is reported as its own."""
        name = type(self._model).__name__
        try:
            # Some print their epochs, which belong to no output of ours. Warnings are of divisions
            # by 0: scores that are NaN are reported.
            with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                return ask()
        except ImportError as error:
            raise _lacking(name, error) from error
        except Exception as error:
            raise InputError(f"PyOD's {name} {what}: {type(error).__name__}: {error}") from error

    def _score(self, X: FloatArray) -> Scores:
        values = self._raw(standardise(X, self.mean_, self.scale_))
        if (missing := np.flatnonzero(np.isnan(values))).size:
            raise InputError(
                f"PyOD's {type(self._model).__name__} gives no score (NaN) for {missing.size:,} of "
                f"{len(values):,} rows, often where rows are "
                "copies of one another. Take another detector, or one row of each."
            )
        return Scores(np.nan_to_num(values))

    def get_state(self) -> State:
        """Raise NotSavable: PyOD's models are written as pickles alone."""
        raise NotSavable(
            f"PyOD's {self.model} cannot be saved: PyOD writes models as pickles, which run code "
            "when they are loaded. Take one of Tocsin's own detectors to save a model."
        )


def names() -> list[str]:
    """Return the names of PyOD's detectors of tables. Raises MissingExtra without PyOD."""
    modules = _modules()
    return sorted(name for name in modules if _refusal(name, modules[name]) is None)


def _find(name: str) -> Any:
    """Return the class of that name, whatever the case of its letters."""
    modules, offered = _modules(), names()
    spelled = {known.lower(): known for known in modules}
    known = spelled.get(name.lower())
    if known is None:
        near = difflib.get_close_matches(name.lower(), [one.lower() for one in offered], n=3)
        hint = f" Did you mean {', '.join(spelled[one] for one in near)}?" if near else ""
        raise UnknownName(f'PyOD has no detector "{name}".{hint} Known: {", ".join(offered)}.')
    if (refusal := _refusal(known, modules[known])) is not None:
        raise UnknownName(f"PyOD's {known} {refusal}. For tables: {', '.join(offered)}.")
    try:
        return getattr(importlib.import_module(f"pyod.models.{modules[known]}"), known)
    except ImportError as error:
        raise _lacking(known, error) from error


def _refusal(name: str, module: str) -> str | None:
    """Return why a detector cannot be taken for rows of tables, None where it can."""
    for beginning, kind in _OTHER_KINDS.items():
        if module.startswith(beginning):
            return f"detects {kind}, not rows of tables"
    return _REFUSED.get(name)


def _lacking(name: str, error: ImportError) -> ParameterError:
    return ParameterError(
        f"PyOD's {name} needs a package that is not installed: {error}. Install it, or take "
        "another detector."
    )


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
