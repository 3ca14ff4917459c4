"""k-means over windows: how far a window is from the nearest shape that is usual."""

from __future__ import annotations

import warnings
from typing import Annotated

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from tocsin.base.declared import Shape
from tocsin.detectors.series._subsequences import SubsequenceDetector
from tocsin.errors import ParameterError
from tocsin.types import Card, FloatArray, Scores

_ROUNDS = 20  # of Lloyd's algorithm; later ones hardly move a centre
_CHUNK = 4_096  # windows


class KmeansWindows(SubsequenceDetector):
    """Distance of a window to the nearest of ``clusters`` mean windows of the training series.

    Windows of ``window`` points (None: 100, or the dominant period of a single channel if it is
    longer; at most a quarter of the training series), each channel standardised, and less the
    window's own mean unless ``centre`` is false. A point's score is the mean over the windows
    that cover it; ``parts`` (n, channels) split the squared distance, and ``expected``
    (n, channels) is the mean of the nearest centres. Raises ParameterError for fewer than 1
    clusters or 2 points. Yairi, Kato and Hori, Fault Detection by Mining Association Rules from
    House-keeping Data, i-SAIRAS 2001; KMeansAD in Schmidl, Wenig and Papenbrock, Anomaly
    Detection in Time Series, VLDB 2022.

    >>> wave = np.sin(np.arange(1000) / 5)
    >>> broken = wave.copy()
    >>> broken[700:710] = 0
    >>> scores = KmeansWindows().fit(wave[:500]).score(broken)
    >>> 650 < int(scores.values.argmax()) < 760
    True
    """

    card = Card(
        name="kmeans_windows",
        modality="series",
        family="density",
        learning=("one-class", "unlabelled"),
        summary="How far a window is from the nearest of k usual shapes.",
        paper="Yairi, Kato, Hori, Fault Detection by Mining Association Rules, i-SAIRAS 2001",
        cost="fit O(w k d) for w ≤ 5,000 windows of d ≤ 32 points per channel, score O(k d) each",
        also_known_as=("KMeansAD", "k-means"),
    )

    centres_: Annotated[FloatArray, Shape("clusters_found", "points_*s")]

    def __init__(
        self, clusters: int = 50, window: int | None = None, centre: bool = True, seed: int = 0
    ) -> None:
        self.clusters = clusters
        self.window = window
        self.centre = centre
        self.seed = seed

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.clusters < 1:
            raise ParameterError(f"clusters is {self.clusters}; it must be 1 or more.")

    def _learn_rows(self, V: FloatArray) -> None:
        k = min(self.clusters, max(1, len(V) // 4))
        model = KMeans(k, n_init=1, max_iter=_ROUNDS, random_state=self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct windows than k
            self.centres_ = model.fit(V).cluster_centers_

    def _compare(self, V: FloatArray) -> Scores:
        parts, expected = np.empty(V.shape), np.empty(V.shape)
        norms = (self.centres_**2).sum(axis=1)
        for first in range(0, len(V), _CHUNK):
            rows = slice(first, first + _CHUNK)
            nearest = (norms - 2 * V[rows] @ self.centres_.T).argmin(axis=1)
            expected[rows] = self.centres_[nearest]
            parts[rows] = (V[rows] - expected[rows]) ** 2
        return Scores(np.sqrt(parts.sum(axis=1)), parts, expected)
