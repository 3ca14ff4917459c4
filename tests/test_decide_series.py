"""Decisions about series: scores that depend on each other, and intervals per day."""

import numpy as np
import pytest

from tocsin.base.dependence import independent_count
from tocsin.decide import create, decide, methods
from tocsin.decide.alarm_rate import alarm_heights, point_rate, threshold_for
from tocsin.decide.calibration import NEVER
from tocsin.decide.independent import decide_dependent
from tocsin.decide.intervals import intervals


@pytest.mark.parametrize("method", methods())
@pytest.mark.parametrize("independent", [5, 50, 1000])
def test_dependent_scores_are_counted_by_those_that_are_independent(method, independent):
    rng = np.random.default_rng(0)
    calibration = create(method).fit(rng.exponential(size=1000), independent=independent)
    new = rng.exponential(1.3, size=5000)
    for rate in (0.5, 0.05, 0.001):
        decision = decide_dependent(calibration, calibration, new, rate)
        assert np.array_equal(decision.is_anomaly, new > decision.threshold)
        assert np.array_equal(decision.is_anomaly, decision.p_values <= rate)
        if independent == 1000:
            expected = decide(calibration, new, rate)
            assert np.array_equal(decision.is_anomaly, expected.is_anomaly)
            assert decision.p_values == pytest.approx(expected.p_values)


@pytest.mark.parametrize("width", [20, 100])
def test_scores_alike_keep_the_promise(width):
    rng = np.random.default_rng(1)
    shares, each = [], []
    for _ in range(300):
        known, new = (np.convolve(rng.normal(size=1000), np.ones(width), "same") for _ in "ab")
        calibration = create("extreme_value").fit(known, independent_count(known))
        decision = decide_dependent(calibration, calibration, new, 0.02)
        shares.append(decision.is_anomaly.mean())
        each.append(decide(calibration, new, 0.02).is_anomaly.mean())
    assert 0.01 < np.mean(shares) <= 0.022
    assert np.mean(shares) < np.mean(each)


def test_alarm_heights_count_intervals():
    rng = np.random.default_rng(2)
    stretches = [np.convolve(rng.normal(size=n), np.ones(5) / 5, "same") for n in (400, 90, 12)]
    heights = alarm_heights(stretches, 10)
    assert (np.diff(heights) <= 0).all()
    for i, threshold in enumerate(heights[:15] - 1e-9):
        raised = sum(len(intervals(s, s > threshold, threshold, 10)) for s in stretches)
        assert raised <= i + 1
        assert raised == i + 1 or i > 4
    assert len(alarm_heights([np.zeros(20)], 10)) == 1
    assert len(alarm_heights([np.zeros(1000)], 10)) == 1


def test_as_many_alarms_as_allowed():
    rng = np.random.default_rng(3)
    series = [np.convolve(rng.exponential(size=20_000), np.ones(4) / 4, "same") for _ in range(2)]
    heights = create("extreme_value").fit(alarm_heights(series[:1], 10))
    points = create("extreme_value").fit(series[0])
    raised = []
    for alarms in (0.2, 2, 20, 100):
        threshold = threshold_for(heights, alarms)
        raised.append(len(intervals(series[1], series[1] > threshold, threshold, 10)))
        rate = point_rate(points, threshold)
        assert decide(points, series[1], rate).threshold == pytest.approx(threshold)
    assert raised == sorted(raised)
    assert raised[0] <= 2
    assert 8 <= raised[2] <= 36
    assert point_rate(points, NEVER) < 1e-300
    assert point_rate(points, 0.0) == 0.05
