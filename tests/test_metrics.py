"""Metrics: what is found in simulated servers, live as in replay, and after a kill."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import tocsin
from tocsin.alarms.lifecycle import change
from tocsin.config import Config, read
from tocsin.errors import ConfigError, InputError, ParameterError, SchemaMismatch
from tocsin.monitor.event_processor import EventProcessor
from tocsin.monitor.models import open_model, open_model_of
from tocsin.monitor.scorers.metrics import MetricScorer
from tocsin.monitor.stores import Stores
from tocsin.monitor.training import is_due, train
from tocsin.pipeline.metrics import MetricsPipeline
from tocsin.types import Alarm, Batch, FloatArray

STEP = 300
PER_DAY = 86_400 // STEP
DAYS, LEARNED = 9, 7


@pytest.fixture(scope="module")
def servers() -> pd.DataFrame:
    """Six servers, nine days from a Monday, a reading in five minutes; normal."""
    rng = np.random.default_rng(11)
    minutes = np.arange(DAYS * PER_DAY) * STEP / 60
    frames = []
    for k in range(6):
        base, peak = rng.uniform(100, 900), rng.uniform(13, 17)
        day = 1 + 0.5 * np.cos(2 * np.pi * (minutes / 60 - peak) / 24)
        week = np.where(minutes // 1440 % 7 >= 5, 0.7, 1.0)
        rps = rng.poisson(base * day * week * np.exp(_wandering(rng, len(day), 0.7, 0.06)))
        cpu = 5 + 30 * rps / base + _wandering(rng, len(day), 0.5, 1.5)
        latency = 20 * np.exp(rng.normal(0, 0.12, len(day)))
        times = np.datetime64("2026-11-02") + (minutes * 60).astype("timedelta64[s]")
        about = {"time": times, "host": f"web-{k}"}
        frames.append(pd.DataFrame({**about, "rps": rps * 1.0, "cpu": cpu, "latency": latency}))
    together = pd.concat(frames).sort_values(["time", "host"], kind="stable")
    return together.reset_index(drop=True)


@pytest.fixture(scope="module")
def learned(servers: pd.DataFrame) -> MetricsPipeline:
    return MetricsPipeline(alarms_per_day=0.3).fit(servers[servers["time"] < _day(LEARNED)])


FAULTS = {
    "jump": ("latency", slice(0, 1), lambda x: x * 12),
    "level": ("rps", slice(0, 40), lambda x: x * 0.3),
    "relation": ("cpu", slice(0, 40), lambda x: x + 15),
    "spread": ("cpu", slice(0, 40), lambda x: x + np.tile([-9, 9], len(x) // 2)),
    "stuck": ("latency", slice(0, 40), lambda x: x * 0 + x[0]),
    "missing": ("latency", slice(0, 20), lambda x: x * np.nan),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_kind_of_fault_is_found_and_named(
    servers: pd.DataFrame, learned: MetricsPipeline, fault: str
) -> None:
    channel, where, change = FAULTS[fault]
    new = servers[servers["time"] >= _day(LEARNED)].reset_index(drop=True)
    rows = np.flatnonzero((new["host"] == "web-3") & (new["time"] >= _day(LEARNED + 0.5)))[where]
    new.loc[rows, channel] = change(new.loc[rows, channel].to_numpy())
    found = learned.detect(new)
    mine = [each for each in found.intervals if each.entity == "web-3"]
    assert len(found.intervals) == len(mine) >= 1
    first = min(mine, key=lambda each: each.start)
    delay = pd.Timestamp(first.start_time) - pd.Timestamp(new["time"][rows[0]])
    assert pd.Timedelta(0) <= delay <= pd.Timedelta(minutes=30)
    assert any(reason.name.startswith(channel) for each in mine for reason in each.reasons[:2])


def test_normal_days_keep_the_budget(servers: pd.DataFrame, learned: MetricsPipeline) -> None:
    new = servers[servers["time"] >= _day(LEARNED)]
    assert len(learned.detect(new).intervals) <= 1
    shares = [learned.set_params(alarms_per_day=None, false_alarms=rate) for rate in (0.01,)]
    flagged = shares[0].detect(new).decision.is_anomaly.mean()
    learned.set_params(alarms_per_day=0.3)
    assert flagged <= 0.03


def test_what_is_over_is_over(servers: pd.DataFrame, learned: MetricsPipeline) -> None:
    new = servers[servers["time"] >= _day(LEARNED)].reset_index(drop=True)
    rows = np.flatnonzero((new["host"] == "web-1") & (new["time"] >= _day(LEARNED + 0.3)))[:48]
    new.loc[rows, "cpu"] += 25
    mine = [each for each in learned.detect(new).intervals if each.entity == "web-1"]
    ends = max(pd.Timestamp(each.end_time) for each in mine)
    assert ends - pd.Timestamp(new["time"][rows[-1]]) <= pd.Timedelta(hours=1)


def test_a_monitor_scores_the_same_however_it_is_cut_and_after_a_restart(
    servers: pd.DataFrame, learned: MetricsPipeline, tmp_path: Path
) -> None:
    learned.save(tmp_path / "model")
    new = servers[servers["time"] >= _day(LEARNED)].reset_index(drop=True)[:2000]
    whole = _judged(_scorer(tmp_path), [_batch(new)])[0]
    rng = np.random.default_rng(5)
    cuts = np.sort(rng.choice(np.arange(1, len(new)), 60, replace=False))
    batches = [_batch(new.iloc[part]) for part in np.split(np.arange(len(new)), cuts)]
    half, states = _judged(_scorer(tmp_path), batches[:30])
    other = _scorer(tmp_path)
    assert other.restore(states)
    rest, _ = _judged(other, batches[30:])
    assert np.array_equal(np.concatenate([half, rest]), whole)


def test_the_memory_of_another_model_is_not_taken(learned: MetricsPipeline, tmp_path: Path) -> None:
    learned.save(tmp_path / "model")
    scorer = _scorer(tmp_path)
    mine = {"model": scorer.name, "memory": "AAAA"}
    assert not scorer.restore({"web-1": {**mine, "model": "another"}, "web-99": mine})
    assert scorer.restore({"web-1": mine})  # of another size: left as it is


def test_a_new_entity_is_told_and_not_judged(
    servers: pd.DataFrame, learned: MetricsPipeline
) -> None:
    new = servers[servers["time"] >= _day(LEARNED)].copy()
    new.loc[new["host"] == "web-2", "host"] = "db-1"
    new.loc[new["host"] == "db-1", "cpu"] = 1e6
    found = learned.detect(new)
    assert '1 entities not in training, not judged: "db-1"' in found.notes
    assert not [each for each in found.intervals if each.entity == "db-1"]


def test_saved_and_loaded_it_answers_the_same(
    servers: pd.DataFrame, learned: MetricsPipeline, tmp_path: Path
) -> None:
    new = servers[servers["time"] >= _day(LEARNED)]
    learned.save(tmp_path / "model")
    loaded: Any = tocsin.load(tmp_path / "model")
    assert np.array_equal(loaded.score(new).values, learned.score(new).values)
    assert loaded.budget == learned.budget


def test_a_change_of_sharp_hours_is_usual_if_it_comes_each_day(servers: pd.DataFrame) -> None:
    backed_up = servers.copy()
    hour = backed_up["time"].dt.hour
    backed_up["disk"] = np.random.default_rng(1).exponential(1.0, len(hour)) + 30 * (hour == 2)
    pipeline = MetricsPipeline(alarms_per_day=0.3)
    pipeline.fit(backed_up[backed_up["time"] < _day(LEARNED)])
    new = backed_up[backed_up["time"] >= _day(LEARNED)].reset_index(drop=True)
    assert len(pipeline.detect(new).intervals) <= 1
    rows = np.flatnonzero((new["host"] == "web-5") & (new["time"].dt.hour == 14))[:6]
    new.loc[rows, "disk"] += 30
    (found,) = [each for each in pipeline.detect(new).intervals if each.entity == "web-5"]
    assert found.reasons[0].name.startswith("disk")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"cpu": range(40)}), "have a column of times"),
        (
            pd.DataFrame({"time": pd.date_range("2026", periods=9, freq="min"), "cpu": [0.5] * 9}),
            "at least 16 readings of an entity; the most that one has here is 9",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_words(frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(InputError, match=words):
        MetricsPipeline().fit(frame)


def test_other_columns_and_other_detectors_are_refused(learned: MetricsPipeline) -> None:
    with pytest.raises(SchemaMismatch, match="cpu"):
        learned.detect(pd.DataFrame({"time": ["2026-01-01"], "host": ["web-1"], "rps": [1.0]}))
    times = pd.date_range("2026-01-01", periods=40, freq="min")
    with pytest.raises(ParameterError, match="does not track metrics"):
        MetricsPipeline(tocsin.detectors.create("pca")).fit(
            pd.DataFrame({"time": times, "cpu": np.arange(40.0) % 7})
        )


def _scorer(folder: Path) -> MetricScorer:
    scorer = open_model(folder / "model", context=1000)
    assert isinstance(scorer, MetricScorer)
    return scorer


def _judged(scorer: MetricScorer, batches: list[Batch]) -> tuple[FloatArray, dict[str, Any]]:
    """Return the scores of batches, and all that was to be written of what is remembered."""
    scores, states = [], {}
    for batch in batches:
        scores.append(scorer.judge(batch).scores)
        scorer.remember(batch)
        states |= scorer.state()
    return np.concatenate(scores), states


def _batch(part: pd.DataFrame) -> Batch:
    frame = part.drop(columns=["time", "host"]).reset_index(drop=True)
    times = part["time"].to_numpy().astype("datetime64[us]")
    return Batch(frame, times, entities=tuple(part["host"]))


def _wandering(rng: np.random.Generator, n: int, stays: float, spread: float) -> FloatArray:
    steps = rng.normal(0, spread * np.sqrt(1 - stays**2), n)
    for i in range(1, n):
        steps[i] += stays * steps[i - 1]
    return steps


def _day(number: float) -> pd.Timestamp:
    return pd.Timestamp("2026-11-02") + timedelta(days=number)


def test_a_server_that_falls_silent_has_an_alarm_of_its_own_until_it_reports(
    servers: pd.DataFrame, learned: MetricsPipeline, tmp_path: Path
) -> None:
    new = servers[servers["time"] >= _day(LEARNED)]
    gone = (new["host"] == "web-4") & (new["time"] >= _day(7.25)) & (new["time"] < _day(7.5))
    at = pd.Timestamp("2026-11-09T06:00")
    found = _alarms(tmp_path, learned, new[~gone])
    (alarm,) = [each for each in found if each.kind == "no data"]
    assert (alarm.entity, alarm.state) == ("web-4", "resolved")
    delay = pd.Timestamp(alarm.opened).tz_localize(None) - at
    assert pd.Timedelta(0) <= delay <= pd.Timedelta(minutes=30)
    assert "web-4: no data since 2026-11-09 05:55:00" in alarm.summary


def test_one_wild_reading_is_an_alarm_and_a_long_fault_says_nothing_of_the_model(
    servers: pd.DataFrame, learned: MetricsPipeline, tmp_path: Path
) -> None:
    new = servers[servers["time"] >= _day(LEARNED)].reset_index(drop=True)
    (spike,) = np.flatnonzero((new["host"] == "web-0") & (new["time"] == _day(7.25)))
    new.loc[spike, "latency"] *= 15
    low = (new["host"] == "web-1") & (new["time"] >= _day(7.5)) & (new["time"] < _day(8.5))
    new.loc[low, "rps"] = 1.0
    found = _alarms(tmp_path, learned, new)
    assert {(each.entity, each.kind) for each in found} == {
        ("web-0", "anomaly"),
        ("web-1", "anomaly"),
    }


def test_the_budget_in_the_file_holds_at_once(learned: MetricsPipeline, tmp_path: Path) -> None:
    learned.save(tmp_path / "model")
    rates = {}
    for stated in ("", "alarms_per_day: 3", "false_alarms: 0.01"):
        monitor = _config(tmp_path, f"training: {{modality: metrics, {stated}}}").monitor("web")
        scorer = open_model_of(monitor)
        rates[stated] = scorer.budget
        assert scorer.name.startswith("model@")
    readings_per_day = 6 * PER_DAY
    assert rates[""] == pytest.approx(0.3 / readings_per_day)
    assert rates["alarms_per_day: 3"] == pytest.approx(3 / readings_per_day)
    assert rates["false_alarms: 0.01"] == 0.01
    with pytest.raises(ConfigError, match="false_alarms or alarms_per_day, not both"):
        _config(tmp_path, "training: {false_alarms: 0.01, alarms_per_day: 1}")


def test_what_was_alarmed_is_not_learned_unless_it_was_a_false_alarm(
    servers: pd.DataFrame, learned: MetricsPipeline, tmp_path: Path
) -> None:
    new = servers[servers["time"] >= _day(LEARNED)].reset_index(drop=True)
    low = (new["host"] == "web-1") & (new["time"] >= _day(7.5)) & (new["time"] < _day(8))
    new.loc[low, "rps"] = 1.0
    (alarm,) = _alarms(tmp_path, learned, new)
    settings = _config(tmp_path, "training: {modality: metrics, after: 100}")
    known = train(settings, "web", force=True).events
    assert known == len(new) - alarm.events
    with Stores.opened(settings.store.reveal()) as stores, stores.db.begin() as c:
        mine = change(alarm, "false alarm", datetime.now(UTC))
        stores.alarms.change(c, alarm, mine, "me", "", datetime.now(UTC))
    assert train(settings, "web", force=True).events == len(new)


def test_a_model_is_trained_again_when_there_is_twice_as_much_and_then_daily(
    servers: pd.DataFrame, learned: MetricsPipeline, tmp_path: Path
) -> None:
    _alarms(tmp_path, learned, servers[servers["time"] < _day(1)])
    settings = _config(tmp_path, "training: {modality: metrics, after: 100}")
    monitor, end = settings.monitor("web"), datetime(2026, 11, 2, 23, 55, tzinfo=UTC)
    assert not is_due(monitor, end + timedelta(days=30))  # that model was not trained here
    train(settings, "web", force=True)
    learned_for = timedelta(hours=23, minutes=55)
    assert not is_due(monitor, end + learned_for - timedelta(minutes=1))
    assert is_due(monitor, end + learned_for)
    week = _config(tmp_path, "training: {modality: metrics, learn: 1d, refit: 2h}").monitor("web")
    assert not is_due(week, end + timedelta(minutes=119))
    assert is_due(week, end + timedelta(hours=2))
    tables = _config(tmp_path, "training: {modality: tables}").monitor("web")
    assert not is_due(tables, end + timedelta(days=400))


def test_only_the_newest_span_is_learned_from(
    servers: pd.DataFrame, learned: MetricsPipeline, tmp_path: Path
) -> None:
    _alarms(tmp_path, learned, servers[servers["time"] < _day(3)])
    settings = _config(tmp_path, "training: {modality: metrics, after: 100, learn: 1d}")
    assert train(settings, "web", force=True).events == pytest.approx(6 * PER_DAY, abs=6)


def _config(folder: Path, more: str) -> Config:
    (folder / "tocsin.yaml").write_text(
        f"""\
store: sqlite:///{folder}/tocsin.db
monitors:
  web:
    source: {{type: socket, port: 7007}}
    model: {folder}/model
    {more}
"""
    )
    return read(folder / "tocsin.yaml")


def _alarms(folder: Path, learned: MetricsPipeline, new: pd.DataFrame) -> list[Alarm]:
    """Return the alarms of a monitor that has seen these readings, batch by batch."""
    learned.save(folder / "model")
    settings = _config(folder, "training: {modality: metrics}")
    with Stores.opened(settings.store.reveal()) as stores:
        monitor = settings.monitor("web")
        processor = EventProcessor("web", monitor, stores, settings.router(), settings.storm)
        processor.use_model(open_model_of(monitor))
        for part in np.array_split(np.arange(len(new)), 40):
            processor.process(_batch(new.iloc[part]), None)
        return stores.alarms.list()
