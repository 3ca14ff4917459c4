"""Labels of images: in the order of their names, or by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tocsin.errors import InputError
from tocsin.readers.labels import labels_of
from tocsin.readers.table import read_labels, read_table
from tocsin.types import IntArray


def image_labels(path: str | Path, names: Sequence[str]) -> IntArray:
    r"""Return the labels (n,) of the images of these names, 1 = anomaly, from a file.

    A table of two columns, name and label, in any order; else what ``read_labels`` takes, a label
    an image in the order of the names. Raises UnreadableFile, and InputError for names that there
    are not, images without a label and other values than two.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "labels.csv")
    >>> _ = path.write_text("image,state\nb.png,bad\na.png,good\n")
    >>> image_labels(path, ["a.png", "b.png"])
    array([0, 1])
    """
    path = Path(path)
    frame = None if path.suffix.lower() in (".npy", ".npz") else read_table(path)
    if frame is None or frame.shape[1] == 1:
        labels = read_labels(path)
        if len(labels) != len(names):
            raise InputError(f"{path} has {len(labels):,} labels for {len(names):,} images.")
        return labels
    if frame.shape[1] != 2:
        raise InputError(
            f"{path} has {frame.shape[1]} columns; labels of images are name,label or one label "
            "an image."
        )
    marks = labels_of(frame.iloc[:, 1], str(path))
    given = dict(zip((str(name).strip() for name in frame.iloc[:, 0]), marks, strict=True))
    known = set(names)
    if strange := [name for name in given if name not in known]:
        raise InputError(
            f'{path} labels "{strange[0]}", which is none of the images. They are: '
            f"{', '.join(names[:3])} …"
        )
    if without := [name for name in names if name not in given]:
        raise InputError(
            f"{path} has no label for {len(without):,} of {len(names):,} images, the first is "
            f'"{without[0]}".'
        )
    return np.array([given[name] for name in names], dtype=np.int64)
