"""Labelled series in a folder, beside published figures.

A folder holds ``index.csv`` with the columns ``kind`` (univariate or multivariate), ``family``,
``name``, ``tsb_ad_file`` (the series' name in TSB-AD, or empty) and ``tsb_ad_exact`` (whether
it is the same series, cut and labelled alike); and ``KIND/FAMILY/NAME.npz`` with ``X``
(n, channels), ``y`` (n,), 1 = anomaly, and ``train_end``, the length of the prefix to learn
from. ``published_vus_pr_KIND.csv``, where there is one, holds published figures of TSB-AD:
``file`` and one column per detector.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.base import SeriesDetector, check_labels, check_series
from tocsin.errors import InputError, ParameterError, UnreadableFile
from tocsin.types import FloatArray, IntArray

Kind = Literal["univariate", "multivariate", "streaming"]

_COLUMNS = {"kind", "family", "name", "tsb_ad_file", "tsb_ad_exact"}


@dataclass(frozen=True, slots=True)
class LabelledSeries:
    """A series X (n, channels), its labels y (n,), and the length of the prefix to learn from.

    ``tsb_ad_file`` names the same series in TSB-AD, None unless one is exactly alike.
    """

    family: str
    name: str
    X: FloatArray
    y: IntArray
    train_end: int
    tsb_ad_file: str | None = None

    @property
    def learned(self) -> int:
        """The number of points to learn from: all of them where the prefix is too short."""
        return self.train_end if self.train_end >= SeriesDetector.least_points else len(self.X)


def read_series(
    data: Path, kind: Kind, exact: bool = False, only: Collection[str] | None = None
) -> Iterator[LabelledSeries]:
    """Return the series of a kind in the order of the index, each read when its turn comes.

    ``exact``: those with published figures alone. ``only``: of these families, or
    FAMILY/NAME. Missing values are filled by straight lines. Raises ParameterError for an
    unknown kind, InputError when no series is left, UnreadableFile naming an index or a
    series that cannot be read.
    """
    if kind not in get_args(Kind):
        raise ParameterError(f"The kind is one of {get_args(Kind)}; got {kind!r}.")
    index = _read_table(Path(data) / "index.csv", _COLUMNS)
    shape = "univariate" if kind == "streaming" else kind
    alike = index["tsb_ad_exact"].str.lower() == "true"
    chosen = index[(index["kind"] == shape) & (alike | (not exact))]
    if only is not None:
        each = chosen["family"] + "/" + chosen["name"]
        chosen = chosen[chosen["family"].isin(only) | each.isin(only)]
    if chosen.empty:
        families = ", ".join(sorted(set(index.loc[index["kind"] == shape, "family"])))
        wanted = "" if only is None else f" of {', '.join(only)}"
        raise InputError(
            f"{data} has no {'exactly matching ' if exact else ''}{shape} series{wanted}; "
            f"the families are: {families or 'none'}."
        )
    columns = (chosen[name] for name in ("family", "name", "tsb_ad_file", "tsb_ad_exact"))
    entries = [
        (Path(data) / shape / family / f"{name}.npz", file if same.lower() == "true" else None)
        for family, name, file, same in zip(*columns, strict=True)
    ]
    for path, file in entries:
        _read_npz(path, file)  # so that hours of work do not end at an unreadable file
    return (_read_npz(path, file) for path, file in entries)


def read_published(data: Path, kind: Kind) -> pd.DataFrame | None:
    """Return published VUS-PR, one row per series and column per detector, None without a file.

    The index is the series' name in TSB-AD. Raises UnreadableFile naming what is wrong.
    """
    shape = "univariate" if kind == "streaming" else kind
    path = Path(data) / f"published_vus_pr_{shape}.csv"
    if not path.exists():
        return None
    table = _read_table(path, {"file"}).set_index("file")
    try:
        return table.astype(float)
    except ValueError as error:
        raise UnreadableFile(f"{path} holds more than numbers: {error}") from error


def _read_table(path: Path, columns: set[str]) -> pd.DataFrame:
    """Return a table of words; empty cells stay empty words."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise UnreadableFile(f"{path} is not a readable table: {error}") from error
    if not columns <= set(table.columns):
        raise UnreadableFile(
            f"{path} has no column {', '.join(sorted(columns - set(table.columns)))}; "
            f"it has: {', '.join(table.columns)}."
        )
    return table


def _read_npz(path: Path, tsb_ad_file: str | None) -> LabelledSeries:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UnreadableFile(f"{path} is not a readable .npz file: {error}") from error
    if not {"X", "y", "train_end"} <= set(arrays):
        raise UnreadableFile(
            f"{path} holds {', '.join(arrays) or 'nothing'}; expected X, y and train_end."
        )
    try:
        X = check_series(_filled(arrays["X"]))
        y, train_end = check_labels(arrays["y"], len(X)), int(arrays["train_end"])
    except (TypeError, ValueError) as error:
        raise UnreadableFile(f"{path} cannot be used: {error}") from error
    return LabelledSeries(path.parent.name, path.stem, X, y, train_end, tsb_ad_file)


def _filled(X: NDArray[Any]) -> FloatArray:
    """Return a series whose missing values lie on lines between their neighbours, 0 if none is."""
    series = np.array(X[:, None] if X.ndim == 1 else X, dtype=np.float64)
    for channel in series.T:
        known = np.flatnonzero(np.isfinite(channel))
        if 0 < len(known) < len(channel):
            channel[:] = np.interp(np.arange(len(channel)), known, channel[known])
        elif not len(known):
            channel[:] = 0
    return series
