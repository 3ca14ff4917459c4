"""The pretrained forecasters: what is refused, and what their residuals find."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from tocsin.detectors.series import foundation
from tocsin.detectors.series.foundation import Foundation
from tocsin.errors import MissingExtra, ModelFolderError, ParameterError

WAVE = np.sin(np.arange(900) / 5)


@pytest.fixture
def last_cycle(monkeypatch):
    """A forecaster that repeats the last 31 points, in place of fracast's."""

    def forecast(contexts, horizon):
        return np.stack([np.resize(row[-31:], horizon) for row in np.nan_to_num(contexts)])

    monkeypatch.setattr(foundation, "load", lambda model, package=None: forecast)


def test_a_break_is_found_and_the_forecast_is_expected(last_cycle):
    broken = WAVE.copy()
    broken[700:710] = 0
    fitted = Foundation(horizon=16).fit(WAVE[:400])
    for series, at in ((broken, 700), (broken[400:], 300)):
        scores = fitted.score(series)
        assert abs(int(scores.values.argmax()) - at) < 50
    assert np.abs(fitted.score(WAVE[400:]).expected[:, 0] - WAVE[400:]).mean() < 0.1
    assert np.allclose(fitted.score(WAVE[400:401]).expected, WAVE[400], atol=0.1)


def test_long_series_are_averaged_down_to_the_contexts_allowed(last_cycle):
    fitted = Foundation(horizon=16, max_contexts=8).fit(np.stack([WAVE, WAVE], axis=1))
    assert fitted.step_ == 14
    assert fitted.score(np.stack([WAVE, WAVE], axis=1)).parts.shape == (900, 2)


def test_a_forecaster_that_cannot_forecast_a_sine_is_refused():
    with pytest.raises(ModelFolderError, match="do not look trained"):
        foundation._check_forecasts(
            lambda contexts, horizon: np.random.default_rng(0).normal(
                size=(len(contexts), horizon)
            ),
            "random",
        )


@pytest.mark.parametrize("parameters", [{"model": "unknown"}, {"context": 8}, {"horizon": 0}])
def test_settings_that_cannot_work_are_refused(parameters):
    with pytest.raises(ParameterError):
        Foundation(**parameters).fit(WAVE)


@pytest.mark.parametrize("package", ["chronos", "timesfm"])
def test_a_package_that_is_missing_is_named(package):
    if importlib.util.find_spec(package):
        pytest.skip(f"{package} is installed")
    with pytest.raises(MissingExtra, match=package):
        Foundation(f"some/{package}-tiny").fit(WAVE)


def test_a_folder_without_weights_is_refused(tmp_path):
    pytest.importorskip("fracast")
    with pytest.raises(ModelFolderError, match="cannot be read"):
        Foundation(str(tmp_path), package="fracast").fit(WAVE)


@pytest.mark.slow
def test_fracast_forecasts_with_the_weights_of_its_package():
    pytest.importorskip("fracast")
    broken = WAVE.copy()
    broken[700:710] = 0
    scores = Foundation().fit(WAVE[:400]).score(broken)
    assert abs(int(scores.values.argmax()) - 700) < 50
