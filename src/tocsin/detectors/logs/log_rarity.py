"""Log sessions by the rarest thing about them, for training sessions that hold anomalies."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import ArrayLike

from tocsin.base import LogDetector
from tocsin.base.abilities import FindsThreshold
from tocsin.base.declared import Shape, Within
from tocsin.detectors.logs._counts import Counts, find
from tocsin.errors import NotFitted, ParameterError
from tocsin.types import Card, FloatArray, IntArray, Scores, SessionArray

_DRIFT_P = 1e-3
_DRIFT_ODDS = 2.0
_CLEAR_GAP = 2.0  # standard errors


class LogRarity(FindsThreshold, LogDetector):
    """Score a session by its rarest gram, −log of the share of sessions that have it.

    The grams of a session are the templates that occur in it, and the absence of each template
    that over half of the training sessions have. A kind of anomaly stays rare while its grams
    do, however often it repeats itself, so training sessions may hold a third of anomalies. A
    training session is not counted for its own grams.

    ``detector_threshold_`` is a threshold that needs neither labels nor a budget: the middle of
    the widest gap between training scores, among the gaps that flag at most half of the
    sessions and keep no gram rarer than ``least_kept``; None where no gap is wider than two
    standard errors. A pattern that was rare in training and becomes common later is flagged
    each time: ``drift`` tells. Raises ParameterError unless 0 < ``least_kept`` < 1.

    >>> import numpy as np
    >>> from tocsin.types import LogSession
    >>> kinds = [[1, 2]] * 60 + [[1, 3, 2]] * 30 + [[1]] * 2
    >>> detector = LogRarity().fit([LogSession(np.array(kind)) for kind in kinds])
    >>> np.flatnonzero(detector.training_scores_ > detector.detector_threshold_).tolist()
    [90, 91]
    """

    card = Card(
        name="log_rarity",
        modality="logs",
        family="density",
        learning=("unlabelled", "one-class"),
        summary="The rarest template, or missing common template, of a session.",
        paper="Landauer, Skopik & Wurzenberger, A Critical Review of Common Log Data Sets Used "
        "for Evaluation of Sequence-based Anomaly Detection Techniques, FSE 2024",
        cost="O(lines)",
    )

    templates_: Annotated[IntArray, Shape("kinds", empty=True), Within(rising=True)]
    sessions_with_: Annotated[IntArray, Shape("kinds", empty=True), Within(0)]
    n_: int
    flagged_: int
    """How many training sessions score above ``detector_threshold_``."""

    def __init__(self, least_kept: float = 0.1) -> None:
        self.least_kept = least_kept

    def _check_parameters(self) -> None:
        if not 0 < self.least_kept < 1:
            raise ParameterError(f"least_kept is {self.least_kept}; it must be between 0 and 1.")

    def _fit(self, X: SessionArray, y: IntArray | None) -> FloatArray:
        counts = Counts.of(X)
        known = counts.template[counts.template >= 0]
        self.templates_, self.sessions_with_ = np.unique(known, return_counts=True)
        self.n_ = len(X)
        # As in _score, without the session itself; unknown templates are in no other session.
        fewest = np.maximum(self._fewest(counts), 1)
        scores: FloatArray = -np.log(fewest / (self.n_ + 1))
        self.detector_threshold_ = self._widest_gap(scores)
        cut = self.detector_threshold_
        self.flagged_ = 0 if cut is None else int((scores > cut).sum())
        return scores

    def _score(self, X: SessionArray) -> Scores:
        return Scores(-np.log((self._fewest(Counts.of(X)) + 1) / (self.n_ + 2)))

    def _fewest(self, counts: Counts) -> IntArray:
        """Return for the rarest gram of each session how many training sessions have it."""
        column = find(self.templates_, counts.template)
        here = np.append(self.sessions_with_, 0)[column]
        fewest = np.minimum.reduceat(here, counts.starts)
        for common in np.flatnonzero(self.sessions_with_ > self.n_ / 2):
            absent = np.ones(counts.n, dtype=bool)
            absent[counts.session[column == common]] = False
            fewest[absent] = np.minimum(fewest[absent], self.n_ - self.sessions_with_[common])
        return fewest

    def _widest_gap(self, scores: FloatArray) -> float | None:
        """Return the middle of the widest gap between scores that is allowed as a threshold."""
        level, count = np.unique(scores, return_counts=True)
        kept, flagged = level[:-1], level[1:]
        above = len(scores) - np.cumsum(count)[:-1]
        error = np.sqrt((np.exp(kept) + np.exp(flagged)) / len(scores))
        gap = flagged - kept
        allowed = (
            (kept <= -np.log(self.least_kept))
            & (above <= len(scores) / 2)
            & (gap > _CLEAR_GAP * error)
        )
        if not allowed.any():
            return None
        widest = np.argmax(np.where(allowed, gap, 0))
        return float((kept[widest] + flagged[widest]) / 2)

    def drift(self, scores: ArrayLike) -> str | None:
        """Return a warning when the flagged share of new scores (n,) is not that of training.

        By Fisher's exact test at p < 0.001, with odds that differ by a factor of 2 or more;
        None where ``detector_threshold_`` is. Raises NotFitted before ``fit``.
        """
        from scipy.stats import fisher_exact

        if not hasattr(self, "detector_threshold_"):
            raise NotFitted("log_rarity is not trained yet: call fit before drift.")
        if self.detector_threshold_ is None:
            return None
        values = np.asarray(scores, dtype=np.float64)
        now, n = int((values > self.detector_threshold_).sum()), len(values)
        then, known = self.flagged_, self.n_
        p = fisher_exact(np.array([[now, n - now], [then, known - then]])).pvalue
        odds = (now + 0.5) * (known - then + 0.5) / ((n - now + 0.5) * (then + 0.5))
        if p >= _DRIFT_P or 1 / _DRIFT_ODDS < odds < _DRIFT_ODDS:
            return None
        return (
            f"{now / n:.1%} of these {n} sessions are flagged, {then / known:.1%} of the training "
            "sessions were: what was rare in training may have become normal. Train on recent "
            "sessions, or decide by a false-alarm budget."
        )
