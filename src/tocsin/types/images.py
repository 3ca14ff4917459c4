"""Images, and what detection gives for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.types.detections import Detection, IntArray, given_labels

ImageArray = NDArray[np.object_]
"""Images (n,), each the path of a file or an array of pixels; see ``readers.image.read_image``."""
MapArray = NDArray[np.float32]
"""Heat maps (n, rows, columns); each covers its whole image, whatever the image's size."""


@dataclass(frozen=True, slots=True)
class Region:
    """A connected part of an image whose heat exceeds the threshold, in pixels of the image.

    The box reaches from ``left`` and ``top`` up to but not including ``right`` and ``bottom``;
    ``area`` counts the pixels that are hot. ``peak`` is the largest heat, in units of the score.
    """

    left: int
    top: int
    right: int
    bottom: int
    area: int
    peak: float


@dataclass(frozen=True, slots=True)
class SkippedImage:
    """A file that was found among the images and could not be used, and why."""

    row: int
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class ImageDetection(Detection):
    """The whole answer for n images that could be read, in the order they were given.

    ``rows``: (n,), the position of each among all that were given, those not readable included.
    ``images``: (n,), as they were given, paths or arrays. ``names``: n texts, the path of each
    within its folder, or "image 3". ``sizes``: (n, 2), height and width in pixels. For the
    anomalies explained, by the position in ``rows``: ``maps``, the heat map, which covers the
    whole image, in units of the score; ``regions``, where it exceeds the threshold, the hottest
    first. ``skipped``: what was given and could not be used.
    """

    images: ImageArray = field(default_factory=lambda: np.empty(0, dtype=object))
    names: tuple[str, ...] = ()
    sizes: IntArray = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))
    maps: Mapping[int, MapArray] = field(default_factory=dict)
    regions: Mapping[int, tuple[Region, ...]] = field(default_factory=dict)
    skipped: tuple[SkippedImage, ...] = ()

    def labels(self, given: ArrayLike) -> IntArray:
        """Return the labels (n,) of the images that could be read, from those of all given."""
        return given_labels(given, int(self.rows.max()) + 1)[self.rows]
