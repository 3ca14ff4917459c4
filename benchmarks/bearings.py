"""Promised against measured false alarms on bearings that run to failure.

FOLDER holds a folder per bearing, with `train/good`, `test/good`, `test/midlife` and `test/late`
of WAV files in the order of time. A row is a recording: of each channel the logarithm of its
level, its kurtosis, its crest factor, and the logarithms of its energy in eight bands. The later
life of a healthy bearing, `good` and `midlife`, is what a budget must hold on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.io import wavfile
from scipy.stats import kurtosis
from sklearn.metrics import roc_auc_score

from tocsin import Pipeline
from tocsin.types import FloatArray

BANDS = 8
BUDGETS = (0.01, 0.05)


def features(path: Path) -> FloatArray:
    """Return the features (channels · 11,) of a recording."""
    _, samples = wavfile.read(path)
    X = np.asarray(samples, dtype=np.float64).reshape(len(samples), -1)
    level = np.sqrt((X**2).mean(axis=0)) + 1e-9
    power = np.abs(np.fft.rfft(X, axis=0)) ** 2
    bands = [np.log(band.sum(axis=0) + 1e-9) for band in np.array_split(power[1:], BANDS)]
    return np.concatenate(
        [np.log(level), kurtosis(X, axis=0), np.abs(X).max(axis=0) / level, *bands]
    )


def rows(folder: Path) -> pd.DataFrame:
    """Return the recordings of a folder, by name, which is the order of time."""
    return pd.DataFrame([features(path) for path in sorted(folder.glob("*.wav"))]).add_prefix("f")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--detector", default="auto")
    given = parser.parse_args()
    table = Table("bearing", "1 %: good", "midlife", "5 %: good", "midlife", "ROC AUC late")
    for bearing in sorted(path for path in given.data.iterdir() if path.is_dir()):
        parts = {each: rows(bearing / "test" / each) for each in ("good", "midlife", "late")}
        cells, train = [], rows(bearing / "train" / "good")
        for budget in BUDGETS:
            model = Pipeline(given.detector, training="clean", false_alarms=budget).fit(train)
            cells += [
                f"{model.detect(parts[each], explain=False).decision.is_anomaly.mean():.1%}"
                for each in ("good", "midlife")
            ]
        scores = [model.score(parts[each]).values for each in ("good", "midlife", "late")]
        labels = np.repeat([0, 0, 1], [len(own) for own in scores])
        area = roc_auc_score(labels, np.concatenate(scores))
        table.add_row(bearing.name, *cells, f"{100 * area:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
