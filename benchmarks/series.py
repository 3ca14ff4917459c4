"""Tocsin's detectors of series beside PyOD's over windows and stumpy's matrix profile, in one run.

    python benchmarks/series.py --data FOLDER --exact --json out/series.json

FOLDER is what ``tocsin bench series`` takes. The peers see raw windows of 100 points, at most
4,000 evenly spread ones to learn from and to score; a point's score is the mean over the windows
that cover it, as for ours. The matrix profile compares every window of the series with all
others, channel by channel, so ``--most-points`` leaves out longer series, for all detectors.
"""

from __future__ import annotations

import argparse
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from tocsin.base import SeriesDetector, Stretch, Stretches
from tocsin.evaluate.sets.series import read_series
from tocsin.evaluate.suites.series import SeriesSuite
from tocsin.features.windows import average_over_windows, starts, windows
from tocsin.files import write_atomically
from tocsin.types import Card, FloatArray, IntArray, Scores

OURS = ["auto", "window_neighbours", "kmeans_windows", "subsequence_pca", "autoregression"]
WINDOW, MOST_WINDOWS = 100, 4_000


class Peer(SeriesDetector):
    """Another package's detector; its training scores are not measured here."""

    def _score_training(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        X = np.concatenate([stretch.values for stretch in stretches])
        return np.zeros(len(X))


class PyodKNN(Peer):
    """PyOD's detector over windows."""

    card = Card("pyod KNN", "series", "neighbours", ("one-class",), "PyOD's KNN.", "", "")
    module, model = "knn", "KNN"

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        self.length_ = min(WINDOW, len(X) // 4)
        self._model = getattr(importlib.import_module(f"pyod.models.{self.module}"), self.model)()
        self._model.fit(self._cut(X)[1])

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        begin, cut = self._cut(X)
        values = np.asarray(self._model.decision_function(cut), dtype=np.float64)
        return Scores(average_over_windows(values, begin, self.length_, len(X)))

    def _cut(self, X: FloatArray) -> tuple[IntArray, FloatArray]:
        begin = starts(len(X), self.length_, MOST_WINDOWS)
        return begin, np.asarray(windows(X, self.length_)[begin].reshape(len(begin), -1))


class PyodIForest(PyodKNN):
    """PyOD's isolation forest over windows."""

    card = Card("pyod IForest", "series", "isolation", ("one-class",), "PyOD's IForest.", "", "")
    module, model = "iforest", "IForest"


class MatrixProfile(Peer):
    """The matrix profile of the whole series by stumpy, averaged over channels."""

    card = Card("stumpy", "series", "neighbours", ("unlabelled",), "Matrix profile.", "", "")

    def _fit(self, stretches: Stretches, y: IntArray | None) -> None:
        X = np.concatenate([stretch.values for stretch in stretches])
        self.length_ = min(WINDOW, len(X) // 4)

    def _score(self, stretch: Stretch) -> Scores:
        X = stretch.values
        import stumpy

        begin = np.arange(len(X) - self.length_ + 1)
        profiles = [stumpy.stump(x, self.length_)[:, 0].astype(np.float64) for x in X.T.copy()]
        values = np.mean([np.nan_to_num(profile, posinf=0.0) for profile in profiles], axis=0)
        return Scores(average_over_windows(values, begin, self.length_, len(X)))


def main() -> None:
    """Run the suite and print the means beside the published figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--kind", choices=["univariate", "multivariate"], default="univariate")
    parser.add_argument("--exact", action="store_true", help="series with published figures only")
    parser.add_argument("--only", help="families or FAMILY/NAME, separated by commas")
    parser.add_argument("--detectors", help="ours, separated by commas, instead of the defaults")
    parser.add_argument("--most-points", type=int, default=50_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    only = options.only.split(",") if options.only else None
    every = list(read_series(options.data, options.kind, options.exact, only))
    short = [f"{one.family}/{one.name}" for one in every if len(one.X) <= options.most_points]
    console = Console()
    console.print(f"{len(short)} of {len(every)} series have up to {options.most_points} points.")
    ours = options.detectors.split(",") if options.detectors else OURS
    detectors = [*ours, PyodKNN(), PyodIForest(), MatrixProfile()]
    noise = np.random.default_rng(0).normal(size=500)
    MatrixProfile().fit(noise).score(noise)  # so that no series pays for compiling stumpy
    suite = SeriesSuite(options.data, options.kind, options.exact, short)
    rows = suite.run(detectors, _print_row)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(options.json, json.dumps(rows, indent=1))
    suite.print(rows, console)


def _print_row(row: dict[str, Any]) -> None:
    measured = "failed" if row["vus_pr"] is None else f"{row['vus_pr']:.3f}"
    print(row["family"], row["dataset"], row["detector"], measured, flush=True)


if __name__ == "__main__":
    main()
