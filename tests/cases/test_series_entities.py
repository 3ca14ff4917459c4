"""Several series in one table: each is judged by itself, whatever stands beside it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tocsin import SeriesPipeline, detect
from tocsin.types import SeriesDetection

START = pd.Timestamp("2026-01-05")


def sensors(seed: int, levels: dict[str, float], n: int = 480) -> pd.DataFrame:
    """Hourly sensors of one daily shape, each at a level of its own."""
    rng = np.random.default_rng(seed)
    day = np.sin(2 * np.pi * np.arange(n) / 24)
    frames = [
        pd.DataFrame(
            {
                "sensor": name,
                "time": pd.date_range(START, periods=n, freq="h"),
                "value": level + 3 * day + 0.5 * rng.normal(size=n),
            }
        )
        for name, level in levels.items()
    ]
    return pd.concat(frames, ignore_index=True)


def stores(seed: int, count: int, days: int, odd: int, day: int) -> pd.DataFrame:
    """Daily sales of stores around 100, one of which sells 300 once."""
    rng = np.random.default_rng(seed)
    sales = rng.poisson(100, (count, days)).astype(float)
    sales[odd, day] = 300
    return pd.DataFrame(
        {
            "store_id": np.repeat(np.arange(count), days),
            "date": np.tile(pd.date_range(START, periods=days), count),
            "sales": sales.ravel(),
        }
    )


LEVELS = [
    {"a": 20.0, "b": 120.0, "c": -30.0},
    {"north": 1e6, "south": 0.0},
    {f"s{i}": 1000.0 * i for i in range(6)},
]


@pytest.mark.parametrize("levels", LEVELS, ids=["three", "far apart", "six"])
@pytest.mark.parametrize("models", ["shared", "each"])
def test_each_sensor_has_its_event(levels: dict[str, float], models: str) -> None:
    """Sensors at levels of their own: the event of each is found, and nothing where they meet."""
    pipeline = SeriesPipeline(models=models, false_alarms=0.001).fit(sensors(0, levels))
    frame = sensors(1, levels)
    assert not pipeline.detect(frame).intervals  # whatever is found below comes from the events
    events = {}
    for i, name in enumerate(levels):
        at = 100 + 37 * i
        frame.loc[(frame["sensor"] == name).to_numpy().nonzero()[0][at : at + 4], "value"] += 15
        events[name] = (START + pd.Timedelta(hours=at), START + pd.Timedelta(hours=at + 3))
    found = pipeline.detect(frame)
    for interval in found.intervals:
        start, end = events[interval.entity or ""]
        near = pd.Timedelta(hours=48)  # as far as the longest windows over the event reach
        assert start - near <= interval.start_time
        assert interval.end_time <= end + near
    assert {interval.entity for interval in found.intervals} == set(levels)


@pytest.mark.parametrize(
    ("count", "days", "odd", "day"), [(95, 12, 47, 5), (40, 12, 0, 0), (30, 20, 29, 19)]
)
def test_one_store_of_many(count: int, days: int, odd: int, day: int) -> None:
    """One of many short series is high once: it is first, at the very day, and its neighbours
    in the alphabet are as usual."""
    frame = stores(1, count, days, odd, day)
    found = detect(frame, modality="series", entity="store_id", false_alarms=0.005)
    assert isinstance(found, SeriesDetection)
    first = found.intervals[0]
    assert first.entity == str(odd)
    assert first.peak_time == START + pd.Timedelta(days=day)
    beside = [each for each in found.intervals if each.entity in (str(odd - 1), str(odd + 1))]
    assert not beside


def test_fifteen_hundred_stores() -> None:
    """Fifteen hundred series of thirty points share a model in bounded time."""
    frame = stores(2, 1500, 30, 777, 13)
    found = detect(frame, modality="series", entity="store_id", detector="kmeans_windows")
    assert isinstance(found, SeriesDetection)
    assert found.intervals[0].entity == "777"
    assert found.intervals[0].peak_time == START + pd.Timedelta(days=13)


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_scores_do_not_depend_on_the_others(name: str) -> None:
    """A series has the same scores alone as in a file with others."""
    pipeline = SeriesPipeline().fit(sensors(0, LEVELS[0]))
    frame = sensors(3, LEVELS[0])
    whole = pipeline.detect(frame, explain=False)
    alone = pipeline.detect(frame[frame["sensor"] == name], explain=False)
    own = whole.entities == name
    np.testing.assert_allclose(whole.scores.values[own], alone.scores.values)


@pytest.mark.parametrize("level", [-500.0, 60.0, 9000.0])
def test_a_stranger_among_entities_that_differ(level: float) -> None:
    """An entity that training did not have is judged by its own level, and that is noted."""
    pipeline = SeriesPipeline().fit(sensors(0, LEVELS[0]))
    stranger = sensors(4, {"new": level}, n=240)
    found = pipeline.detect(stranger)
    assert found.decision.is_anomaly.mean() < 0.1
    assert any('"new"' in note and "own values" in note for note in found.notes)
    stranger.loc[120:122, "value"] += 15
    first = pipeline.detect(stranger).intervals[0]
    assert first.start <= 122
    assert first.end >= 120
