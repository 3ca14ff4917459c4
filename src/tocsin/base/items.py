"""Detectors of items other than rows of numbers: texts, sessions of log lines, images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tocsin.base.detector import Detector
from tocsin.errors import InputError
from tocsin.types import FloatArray, ImageArray, LogSession, SessionArray, TextArray


class TextDetector(Detector):
    """A detector over n texts."""

    def _check_training(self, X: Any) -> TextArray:
        return _at_least_two(check_texts(X), self.card.name)

    def _check_scoring(self, X: Any) -> TextArray:
        return check_texts(X)


class LogDetector(Detector):
    """A detector over n log sessions; a single line is a session of one."""

    def _check_training(self, X: Any) -> SessionArray:
        return _at_least_two(check_sessions(X), self.card.name)

    def _check_scoring(self, X: Any) -> SessionArray:
        return check_sessions(X)


class ImageDetector(Detector):
    """A detector over n images, each a path or an array; one good image is enough to learn from.

    Images are read when they are needed and let go. ``parts`` are heat maps (n, rows, columns),
    float32, each over its whole image and in units of the score.
    """

    copies_scores_: FloatArray | None = None
    """Of few training images, out-of-sample scores of shifted and dimmed copies as well."""

    def _check_training(self, X: Any) -> ImageArray:
        return check_images(X)

    def _check_scoring(self, X: Any) -> ImageArray:
        return check_images(X)


def check_images(X: Any) -> ImageArray:
    """Return images as an object array (n,), n ≥ 1, each the path of a file or an array.

    Whether a file can be read is seen when it is read. Raises InputError for anything else.

    >>> check_images(["a.png", np.zeros((32, 32, 3), dtype=np.uint8)]).shape
    (2,)
    """
    images = _check_items(X, (str, Path, np.ndarray), "images (paths or arrays)")
    for i, image in enumerate(images):
        if isinstance(image, np.ndarray) and image.ndim not in (2, 3):
            raise InputError(
                f"An image is an array (rows, columns) or (rows, columns, channels); item {i} has "
                f"the shape {image.shape}."
            )
    return images


def check_texts(X: Any) -> TextArray:
    """Return texts as an object array (n,), n ≥ 1. Raises InputError for anything but texts.

    >>> check_texts(["a", "b"]).shape
    (2,)
    """
    return _check_items(X, str, "texts")


def check_sessions(X: Any) -> SessionArray:
    """Return log sessions as an object array (n,), n ≥ 1, none of them without lines.

    Raises InputError for anything but sessions.
    """
    sessions = _check_items(X, LogSession, "log sessions")
    empty = [i for i, session in enumerate(sessions) if not len(session)]
    if empty:
        raise InputError(f"{len(empty)} sessions have no lines, the first is number {empty[0]}.")
    return sessions


def _check_items(X: Any, kind: type | tuple[type, ...], what: str) -> NDArray[np.object_]:
    if isinstance(X, str) or not hasattr(X, "__len__"):
        raise InputError(f"A detector takes a list of {what}; got a {type(X).__name__}.")
    if not len(X):
        raise InputError(f"A detector takes at least one item of {what}; got none.")
    items = np.empty(len(X), dtype=object)
    for i, item in enumerate(X):  # one by one: arrays of one shape would be joined
        items[i] = item
    wrong = next((i for i, item in enumerate(items) if not isinstance(item, kind)), None)
    if wrong is not None:
        raise InputError(
            f"A detector takes {what}; item {wrong} is a {type(items[wrong]).__name__}."
        )
    return items


def _at_least_two(items: NDArray[np.object_], name: str) -> NDArray[np.object_]:
    if len(items) < 2:
        raise InputError(f"{name} needs at least 2 items to learn from; got 1 sample.")
    return items
