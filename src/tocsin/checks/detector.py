"""The checks of a table detector: each a function ``check_…`` of a ``Subject``."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

from tocsin import registry
from tocsin.base import Detector, State
from tocsin.checks.subject import COLUMNS, Subject
from tocsin.errors import InputError, NotFitted, NotSavable, SchemaMismatch
from tocsin.store import folder
from tocsin.types import FloatArray, Scores

_HUGE = 1e300


class CheckFailed(AssertionError):
    """A detector breaks the contract; the message says which part of it, and how."""


def check_card(subject: Subject) -> None:
    """Check that the card is filled in, and that its name finds the detector."""
    detector = subject.detector
    card = detector.card
    for field in ("name", "modality", "family", "learning", "summary", "paper", "cost"):
        _require(bool(getattr(card, field)), f"card.{field} is empty")
    if card.name in registry.names(card.modality):
        _require(
            registry.find(card.name, card.modality) is type(detector),
            f'the name "{card.name}" finds another class',
        )


def check_parameters(subject: Subject) -> None:
    """Check that parameters are stored as given, survive JSON, and make an equal copy."""
    detector = subject.detector
    parameters = detector.get_params(deep=False)
    for name, value in parameters.items():
        _require(getattr(detector, name) is value, f"the parameter {name} is not stored as given")
    try:
        written = json.loads(json.dumps(parameters))
    except TypeError as error:
        raise CheckFailed(f"a parameter cannot be written as JSON: {error}") from error
    again = type(detector)(**written)
    _require(again.get_params() == written, "parameters differ after JSON")
    _require(clone(detector).get_params() == detector.get_params(), "clone has other parameters")
    unknown = set(type(detector).test_parameters()) - set(detector.parameter_names())
    _require(not unknown, f"test_parameters has unknown names: {sorted(unknown)}")
    fitted = [name for name in vars(detector) if name.endswith("_")]
    _require(not fitted, f"an untrained detector has fitted attributes: {fitted}")


def check_fit(subject: Subject) -> None:
    """Check that ``fit`` returns the detector, leaves X alone, and repeats itself."""
    X, y = subject.training
    given, detector = X.copy(), subject.new()
    parameters = copy.deepcopy(detector.get_params())
    _require(detector.fit(given, y) is detector, "fit does not return the detector")
    _require(np.array_equal(given, X), "fit changes X")
    _require(detector.get_params() == parameters, "fit changes parameters")
    _check_training_scores(detector, len(X))
    rows, _ = subject.testing
    fitted = subject.fitted
    _same(detector.score(rows).values, fitted.score(rows).values, "scores after refitting")
    _same(detector.training_scores_, fitted.training_scores_, "training_scores_ after refitting")


def check_not_fitted(subject: Subject) -> None:
    """Check that ``score`` before ``fit`` raises NotFitted."""
    _raises(NotFitted, "scoring before fit", subject.new().score, subject.easy.new)


def check_anomalies_score_higher(subject: Subject) -> None:
    """Check that scores are (n,) float64 and higher for anomalies: ROC AUC above 0.8."""
    rows, labels = subject.testing
    scores = _scored(subject.fitted, rows)
    _require(scores.values.dtype == np.float64, f"scores are {scores.values.dtype}, not float64")
    area = roc_auc_score(labels, scores.values)
    _require(area > 0.8, f"ROC AUC on easy data is {area:.2f}, not above 0.8")


def check_units_do_not_matter(subject: Subject) -> None:
    """Check that a column in a unit of 1e-6 is not drowned by others: ROC AUC above 0.8."""
    X, y = subject.training
    units = np.logspace(-6, 6, COLUMNS)
    detector = subject.new().fit(X * units, y)
    usual, changed = subject.easy.new[:100], subject.easy.new[100:200].copy()
    changed[:, 0] += 12 * X[:, 0].std()
    values = detector.score(np.concatenate([usual, changed]) * units).values
    area = roc_auc_score(np.repeat([0, 1], 100), values)
    _require(area > 0.8, f"ROC AUC with columns in mixed units is {area:.2f}, not above 0.8")


def check_training_scores_are_honest(subject: Subject) -> None:
    """Check that 3 to 25 % of new normal rows exceed the training scores' 90 % quantile."""
    _, y = subject.training
    own = subject.fitted.training_scores_
    limit = np.quantile(own if y is None else own[y == 0], 0.9)
    share = float((subject.fitted.score(subject.easy.new).values > limit).mean())
    _require(
        0.03 <= share <= 0.25,
        f"{share:.0%} of new normal rows score above the training scores' 90 % quantile, "
        "so thresholds would not hold",
    )


def check_scoring_is_pure(subject: Subject) -> None:
    """Check that ``score`` repeats itself, and changes neither X nor the state."""
    rows, _ = subject.testing
    detector, rows_before = subject.fitted, rows.copy()
    before = copy.deepcopy(_state_or_nothing(detector))
    first = detector.score(rows).values
    detector.score(rows[:3])
    _require(np.array_equal(detector.score(rows).values, first), "scoring twice differs")
    _require(np.array_equal(rows, rows_before), "score changes X")
    _require(_equal(_state_or_nothing(detector), before), "score changes fitted state")


def check_rows_are_scored_alone(subject: Subject) -> None:
    """Check that a row's score depends on neither the rows beside it nor their order."""
    rows, _ = subject.testing
    whole = _scored(subject.fitted, rows)
    order = np.random.default_rng(0).permutation(len(rows))
    cuts = np.split(rows, [1, 8, 200])
    others = {
        "permuted": (order, subject.fitted.score(rows[order])),
        "alone": (np.array([len(rows) - 1]), subject.fitted.score(rows[-1:])),
        "in chunks": (np.arange(len(rows)), _joined([subject.fitted.score(cut) for cut in cuts])),
    }
    for how, (index, scores) in others.items():
        for name in ("values", "parts", "expected"):
            given, wanted = getattr(scores, name), getattr(whole, name)
            _require((given is None) == (wanted is None), f"{name} are there for some batches only")
            if wanted is not None:
                _same(given, wanted[index], f"{name} of rows {how}", rtol=1e-5, atol=1e-6)


def check_save_and_load(subject: Subject) -> None:
    """Check that a copy restored from a folder gives the same scores, to the bit."""
    rows, _ = subject.testing
    try:
        state = subject.fitted.get_state()
    except NotSavable:
        return
    with tempfile.TemporaryDirectory() as path:
        folder.save_state(Path(path) / "model", state, {})
        restored, _ = folder.load_state(Path(path) / "model")
    loaded = subject.new().set_state(restored)
    wanted, given = subject.fitted.score(rows), loaded.score(rows)
    for name in ("values", "parts", "expected"):
        if getattr(wanted, name) is not None:
            _same(getattr(given, name), getattr(wanted, name), f"{name} after loading", rtol=0)
    _require(_equal(loaded.get_state(), state), "the state differs after loading")


def check_parts_and_expected(subject: Subject) -> None:
    """Check that ``parts`` find a changed column, and that ``expected`` is near normal rows."""
    rows, labels = subject.testing
    scores = _scored(subject.fitted, rows)
    if scores.expected is not None:
        error = np.median(np.abs(rows - scores.expected).sum(axis=1)[labels == 0])
        usual = np.median(np.abs(rows - np.median(rows, axis=0)).sum(axis=1)[labels == 0])
        _require(error < usual, "expected is no nearer to normal rows than their median")
    if scores.parts is not None:
        column = np.arange(60) % COLUMNS
        changed = subject.easy.new[:60].copy()
        changed[np.arange(60), column] += 10 * subject.easy.normal.std(axis=0)[column]
        parts = np.asarray(_scored(subject.fitted, changed).parts)
        usual_parts = np.asarray(_scored(subject.fitted, subject.easy.new[:60]).parts)
        found = float(((parts - usual_parts).argmax(axis=1) == column).mean())
        _require(found > 0.5, f"parts find a grossly changed column in {found:.0%} of rows")


def check_bad_input(subject: Subject) -> None:
    """Check that what is no finite matrix of the trained width raises InputError."""
    good = subject.easy.new[:40]
    holes, infinite = good.copy(), good.copy()
    holes[3, 1], infinite[3, 1] = np.nan, np.inf
    bad: dict[str, Any] = {
        "missing values": holes,
        "infinite values": infinite,
        "a vector": good[:, 0],
        "three dimensions": good[:, :, None],
        "no rows": good[:0],
        "no columns": good[:, :0],
        "text": np.full((40, COLUMNS), "red"),
    }
    for what, X in bad.items():
        _raises(InputError, f"fitting {what}", subject.fit, X)
        _raises(InputError, f"scoring {what}", subject.fitted.score, X)
    _raises(InputError, "fitting one row", subject.fit, good[:1])
    for X in (good[:, 1:], np.hstack([good, good])):
        _raises(SchemaMismatch, "scoring another width", subject.fitted.score, X)


def check_labels(subject: Subject) -> None:
    """Check that labels of another length or other values, or left out, raise InputError."""
    X = subject.easy.normal[:40]
    for what, y in {"too few": np.zeros(39), "of three values": np.arange(40) % 3}.items():
        _raises(InputError, f"fitting with labels {what}", subject.new().fit, X, y)
    if subject.detector.needs_labels:
        _raises(InputError, "fitting without labels", subject.new().fit, X)


def check_two_rows(subject: Subject) -> None:
    """Check that two rows are learned from, or refused with InputError."""
    try:
        _fits(subject, subject.easy.normal[:2])
    except InputError as error:
        _require(bool(str(error)), "two rows are refused without a message")


def check_identical_rows(subject: Subject) -> None:
    """Check that rows that are all the same give finite scores."""
    _fits(subject, np.full((20, 3), 7.5))


def check_constant_column(subject: Subject) -> None:
    """Check that a constant column gives finite scores, also to rows that differ in it."""
    rows = subject.easy.normal[:60].copy()
    rows[:, 2] = 4.0
    detector = _fits(subject, rows)
    rows[:, 2] = np.linspace(-50, 50, 60)
    _scored(detector, rows)


def check_duplicate_rows(subject: Subject) -> None:
    """Check that rows that occur many times give finite scores."""
    _fits(subject, np.repeat(subject.easy.normal[:6], 10, axis=0))


def check_one_column(subject: Subject) -> None:
    """Check that one column is enough."""
    _fits(subject, subject.easy.normal[:60, :1])


def check_wide_rows(subject: Subject) -> None:
    """Check that more columns than rows give finite scores."""
    _fits(subject, np.random.default_rng(0).normal(size=(30, 60)))


def check_huge_values_are_anomalous(subject: Subject) -> None:
    """Check that values of 1e300 give finite scores, above those of most normal rows."""
    rows = subject.easy.new.copy()
    usual = np.quantile(subject.fitted.score(rows).values, 0.9)
    huge = np.stack([np.full(COLUMNS, _HUGE), np.full(COLUMNS, -_HUGE), rows[0]])
    huge[2, 1] = _HUGE
    scores = _scored(subject.fitted, huge).values
    if not subject.detector.needs_labels:
        _require(scores.min() >= usual, "rows with values of 1e300 score like normal rows")


def check_huge_training_values(subject: Subject) -> None:
    """Check that training rows with values up to 1e300 give finite scores."""
    rows = subject.easy.normal[:60].copy()
    rows[5, 1], rows[6, 1] = _HUGE, -_HUGE
    _fits(subject, rows)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise CheckFailed(message)


def _raises(
    error: type[Exception], what: str, action: Callable[..., object], *arguments: Any
) -> None:
    try:
        action(*arguments)
    except error as raised:
        _require(bool(str(raised).strip()), f"{what} raises {error.__name__} without a message")
    except Exception as raised:
        raise CheckFailed(
            f"{what} raises {type(raised).__name__}, not {error.__name__}: {raised}"
        ) from raised
    else:
        raise CheckFailed(f"{what} raises nothing; expected {error.__name__}")


def _fits(subject: Subject, rows: FloatArray) -> Detector:
    detector = subject.fit(rows)
    _check_training_scores(detector, len(rows))
    _scored(detector, rows)
    _scored(detector, rows[:1] + 1.0)
    return detector


def _check_training_scores(detector: Detector, n: int) -> None:
    own = detector.training_scores_
    _require(own.shape == (n,), f"training_scores_ has the shape {own.shape}, not ({n},)")
    _require(bool(np.isfinite(own).all()), "training_scores_ are not all finite")


def _scored(detector: Detector, X: FloatArray) -> Scores:
    """Return the scores, their shapes checked; ``Scores`` itself refuses infinite values."""
    scores = detector.score(X)
    _require(scores.values.shape == (len(X),), f"scores have the shape {scores.values.shape}")
    for name in ("parts", "expected"):
        array = getattr(scores, name)
        if array is not None:
            _require(array.shape == X.shape, f"{name} has the shape {array.shape}, not {X.shape}")
            _require(bool(np.isfinite(array).all()), f"{name} is not all finite")
    return scores


def _joined(pieces: list[Scores]) -> Scores:
    def join(name: str) -> Any:
        arrays = [getattr(piece, name) for piece in pieces]
        return None if any(array is None for array in arrays) else np.concatenate(arrays)

    return Scores(join("values"), join("parts"), join("expected"))


def _same(
    given: FloatArray, wanted: FloatArray, what: str, *, rtol: float = 1e-6, atol: float = 0.0
) -> None:
    _require(given.shape == wanted.shape, f"{what} have the shape {given.shape}")
    if not np.allclose(given, wanted, rtol=rtol, atol=atol):
        raise CheckFailed(f"{what} differ by up to {np.abs(given - wanted).max():.3g}")


def _state_or_nothing(detector: Detector) -> State:
    try:
        return detector.get_state()
    except NotSavable:
        return {}


def _equal(a: Any, b: Any) -> bool:
    """Return whether two states hold the same; a list equals a tuple, as after JSON."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return bool(np.array_equal(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_equal, a, b))
    return bool(a == b)
