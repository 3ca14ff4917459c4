"""Alarms per day: what people count are intervals, and the promise is kept on later days."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

from tocsin import SeriesPipeline

START = pd.Timestamp("2026-01-05")


def signal(seed: int, days: int, first: int = 0, entities: int = 1) -> pd.DataFrame:
    """Machines measured every 10 minutes: a daily season and errors that depend on each other."""
    n = 144 * days
    steps = np.arange(first * 144, first * 144 + n)
    frames = []
    for entity in range(entities):
        rng = np.random.default_rng([seed, entity])
        noise = np.convolve(rng.normal(size=n + 5), np.full(6, 1 / 6), "valid")
        value = 20 + 5 * np.sin(2 * np.pi * steps / 144) + 2 * noise
        times = START + pd.to_timedelta(10 * steps, unit="min")
        frames.append(pd.DataFrame({"machine": f"m{entity}", "time": times, "value": value}))
    frame = pd.concat(frames, ignore_index=True)
    return frame if entities > 1 else frame.drop(columns="machine")


@pytest.mark.parametrize("entities", [1, 3])
@pytest.mark.parametrize("alarms", [0.5, 2.0])
def test_the_promise_is_kept(alarms: float, entities: int) -> None:
    """Later normal days raise no more intervals per day than promised, of all series together."""
    days = 40
    pipeline = SeriesPipeline("autoregression", alarms_per_day=alarms)
    pipeline.fit(signal(0, days, entities=entities))
    found = len(pipeline.detect(signal(1, days, days, entities)).intervals)
    # Both the training days and the later ones are counts: twice the variance.
    expected = alarms * days
    assert 0 < found <= poisson.ppf(0.999, expected) + np.sqrt(expected)


@pytest.mark.parametrize(("days", "least"), [(30, "0.1"), (6, "0.5")])
def test_what_the_training_days_support(days: int, least: str) -> None:
    """The notes say how few alarms per day the training days support."""
    pipeline = SeriesPipeline("autoregression", alarms_per_day=0.05).fit(signal(2, days))
    (note,) = [note for note in pipeline.notes_ if "alarms per day" in note]
    assert f"no less than {least} per day" in note
    assert "extrapolated" in note
    assert "extrapolated" not in " ".join(pipeline.set_params(alarms_per_day=2).notes_)


@pytest.mark.parametrize("alarms", [0.02, 0.2])
def test_a_fault_is_found_at_few_alarms(alarms: float) -> None:
    """A fault that stands out is found at a budget of a few alarms in a month, as one interval."""
    pipeline = SeriesPipeline("autoregression", alarms_per_day=alarms).fit(signal(3, 30))
    frame = signal(4, 10, 30)
    frame.loc[700:719, "value"] += 12
    first = pipeline.detect(frame).intervals[0]
    assert first.start <= 719
    assert first.end >= 700


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_a_point_beside_noise_stays_a_point(width: int, seed: int) -> None:
    """An interval of a single high score is not widened by low ones near it, and peaks there."""
    from tocsin.decide.intervals import intervals

    rng = np.random.default_rng(seed)
    scores = rng.uniform(0, 1.2, 200)
    scores[100 : 100 + width] = 9.0
    spans = intervals(scores, scores > 1, 1.0, merged_within=10)
    assert (100, 99 + width) in spans
