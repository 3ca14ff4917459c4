"""Labels of images and of log sessions: in the order of the items, or by their names."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from pathlib import Path

import numpy as np

from tocsin.errors import InputError
from tocsin.readers.arrays import ARRAYS
from tocsin.readers.formulas import restore_formula
from tocsin.readers.labels import parse_labels
from tocsin.readers.table import read_labels, read_table
from tocsin.types import IntArray


def read_image_labels(path: str | Path, names: Sequence[str]) -> IntArray:
    r"""Return the labels (n,) of the images of these names, 1 = anomaly, from a file.

    A table of two columns, name and label, in any order; else what ``read_labels`` takes, one
    label per image in the order of the names. Raises UnreadableFile, and InputError for names of
    other images, images without a label and other values than two.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "labels.csv")
    >>> _ = path.write_text("image,state\nb.png,bad\na.png,good\n")
    >>> read_image_labels(path, ["a.png", "b.png"])
    array([0, 1])
    """
    known = set(names)
    named, labels = _read(Path(path), "name", "image", len(names), known)
    if named is None:
        return labels
    given = dict(zip(named, labels, strict=True))
    if strange := [name for name in given if name not in known]:
        raise InputError(
            f'{path} labels "{strange[0]}", which is not one of the images. They are: '
            f"{', '.join(names[:3])} …"
        )
    _check_complete(path, "image", names, [name not in given for name in names])
    return np.array([given[name] for name in names], dtype=np.int64)


def read_session_labels(
    path: str | Path, keys: Sequence[str], sessions: Mapping[str, Sequence[int]]
) -> IntArray:
    r"""Return the labels (n,) of the log sessions of these keys, 1 = anomaly, from a file.

    A table of two columns, name and label, where ``sessions`` gives the positions of the sessions
    that a name means, such as its key or the number of one of its lines: a session is an anomaly
    if one of its names is; else what ``read_labels`` takes, one label per session in their order.
    Raises UnreadableFile, and InputError for names of other logs, sessions without a label and
    other values than two.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "labels.csv")
    >>> _ = path.write_text("line,label\n1,0\n2,1\n3,0\n")
    >>> read_session_labels(path, ["job 1", "job 2"], {"1": [0], "2": [0], "3": [1]})
    array([1, 0])
    """
    named, labels = _read(Path(path), "key", "session", len(keys), sessions)
    if named is None:
        return labels
    found = np.full(len(keys), -1, dtype=np.int64)
    for name, label in zip(named, labels.tolist(), strict=True):
        if name not in sessions:
            raise InputError(
                f'{path} labels "{name}", which is not a session or a line of these logs. '
                f"Sessions are: {', '.join(keys[:3])} …"
            )
        found[sessions[name]] = np.maximum(found[sessions[name]], label)
    _check_complete(path, "session", keys, (found < 0).tolist())
    return found


def _read(
    path: Path, column: str, item: str, count: int, known: Container[str]
) -> tuple[list[str] | None, IntArray]:
    """Return the names of the items, None for those in order, and their labels (n,).

    A name that is not ``known`` may be one that --out wrote with an apostrophe.
    """
    frame = None if path.suffix.lower() in ARRAYS else read_table(path)
    if frame is None or frame.shape[1] == 1:
        labels = read_labels(path)
        if len(labels) != count:
            raise InputError(f"{path} has {len(labels):,} labels for {count:,} {item}s.")
        return None, labels
    if frame.shape[1] != 2:
        raise InputError(
            f"{path} has {frame.shape[1]} columns; labels of {item}s are {column},label or one "
            f"label per {item}."
        )
    names = [str(name).strip() for name in frame.iloc[:, 0]]
    names = [name if name in known else restore_formula(name) for name in names]
    return names, parse_labels(frame.iloc[:, 1], str(path))


def _check_complete(
    path: str | Path, item: str, names: Sequence[str], missing: Sequence[bool]
) -> None:
    """Raise InputError if one of the items of these names has no label."""
    without = [name for name, absent in zip(names, missing, strict=True) if absent]
    if without:
        raise InputError(
            f"{path} has no label for {len(without):,} of {len(names):,} {item}s, the first is "
            f'"{without[0]}". Label them, or leave them out.'
        )
