"""Every detector in the folder passes every check of the contract."""

from __future__ import annotations

import functools
from typing import Annotated

import numpy as np
import pytest

from tocsin import registry
from tocsin.base import TableDetector
from tocsin.base.declared import Shape
from tocsin.checks import (
    CheckFailed,
    Subject,
    check_detector,
    checks_for,
    small_detector,
    subject_for,
)
from tocsin.errors import MissingExtra, ParameterError
from tocsin.types import Card, FloatArray, IntArray, Scores


def marks(name: str, modality: str) -> tuple[pytest.MarkDecorator, ...]:
    return (pytest.mark.slow,) if registry.find(name, modality).slow_to_check else ()


CASES = [
    pytest.param(modality, name, check, marks=marks(name, modality))
    for modality in registry.modalities()
    for name in registry.names(modality)
    for check in dict(checks_for(modality))
]


@functools.cache
def subject(modality: str, name: str) -> Subject:
    return subject_for(small_detector(name, modality))


@pytest.mark.parametrize(("modality", "name", "check"), CASES)
def test_contract(modality: str, name: str, check: str) -> None:
    try:
        dict(checks_for(modality))[check](subject(modality, name))
    except MissingExtra as missing:
        pytest.skip(str(missing))


class Distance(TableDetector):
    """A detector that is right; its children each break one part of the contract."""

    card = Card("distance", "tables", "density", ("one-class",), "Distance", "None", "O(n d)")

    scale_: Annotated[FloatArray, Shape("d")]
    middle_: Annotated[FloatArray, Shape("d")]

    def __init__(self, power: float = 2.0) -> None:
        self.power = power

    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        with np.errstate(over="ignore"):
            self.scale_ = np.minimum(np.abs(X - np.median(X, axis=0)).mean(axis=0) + 1e-9, 1e300)
        self.middle_ = np.median(X, axis=0)

    def _score(self, X: FloatArray) -> Scores:
        with np.errstate(over="ignore"):
            far = np.abs(np.clip(X - self.middle_, -1e300, 1e300)) / self.scale_
        return Scores((np.minimum(far, 1e30) ** self.power).sum(axis=1))


class Impure(Distance):
    def _score(self, X: FloatArray) -> Scores:
        self.middle_ = np.nextafter(self.middle_, 9)
        return super()._score(X)


class Batched(Distance):
    def _score(self, X: FloatArray) -> Scores:
        values = super()._score(X).values
        return Scores(values / max(values.max(), 1e-9))


class Upside(Distance):
    def _score(self, X: FloatArray) -> Scores:
        return Scores(-super()._score(X).values)


class Optimistic(Distance):
    def _score_training(self, X: FloatArray, y: IntArray | None) -> FloatArray:
        return self._score(X).values / 100


class Forgetful(Distance):
    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        super()._fit(X, y)
        self.hidden = self.middle_

    def _score(self, X: FloatArray) -> Scores:
        return Scores(super()._score(X).values + 0 * self.hidden.sum())


class Overwriting(Distance):
    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        super()._fit(X, y)
        X -= self.middle_


class Random(Distance):
    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        super()._fit(X, y)
        self.middle_ = self.middle_ + np.random.default_rng().normal(size=X.shape[1])


class Adjusting(Distance):
    def __init__(self, power: int = 2) -> None:
        self.power = power * 1.0


class Unscaled(Distance):
    def _fit(self, X: FloatArray, y: IntArray | None) -> None:
        super()._fit(X, y)
        self.scale_ = np.ones(X.shape[1])


class Blaming(Distance):
    def _score(self, X: FloatArray) -> Scores:
        parts = np.zeros(X.shape)
        parts[:, 0] = super()._score(X).values
        return Scores(parts[:, 0], parts)


def test_a_right_detector_passes() -> None:
    check_detector(Distance())
    check_detector(Distance(power=1.0))


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Impure, "check_scoring_is_pure"),
        (Batched, "check_items_are_scored_alone"),
        (Upside, "check_anomalies_score_higher"),
        (Optimistic, "check_training_scores_are_out_of_sample"),
        (Forgetful, "check_save_and_load"),
        (Overwriting, "check_fit"),
        (Random, "check_fit"),
        (Adjusting, "check_parameters"),
        (Unscaled, "check_units_do_not_matter"),
        (Blaming, "check_parts"),
    ],
)
def test_a_broken_detector_fails_at_the_check_that_names_it(
    broken: type[TableDetector], check: str
) -> None:
    with pytest.raises(CheckFailed, match=rf"distance: {check}"):
        check_detector(broken())


def test_a_modality_without_checks_is_refused() -> None:
    with pytest.raises(ParameterError, match="tables"):
        list(checks_for("smells"))
