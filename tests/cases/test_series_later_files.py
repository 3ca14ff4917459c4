"""Train once, score later: a file is placed in time, and judged by what training taught."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tocsin import SeriesPipeline
from tocsin.pipeline import load

START = pd.Timestamp("2026-01-05")


def load_of(seed: int, first: int, n: int, per_day: int = 24) -> pd.DataFrame:
    """Power with a daily season, ``first`` steps after the start."""
    steps = np.arange(first, first + n)
    value = 50 + 10 * np.sin(2 * np.pi * steps / per_day)
    value += np.random.default_rng(seed).normal(0, 1, n)
    return pd.DataFrame({"time": START + steps * pd.Timedelta(days=1 / per_day), "kW": value})


@pytest.fixture(scope="module")
def hourly() -> SeriesPipeline:
    return SeriesPipeline().fit(load_of(0, 0, 480))


@pytest.mark.parametrize("hours", [0, 1, 8, 72, 80, 85, 1000, 5003])
def test_normal_hours_after_a_pause(hourly: SeriesPipeline, hours: int) -> None:
    """24 normal hours after a pause, from any hour on, flag nothing."""
    flagged = [
        hourly.detect(load_of(seed, 480 + hours, 24)).decision.is_anomaly for seed in range(1, 4)
    ]
    assert np.mean(flagged) <= 0.02


@pytest.mark.parametrize("points", [1, 4, 8, 20, 96])
def test_a_file_shorter_than_a_window(points: int) -> None:
    """A normal file of a few points, which does not begin in phase, flags nothing."""
    pipeline = SeriesPipeline().fit(load_of(0, 0, 960, per_day=96))
    flagged = [
        pipeline.detect(load_of(seed, 960 + 37 * seed, points, 96)).decision.is_anomaly
        for seed in range(1, 4)
    ]
    assert np.mean(flagged) <= 0.02


@pytest.mark.parametrize("order", ["newest first", "shuffled"])
def test_rows_in_another_order(hourly: SeriesPipeline, order: str) -> None:
    """An export with the newest row first, or in no order, is sorted: the same answer."""
    frame = load_of(7, 500, 200)
    frame.loc[120:122, "kW"] += 15
    other = frame[::-1] if order == "newest first" else frame.sample(frac=1, random_state=0)
    one, two = hourly.detect(frame), hourly.detect(other)
    assert [(e.start_time, e.end_time) for e in one.intervals] == [
        (e.start_time, e.end_time) for e in two.intervals
    ]
    np.testing.assert_array_equal(one.scores.values, two.scores.values)
    assert any("sorted" in note for note in two.notes)


@pytest.mark.parametrize("cut", [200, 311])
def test_scores_do_not_depend_on_the_file(hourly: SeriesPipeline, cut: int) -> None:
    """A day scored in a long file, with an anomaly elsewhere, has the scores of a shorter file."""
    frame = load_of(8, 480, 720)
    frame.loc[650:660, "kW"] = 500.0
    whole = hourly.score(frame).values
    part = hourly.score(frame[cut : cut + 250]).values
    # A hundred points from the edges no window sees anything else.
    np.testing.assert_allclose(whole[cut + 110 : cut + 140], part[110:140], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2, 9])
@pytest.mark.parametrize("idle", [False, True], ids=["always", "by day only"])
def test_totals_go_on(idle: bool, seed: int) -> None:
    """A total that only grows is its increase: a later file is normal, a jump in it is not."""
    rng = np.random.default_rng(seed)
    hours = np.arange(960)
    growth = rng.poisson(np.where(idle & (hours % 24 < 10), 0, 40)).astype(float)
    times = START + pd.to_timedelta(hours, unit="h")
    frame = pd.DataFrame({"time": times, "total": 1e4 + np.cumsum(growth)})
    pipeline = SeriesPipeline().fit(frame[:720])
    assert pipeline.detect(frame[720:]).decision.is_anomaly.mean() <= 0.03
    frame.loc[830:, "total"] += 900
    assert pipeline.detect(frame[720:]).intervals[0].peak == 110


@pytest.mark.parametrize("entities", [1, 3])
def test_a_new_level_is_drift(entities: int) -> None:
    """A later file at another level is reported as drift, with the channel and since when."""
    rng = np.random.default_rng(5)
    names = [f"m{i}" for i in range(entities)]
    frames = [
        load_of(i, 0, 960).assign(m=name, pa=rng.normal(size=960)) for i, name in enumerate(names)
    ]
    frame = pd.concat(frames, ignore_index=True)
    later = frame["time"] >= START + pd.Timedelta(hours=720)
    pipeline = SeriesPipeline("autoregression", entity="m").fit(frame[~later])
    assert pipeline.detect(frame[later]).drift is None
    moved = (frame["m"] == names[-1]) & (frame["time"] >= START + pd.Timedelta(hours=800))
    frame.loc[moved, "pa"] += 8
    found = pipeline.detect(frame[later])
    assert found.drift is not None
    assert found.drift.columns == ("pa",)
    assert abs(found.drift.first - (240 * (entities - 1) + 80)) <= 60
    assert any("drift" in note and "from 2026-02-0" in note for note in found.notes)


def test_an_earlier_model_is_refused(tmp_path, hourly: SeriesPipeline, monkeypatch) -> None:
    """A model folder of a version that scored otherwise is refused with what to do."""
    from tocsin.errors import CorruptModel

    state = hourly._state()
    for model in state["models"].values():
        del model["levels_"]
    monkeypatch.setattr(hourly, "_state", lambda: state)
    hourly.save(tmp_path / "old")
    with pytest.raises(CorruptModel, match="Train and save it again"):
        load(tmp_path / "old")


@pytest.mark.parametrize(("step", "period"), [("15min", 96), ("5min", 288)])
def test_the_first_points_of_a_file_are_no_more_often_flagged(step: str, period: int) -> None:
    """Days cut out at any hour flag no more of their first points than a budget of 1 % allows."""
    n = 50 * period
    rng = np.random.default_rng(period)
    values = 100 + 20 * np.sin(2 * np.pi * np.arange(n) / period) + 3 * rng.normal(size=n)
    frame = pd.DataFrame({"time": pd.date_range("2026-01-05", periods=n, freq=step), "y": values})
    pipeline = SeriesPipeline().fit(frame[: 20 * period])
    shares = []
    for day in range(26):
        start = (21 + day) * period + (37 * day) % period
        later = frame[start : start + period].reset_index(drop=True)
        shares.append(pipeline.detect(later).decision.is_anomaly.mean())
    assert np.mean(shares) <= 0.02
