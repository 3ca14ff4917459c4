"""The checks of images: a right detector passes, those broken in one way fail there."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pytest

from tocsin.base import ImageDetector
from tocsin.base.declared import Shape
from tocsin.checks import CheckFailed, check_detector, subject_for
from tocsin.detectors.images._maps import Picture, ScoresByMap, pictures
from tocsin.errors import InputError, UnreadableFile
from tocsin.readers.image import read_image
from tocsin.types import Card, FloatArray, ImageArray, IntArray, MapArray, Scores


class Mean(ScoresByMap, ImageDetector):
    """How far an image is from the mean picture; it is right."""

    card = Card("mean", "images", "density", ("one-class",), "Distance", "None", "O(n)")
    size = 32

    mean_: Annotated[MapArray, Shape(32, 32, 3)]

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def _fit(self, X: ImageArray, y: IntArray | None) -> None:
        stack = np.stack(list(pictures(X, self.size, "learning")))
        self.mean_ = stack.mean(axis=0)

    def _heat(self, picture: Picture) -> MapArray:
        return np.abs(picture - self.mean_).mean(axis=2)

    def _score_training(self, X: ImageArray, y: IntArray | None) -> FloatArray:
        if len(X) == 1:
            return self._score(X).values
        return super()._score_training(X, y)


class Labelled(ImageDetector):
    """Which of two means is nearer, without a map; it is right."""

    card = Card("labelled", "images", "supervised", ("supervised",), "Means", "None", "O(n)")
    uses_labels = needs_labels = True

    def _fit(self, X: ImageArray, y: IntArray | None) -> None:
        assert y is not None
        if len(set(y.tolist())) < 2:
            raise InputError("labelled needs images of both labels.")
        self.good_, self.bad_ = Mean(), Mean()
        self.good_.fit(X[y == 0])
        self.bad_.fit(X[y == 1])

    def _score(self, X: ImageArray) -> Scores:
        return Scores(self.good_.score(X).values - self.bad_.score(X).values)

    def _score_training(self, X: ImageArray, y: IntArray | None) -> FloatArray:
        return self._score(X).values

    def get_state(self) -> dict[str, Any]:
        return {"good": self.good_.get_state(), "bad": self.bad_.get_state()}

    def set_state(self, state: Any) -> Labelled:
        self.training_scores_ = np.empty(0)
        self.good_ = Mean().set_state(state["good"])
        self.bad_ = Mean().set_state(state["bad"])
        return self


class Batched(Mean):
    def _score(self, X: ImageArray) -> Scores:
        scores = super()._score(X)
        return Scores(scores.values - scores.values.mean(), scores.parts)


class Upside(Mean):
    def _heat(self, picture: Picture) -> MapArray:
        return -super()._heat(picture)


class Optimistic(Mean):
    def _score_training(self, X: ImageArray, y: IntArray | None) -> FloatArray:
        return self._score(X).values / 2


class Forgetful(Mean):
    def _fit(self, X: ImageArray, y: IntArray | None) -> None:
        super()._fit(X, y)
        self.hidden = self.mean_

    def _heat(self, picture: Picture) -> MapArray:
        return super()._heat(picture) + 0 * self.hidden.sum()


class Overwriting(Mean):
    """Draws into the arrays that it is given."""

    def _fit(self, X: ImageArray, y: IntArray | None) -> None:
        super()._fit(X, y)
        for image in X:
            if isinstance(image, np.ndarray):
                image[:2] = 0


class Wide(Mean):
    def _score(self, X: ImageArray) -> Scores:
        scores = super()._score(X)
        assert scores.parts is not None
        return Scores(scores.values, scores.parts.astype(np.float64))


class Negative(Mean):
    """Its maps are cold where its scores are high."""

    def _score(self, X: ImageArray) -> Scores:
        scores = super()._score(X)
        assert scores.parts is not None
        return Scores(scores.values, -scores.parts)


class Astray(Mean):
    """Is warm where it should be cold."""

    def _heat(self, picture: Picture) -> MapArray:
        return super()._heat(picture)[::-1, ::-1]


class Channelled(Mean):
    """Takes an image of one channel for another one."""

    def _score(self, X: ImageArray) -> Scores:
        scores = super()._score(X)
        odd = [isinstance(image, np.ndarray) and image.ndim == 2 for image in X]
        return Scores(scores.values + np.array(odd), None)


class Named(ImageDetector):
    """Looks at the name."""

    card = Card("named", "images", "density", ("one-class",), "Distance", "None", "O(n)")

    def _fit(self, X: ImageArray, y: IntArray | None) -> None:
        self.inside_ = Mean().fit(X)

    def _score(self, X: ImageArray) -> Scores:
        named = [0 if isinstance(image, np.ndarray) else len(str(image)) for image in X]
        return Scores(self.inside_.score(X).values + np.array(named))

    def _score_training(self, X: ImageArray, y: IntArray | None) -> FloatArray:
        return self.inside_.training_scores_

    def get_state(self) -> dict[str, Any]:
        return {"inside": self.inside_.get_state()}

    def set_state(self, state: Any) -> Named:
        self.inside_ = Mean().set_state(state["inside"])
        self.training_scores_ = self.inside_.training_scores_
        return self


class Fixed(Mean):
    """Takes images of one shape alone."""

    def _score(self, X: ImageArray) -> Scores:
        if any(read_image(image).shape[0] > 400 for image in X):
            raise ValueError("too tall")
        return super()._score(X)


class Contrasting(Mean):
    """Divides by the contrast."""

    def _heat(self, picture: Picture) -> MapArray:
        with np.errstate(all="ignore"):
            return super()._heat(picture) * (picture.std() / picture.std())


class Needy(Mean):
    def _fit(self, X: ImageArray, y: IntArray | None) -> None:
        if len(X) < 2:
            raise InputError("needy needs two images.")
        super()._fit(X, y)


class Careless(Mean):
    """Passes over what cannot be read."""

    def _score(self, X: ImageArray) -> Scores:
        blank = np.zeros((64, 80), dtype=np.uint8)
        X = X.copy()
        for i, image in enumerate(X):
            try:
                read_image(image)
            except UnreadableFile:
                X[i] = blank
        return super()._score(X)


@pytest.mark.parametrize("right", [Mean, Labelled])
def test_right_detectors_pass(right: type[ImageDetector]) -> None:
    check_detector(right())


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Batched, "check_items_are_scored_alone"),
        (Upside, "check_anomalies_score_higher"),
        (Optimistic, "check_training_scores_are_out_of_sample"),
        (Forgetful, "check_save_and_load"),
        (Overwriting, "check_fit"),
        (Wide, "check_maps"),
        (Negative, "check_maps"),
        (Astray, "check_heat_is_at_the_defect"),
        (Channelled, "check_maps"),
        (Named, "check_files_are_as_arrays"),
        (Fixed, "check_other_sizes"),
        (Contrasting, "check_flat_images"),
        (Needy, "check_one_image"),
        (Careless, "check_damaged_files"),
    ],
)
def test_a_broken_detector_fails_at_the_check_that_names_it(
    broken: type[ImageDetector], check: str
) -> None:
    with pytest.raises(CheckFailed, match=rf"{broken.card.name}: {check}"):
        check_detector(broken())


def test_the_data_is_made_anew_each_time_and_alike() -> None:
    one, other = subject_for(Mean()), subject_for(Mean())
    for a, b in zip(one.testing[0], other.testing[0], strict=True):
        assert np.array_equal(a, b)
    assert len({image.tobytes() for image in [*one.normal, *one.unseen]}) == 48
    assert one.testing[1].sum() == 30
