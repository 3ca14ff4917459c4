"""The checks of series: a right detector passes, one broken in one way fails at that check."""

from __future__ import annotations

from typing import Annotated, Any, Self

import numpy as np
import pytest
from numpy.typing import ArrayLike

from tocsin.base import SeriesDetector, StreamingDetector, Stretch, Stretches
from tocsin.base.declared import Shape
from tocsin.checks import CheckFailed, check_detector, checks_for, subject_for
from tocsin.types import Card, FloatArray, IntArray, Scores

LAGS = 8


def scaling(X: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The median of each channel, and how far values usually are from it."""
    middle = np.median(X, axis=0)
    with np.errstate(over="ignore"):
        far = np.median(np.abs(X - middle), axis=0)
    return middle, np.where(np.isfinite(far) & (far > 0), far, 1.0)


def lags(z: FloatArray) -> FloatArray:
    """The last points before each one, (channels, n, LAGS)."""
    before = np.concatenate([np.repeat(z[:1], LAGS, axis=0), z[:-1]])
    return np.lib.stride_tricks.sliding_window_view(before, LAGS, axis=0).swapaxes(0, 1)


def regression(z: FloatArray) -> FloatArray:
    """The weights (channels, LAGS) of each channel's last points in a forecast of the next."""
    past = lags(z)
    squares = past.swapaxes(1, 2) @ past + np.eye(LAGS)
    return np.linalg.solve(squares, past.swapaxes(1, 2) @ z.T[..., None])[..., 0]


class Lagged(SeriesDetector):
    """A linear forecast from the last points of each channel; it is right."""

    card = Card("lagged", "series", "forecast", ("one-class",), "Lags", "None", "O(n c)")

    middle_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]
    weights_: Annotated[FloatArray, Shape("d", LAGS)]

    def __init__(self, cap: float = 100.0) -> None:
        self.cap = cap

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        self.middle_, self.scale_ = scaling(X)
        self.weights_ = regression(self._scaled(X))

    def _scaled(self, X: FloatArray) -> FloatArray:
        with np.errstate(over="ignore"):
            return np.clip((X - self.middle_) / self.scale_, -self.cap, self.cap)

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        z = self._scaled(X)
        expected = np.einsum("cnl,cl->nc", lags(z), self.weights_)
        expected[0] = z[0]
        parts = np.abs(z - expected)
        return Scores(parts.sum(axis=1), parts, expected * self.scale_ + self.middle_)


class Upside(Lagged):
    def _score(self, stretch: Stretch) -> Scores:
        return Scores(-super()._score(stretch).values)


class Unscaled(Lagged):
    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        super()._fit(stretches, y)
        self.scale_ = np.full(X.shape[1], X.std())


class Optimistic(Lagged):
    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        X = np.concatenate([stretch.values for stretch in stretches])
        return self._score(Stretch(X)).values / 3


class Pessimistic(Lagged):
    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        X = np.concatenate([stretch.values for stretch in stretches])
        return self._score(Stretch(X)).values * 3


class Impure(Lagged):
    def _score(self, stretch: Stretch) -> Scores:
        self.middle_ = np.nextafter(self.middle_, 9)
        return super()._score(stretch)


class Forgetful(Lagged):
    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        super()._fit(stretches, y)
        self.hidden = self.middle_

    def _score(self, stretch: Stretch) -> Scores:
        return Scores(super()._score(stretch).values + 0 * self.hidden.sum())


class Overwriting(Lagged):
    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        super()._fit(stretches, y)
        for stretch in stretches:
            stretch.values[:] -= self.middle_


class Random(Lagged):
    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        super()._fit(stretches, y)
        self.middle_ = self.middle_ + np.random.default_rng().normal(size=X.shape[1])


class Blaming(Lagged):
    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        values = super()._score(stretch).values
        return Scores(values, np.stack([values] + [0 * values] * (X.shape[1] - 1), axis=1))


class Still(Lagged):
    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        return Scores(super()._score(stretch).values, expected=np.full(X.shape, 9.0))


class Needy(Lagged):
    def _score(self, stretch: Stretch) -> Scores:
        return Scores(
            np.lib.stride_tricks.sliding_window_view(super()._score(stretch).values, 4).mean(1)
        )


class Hungry(Lagged):
    least_points = 15


class Demanding(Lagged):
    least_points = 20


class Blind(Lagged):
    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        return super()._score(np.where(np.abs(X) > 1e9, np.roll(X, 25, axis=0), X))


class Recalling(Lagged):
    """Knows the training series by heart, and with it all that comes behind it."""

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        super()._fit(stretches, y)
        self.known_ = X.copy()

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        n = len(self.known_)
        begins = len(X) > n and np.array_equal(X[:n], self.known_)
        return Scores(np.zeros(len(X)) if begins else super()._score(stretch).values)


class Scaling(Lagged):
    """Divides scores by the highest of those asked for."""

    def _score(self, stretch: Stretch) -> Scores:
        values = super()._score(stretch).values
        return Scores(values / values.max())


class Swallowing(Lagged):
    """Learns from labelled points as they are."""

    def fit(self, X: Any, y: ArrayLike | None = None) -> Self:
        return super().fit(X)


class Flat(Lagged):
    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        super()._fit(stretches, y)
        if X.shape[1] == 1:
            self.middle_ = self.middle_ + np.sum(self.taken)

    def _check_training(self, X: Any) -> FloatArray:
        self.taken = np.ones(int(np.ndim(X) == 1))
        return super()._check_training(X)


class Recursive(StreamingDetector):
    """A linear forecast that goes on learning, by normalised least mean squares; it is right."""

    card = Card("recursive", "series", "forecast", ("streaming",), "NLMS", "None", "O(c) an event")

    middle_: Annotated[FloatArray, Shape("d")]
    scale_: Annotated[FloatArray, Shape("d")]
    weights_: Annotated[FloatArray, Shape("e", "d", LAGS)]
    recent_: Annotated[FloatArray, Shape("e", "d", LAGS)]

    def __init__(self, rate: float = 0.01, delay: int = 0) -> None:
        self.rate = rate
        self.delay = delay

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        self.middle_, self.scale_ = scaling(X)
        self.entities_ = 1
        with np.errstate(over="ignore"):
            z = np.clip((X - self.middle_) / self.scale_, -100, 100)
        self.weights_ = regression(z)[None]
        self.recent_ = np.zeros((1, X.shape[1], LAGS))
        self.on_the_way_ = np.zeros(0)
        self.on_the_way_ = np.array([self.process(event) for event in X])

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        return self.on_the_way_

    def _step(self, events: FloatArray, who: Any) -> FloatArray:
        with np.errstate(over="ignore"):
            z = np.clip((events - self.middle_) / self.scale_, -100, 100)
        recent, weights = self.recent_[who], self.weights_[who]
        guess = (weights * recent).sum(axis=-1)
        z = np.where(np.isnan(z), guess, z)
        error = z - guess
        step = self.rate * np.clip(error, -1, 1) / (1 + (recent**2).sum(axis=-1))
        self.weights_[who] = weights + step[..., None] * recent
        self.recent_[who] = np.concatenate([recent[..., 1:], np.clip(z, -5, 5)[..., None]], axis=-1)
        return np.abs(error)

    def process(self, event: ArrayLike, entity: int = 0) -> float:
        return float(self._step(np.asarray(event, dtype=np.float64), entity).sum())

    def process_many(self, events: FloatArray) -> FloatArray:
        return self._step(events, slice(None)).sum(axis=1)

    def tracking(self, entities: int) -> Self:
        other = type(self)(**self.get_params()).set_state(self.get_state())
        other.entities_ = entities
        other.weights_ = np.repeat(self.weights_[:1], entities, axis=0)
        other.recent_ = np.repeat(self.recent_[:1], entities, axis=0)
        return other

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        other = self.tracking(1)
        parts = np.concatenate([other._step(event[None], slice(None)) for event in X])
        return Scores(parts.sum(axis=1), parts)


class Looking(Recursive):
    def _score(self, stretch: Stretch) -> Scores:
        values = super()._score(stretch).values
        return Scores(np.maximum(values, np.append(values[1:], 0)))


class Delayed(Looking):
    """Looks one event ahead, and says so: it is right."""

    def __init__(self, delay: int = 1) -> None:
        super().__init__(delay=delay)


class Doubling(Recursive):
    def _score(self, stretch: Stretch) -> Scores:
        return Scores(2 * super()._score(stretch).values)

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        return 2 * self.on_the_way_


class Restarting(Recursive):
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        return self.fit(X)


class Mixing(Recursive):
    def process_many(self, events: FloatArray) -> FloatArray:
        return super().process_many(events).cumsum()


class Leaking(Recursive):
    def tracking(self, entities: int) -> Self:
        other = super().tracking(entities)
        if entities > 1:
            self.weights_ *= 0.9
        return other


class Hoarding(Recursive):
    def process(self, event: ArrayLike, entity: int = 0) -> float:
        value = super().process(event, entity)
        self.on_the_way_ = np.append(self.on_the_way_, value)
        return value


class Dizzy(Recursive):
    """Counts events beside its state."""

    count = 0

    def process(self, event: ArrayLike, entity: int = 0) -> float:
        if hasattr(self, "training_scores_"):
            self.count += 1
        return super().process(event, entity) * (1 + (self.count > 200))


class Poisoned(Recursive):
    def process(self, event: ArrayLike, entity: int = 0) -> float:
        return super().process(event, entity) + 0 * float(np.sum(event))


@pytest.mark.parametrize("right", [Lagged, Recursive, Delayed])
def test_a_right_detector_passes(right: type[SeriesDetector]) -> None:
    check_detector(right())


BROKEN = [
    (Upside, "check_anomalies_score_higher"),
    (Unscaled, "check_units_do_not_matter"),
    (Optimistic, "check_training_scores_are_out_of_sample"),
    (Pessimistic, "check_training_scores_are_out_of_sample"),
    (Impure, "check_scoring_is_pure"),
    (Forgetful, "check_save_and_load"),
    (Overwriting, "check_fit"),
    (Random, "check_fit"),
    (Blaming, "check_parts"),
    (Still, "check_expected"),
    (Needy, "check_lengths"),
    (Hungry, "check_bad_input"),
    (Demanding, "check_short_training"),
    (Blind, "check_huge_values_are_anomalous"),
    (Recalling, "check_series_that_begins_with_training"),
    (Scaling, "check_scores_do_not_depend_on_the_file"),
    (Swallowing, "check_labelled_points_are_bridged"),
    (Flat, "check_vector"),
    (Looking, "check_no_look_ahead"),
    (Doubling, "check_process_gives_the_scores"),
    (Restarting, "check_partial_fit"),
    (Mixing, "check_entities_are_apart"),
    (Leaking, "check_entities_are_apart"),
    (Hoarding, "check_state_is_bounded"),
    (Dizzy, "check_resume"),
    (Poisoned, "check_missing_values"),
]


@pytest.mark.parametrize(("broken", "check"), BROKEN)
def test_a_broken_detector_fails_at_its_check(broken: type[SeriesDetector], check: str) -> None:
    with pytest.raises((CheckFailed, AttributeError, ValueError)):
        dict(checks_for("series"))[check](subject_for(broken()))


def test_the_failure_names_the_detector_the_check_and_the_fault() -> None:
    with pytest.raises(CheckFailed, match="lagged: check_anomalies_score_higher: ROC AUC"):
        check_detector(Upside())
