"""The benchmark of series detectors: VUS over labelled series, beside published figures.

A folder holds ``index.csv`` with the columns ``kind`` (univariate or multivariate), ``family``,
``name``, ``tsb_ad_file`` (the series' name in TSB-AD, or empty) and ``tsb_ad_exact`` (whether
it is the same series, cut and labelled alike); and ``KIND/FAMILY/NAME.npz`` with ``X``
(n, channels), ``y`` (n,), 1 = anomaly, and ``train_end``, the length of the prefix to learn
from. ``published_vus_pr_KIND.csv``, where there is one, holds published figures of TSB-AD:
``file`` and a column a detector.

- univariate, multivariate: fit on the prefix, score the whole series.
- streaming: the univariate series, event by event; the prefix keeps the scores it got while
  it was learned from.

A series whose prefix is shorter than 16 points is learned from as a whole.
"""

from __future__ import annotations

import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from tocsin import registry
from tocsin.base import (
    Detector,
    SeriesDetector,
    StreamingDetector,
    Stretch,
    check_labels,
    check_series,
)
from tocsin.errors import InputError, MissingExtra, ParameterError, UnreadableFile
from tocsin.evaluate.metrics import ranking
from tocsin.evaluate.ranges import buffer_period, vus
from tocsin.evaluate.threads import limited_threads
from tocsin.types import FloatArray, IntArray

if TYPE_CHECKING:
    from rich.console import Console

Kind = Literal["univariate", "multivariate", "streaming"]
Row = dict[str, Any]

MOST_PUBLISHED = 8
_COLUMNS = {"kind", "family", "name", "tsb_ad_file", "tsb_ad_exact"}


@dataclass(frozen=True, slots=True)
class LabelledSeries:
    """A series X (n, channels), its labels y (n,), and the length of the prefix to learn from.

    ``tsb_ad_file`` names the same series in TSB-AD, None where there is none exactly alike.
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
    """Return published VUS-PR, a row a series and a column a detector, or None without a file.

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


def run_series(
    data: Path,
    kind: Kind = "univariate",
    detectors: Sequence[str | SeriesDetector] = ("auto",),
    exact: bool = False,
    progress: Callable[[Row], None] | None = None,
    threads: int = 1,
    only: Collection[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> list[Row]:
    """Measure detectors, by name or as they are, on every series of a kind.

    ``parameters`` are given to each detector that has them; in streaming, ``mode="streaming"``
    likewise. A streaming detector's scores are those it gave on the way, to the prefix and
    then to the rest.

    Returns a row per series and detector: ``family``, ``dataset``, ``detector``, ``vus_pr``,
    ``vus_roc``, ``auc_pr`` (fractions), ``seconds`` to fit and score, on one thread unless told
    otherwise, and ``tsb_ad_file``. A detector that fails has None there and the reason in
    ``error``. ``progress`` is called with each row when it is done.

    Raises UnknownName, MissingExtra and ParameterError for what cannot be asked for,
    InputError and UnreadableFile for the folder.
    """
    made = _create(detectors, kind, parameters or {})
    rows = []
    with limited_threads(threads):
        for series in read_series(data, kind, exact, only):
            period = buffer_period(series.X[:, 0])
            for detector, asked in zip(made, detectors, strict=True):
                name = asked if isinstance(asked, str) else detector.card.name
                row: Row = {"family": series.family, "dataset": series.name, "detector": name}
                row |= _measure(series, detector, period) | {"tsb_ad_file": series.tsb_ad_file}
                rows.append(row)
                if progress is not None:
                    progress(row)
    return rows


def print_series(rows: Sequence[Row], published: pd.DataFrame | None, console: Console) -> None:
    """Print means per detector, and VUS-PR by family beside the best of the published figures.

    Published means and those beside them are over the same series, and the best come first.
    """
    frame = pd.DataFrame(rows)
    _print_means(frame, console)
    for row in rows:
        if row["error"]:
            console.print(
                f"{row['detector']} failed on {row['family']}/{row['dataset']}: {row['error']}",
                markup=False,
            )
    if published is None:
        console.print("There is no table of published figures for these series.")
        published = pd.DataFrame()
    same = frame[frame["tsb_ad_file"].isin(published.index)]
    if same.empty:
        _print_families(frame, frame, console)
        return
    series = same.drop_duplicates("tsb_ad_file").set_index("tsb_ad_file")["family"]
    theirs = published.loc[series.index]
    theirs = theirs[theirs.mean().nlargest(MOST_PUBLISHED).index].assign(family=series)
    theirs = theirs.melt("family", var_name="detector", value_name="vus_pr")
    theirs["detector"] += ", published"
    _print_families(pd.concat([same, theirs]), same, console)
    if len(same) < len(frame):
        console.print("Series without a published figure are in the first table alone.")


def _print_means(frame: pd.DataFrame, console: Console) -> None:
    from rich.table import Table

    table = Table(title="Means over series", title_justify="left")
    table.add_column("detector")
    for name in ("VUS-PR", "VUS-ROC", "AUC-PR", "seconds", "series", "failed"):
        table.add_column(name, justify="right")
    for detector, own in frame.groupby("detector", sort=False):
        mean = own[["vus_pr", "vus_roc", "auc_pr", "seconds"]].astype(float).mean()
        table.add_row(
            str(detector),
            *(f"{100 * mean[name]:.1f}" for name in ("vus_pr", "vus_roc", "auc_pr")),
            f"{mean.seconds:.2f}",
            str(len(own)),
            str(int(own["vus_pr"].isna().sum())),
        )
    console.print(table)


def _print_families(frame: pd.DataFrame, ours: pd.DataFrame, console: Console) -> None:
    """Print the mean VUS-PR of every detector by family; ``ours`` are those just measured."""
    from rich.table import Table

    series = ours.drop_duplicates(["family", "dataset"])["family"].value_counts().sort_index()
    table = Table(title=f"VUS-PR over {series.sum()} series, by family", title_justify="left")
    table.add_column("detector")
    for name in ("all", *(f"{family} ({count})" for family, count in series.items())):
        table.add_column(name, justify="right")
    values = frame.astype({"vus_pr": float})
    grouped = values.groupby(["detector", "family"])["vus_pr"].mean()
    means = grouped.unstack("family")[list(series.index)]
    means.insert(0, "all", values.groupby("detector")["vus_pr"].mean())
    own = set(ours["detector"])
    for detector, row in means.sort_values("all", ascending=False).iterrows():
        table.add_row(
            str(detector),
            *("failed" if np.isnan(value) else f"{100 * value:.1f}" for value in row),
            style="bold" if detector in own else None,
        )
    console.print(table)


def _create(
    detectors: Sequence[str | SeriesDetector], kind: Kind, parameters: Mapping[str, Any]
) -> list[Detector]:
    if not detectors:
        raise ParameterError("Give at least one detector to measure.")
    made = [
        registry.create(detector, "series") if isinstance(detector, str) else clone(detector)
        for detector in detectors
    ]
    known = {name for detector in made for name in detector.parameter_names()}
    if not set(parameters) <= known:
        raise ParameterError(
            f"No detector here has a parameter {', '.join(sorted(set(parameters) - known))}; "
            f"they have: {', '.join(sorted(known)) or 'none'}."
        )
    if kind == "streaming":
        parameters = {"mode": "streaming", **parameters}
    for detector in made:
        own = set(parameters).intersection(detector.parameter_names())
        detector.set_params(**{name: parameters[name] for name in own})
    return made


def _measure(series: LabelledSeries, detector: Detector, period: int) -> Row:
    row: Row = dict.fromkeys(("vus_pr", "vus_roc", "auc_pr", "seconds", "error"))
    detector = clone(detector)
    known, rest = series.X[: series.learned], series.X[series.learned :]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = time.perf_counter()
            detector.fit(known)
            if not _is_streaming(detector):
                scores = detector.score_together(series.X).values
            elif len(rest):
                later = detector.score(Stretch(rest, len(known)))
                scores = np.concatenate([detector.training_scores_, later.values])
            else:
                scores = detector.training_scores_
            seconds = time.perf_counter() - start
        volumes = vus(series.y, scores, period)
    except MissingExtra:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a detector dies of is its result here
        return row | {"error": f"{type(error).__name__}: {error}"}
    auc_pr = ranking(series.y, scores).average_precision
    row |= {"vus_pr": volumes.vus_pr, "vus_roc": volumes.vus_roc, "auc_pr": auc_pr}
    return row | {"seconds": seconds}


def _is_streaming(detector: Detector) -> bool:
    """Return whether it watches events as they come: by its mode if it has one, or its kind."""
    usual = "streaming" if isinstance(detector, StreamingDetector) else "batch"
    return bool(detector.get_params().get("mode", usual) == "streaming")


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
