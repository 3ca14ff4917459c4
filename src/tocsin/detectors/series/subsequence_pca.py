"""Principal components of windows: what of a window the usual movements do not explain."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from tocsin.base.declared import Shape
from tocsin.detectors.series._subsequences import SubsequenceDetector
from tocsin.errors import ParameterError
from tocsin.types import Card, FloatArray, Scores


class SubsequencePca(SubsequenceDetector):
    """Distance of a window to its reconstruction from the main components of training windows.

    The components that explain the share ``explained`` of the windows' variance are kept.
    Windows of ``window`` points (None: 100, or the dominant period of a single channel if it is
    longer; at most a quarter of the training series), each channel standardised, and less the
    window's own mean unless ``centre`` is false. A point's score is the mean over the windows
    that cover it; ``parts`` (n, channels) split the squared distance, and ``expected``
    (n, channels) is the mean reconstruction. Raises ParameterError for a share outside (0, 1)
    or a window below 2 points. Aggarwal, Outlier Analysis, Springer 2017, chapter 3.

    >>> wave = np.sin(np.arange(1000) / 5)
    >>> broken = wave.copy()
    >>> broken[700:710] = 0
    >>> scores = SubsequencePca().fit(wave[:500]).score(broken)
    >>> 650 < int(scores.values.argmax()) < 760
    True
    """

    card = Card(
        name="subsequence_pca",
        modality="series",
        family="projection",
        learning=("one-class", "unlabelled"),
        summary="What of a window its main components do not explain.",
        paper="Aggarwal, Outlier Analysis, Springer 2017",
        cost="fit O(w d min(w, d)) for w ≤ 5,000 windows of d ≤ 32 points per channel",
        also_known_as=("Sub-PCA",),
    )

    components_: Annotated[FloatArray, Shape("kept_components", "points_*s", empty=True)]
    middle_: Annotated[FloatArray, Shape("points_*s")]

    def __init__(
        self,
        explained: float = 0.9,
        window: int | None = None,
        centre: bool = True,
        seed: int = 0,
    ) -> None:
        self.explained = explained
        self.window = window
        self.centre = centre
        self.seed = seed

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not 0 < self.explained < 1:
            raise ParameterError(f"explained is {self.explained}; it must be between 0 and 1.")

    def _learn_rows(self, V: FloatArray) -> None:
        self.middle_ = V.mean(axis=0)
        _, deviations, components = np.linalg.svd(V - self.middle_, full_matrices=False)
        share = np.cumsum(deviations**2)
        kept = int(np.searchsorted(share, self.explained * share[-1])) + 1
        self.components_ = components[:kept] if share[-1] > 0 else components[:0]

    def _compare(self, V: FloatArray) -> Scores:
        expected = (V - self.middle_) @ self.components_.T @ self.components_ + self.middle_
        parts = (V - expected) ** 2
        return Scores(np.sqrt(parts.sum(axis=1)), parts, expected)
