"""Images from a folder, a list, an array or a table of paths, as far as they can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.base import Stateful, check_images
from tocsin.errors import InputError, SchemaMismatch
from tocsin.progress import report
from tocsin.readers.image import Pixels, as_given, find_images, read_image
from tocsin.types import ImageArray, IntArray, SkippedImage

__all__ = ["Gathered", "ImagePreparer", "ImageReading", "PreparedImages", "gather"]

MOST_IMAGES, MOST_PIXELS = 32, 40_000_000
"""Images, and pixels of them, decoded at once; a larger image is decoded alone."""

_PATH_COLUMNS = ("path", "file")
_NAMED = 3
_COARSE = 7  # every seventh row and column shows whether an image is grey


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was given, before any of it is opened: ``images`` (n,) and their names.

    ``refused``: links that lead out of the folder, their rows those after the images.
    ``others``: how many files of other kinds were skipped.
    """

    images: ImageArray
    names: tuple[str, ...]
    refused: tuple[SkippedImage, ...] = ()
    others: int = 0


@dataclass(frozen=True, slots=True)
class PreparedImages:
    """The images (n,) that could be read, in the order they were given.

    ``rows``: (n,), the position of each among all that were given. ``sizes``: (n, 2), height and
    width in pixels. ``notes``: what was found and what was done.
    """

    images: ImageArray
    names: tuple[str, ...]
    rows: IntArray
    sizes: IntArray
    skipped: tuple[SkippedImage, ...]
    notes: tuple[str, ...]
    given: int
    """The number of all, readable or not; there is a label for each."""


def gather(X: Any) -> Gathered:
    """Return the images of whatever a user gives, without opening any.

    A path: a folder, or an image. Else a list of paths and arrays, an array (n, rows, columns) or
    (n, rows, columns, channels), or a data frame with a column "path" or "file", or only one
    column of strings. Raises UnreadableFile for a path that does not exist, SchemaMismatch for a
    frame without any of these columns, InputError for anything else.

    >>> gather(np.zeros((2, 32, 32), dtype=np.uint8)).names
    ('image 0', 'image 1')
    """
    if isinstance(X, str | Path):
        found = find_images(X)
        links = enumerate(found.refused, len(found.paths))
        refused = (
            SkippedImage(row, _as_text(Path(path).relative_to(X).as_posix()), f"is {why}")
            for row, (path, why) in links
        )
        names = tuple(map(_as_text, found.names))
        return Gathered(check_images(found.paths), names, tuple(refused), found.others)
    if isinstance(X, pd.DataFrame):
        X = X[_path_column(X)]
    if isinstance(X, pd.Series):
        X = X.tolist()
    if isinstance(X, np.ndarray) and X.ndim == 3 and X.shape[2] in (1, 3, 4):
        raise InputError(
            f"An array of the shape {X.shape} is one image; give a list of images, or "
            "an array (n, rows, columns, channels)."
        )
    images = check_images(X)
    named = (
        f"image {i}" if isinstance(image, np.ndarray) else _as_text(str(image))
        for i, image in enumerate(images)
    )
    return Gathered(images, tuple(named))


class ImageReading:
    """Reads each of the images given once, and remembers what they were.

    >>> reading = ImageReading([np.zeros((32, 32), dtype=np.uint8), np.zeros((2, 2))])
    >>> [place for place, _ in reading.pixels("checking")]
    [0]
    >>> reading.prepared().skipped[0].reason
    'has 2 × 2 pixels; a side has at least 16'
    """

    def __init__(self, X: Any) -> None:
        self.given = gather(X)
        self._sizes: dict[int, tuple[int, int]] = {}
        self._skipped: list[SkippedImage] = []
        self._kinds: Counter[str] = Counter()

    def pixels(self, doing: str) -> Iterator[tuple[int, Pixels]]:
        """Yield the position of each readable image among those given, and its pixels."""
        for place, image in enumerate(self.given.images):
            try:
                pixels = read_image(image)
            except InputError as error:
                name = self.given.names[place]
                self._skipped.append(SkippedImage(place, name, _reason_of(error, image)))
            else:
                self._sizes[place] = (pixels.shape[0], pixels.shape[1])
                self._kinds["16 bits per channel" if pixels.dtype == np.float32 else "8 bits"] += 1
                self._kinds["grey alone" if _is_grey(pixels) else "colour"] += 1
                yield place, pixels
            report(f"{doing} images", place + 1, len(self.given.images))

    def blocks(self, doing: str) -> Iterator[tuple[list[int], ImageArray]]:
        """Yield the readable images decoded, a few at a time, with their places."""
        places: list[int] = []
        block: list[NDArray[Any]] = []
        held = 0
        for place, pixels in self.pixels(doing):
            size = pixels.shape[0] * pixels.shape[1]
            if block and (len(block) == MOST_IMAGES or held + size > MOST_PIXELS):
                yield places, check_images(block)
                places, block, held = [], [], 0
            places.append(place)
            block.append(as_given(pixels))
            held += size
        if block:
            yield places, check_images(block)

    def prepared(self) -> PreparedImages:
        """Return what was read. Raises InputError, with the first reasons, if nothing could be."""
        given = self.given
        skipped = (*self._skipped, *given.refused)
        if not self._sizes:
            raise InputError(
                f"None of {len(given.images) + len(given.refused):,} images can be read: "
                f"{_list_skipped(skipped)}."
            )
        rows: IntArray = np.array(list(self._sizes), dtype=np.int64)
        return PreparedImages(
            given.images[rows],
            tuple(given.names[row] for row in rows),
            rows,
            np.array(list(self._sizes.values()), dtype=np.int64),
            skipped,
            tuple(self._notes(skipped)),
            len(given.images),
        )

    def _notes(self, skipped: tuple[SkippedImage, ...]) -> Iterator[str]:
        sizes = sorted(set(self._sizes.values()), key=lambda size: size[0] * size[1])
        written = [f"{width:,}×{height:,}" for height, width in (sizes[0], sizes[-1])]
        one = len(self._sizes) == 1
        yield f"{len(self._sizes):,} image{'' if one else 's'} " + (
            f"of {written[0]} pixels"
            if len(sizes) == 1
            else f"of sizes from {written[0]} to {written[1]}, all resized to squares"
        )
        if skipped:
            yield f"{len(skipped):,} skipped: {_list_skipped(skipped)}"
        if others := self.given.others:
            yield f"{others:,} {'file' if others == 1 else 'files'} of other kinds skipped"
        for rare, usual in (("16 bits per channel", "8 bits"), ("grey alone", "colour")):
            if self._kinds[rare] and self._kinds[usual]:
                yield f"{self._kinds[rare]:,} of {rare}, {self._kinds[usual]:,} of {usual}"
        if self._kinds["16 bits per channel"] and not self._kinds["8 bits"]:
            yield "16 bits per channel, all of them kept"


class ImagePreparer(Stateful):
    """Finds the images in what a user gives, see ``gather``, and checks that they can be read.

    A file that cannot be decoded, is not an image whatever its name, is too large or too small,
    or is a link out of its folder, is skipped and named. After ``fit_transform``: ``notes_``.

    >>> preparer = ImagePreparer()
    >>> len(preparer.fit_transform(np.zeros((3, 32, 48), dtype=np.uint8)).images)
    3
    >>> preparer.notes_
    ['3 images of 48×32 pixels']
    """

    notes_: list[str]

    def fit_transform(self, X: Any) -> PreparedImages:
        """Return the images that can be read; each is decoded once to see.

        Raises InputError, with the first reasons, if none can be.
        """
        reading = ImageReading(X)
        for _ in reading.pixels("checking"):
            pass
        prepared = reading.prepared()
        self.notes_ = list(prepared.notes)
        return prepared


def _path_column(frame: pd.DataFrame) -> str:
    for name in _PATH_COLUMNS:
        if name in frame.columns:
            return name
    strings = [
        name for name in frame.columns if frame[name].map(lambda v: isinstance(v, str | Path)).all()
    ]
    if len(strings) != 1:
        raise SchemaMismatch(
            f'Which column holds the paths of images? Name it "path"; there are '
            f"{', '.join(map(str, frame.columns))}."
        )
    return str(strings[0])


def _is_grey(pixels: Pixels) -> bool:
    some = pixels[::_COARSE, ::_COARSE]
    return bool((some == some[..., :1]).all())


def _reason_of(error: InputError, image: Any) -> str:
    """Return what is wrong with an image, without its name, which is printed beside it."""
    name = "an array" if isinstance(image, np.ndarray) else str(image)
    return _as_text(str(error).removeprefix(f"{name} ").rstrip("."))


def _list_skipped(skipped: tuple[SkippedImage, ...]) -> str:
    named = [f"{each.name} {each.reason}" for each in skipped[:_NAMED]]
    return "; ".join(named) + (" …" if len(skipped) > _NAMED else "")


def _as_text(name: str) -> str:
    """Return a name as valid text, which those of files need not be."""
    return name.encode(errors="replace").decode()
