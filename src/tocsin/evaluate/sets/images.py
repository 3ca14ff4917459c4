"""Labelled sets of images in folders, with masks or boxes that locate anomalies.

A set is a folder with ``train/good``, ``test/good`` and a folder ``test/DEFECT`` for each kind of
defect. Anomalies are located by masks, ``ground_truth/DEFECT/STEM.png`` or ``STEM_mask.png`` (above
127 is anomalous), or by files ``boxes/STEM.txt`` with one line ``x1 y1 x2 y2 type`` per box, in
pixels, x2 and y2 excluded. MVTec AD has this layout (Bergmann et al., IJCV 2021), and DeepPCB once
sorted.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tocsin.base import check_images
from tocsin.errors import InputError, UnreadableFile
from tocsin.readers.image import find_images, read_image
from tocsin.types import BoolArray, ImageArray, IntArray

GOOD = "good"


@dataclass(frozen=True, slots=True)
class ImageSet:
    """Paths of images to learn from, ``train`` (n,), and of those to be scored, ``test`` (m,).

    ``kinds``: m kinds of defects, "good" for none. ``sizes``: m sizes (rows, columns).
    ``truth``: m files that locate the anomaly, None for good images and in sets without.
    """

    name: str
    train: ImageArray
    test: ImageArray
    kinds: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    truth: tuple[Path | None, ...]

    @property
    def labels(self) -> IntArray:
        """Labels (m,), 1 = anomaly."""
        return np.array([kind != GOOD for kind in self.kinds], dtype=np.int64)

    @property
    def located(self) -> bool:
        """Whether it is known where anomalies are."""
        return any(path is not None for path in self.truth)

    def mask(self, i: int) -> BoolArray:
        """Return which pixels of a test image are anomalous; published masks may have none.

        Raises UnreadableFile.
        """
        path, size = self.truth[i], self.sizes[i]
        if path is None:
            return np.zeros(size, dtype=bool)
        return _boxes(path, size) if path.suffix == ".txt" else _mask(path, size)


def read_image_sets(data: Path, only: Collection[str] | None = None) -> dict[str, ImageSet]:
    """Return the sets in a folder by name, or those named.

    Every test image and every mask is read once, so that what is wrong with one is reported before
    anything is measured. Raises InputError when there is no set, UnreadableFile naming what is
    missing or does not fit.
    """
    data = Path(data)
    there = sorted(path.parent.parent for path in data.glob(f"*/train/{GOOD}"))
    chosen = [path for path in there if only is None or path.name in only]
    missing = set(only or ()) - {path.name for path in chosen}
    if missing or not chosen:
        known = ", ".join(path.name for path in there) or "none"
        wanted = f"no set {', '.join(sorted(missing))}" if missing else "no sets (NAME/train/good)"
        raise InputError(f"{data} holds {wanted}; it has: {known}.")
    return {path.name: _read_set(path) for path in chosen}


def _read_set(folder: Path) -> ImageSet:
    tests = folder / "test"
    kinds = sorted(path.name for path in tests.glob("*") if path.is_dir())
    if GOOD not in kinds or len(kinds) < 2:
        raise UnreadableFile(
            f"{tests} must hold a folder good and one for each kind of defect; it has: "
            f"{', '.join(kinds) or 'none'}."
        )
    found = [(kind, path) for kind in kinds for path in find_images(tests / kind).paths]
    read = ImageSet(
        folder.name,
        check_images(find_images(folder / "train" / GOOD).paths),
        check_images([path for _, path in found]),
        tuple(kind for kind, _ in found),
        tuple(_size(Path(path)) for _, path in found),
        tuple(_truth(folder, kind, Path(path).stem) for kind, path in found),
    )
    for i in range(len(found)):
        read.mask(i)
    return read


def _truth(folder: Path, kind: str, stem: str) -> Path | None:
    """Return the file that locates the anomaly of an image; None in sets without any."""
    if kind == GOOD:
        return None
    masks, boxes = folder / "ground_truth", folder / "boxes"
    if masks.is_dir():
        choices = [masks / kind / f"{stem}.png", masks / kind / f"{stem}_mask.png"]
    elif boxes.is_dir():
        choices = [boxes / f"{stem}.txt"]
    else:
        return None
    for path in choices:
        if path.is_file():
            return path
    raise UnreadableFile(f"{choices[0]} is not there: it locates the anomaly.")


def _size(path: Path) -> tuple[int, int]:
    rows, columns = read_image(path).shape[:2]
    return rows, columns


def _mask(path: Path, size: tuple[int, int]) -> BoolArray:
    mask: BoolArray = read_image(path)[..., 0] > 127
    if mask.shape != size:
        raise UnreadableFile(
            f"{path} has {mask.shape[1]} × {mask.shape[0]} pixels, its image {size[1]} × {size[0]}."
        )
    return mask


def _boxes(path: Path, size: tuple[int, int]) -> BoolArray:
    """Return the union of the boxes of a file."""
    mask = np.zeros(size, dtype=bool)
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
        boxes = [tuple(map(int, line[:4])) for line in lines if line]
        for x1, y1, x2, y2 in boxes:
            if not (0 <= x1 < x2 <= size[1] and 0 <= y1 < y2 <= size[0]):
                raise UnreadableFile(
                    f"{path}: the box {x1} {y1} {x2} {y2} is not in its image of {size[1]} × "
                    f"{size[0]} pixels."
                )
            mask[y1:y2, x1:x2] = True
    except UnreadableFile:
        raise
    except (OSError, ValueError) as error:
        raise UnreadableFile(
            f"{path} does not hold one line x1 y1 x2 y2 type per box: {error}"
        ) from error
    return mask
