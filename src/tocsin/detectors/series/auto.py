"""The default for series: the views that suit the number of channels, or a stream."""

from __future__ import annotations

from typing import Any, Literal, Self

from numpy.typing import ArrayLike

from tocsin import registry
from tocsin.base import Detector, StreamingDetector, Stretch, Stretches
from tocsin.detectors.series._channels import check_channels
from tocsin.detectors.series._fusion import FusedViews, context_period
from tocsin.detectors.series._views import ForecastView, SeriesContext, SeriesView
from tocsin.detectors.series.window_neighbours import window_views
from tocsin.errors import NotFitted, ParameterError
from tocsin.types import Card, FloatArray, IntArray, Scores


class Auto(FusedViews):
    """Choose how to look at a series by its number of channels, or watch it as a stream.

    ``mode`` "batch": the window views of ``window_neighbours``, together with the errors of
    linear forecasts: of one channel from up to 64 points before, of several from four lags of
    all channels, commands and flags among them. ``mode`` "streaming": ``recursive_ar``, which
    never looks ahead, but for ``delay`` points, with ``seed``; ``process``, ``process_many``,
    ``tracking`` and ``partial_fit`` are its own, and raise ParameterError in batch mode.

    After ``fit``, ``reason_`` is a sentence that says what was chosen and why, and in streaming
    mode ``chosen_`` is the detector. In batch mode scores are as those of ``window_neighbours``:
    1 = the 99 % quantile of the training series; ``parts`` (n, channels) add up to the score,
    ``expected`` (n, channels) is the nearest window. Raises ParameterError for any other
    ``mode``.

    >>> import numpy as np
    >>> Auto().fit(np.sin(np.arange(400) / 5)).reason_
    'one channel of period 31: window and forecast views, fused, and signs of single points'
    """

    card = Card(
        name="auto",
        modality="series",
        family="composite",
        learning=("one-class", "streaming"),
        summary="Looks at a series in the ways that suit its channels, and says which and why.",
        paper="Tocsin's own benchmark of its detectors",
        cost="fit in seconds; score 50 µs per point; as a stream that of recursive_ar",
    )

    chosen_: StreamingDetector

    def __init__(
        self, mode: Literal["batch", "streaming"] = "batch", delay: int = 0, seed: int = 0
    ) -> None:
        self.mode = mode
        self.delay = delay
        self.seed = seed

    def _learns(self, name: str) -> bool:
        if self.mode == "streaming":
            return name not in FusedViews.__annotations__
        return name != "chosen_" and super()._learns(name)

    @property
    def chosen(self) -> Detector:
        """The detector that scores: this one, or as a stream the one that it chose."""
        return self.chosen_ if self.mode == "streaming" else self

    def _check_parameters(self) -> None:
        if self.mode not in ("batch", "streaming"):
            raise ParameterError(f'mode is {self.mode!r}; it must be "batch" or "streaming".')

    def _fit(self, stretches: Stretches, y: IntArray | None) -> FloatArray:
        check_channels(self.n_features_in_)
        if self.mode == "batch":
            own = super()._fit(stretches, y)
            self.reason_ = _reason(self._training_context())
            return own
        stream = registry.create("recursive_ar", "series", delay=self.delay, seed=self.seed)
        self.chosen_ = stream.fit(stretches)
        self.held_out_ = self.chosen_.held_out_
        self.reason_ = "events are scored as they come" + (
            f", at most {self.delay} points late" if self.delay else ""
        )
        return self.chosen_.training_scores_

    def _views(self, context: SeriesContext) -> list[SeriesView]:
        return [*window_views(context), *forecast_views(context)]

    def _score_together(self, stretches: Stretches) -> Scores:
        if self.mode == "batch":
            return super()._score_together(stretches)
        return self._score_stretches(stretches)

    def _score(self, stretch: Stretch) -> Scores:
        return super()._score(stretch) if self.mode == "batch" else self.chosen_.score([stretch])

    def process(self, event: ArrayLike, entity: int = 0) -> float:
        """Return the score of one event (channels,) of an entity, then learn from it."""
        return self._stream().process(event, entity)

    def process_many(self, events: FloatArray) -> FloatArray:
        """Return the scores (entities,) of one event (entities, channels) each, and learn."""
        return self._stream().process_many(events)

    def tracking(self, entities: int) -> StreamingDetector:
        """Return a copy of the chosen detector that tracks several entities."""
        return self._stream().tracking(entities)

    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Learn from the events of a series (n, channels), as ``process`` does; y is ignored."""
        if not hasattr(self, "training_scores_"):
            return self.fit(X)
        self._stream().partial_fit(X)
        return self

    def _stream(self) -> StreamingDetector:
        if self.mode != "streaming":
            raise ParameterError('auto learns event by event only with mode="streaming".')
        if not hasattr(self, "chosen_"):
            raise NotFitted("auto is not trained yet: call fit before process.")
        return self.chosen_


def forecast_views(context: SeriesContext) -> list[SeriesView]:
    """Return the forecast views that suit a series in view."""
    if len(context.judged) > 1:
        return [ForecastView((1, 2, 4, 8), 100, "training")]
    period = context_period(context)
    smoothing = max(5, period // 4)
    far, near = (tuple(range(1, most + 1)) for most in (min(64, max(16, period)), 16))
    return [
        ForecastView(far, smoothing),
        ForecastView(far, smoothing, "training"),
        ForecastView(near, smoothing),
    ]


def _reason(context: SeriesContext) -> str:
    judged, channels = int(context.judged.sum()), len(context.judged)
    which = (
        f"one channel of period {context_period(context)}"
        if channels == 1
        else f"{judged} channels"
    )
    if judged < channels:
        flags = channels - judged
        which += f" ({flags} of at most two values only help to forecast)"
    return f"{which}: window and forecast views, fused, and signs of single points"
