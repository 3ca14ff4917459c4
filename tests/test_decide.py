"""Calibration, thresholds, budgets and the false-discovery rate."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import betabinom

from tocsin import decide
from tocsin.decide import Budget, Calibration, calibration
from tocsin.errors import InputError, NotFitted, ParameterError, UnknownName

settings.register_profile("shared machine", deadline=None, max_examples=60)
settings.load_profile("shared machine")

ALL = decide.methods()
finite = st.floats(allow_nan=False, allow_infinity=False)
few_values = st.integers(-3, 3).map(float)
score_lists = st.lists(finite | few_values, min_size=1, max_size=60)
rates = st.floats(1e-6, 0.999) | st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.25, 0.5])


def fitted(method: str, scores: object) -> Calibration:
    return decide.create(method).fit(scores)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["conformal", "extreme_value"])
@pytest.mark.parametrize("rate", [0.01, 0.05, 0.2])
def test_alarms_on_normal_items_follow_conformal_theory(method: str, rate: float) -> None:
    rng = np.random.default_rng(1)
    m, n, repeats = 250, 100, 800
    alarms = np.array(
        [
            (fitted(method, rng.gamma(2, size=m)).p_values(rng.gamma(2, size=n)) <= rate).sum()
            for _ in range(repeats)
        ]
    )
    k = int(rate * (m + 1) + 1e-9)
    theory = betabinom(n, k, m + 1 - k)
    error = theory.std() / np.sqrt(repeats)
    assert abs(alarms.mean() - theory.mean()) < 4 * error
    assert alarms.mean() / n < rate + 4 * error / n
    assert alarms.std() == pytest.approx(theory.std(), rel=0.15)


@pytest.mark.parametrize("method", ALL)
@given(scores=score_lists, new=score_lists, rate=rates)
def test_a_score_exceeds_the_threshold_exactly_if_its_p_value_is_within_the_rate(
    method: str, scores: list[float], new: list[float], rate: float
) -> None:
    fit = fitted(method, scores)
    threshold = fit.threshold(rate)
    assert np.isfinite(threshold)
    near = [threshold, np.nextafter(threshold, -1e308), np.nextafter(threshold, 1e308)]
    tested = np.array([*scores, *new, *near])
    np.testing.assert_array_equal(tested > threshold, fit.p_values(tested) <= rate)


@pytest.mark.parametrize("method", ALL)
@given(scores=score_lists, new=score_lists)
def test_p_values_fall_with_the_score_and_lie_in_0_1(
    method: str, scores: list[float], new: list[float]
) -> None:
    p = fitted(method, scores).p_values(np.sort([*scores, *new]))
    assert (np.diff(p) <= 0).all()
    assert (p > 0).all()
    assert (p <= 1).all()


@pytest.mark.parametrize("method", ALL)
@given(scores=score_lists, a=rates, b=rates)
def test_a_smaller_rate_never_lowers_the_threshold(
    method: str, scores: list[float], a: float, b: float
) -> None:
    fit = fitted(method, scores)
    assert fit.threshold(min(a, b)) >= fit.threshold(max(a, b))


def test_ties_count_as_at_least_as_high() -> None:
    fit = fitted("conformal", [1, 1, 1, 2, 2])
    np.testing.assert_allclose(fit.p_values([1, 1.5, 2, 2.5]), [1, 3 / 6, 3 / 6, 1 / 6])
    assert fit.threshold(0.2) == 2
    assert fit.threshold(0.5) == 1


def test_below_its_resolution_counting_flags_nothing_and_the_tail_does() -> None:
    scores = np.random.default_rng(0).exponential(size=60)
    counting, tail = fitted("conformal", scores), fitted("extreme_value", scores)
    assert counting.resolution == tail.resolution == 1 / 61
    assert not decide.decide(counting, [1e9], 0.001).is_anomaly.any()
    assert decide.decide(tail, [scores.max(), 1e9], 0.001).is_anomaly.tolist() == [False, True]
    inside = np.linspace(0, scores.max(), 50)
    np.testing.assert_array_equal(tail.p_values(inside), counting.p_values(inside))
    just_above = np.nextafter(scores.max(), np.inf)
    assert tail.p_values([just_above])[0] == pytest.approx(tail.resolution, rel=1e-9)


@pytest.mark.parametrize(("power", "shape"), [(None, 0.0), (4.0, 0.25), (2.0, 0.5)])
def test_the_tail_continues_a_known_distribution(power: float | None, shape: float) -> None:
    rng = np.random.default_rng(2)
    ratios, shapes = [], []
    for _ in range(60):
        if power is None:
            fit = decide.ExtremeValue().fit(rng.exponential(size=10_000))
            truth = np.exp(-fit.threshold(1e-5))
        else:
            fit = decide.ExtremeValue().fit(1 + rng.pareto(power, size=10_000))
            truth = fit.threshold(1e-5) ** -power
        ratios.append(truth / 1e-5)
        shapes.append(fit.tail[0])
    assert np.mean(shapes) == pytest.approx(shape, abs=0.08)
    assert 0.5 < np.median(ratios) < 2


def test_equal_highest_scores_have_no_tail() -> None:
    fit = fitted("extreme_value", np.r_[np.arange(50.0), np.full(50, 60.0)])
    assert fit.p_values([61, 1e300]).tolist() == [1 / 101, 1 / 101]
    assert not decide.decide(fit, [1e300], 0.001).is_anomaly.any()


def test_the_empirical_quantile() -> None:
    scores = np.random.default_rng(0).normal(size=1000)
    assert fitted("quantile", scores).threshold(0.05) == np.quantile(
        scores, 0.95, method="inverted_cdf"
    )


@pytest.mark.parametrize("method", ALL)
def test_many_scores_are_bounded_and_the_upper_tail_stays_exact(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = np.random.default_rng(0).normal(size=20_000).round(3)
    full = fitted(method, scores)
    monkeypatch.setattr(calibration, "MOST_KEPT", 2000)
    small = fitted(method, scores)
    assert small.get_state()["scores_"].shape == (2000,)
    for rate in (1e-6, 0.001, 0.01, 0.04):
        assert small.threshold(rate) == full.threshold(rate)
    new = np.linspace(-5, 5, 4001)
    gap = small.p_values(new) - full.p_values(new)
    assert gap.min() >= 0
    assert gap.max() < 20 / 20_000
    for rate in (0.3, 0.7):
        assert small.threshold(rate) == pytest.approx(full.threshold(rate), abs=0.02)
        flagged = small.p_values(new) <= rate
        np.testing.assert_array_equal(new > small.threshold(rate), flagged)


@pytest.mark.parametrize("method", ALL)
def test_the_state_is_arrays_and_json(method: str) -> None:
    rng = np.random.default_rng(0)
    fit = fitted(method, rng.normal(size=200))
    state = fit.get_state()
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    rest = {name: value for name, value in state.items() if name not in arrays}
    again = decide.create(method).set_state({**arrays, **json.loads(json.dumps(rest))})
    new = rng.normal(size=100) * 3
    np.testing.assert_array_equal(again.p_values(new), fit.p_values(new))
    assert again.threshold(1e-5) == fit.threshold(1e-5)


def test_all_methods_share_one_state() -> None:
    scores = np.random.default_rng(0).normal(size=50)
    state = fitted("quantile", scores).get_state()
    changed = decide.create("extreme_value").set_state(state)
    assert changed.threshold(1e-3) == fitted("extreme_value", scores).threshold(1e-3)


def test_a_decision_changes_with_the_rate_alone() -> None:
    fit = fitted("conformal", np.arange(99.0))
    strict, loose = decide.decide(fit, [97.5, 200.0], 0.01), decide.decide(fit, [97.5, 200], 0.5)
    assert strict.is_anomaly.tolist() == [False, True]
    assert loose.is_anomaly.tolist() == [True, True]
    assert (strict.threshold, strict.false_alarm_rate) == (98.0, 0.01)


@pytest.mark.parametrize("method", ALL)
def test_what_cannot_be_calibrated_is_refused(method: str) -> None:
    for bad in ([], [[1.0, 2.0]], [1.0, np.nan], [np.inf]):
        with pytest.raises(InputError):
            fitted(method, bad)
    with pytest.raises(NotFitted):
        decide.create(method).p_values([1.0])
    with pytest.raises(NotFitted):
        decide.create(method).threshold(0.1)
    fit = fitted(method, [1.0, 2.0])
    with pytest.raises(InputError):
        fit.p_values([np.nan])
    for rate in (0, 1, -0.1, 1.5, np.nan, "much"):
        with pytest.raises(ParameterError):
            fit.threshold(rate)  # type: ignore[arg-type]


def test_an_unknown_method_is_named_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="conformal, extreme_value, quantile"):
        decide.create("guess")


def test_budgets() -> None:
    assert Budget.per_day(alarms=5, events_per_day=86_400).rate == 5 / 86_400
    for bad in (0, 1, -1, np.nan):
        with pytest.raises(ParameterError):
            Budget(bad)
    for alarms, events in ((0, 100), (100, 100), (5, 0), (np.nan, 10)):
        with pytest.raises(ParameterError, match="per day"):
            Budget.per_day(alarms=alarms, events_per_day=events)


def brute_force_discoveries(p: list[float], rate: float) -> list[bool]:
    best = 0
    for i in range(1, len(p) + 1):
        if sorted(p)[i - 1] <= rate * i / len(p):
            best = i
    return [sorted(p).index(value) < best for value in p]


@settings(max_examples=200)
@given(p=st.lists(st.floats(0, 1) | st.floats(0, 0.05), max_size=30), rate=rates)
def test_false_discoveries_by_definition(p: list[float], rate: float) -> None:
    assert decide.false_discoveries(p, rate).tolist() == brute_force_discoveries(p, rate)


def test_false_discovery_rate_holds_with_conformal_p_values() -> None:
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(300):
        fit = fitted("conformal", rng.normal(size=1000))
        found = decide.false_discoveries(
            fit.p_values(np.r_[rng.normal(size=180), rng.normal(4, 1, size=20)]), 0.2
        )
        shares.append(found[:180].sum() / max(found.sum(), 1))
    assert np.mean(shares) < 0.2 * 180 / 200 + 4 * np.std(shares) / np.sqrt(300)
    with pytest.raises(InputError):
        decide.false_discoveries([0.5, 1.5], 0.1)
