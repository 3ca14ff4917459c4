"""How far each window of a series is from the nearest other window, seen in several ways."""

from __future__ import annotations

from tocsin.detectors.series._fusion import FusedViews, context_period
from tocsin.detectors.series._views import SeriesContext, SeriesView, WindowView
from tocsin.types import Card


class WindowNeighbours(FusedViews):
    """Compare each window with its nearest neighbour at several lengths and in several forms.

    Of one channel: windows less their mean, as they are, and divided by their deviation, of
    100 points and of the dominant period's length, a third and three times of it, compared with
    the whole series or only with the training series. Of several: windows, as they are, of 100
    points, the dominant period and 40 points, of all channels that take more than two values,
    scaled by the whole or by the training series.

    ``score`` compares a stretch with the training series alone, so a point's score does not
    depend on what else is scored; 99 % of the training points, each judged by a model without
    its block, score at most 1. What single points show (far from their neighbours, or from what
    the other channels tell) and how much the series moves (stuck, damped, rounded) is added
    where it exceeds what training showed. ``score_together`` has the whole series in view: its
    windows are compared with each other, too. ``parts`` (n, channels) add up to the score;
    ``expected`` (n, channels) is the nearest window. Memory does not grow with the square of
    the length: windows are compared with at most 2,500 others.

    >>> import numpy as np
    >>> x = np.sin(np.arange(2000) / 5)
    >>> x[1500:1530] = 0
    >>> scores = WindowNeighbours().fit(x[:1000]).score(x)
    >>> bool(scores.values[1500:1530].min() > scores.values[:1300].max())
    True
    """

    card = Card(
        name="window_neighbours",
        modality="series",
        family="neighbours",
        learning=("one-class",),
        summary="Distance of each window to the nearest other one, at several lengths and forms.",
        paper="Yeh et al., Matrix Profile I, ICDM 2016; fused views are Tocsin's own",
        cost="fit in seconds for any length; score 50 µs per point: 2,500 windows for each view",
        also_known_as=("Sub-KNN",),
    )

    def __init__(self) -> None:
        pass

    def _views(self, context: SeriesContext) -> list[SeriesView]:
        return window_views(context)


def window_views(context: SeriesContext) -> list[SeriesView]:
    """Return the window views that suit a series in view."""
    period = context_period(context)
    if len(context.judged) > 1:
        return [
            WindowView(100, "whole", "raw", "whole", 16, 3000, 2000),
            WindowView(100, "whole", "raw", "training", 16, 3000, 2000),
            WindowView(period, "whole", "raw", "whole", 16, 3000, 2000),
            WindowView(40, "training", "raw", "training", 16, 3000, 2000),
        ]
    return [
        *(WindowView(length) for length in (100, period, max(4, period // 3), 3 * period)),
        *(WindowView(length, "training") for length in (100, period, 3 * period)),
        *(WindowView(length, "whole", "raw") for length in (100, period)),
        *(WindowView(length, "whole", "shape") for length in (100, 3 * period)),
        WindowView(3 * period, "training", "shape"),
    ]
