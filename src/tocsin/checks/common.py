"""The checks of a detector of any modality: each a function ``check_…`` of a ``Subject``."""

from __future__ import annotations

import copy
import json

import numpy as np
from sklearn.base import clone

from tocsin import registry
from tocsin.checks.asserting import (
    CheckFailed,
    equal,
    require,
    require_area,
    require_raises,
    require_same,
    require_training_scores,
    scored,
    state_or_nothing,
)
from tocsin.checks.subject import Subject
from tocsin.errors import InputError, NotFitted, NotSavable

_FEW = 12
"""Items that are scored where more would tell no more."""


def check_card(subject: Subject) -> None:
    """Check that the card is filled in, and that its name finds the detector."""
    detector = subject.detector
    card = detector.card
    for field in ("name", "modality", "family", "learning", "summary", "paper", "cost"):
        require(bool(getattr(card, field)), f"card.{field} is empty")
    if card.name in registry.names(card.modality):
        require(
            registry.find(card.name, card.modality) is type(detector),
            f'the name "{card.name}" finds another class',
        )


def check_parameters(subject: Subject) -> None:
    """Check that parameters are stored as given, survive JSON, and make an equal copy."""
    detector = subject.detector
    parameters = detector.get_params(deep=False)
    for name, value in parameters.items():
        require(getattr(detector, name) is value, f"the parameter {name} is not stored as given")
    try:
        written = json.loads(json.dumps(parameters))
    except TypeError as error:
        raise CheckFailed(f"a parameter cannot be written as JSON: {error}") from error
    again = type(detector)(**written)
    require(again.get_params() == written, "parameters differ after JSON")
    require(clone(detector).get_params() == detector.get_params(), "clone has other parameters")
    unknown = set(type(detector).test_parameters()) - set(detector.parameter_names())
    require(not unknown, f"test_parameters has unknown names: {sorted(unknown)}")
    fitted = [name for name in vars(detector) if name.endswith("_")]
    require(not fitted, f"an untrained detector has fitted attributes: {fitted}")


def check_fit(subject: Subject) -> None:
    """Check that ``fit`` returns the detector, leaves X alone, and repeats itself."""
    X, y = subject.training
    given, detector = copy.deepcopy(X), subject.new()
    parameters = copy.deepcopy(detector.get_params())
    require(detector.fit(given, y) is detector, "fit does not return the detector")
    require(equal(given, X), "fit changes X")
    require(detector.get_params() == parameters, "fit changes parameters")
    require_training_scores(detector, len(X))
    rows, _ = subject.testing
    fitted = subject.fitted
    require_same(detector.score(rows).values, fitted.score(rows).values, "scores after refitting")
    require_same(
        detector.training_scores_, fitted.training_scores_, "training_scores_ after refitting"
    )


def check_not_fitted(subject: Subject) -> None:
    """Check that ``score`` before ``fit`` raises NotFitted."""
    require_raises(NotFitted, "scoring before fit", subject.new().score, subject.unseen)


def check_anomalies_score_higher(subject: Subject) -> None:
    """Check that scores are (n,) float64 and higher for anomalies, by the ROC AUC.

    A zero-shot detector learns nothing from items, so it need not find what is unusual among them.
    """
    rows, labels = subject.testing
    scores = scored(subject.fitted, rows)
    require(scores.values.dtype == np.float64, f"scores are {scores.values.dtype}, not float64")
    if subject.detector.card.learning != ("zero-shot",):
        require_area(subject.least_area, labels, scores.values, "on easy data")


def check_training_scores_are_out_of_sample(subject: Subject) -> None:
    """Check that about a tenth of unseen normal items exceed the training scores' 90 % quantile."""
    training, unseen = subject.calibration
    share = float((unseen > np.quantile(training, 0.9)).mean())
    least, most = subject.shares
    require(
        least <= share <= most,
        f"{share:.0%} of unseen normal items, not {least:.0%} to {most:.0%}, score above the "
        "training scores' 90 % quantile, so thresholds would not hold",
    )


def check_scoring_is_pure(subject: Subject) -> None:
    """Check that ``score`` repeats itself, and changes neither X nor the state."""
    rows, _ = subject.testing
    detector, rows_before = subject.fitted, copy.deepcopy(rows)
    before = copy.deepcopy(state_or_nothing(detector))
    first = detector.score(rows).values
    detector.score(rows[:3])
    require(np.array_equal(detector.score(rows).values, first), "scoring twice differs")
    require(equal(rows, rows_before), "score changes X")
    require(equal(state_or_nothing(detector), before), "score changes fitted state")


def check_copies(subject: Subject) -> None:
    """Check that copies of a detector that has scored, shallow and deep, score the same."""
    rows, _ = subject.testing
    some = rows[:_FEW]
    wanted = subject.fitted.score(some).values
    for copied in (copy.copy, copy.deepcopy):
        given = copied(subject.fitted).score(some).values
        require_same(given, wanted, f"scores of a {copied.__name__}", rtol=0)


def check_save_and_load(subject: Subject) -> None:
    """Check that a copy restored from a folder gives the same scores, to the bit."""
    rows, _ = subject.testing
    try:
        loaded = subject.restored(subject.fitted)
    except NotSavable:
        return
    wanted, given = subject.fitted.score(rows), loaded.score(rows)
    for name in ("values", "parts", "expected"):
        if getattr(wanted, name) is not None:
            require_same(
                getattr(given, name), getattr(wanted, name), f"{name} after loading", rtol=0
            )
    require(
        equal(loaded.get_state(), subject.fitted.get_state()), "the state differs after loading"
    )


def check_bad_input(subject: Subject) -> None:
    """Check that anything but items of the modality, or too few of them, raises InputError."""
    for what, X in subject.bad.items():
        require_raises(InputError, f"fitting {what}", subject.fit, X)
        require_raises(InputError, f"scoring {what}", subject.fitted.score, X)
    few = subject.normal[: subject.least - 1]
    require_raises(InputError, f"fitting {len(few)}", subject.fit, few)


def check_labels(subject: Subject) -> None:
    """Check that labels of another length or other values, or left out, raise InputError."""
    X = subject.normal[:40]
    n = len(X)
    for what, y in {"too few": np.zeros(n - 1), "of three values": np.arange(n) % 3}.items():
        require_raises(InputError, f"fitting with labels {what}", subject.new().fit, X, y)
    if subject.detector.needs_labels:
        require_raises(InputError, "fitting without labels", subject.new().fit, X)


def check_identical_items(subject: Subject) -> None:
    """Check that items that are all the same give finite scores."""
    subject.fits(np.repeat(subject.normal[:1], 20, axis=0))


def check_duplicates(subject: Subject) -> None:
    """Check that items that occur many times give finite scores."""
    subject.fits(np.repeat(subject.normal[:6], 10, axis=0))


def check_another_seed(subject: Subject) -> None:
    """Check that a detector that draws at random takes another seed."""
    if "seed" in subject.detector.parameter_names():
        subject.fits(subject.normal[:60], seed=1)
