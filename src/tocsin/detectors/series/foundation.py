"""A pretrained forecaster's residual: what a model of many other series did not see coming."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, Literal

import numpy as np
import torch

from tocsin.base import Stretch, Stretches
from tocsin.base.declared import Within
from tocsin.detectors.series._channels import check_counts
from tocsin.detectors.series._residuals import ResidualDetector
from tocsin.encoders.hub import folder_of, pinned
from tocsin.errors import MissingExtra, ModelFolderError, ParameterError
from tocsin.features.windows import smooth
from tocsin.types import Card, FloatArray

Package = Literal["fracast", "chronos", "timesfm"]
Forecaster = Callable[[FloatArray, int], FloatArray]
"""From contexts (b, context), NaN before their begin, and a horizon to medians (b, horizon)."""

_PACKAGED = "fracast"  # its weights come with its package
_EXTRAS: dict[Package, str] = {
    "fracast": "series",
    "chronos": "forecasters",
    "timesfm": "forecasters",
}
_LEAST_CONTEXT = 16  # points; those before have no forecast
_BATCH = 64  # contexts


class Foundation(ResidualDetector):
    """Absolute residual of a forecaster that was trained on other series.

    ``model`` is "fracast", whose weights come with its package (extra "series"); or the name on
    the Hugging Face hub or the folder of a Chronos model (extra "forecasters") or of a TimesFM
    2.5 model (package timesfm). ``package`` says which of "fracast", "chronos" and "timesfm"
    reads it, where the name does not. From each ``context`` points the ``horizon`` points after
    them are forecast, each channel by itself; nothing but scales is learned from the training
    series. Before the first point of a stretch stands what came before a like one in training.
    Channels are averaged down to what ``max_contexts`` forecasts of the training series allow.
    Residuals, in units of their training mean and smoothed over ``width`` points (None: the
    dominant period, at least 16; 100 for several channels), are ``parts`` (n, channels); the
    score is their mean; ``expected`` (n, channels) is the forecast. A saved model keeps the
    forecaster's name, not its weights.

    Raises ParameterError for numbers below 1 and for a model of no known package, MissingExtra
    without the package, and ModelFolderError for weights that cannot be read, that are not
    safetensors, or that forecast a sine no better than its last value does. Code in a model's
    folder is never run. Ansari et al., Chronos: Learning the Language of Time Series, TMLR 2024;
    Das et al., A Decoder-only Foundation Model for Time-series Forecasting, ICML 2024.

    >>> Foundation("amazon/chronos-bolt-tiny").get_params()["horizon"]
    48
    """

    card = Card(
        name="foundation",
        modality="series",
        family="forecast",
        learning=("zero-shot",),
        summary="How far a point is from a pretrained forecaster's forecast.",
        paper="Ansari et al., Chronos, TMLR 2024",
        cost="n · channels / horizon forecasts, 0.1 s each on one core with fracast",
        also_known_as=("Chronos", "TimesFM"),
    )
    slow_to_check = True

    def __init__(
        self,
        model: str = "fracast",
        package: Package | None = None,
        context: int = 256,
        horizon: int = 48,
        max_contexts: int = 64,
        width: int | None = None,
        seed: int = 0,
    ) -> None:
        self.model = model
        self.package = package
        self.context = context
        self.horizon = horizon
        self.max_contexts = max_contexts
        self.width = width
        self.seed = seed

    @classmethod
    def test_parameters(cls) -> dict[str, Any]:
        """Return parameters under which the checks' series are not averaged down."""
        return {"max_contexts": 26}

    step_: Annotated[int, Within(1)]
    model_source_: str | None = None
    """The model's name with its revision; None for detectors saved until 2026."""

    def _check_parameters(self) -> None:
        check_counts(self, "horizon", "max_contexts", "width")
        check_counts(self, "context", least=_LEAST_CONTEXT)

    def _choose(self, stretches: Stretches) -> None:
        self.model_source_ = _pinned(self.model, self.package)
        load(self.model_source_, self.package)
        self.width_ = self._usual_width(stretches, self.width)
        n, longest = sum(map(len, stretches)), max(map(len, stretches))
        step = -(-n * len(self.scored_) // (self.horizon * self.max_contexts))
        self.step_ = min(step, max(1, longest // (4 * _LEAST_CONTEXT)))

    def _learn_values(self, stretches: Stretches) -> None:
        residuals = np.concatenate([self._against_forecast(each)[0] for each in stretches])
        self._learn_residuals(residuals, residuals.mean(axis=0))

    def _judge_training(self, stretches: Stretches) -> FloatArray:
        # The forecaster has not seen them, and nothing but scales is learned.
        clean = [self._without_glitches(stretch) for stretch in stretches]
        return np.concatenate([self._judge(*each).values for each in clean])

    def _residuals(self, stretch: Stretch) -> tuple[FloatArray, FloatArray]:
        return self._against_forecast(self._standardise(stretch))

    def _together(self, residuals: FloatArray) -> FloatArray:
        return np.asarray(residuals.mean(axis=1))

    def _against_forecast(self, stretch: Stretch) -> tuple[FloatArray, FloatArray]:
        """Return residuals and forecasts (n, scored) of a standardised stretch."""
        n, step = len(stretch), self.step_
        wanted = min(step * self.context, len(self.remembered_) // 2)
        past = self._likely_past(stretch.values, wanted)
        Z = np.concatenate([past, stretch.values])[:, self.scored_]
        coarse = smooth(Z, step)[step // 2 :: step]
        at = np.arange(len(coarse)) * step + step // 2 - len(past)
        first = min(max(1, len(past) // step), len(coarse) - 1)
        forecast = self._forecast(coarse, first)
        residuals, expected = (
            np.stack([np.interp(np.arange(n), at, x) for x in values.T], axis=1)
            for values in (np.abs(coarse - forecast), forecast)
        )
        return residuals, expected

    def _forecast(self, Z: FloatArray, first: int) -> FloatArray:
        """Return forecasts (n, k) of Z (n, k) from the point ``first`` on; Z itself before."""
        forecaster = load(self.model_source_ or self.model, self.package)
        begin = np.arange(first, len(Z), self.horizon)
        at = begin[:, None] + np.arange(-self.context, 0)
        forecast = Z.copy()
        for j, z in enumerate(Z.T):
            contexts = np.where(at >= 0, z[np.maximum(at, 0)], np.nan)
            for some in range(0, len(begin), _BATCH):
                ahead = forecaster(contexts[some : some + _BATCH], self.horizon)
                for row, start in zip(ahead, begin[some : some + _BATCH], strict=True):
                    forecast[start : start + self.horizon, j] = row[: len(Z) - start]
        return forecast


@cache
def load(model: str, package: Package | None = None) -> Forecaster:
    """Return the forecaster of a model, checked on sines; kept for the next call.

    Raises ParameterError, MissingExtra and ModelFolderError as ``Foundation`` does.
    """
    packages = {"fracast": _fracast, "chronos": _chronos, "timesfm": _timesfm}
    reader = packages[_package_for(model, package)]
    folder = None if model == _PACKAGED else str(folder_of(model))
    try:
        forecaster = reader(folder)
    except (OSError, ValueError, RuntimeError, AssertionError, KeyError) as error:
        raise ModelFolderError(
            f"The forecaster {model!r} cannot be read: {error} Give a folder with its "
            "config.json and model.safetensors, or its name on the Hugging Face hub."
        ) from error
    _check_forecasts(forecaster, model)
    return forecaster


def _pinned(model: str, package: Package | None) -> str:
    """Return a model's name with its revision, fetched if it is on the hub."""
    _package_for(model, package)
    return model if model == _PACKAGED else pinned(model)


def _package_for(model: str, package: Package | None) -> Package:
    """Return the package that reads a model. Raises ParameterError, or MissingExtra without it."""
    fitting = [package] if package else [name for name in _EXTRAS if name in model.lower()]
    if len(fitting) != 1 or fitting[0] not in _EXTRAS:
        raise ParameterError(
            f"No package to read the model {model!r} with: give package, one of "
            f"{', '.join(_EXTRAS)}; got {package!r}."
        )
    if find_spec(fitting[0]) is None:
        raise MissingExtra(fitting[0], extra=_EXTRAS[fitting[0]])
    return fitting[0]


def _fracast(folder: str | None) -> Forecaster:
    fracast = import_module("fracast")
    forecaster = fracast.FracastModel.from_pretrained(folder)
    middle = int(np.abs(np.array(forecaster.quantiles) - 0.5).argmin())
    return lambda contexts, horizon: np.asarray(
        forecaster.forecast_batch(contexts, horizon=horizon)[..., middle], dtype=np.float64
    )


def _chronos(folder: str | None) -> Forecaster:
    chronos = import_module("chronos")
    # Safetensors only: other weights are pickles, which run code when they are loaded.
    pipeline = chronos.BaseChronosPipeline.from_pretrained(
        folder, device_map="cpu", use_safetensors=True, trust_remote_code=False
    )

    def forecast(contexts: FloatArray, horizon: int) -> FloatArray:
        series = [torch.tensor(row[~np.isnan(row)], dtype=torch.float32) for row in contexts]
        with torch.random.fork_rng():  # Chronos's first models draw samples
            torch.manual_seed(0)
            _, middle = pipeline.predict_quantiles(series, prediction_length=horizon)
        rows = [np.asarray(row, dtype=np.float64).reshape(-1)[:horizon] for row in middle]
        return np.stack(rows)

    return forecast


def _timesfm(folder: str | None) -> Forecaster:
    timesfm = import_module("timesfm")
    forecaster = timesfm.TimesFM_2p5_200M_torch.from_pretrained(folder, torch_compile=False)
    compiled: tuple[int, int] = (0, 0)

    def forecast(contexts: FloatArray, horizon: int) -> FloatArray:
        nonlocal compiled
        if compiled != (contexts.shape[1], horizon):
            compiled = (contexts.shape[1], horizon)
            forecaster.compile(
                timesfm.ForecastConfig(
                    max_context=contexts.shape[1],
                    max_horizon=horizon,
                    normalize_inputs=True,
                    per_core_batch_size=_BATCH,
                    infer_is_positive=False,
                )
            )
        middle, _ = forecaster.forecast(horizon, [row[~np.isnan(row)] for row in contexts])
        return np.asarray(middle, dtype=np.float64)[:, :horizon]

    return forecast


def _check_forecasts(forecaster: Forecaster, model: str) -> None:
    """Raise ModelFolderError unless sines are forecast better than by their last values."""
    waves = np.sin(np.arange(256 + 24) * 2 * np.pi / np.array([[16.0], [24.0], [40.0]]))
    past, future = waves[:, :256], waves[:, 256:]
    error = np.abs(forecaster(past, future.shape[1]) - future).mean()
    if not error < 0.5 * np.abs(past[:, -1:] - future).mean():
        raise ModelFolderError(
            f"The forecaster {model!r} cannot forecast a sine: its weights do not look trained. "
            "Give another model, or load its weights again."
        )
