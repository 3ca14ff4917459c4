import numpy as np
import pytest

from tocsin.errors import InputError, ParameterError
from tocsin.evaluate.metrics import classification, ranking
from tocsin.evaluate.metrics.affiliation import affiliation
from tocsin.evaluate.metrics.ranges import (
    buffer_period,
    detection_delay,
    events,
    point_adjusted,
    range_precision_recall,
    vus,
)


def made(n=700):
    """Ranges at both ends, of one point, close together and long; scores that hardly know them.

    Whole-number arithmetic, so that the reference values hold for every version of NumPy.
    """
    at, y = np.arange(n), np.zeros(n, dtype=int)
    for begin, end in ((0, 6), (40, 55), (120, 121), (126, 140), (300, 360), (690, 700)):
        y[begin:end] = 1
    return y, (at * at * 7919 % 1009) / 1009 + 0.3 * y


def apart(n=2000):
    y = np.zeros(n, dtype=int)
    for begin in (300, 800, 1500):
        y[begin : begin + 40] = 1
    return y


def chance(y, period):
    """Return the share of label mass, buffers included: the precision of calling anything."""
    distance = np.abs(np.arange(len(y))[:, None] - np.flatnonzero(y)).min(axis=1)
    shares = [y.mean()]
    for width in range(1, period + 1):
        near = distance[distance <= width // 2]
        shares.append(np.sqrt(1 - near / width).sum() / len(y))
    return np.mean(shares)


# Computed once with the reference implementation: TSB_AD 1.5,
# generate_curve(y, scores, period, version="opt", thre=250), on the series of made().
REFERENCE = [
    (0, 0.51365450, 0.76432432),
    (1, 0.51365450, 0.76432432),
    (24, 0.60315266, 0.83197088),
    (125, 0.75763717, 0.91927997),
]


@pytest.mark.parametrize(("period", "pr", "roc"), REFERENCE)
def test_vus_is_that_of_the_reference_implementation(period, pr, roc):
    result = vus(*made(), period)
    assert result.vus_pr == pytest.approx(pr, abs=1e-7)
    assert result.vus_roc == pytest.approx(roc, abs=1e-7)


def test_vus_of_ties_and_of_constant_scores_is_that_of_the_reference_implementation():
    y, scores = made()
    ties, constant = vus(y, np.floor(4 * scores), 24), vus(y, np.ones(len(y)), 24)
    assert (ties.vus_pr, ties.vus_roc) == pytest.approx((0.50889458, 0.81660213), abs=1e-7)
    assert (constant.vus_pr, constant.vus_roc) == pytest.approx((0.21307642, 0.51911631), abs=1e-7)


def test_random_shuffled_and_rolled_scores_come_out_at_chance():
    y, rng = apart(), np.random.default_rng(0)
    good = y + 0.5 * rng.random(len(y))
    level = chance(y, 50)
    assert 1.4 * y.mean() < level < 1.6 * y.mean()
    random = [vus(y, rng.random(len(y)), 50) for _ in range(15)]
    shuffled = [vus(y, rng.permutation(good), 50) for _ in range(15)]
    for results in (random, shuffled):
        assert np.mean([each.vus_pr for each in results]) == pytest.approx(level, rel=0.1)
        # above one half: recall counts half of the buffers called, and all ranges touched
        assert 0.55 < np.mean([each.vus_roc for each in results]) < 0.7
    rolled = [vus(y, np.roll(good, by), 50).vus_pr for by in range(100, 400, 20)]
    assert np.mean(rolled) == pytest.approx(level, rel=0.25)
    assert vus(y, good, 50).vus_pr > 0.99


def test_labels_as_scores_are_perfect_and_the_fewer_points_from_them_the_better():
    y = apart()
    assert (vus(y, y, 50).vus_pr, vus(y, y, 50).vus_roc) == pytest.approx((1, 1))
    ramp = np.linspace(0, 0.1, len(y))
    shifted = [vus(y, np.roll(y, by) + ramp, 50).vus_pr for by in (0, 10, 20, 30, 60)]
    assert shifted == sorted(shifted, reverse=True)
    assert shifted[0] > 0.99
    assert shifted[-1] < 0.2


def test_only_the_order_of_scores_matters_to_vus_and_time_may_run_backwards():
    y, scores = made()
    first = vus(y, scores, 40)
    assert vus(y, np.exp(5 * scores), 40) == first
    assert vus(y, 1e-9 * scores - 7e3, 40) != vus(y, -scores, 40)
    back = vus(y[::-1], scores[::-1], 40)
    assert (back.vus_pr, back.vus_roc) == pytest.approx((first.vus_pr, first.vus_roc))


def test_vus_without_buffers_of_one_range_is_near_the_areas_of_points():
    y = (np.arange(1000) // 100 == 4).astype(int)
    scores = np.random.default_rng(1).normal(size=1000) + y
    points, ranges = ranking(y, scores), vus(y, scores, 0)
    assert ranges.vus_pr == pytest.approx(points.average_precision, abs=0.02)
    assert ranges.vus_roc == pytest.approx(points.roc_auc, abs=0.02)


@pytest.mark.parametrize("y", [np.zeros(5), np.ones(5)])
def test_one_class_has_no_vus(y):
    assert vus(y, np.arange(5), 3).vus_pr is vus(y, np.arange(5), 3).vus_roc is None


@pytest.mark.parametrize("metric", [lambda y, s: vus(y, s, 5), affiliation])
def test_what_cannot_be_measured_is_named(metric):
    with pytest.raises(InputError, match="Expected 2 scores"):
        metric([0, 1], [1.0])
    with pytest.raises(InputError, match="not finite"):
        metric([0, 1], [1.0, np.nan])
    with pytest.raises(InputError, match="Labels are 0"):
        metric([0, 2], [0, 1])
    with pytest.raises(InputError, match="nothing to measure"):
        metric([], [])


def test_settings_that_cannot_work_are_refused():
    y = [0, 1]
    with pytest.raises(ParameterError, match="period"):
        vus(y, y, -1)
    with pytest.raises(ParameterError, match="bias"):
        range_precision_recall(y, y, bias="middle")
    with pytest.raises(ParameterError, match="existence"):
        range_precision_recall(y, y, existence=2)


def test_the_buffer_period_is_that_of_the_reference_implementation():
    at = np.arange(3000)  # values of TSB_AD 1.5: find_length_rank(x, rank=1)
    noise = (at * at * 7919 % 1009) / 1009
    assert buffer_period(np.sin(2 * np.pi * at / 47)) == 47
    assert buffer_period(np.sin(2 * np.pi * at / 9) + noise) == 18
    for none in (at % 5, np.sin(2 * np.pi * at / 350), np.zeros(3000), at, at[:3]):
        assert buffer_period(none) == 125


def test_events_are_runs_at_the_ends_too():
    begin, end = events(np.array([1, 1, 0, 1, 0, 0, 1]))
    assert (begin.tolist(), end.tolist()) == ([0, 3, 6], [1, 3, 6])
    assert [len(edges) for edges in events(np.zeros(3, dtype=int))] == [0, 0]


def earned(own, other, bias, existence):
    """Return the mean reward of a range, point by point, as the paper defines it."""
    rewards = []
    for begin, end in zip(*events(own), strict=True):
        n = end - begin + 1
        weights = [{"flat": 1, "front": n - i, "back": i + 1}[bias] for i in range(n)]
        pieces = sum(a <= end and b >= begin for a, b in zip(*events(other), strict=True))
        overlap = np.dot(weights, other[begin : end + 1]) / sum(weights)
        rewards.append(existence * (pieces > 0) + (1 - existence) * overlap / max(pieces, 1))
    return np.mean(rewards)


@pytest.mark.parametrize("bias", ["flat", "front", "back"])
@pytest.mark.parametrize("existence", [0.0, 0.3, 1.0])
def test_range_precision_and_recall_follow_their_definition(bias, existence):
    y, scores = made()
    called = (scores > 0.8).astype(int)
    result = range_precision_recall(y, called, bias, existence)
    assert result.recall == pytest.approx(earned(y, called, bias, existence))
    assert result.precision == pytest.approx(earned(called, y, bias, 0.0))


def test_an_alarm_in_pieces_earns_less_and_biases_prefer_their_side():
    y = np.repeat([0, 1, 0], [10, 20, 10])
    whole, pieces = np.zeros(40), np.zeros(40)
    whole[10:16] = pieces[[10, 11, 14, 15, 18, 19]] = 1
    assert range_precision_recall(y, whole).recall == pytest.approx(6 / 20)
    assert range_precision_recall(y, pieces).recall == pytest.approx(6 / 20 / 3)
    biases = ("front", "flat", "back")
    early, flat, late = (range_precision_recall(y, whole, bias).recall for bias in biases)
    assert early > flat > late


def test_measures_of_ranges_say_none_where_they_have_no_meaning():
    nothing, silent = np.zeros(30), np.zeros(30)
    y = (np.arange(30) // 10 == 1).astype(int)
    for metric in (range_precision_recall, point_adjusted, affiliation):
        missed = metric(y, silent)
        assert (missed.precision, missed.recall, missed.f1) == (None, 0, 0)
        assert metric(nothing, y).recall is metric(nothing, y).f1 is None
        perfect = metric(y, y)
        assert (perfect.precision, perfect.recall, perfect.f1) == pytest.approx((1, 1, 1))
    assert detection_delay(nothing, y).found is None


def test_point_adjustment_flatters_random_alarms():
    y = (np.arange(5000) // 500 % 5 == 3).astype(int)
    alarms = np.random.default_rng(0).random(5000) > 0.99
    assert classification(y, alarms).f1 < 0.05
    assert point_adjusted(y, alarms).f1 > 0.95
    assert range_precision_recall(y, alarms).f1 < 0.05
    assert affiliation(y, alarms).precision < 0.75


# Computed once with affiliation.metrics.pr_from_events of TSB_AD 1.5, which is the authors' code.
@pytest.mark.parametrize(
    ("threshold", "precision", "recall"),
    [(0.5, 0.5761769433436489, 0.9984842506446793), (1.0, 1.0, 0.8007360982770629)],
)
def test_affiliation_is_that_of_the_reference_implementation(threshold, precision, recall):
    y, scores = made()
    result = affiliation(y, scores > threshold)
    assert (result.precision, result.recall) == pytest.approx((precision, recall), abs=1e-12)


def test_affiliation_by_hand():
    # zone 0 to 10, range 4 to 6, called 7 to 8: distances 1 to 2, rooms of 4 on both sides
    y, called = np.zeros(10), np.zeros(10)
    y[4:6] = called[7] = 1
    result = affiliation(y, called)
    assert result.precision == pytest.approx(((4 - 1.5) + (4 - 1.5)) / 10)
    # from 4 to 6 the distances to 7 fall from 3 to 1; on the right they meet no end of the zone
    assert result.recall == pytest.approx(1 - 2 * 2 / 10)


def test_affiliation_of_random_alarms_is_near_one_half():
    y, rng = apart(), np.random.default_rng(0)
    results = [affiliation(y, np.arange(2000) == rng.integers(2000)) for _ in range(200)]
    assert np.mean([each.precision for each in results]) == pytest.approx(0.5, abs=0.06)


def test_delays_count_from_the_start_to_the_first_alarm_inside():
    y = np.repeat([0, 1, 0, 1, 0, 1], 10)
    called = np.zeros(60)
    called[[5, 12, 14, 25, 39]] = 1
    result = detection_delay(y, called)
    assert (result.ranges, result.found) == (3, pytest.approx(2 / 3))
    assert (result.mean, result.median) == (5.5, 5.5)
    missed = detection_delay(y, np.zeros(60))
    assert (missed.found, missed.mean, missed.median) == (0, None, None)
