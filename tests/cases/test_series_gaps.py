"""Missing points: nothing is compared across gaps, and an outage may be what is looked for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tocsin import SeriesPipeline, detect
from tocsin.types import SeriesDetection

START = pd.Timestamp("2026-05-01")


def power(seed: int, n: int = 720, first: int = 0) -> pd.DataFrame:
    """Hourly power with a daily season, ``first`` hours after the start."""
    hours = np.arange(first, first + n)
    value = 50 + 10 * np.sin(2 * np.pi * hours / 24)
    value += np.random.default_rng(seed).normal(0, 1, n)
    return pd.DataFrame({"time": START + pd.to_timedelta(hours, unit="h"), "kW": value})


def visits(seed: int, n: int = 960) -> pd.DataFrame:
    """Counts per hour with a daily season; hours without visits have no row."""
    hours = np.arange(n)
    rate = 12 * (1 + np.sin(2 * np.pi * hours / 24)) + 2
    count = np.random.default_rng(seed).poisson(rate)
    frame = pd.DataFrame({"time": START + pd.to_timedelta(hours, unit="h"), "visits": count})
    return frame[frame["visits"] > 0]


def between(frame: pd.DataFrame, start: int, end: int) -> pd.Series:
    """Which rows lie within these hours after the start."""
    hours = (frame["time"] - START) / pd.Timedelta(hours=1)
    return (hours >= start) & (hours < end)


@pytest.mark.parametrize("hours", [13, 32, 51, 100])
@pytest.mark.parametrize("blank", [False, True], ids=["no rows", "blank rows"])
def test_an_event_after_a_gap(hours: int, blank: bool) -> None:
    """A logger is off for hours that are no whole days: the later event is first, and what
    follows the gap is normal."""
    frame = power(hours)
    frame.loc[600:603, "kW"] += 12
    away = between(frame, 300, 300 + hours)
    if blank:
        frame.loc[away, "kW"] = np.nan
    else:
        frame = frame[~away]
    found = detect(frame, modality="series")
    assert isinstance(found, SeriesDetection)
    first = found.intervals[0]
    assert START + pd.Timedelta(hours=600) <= first.peak_time <= START + pd.Timedelta(hours=603)
    flagged = found.times[found.decision.is_anomaly]
    after = (flagged >= START + pd.Timedelta(hours=290)) & (
        flagged < START + pd.Timedelta(hours=300 + hours + 24)
    )
    assert not after.any()
    assert any(f"{START + pd.Timedelta(hours=299)}" in note for note in found.notes)


@pytest.mark.parametrize("hours", [13, 37])
def test_the_season_goes_on(hours: int) -> None:
    """After a gap in a later file the season goes on where the clock is: nothing is flagged."""
    pipeline = SeriesPipeline().fit(power(0))
    frame = power(1, n=480, first=720)
    frame = frame[~between(frame, 900, 900 + hours)]
    assert pipeline.detect(frame).decision.is_anomaly.mean() <= 0.03


@pytest.mark.parametrize(("start", "hours"), [(200, 8), (500, 24), (710, 60)])
def test_an_outage_is_an_anomaly_where_it_may_be(start: int, hours: int) -> None:
    """With missing="anomaly" an outage is an interval of its own, in training and later."""
    frame = power(2)
    frame = frame[~between(frame, start, min(start + hours, 719))]
    away = START + pd.Timedelta(hours=start)
    learned = SeriesPipeline("autoregression", missing="anomaly").fit_detect(frame)
    later = SeriesPipeline("autoregression", missing="anomaly").fit(power(3)).detect(frame)
    for found in (learned, later):
        (outage,) = [each for each in found.intervals if each.start_time == away]
        assert outage.end - outage.start + 1 == min(hours, 719 - start)
        assert outage.reasons[0].name == "points missing"
        assert found.decision.is_anomaly[outage.start : outage.end + 1].all()
    ignored = SeriesPipeline("autoregression").fit(power(3)).detect(frame)
    assert all(each.start_time != away for each in ignored.intervals)


@pytest.mark.parametrize("seed", range(2))
def test_missing_counts_are_zero_where_they_are(seed: int) -> None:
    """With missing="zero" hours without a row are zeros: a quiet night is usual, a quiet day is
    the first anomaly."""
    pipeline = SeriesPipeline(missing="zero").fit(visits(seed))
    frame = visits(seed + 10)
    frame = frame[~between(frame, 600, 618)]
    found = pipeline.detect(frame)
    assert not found.values[600:618].any()
    first = found.intervals[0]
    assert first.start < 618
    assert first.end >= 600
    assert any("taken as 0" in note for note in found.notes)


def test_usual_gaps_are_no_outages() -> None:
    """Where hours are often missing, only a much longer gap is an outage."""
    frame = visits(5)
    frame = frame[(frame["visits"] > 3) & ~between(frame, 400, 424)]
    found = SeriesPipeline("autoregression", missing="anomaly").fit_detect(frame)
    (outage,) = [e for e in found.intervals if e.reasons[0].name == "points missing"]
    assert outage.start_time <= START + pd.Timedelta(hours=400)
    assert outage.end_time >= START + pd.Timedelta(hours=423)
