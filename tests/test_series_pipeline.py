"""From raw series to explained intervals."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tocsin
from support.machines import FAULT, machine
from tocsin.decide.intervals import intervals, runs
from tocsin.errors import InputError, ParameterError, SchemaMismatch
from tocsin.evaluate.holdout import hold_out
from tocsin.evaluate.results import measure_series
from tocsin.pipeline import Pipeline, SeriesPipeline
from tocsin.pipeline.series import Models
from tocsin.types import SeriesDetection


@pytest.fixture(scope="module")
def pipeline() -> SeriesPipeline:
    return SeriesPipeline("window_neighbours").fit(machine(1000, fault=None))


@pytest.fixture(scope="module")
def detection(pipeline: SeriesPipeline) -> SeriesDetection:
    return pipeline.detect(machine(seed=1))


def test_the_fault_is_the_first_interval(detection: SeriesDetection) -> None:
    first = detection.intervals[0]
    assert first.start <= FAULT.stop
    assert first.end >= FAULT.start
    assert first.start <= first.peak <= first.end
    assert first.start_time == detection.times[first.start]
    assert first.reasons[0].name == "pressure"
    assert first.reasons[0].seen == pytest.approx(6.0)
    assert abs(first.reasons[0].expected - 3) < 2


def test_intervals_are_of_flagged_points(detection: SeriesDetection) -> None:
    covered = np.zeros(len(detection), dtype=int)
    for interval in detection.intervals:
        covered[interval.start : interval.end + 1] += 1
        assert detection.decision.is_anomaly[interval.peak]
    assert covered.max() == 1
    assert covered[detection.scores.values.argmax()]
    ranked = [interval.p_value for interval in detection.intervals]
    assert ranked == sorted(ranked)


def test_the_band_holds_normal_values(detection: SeriesDetection) -> None:
    inside = (detection.low <= detection.values) & (detection.values <= detection.high)
    normal = np.arange(len(detection)) < 1100
    assert inside[normal].mean(axis=0) == pytest.approx([0.99, 0.99], abs=0.02)
    assert not inside[FAULT, 1].any()


def test_a_saved_pipeline_gives_the_same_scores(pipeline: SeriesPipeline, tmp_path: Path) -> None:
    pipeline.save(tmp_path / "model")
    loaded = tocsin.load(tmp_path / "model")
    new = machine(seed=2)
    assert isinstance(loaded, SeriesPipeline)
    assert np.array_equal(loaded.score(new).values, pipeline.score(new).values)
    assert loaded.detect(new).intervals == pipeline.detect(new).intervals
    with pytest.raises(ParameterError, match="series, not tables"):
        Pipeline.load(tmp_path / "model")


def test_normal_series_keep_to_the_budget(pipeline: SeriesPipeline) -> None:
    shares = [
        pipeline.detect(machine(1000, seed=seed, fault=None)).decision.is_anomaly.mean()
        for seed in range(3, 11)
    ]
    assert np.mean(shares) < 0.03


def test_alarms_per_day_are_intervals_of_new_normal_series() -> None:
    normal = machine(6 * 1440, seed=3, fault=None)
    pipeline = SeriesPipeline("autoregression", alarms_per_day=2).fit(normal)
    days = [pipeline.detect(machine(4 * 1440, seed=seed, fault=None)) for seed in (4, 5)]
    assert 2 <= sum(len(detection.intervals) for detection in days) <= 30
    assert days[0].decision.false_alarm_rate == pipeline.budget.rate < 0.05


def test_missing_points_are_filled_and_never_flagged(pipeline: SeriesPipeline) -> None:
    frame = machine(seed=1).drop(index=range(1203, 1208))
    detection = pipeline.detect(frame)
    assert len(detection) == 1500
    assert (detection.rows == -1).sum() == 5
    assert not detection.decision.is_anomaly[detection.rows == -1].any()
    assert detection.labels(np.ones(len(frame), dtype=np.int64)).sum() == len(frame)


def entities(seed: int = 0, fault: bool = False) -> pd.DataFrame:
    """Three sites in one table, in no order; the second measures in other units."""
    frames = [machine(400, seed=seed + i, fault=None).assign(site=f"s{i}") for i in range(3)]
    if fault:
        frames[2].loc[300:309, "pressure"] = 9.0
    return pd.concat(frames).sample(frac=1, random_state=0)


@pytest.mark.parametrize("models", ["shared", "each"])
def test_several_series_in_one_table(models: Models, tmp_path: Path) -> None:
    pipeline = SeriesPipeline("autoregression", models=models, entity="site").fit(entities())
    detection = pipeline.detect(entities(seed=10, fault=True))
    assert len(detection) == 1200
    assert detection.intervals[0].entity == "s2"
    assert 800 <= detection.intervals[0].start <= detection.intervals[0].end < 1200
    assert np.array_equal(np.unique(detection.entities), ["s0", "s1", "s2"])
    flagged = detection.scores.values >= detection.decision.threshold
    assert np.array_equal(detection.decision.is_anomaly, flagged)
    pipeline.save(tmp_path / "model")
    again = tocsin.load(tmp_path / "model").detect(entities(seed=10, fault=True))
    assert np.array_equal(again.scores.values, detection.scores.values)


def test_an_entity_never_seen_before() -> None:
    stranger = machine(200, seed=9, fault=None).assign(site="new")
    shared = SeriesPipeline("autoregression", models="shared", entity="site").fit(entities())
    assert len(shared.detect(stranger)) == 200
    each = SeriesPipeline("autoregression", models="each", entity="site").fit(entities())
    with pytest.raises(SchemaMismatch, match="no model for the entity 'new'"):
        each.detect(stranger)


def test_labelled_anomalies_are_not_learned_from() -> None:
    frame = machine()
    labels = np.isin(np.arange(1500), np.arange(1200, 1215)).astype(int)
    known = SeriesPipeline("autoregression").fit_detect(frame, labels=labels)
    first = known.intervals[0]
    assert first.start <= 1215
    assert first.end >= 1200
    with pytest.raises(InputError, match="1500 labels"):
        SeriesPipeline("autoregression").fit(frame, labels=labels[:9])


def test_what_cannot_work_is_refused(pipeline: SeriesPipeline) -> None:
    with pytest.raises(SchemaMismatch, match="watts"):
        pipeline.detect(machine().drop(columns="watts"))
    with pytest.raises(ParameterError, match="shared"):
        SeriesPipeline("autoregression", models="one").fit(machine())
    with pytest.raises(ParameterError, match="windowed:pca"):
        SeriesPipeline(tocsin.detectors.create("pca")).fit(machine())
    with pytest.raises(InputError, match="at least 16 points"):
        SeriesPipeline("autoregression").fit(machine(10, fault=None))
    with pytest.raises(ParameterError, match="series, tables"):
        tocsin.detect(machine(), modality="smells")


def test_detect_takes_series() -> None:
    detection = tocsin.detect(
        machine(),
        modality="series",
        train=machine(900, seed=5, fault=None),
        detector="autoregression",
    )
    assert isinstance(detection, SeriesDetection)
    assert detection.intervals[0].reasons[0].name == "pressure"


def test_intervals_are_cut_at_half_height_and_joined_over_small_gaps() -> None:
    scores = np.array([0, 2, 4, 9, 10, 9, 3, 2, 3, 7, 3, 0, 0, 2, 0], dtype=float)
    flags = scores > 1
    assert runs(flags) == [(1, 10), (13, 13)]
    assert intervals(scores, flags, 1.0) == [(3, 5), (9, 9), (13, 13)]
    assert intervals(scores, flags, 1.0, merged_within=3) == [(3, 9)]
    scores[13] = 6.0
    assert intervals(scores, flags, 1.0, merged_within=3) == [(3, 13)]
    scores[13] = 2.0
    assert intervals(scores, np.zeros(15, dtype=bool), 1.0) == []
    flat = np.full(5, 2.0)
    assert intervals(flat, np.ones(5, dtype=bool), 1.0) == [(0, 4)]
    assert intervals(flat, np.ones(5, dtype=bool), 2.0) == [(0, 4)]


def test_held_out_measures_are_of_all_points() -> None:
    frame, labels = machine(), np.zeros(1500, dtype=np.int64)
    labels[FAULT] = 1
    result, detection, _ = hold_out(frame, labels, SeriesPipeline("autoregression"))
    assert result.ranges == 1
    assert result.found == 1.0
    assert 0.3 < result.vus_pr <= 1.0
    assert measure_series(detection, labels, "autoregression").vus_pr == result.vus_pr
    normal, detection, _ = hold_out(
        frame[:1200], np.zeros(1200, dtype=np.int64), SeriesPipeline("autoregression")
    )
    assert (normal.vus_pr, normal.found, normal.ranges) == (None, None, 0)
    assert normal.false_alarm_rate == detection.decision.is_anomaly.mean()
    with pytest.raises(ParameterError, match="2000"):
        hold_out(frame, labels, SeriesPipeline(), train_items=2000)


def test_no_points_at_all_are_refused() -> None:
    for nothing in ([], np.zeros(0), np.zeros((0, 2))):
        with pytest.raises(InputError, match="0 rows"):
            SeriesPipeline().fit(nothing)
