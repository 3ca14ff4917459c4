"""The data for detectors of series, and the checks that only they pass."""

from __future__ import annotations

from typing import ClassVar, cast

import numpy as np
from sklearn.metrics import roc_auc_score

from tocsin.base import Detector, SeriesDetector, StreamingDetector, Stretch
from tocsin.checks import common, hostile, numbers, streaming
from tocsin.checks.asserting import require, require_same, scored
from tocsin.checks.numbers import HUGE
from tocsin.checks.subject import MatrixSubject, Subject
from tocsin.types import FloatArray, IntArray


class SeriesSubject(MatrixSubject):
    """Two correlated noisy sines; spikes, a level shift, a quicker stretch and a flat one."""

    modality = "series"
    shared = (common, hostile, numbers, streaming)
    least_area = 0.75
    shares = (0.01, 0.35)
    least = 16
    period: ClassVar[int] = 25

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector)
        rng = np.random.default_rng(7)
        angle = 2 * np.pi / self.period * np.arange(4000)
        shared, noise = rng.normal(size=4000), rng.normal(size=(4000, 2))
        waves = np.stack([np.sin(angle), 0.8 * np.sin(angle + 1)], axis=1)
        self.series = waves + 0.07 * shared[:, None] + 0.07 * noise
        self.normal, self.unseen = self.series[:600], self.series[600:2600]
        self.spots = np.arange(50, 1950, 100)

    @property
    def testing(self) -> tuple[FloatArray, IntArray]:
        """What follows on the training series, with anomalies in both channels."""
        return self._disturbed(slice(None))

    @property
    def testing_first(self) -> tuple[FloatArray, IntArray]:
        """The same, with anomalies in the first channel alone."""
        return self._disturbed(slice(1))

    @property
    def calibration(self) -> tuple[FloatArray, FloatArray]:
        """The scores of 2,000 training points, and of the next 2,000.

        So many, because scores averaged over windows are alike among neighbours: a few hundred
        points hold few independent ones. What they say of a quantile is vague even so.
        """
        detector = self.new().fit(self.series[:2000])
        own = detector.training_scores_[detector.held_out_]
        return own, detector.score(self.series[2000:]).values

    def _disturbed(self, channels: slice) -> tuple[FloatArray, IntArray]:
        """Return what follows on the training series, with anomalies in some channels."""
        X, labels = self.unseen[:1200].copy(), np.zeros(1200, dtype=np.int64)
        spike, shift, quick, flat = map(slice, (150, 400, 650, 900), (152, 450, 710, 930))
        for where in (spike, shift, quick, flat):
            labels[where] = 1
        changed = X[:, channels]
        changed[spike] += 5.0
        changed[shift] += 2.5
        changed[quick] = self.unseen[650:830:3, channels]
        changed[flat] = changed[900]
        return X, labels


def check_vector(subject: Subject) -> None:
    """Check that a vector (n,) is a series of one channel (n, 1)."""
    x, y = subject.normal[:100, :1], subject.unseen[:50, :1]
    vector = subject.new().fit(x[:, 0]).score(y[:, 0])
    matrix = subject.new().fit(x).score(y)
    require_same(vector.values, matrix.values, "scores of a vector and of one channel")


def check_series_that_begins_with_training(subject: Subject) -> None:
    """Check that anomalies score higher also behind the series that was trained on."""
    X, labels = subject.testing
    n = len(subject.normal)
    values = _together(subject, np.concatenate([subject.normal, X]))[n:]
    area = roc_auc_score(labels, values)
    require(area > subject.least_area, f"ROC AUC behind the training series is {area:.2f}")
    _together(subject, subject.normal)


def check_lengths(subject: Subject) -> None:
    """Check that a series of any length can be scored: 1, 2, 16, and more than was trained on."""
    for n in (1, 2, 16, 2 * len(subject.normal)):
        scored(subject.fitted, subject.unseen[:n])


def check_scores_do_not_depend_on_the_file(subject: Subject) -> None:
    """Check that a stretch alone, and inside a longer file, gets the same scores inside.

    The longer file has anomalies elsewhere, one of them a glitch of 1,000 deviations. Points are
    compared that lie further from the stretch's ends than any window reaches. A detector of
    streams scores what comes next: it is asked about the beginning of the file alone.
    """
    X, first, edge = subject.unseen[:1500].copy(), 300, 350
    X[50], X[1300:1350] = 1000.0, X[1300]
    if isinstance(subject.detector, StreamingDetector) or _is_stream(subject):
        _require_close(subject.fitted.score(X[:1200]).values, subject.fitted.score(X).values[:1200])
        return
    # The file's place in time is known, as from its times; what follows on training is there.
    whole = Stretch(X, at=len(subject.normal))
    alone, inside = whole.cut(first, 1250), slice(edge, 1250 - first - edge)
    values = subject.fitted.score(whole).values[first:1250]
    _require_close(subject.fitted.score(alone).values[inside], values[inside])
    parts = [whole.cut(0, first), alone, whole.cut(1250, len(X))]
    apart = subject.fitted.score(parts).values[first:1250]
    _require_close(subject.fitted.score(alone).values, apart)


def check_short_training(subject: Subject) -> None:
    """Check that 16 points are learned from, and that longer series can then be scored."""
    scored(subject.fits(subject.normal[:16]), subject.normal)


def check_huge_values_are_anomalous(subject: Subject) -> None:
    """Check that a spike of 1e300 gives finite scores, and scores above most normal points."""
    usual = subject.unseen[:300]
    limit = np.quantile(subject.fitted.score(usual).values, 0.9)
    for huge in (HUGE, -HUGE):
        series = usual.copy()
        series[150, 1] = huge
        score = scored(subject.fitted, series).values[150]
        require(bool(score > limit), f"a spike of {huge:g} scores like normal points")


def check_labelled_points_are_bridged(subject: Subject) -> None:
    """Check that points labelled anomalous are learned from as the straight line across them."""
    if subject.detector.uses_labels:
        return
    X, labels = subject.normal[:200].copy(), np.zeros(200, dtype=np.int64)
    labels[100:104] = 1
    X[100:104] = np.linspace(X[99], X[104], 6)[1:-1]
    wanted = subject.new().fit(X).score(subject.unseen[:100]).values
    X[100:104] += 100.0
    given = subject.new().fit(X, labels).score(subject.unseen[:100]).values
    require_same(given, wanted, "scores with labelled points and with a line across them")


def _is_stream(subject: Subject) -> bool:
    return bool(subject.detector.get_params().get("mode") == "streaming")


def _require_close(given: FloatArray, wanted: FloatArray) -> None:
    spread = float(np.std(wanted)) or 1.0
    worst = float(np.abs(given - wanted).max()) / spread
    require(
        worst < 1e-3,
        f"scores of the same points differ by up to {worst:.2g} deviations with what stands beside",
    )


def _together(subject: Subject, X: FloatArray) -> FloatArray:
    """Return the scores (n,) of a series that begins with the training series, all in view."""
    detector = subject.fitted
    require(isinstance(detector, SeriesDetector), "it is not a detector of series")
    values = cast("SeriesDetector", detector).score_together(X).values
    require(values.shape == (len(X),), f"scores have the shape {values.shape}")
    return values
