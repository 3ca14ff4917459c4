from dataclasses import asdict

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from tocsin.errors import InputError, ParameterError
from tocsin.evaluate.metrics import classification, precision_at_k, ranking


def made(n=400, share=0.1, seed=0):
    random = np.random.default_rng(seed)
    y = (random.random(n) < share).astype(int)
    return y, random.normal(size=n) + 1.5 * y


def test_ranking_agrees_with_scikit_learn():
    y, scores = made()
    result = ranking(y, scores)
    assert result.roc_auc == pytest.approx(roc_auc_score(y, scores))
    assert result.average_precision == pytest.approx(average_precision_score(y, scores))
    assert (result.n, result.anomalies) == (400, y.sum())


def test_best_f1_is_reached_at_its_threshold_and_nowhere_passed():
    y, scores = made()
    result = ranking(y, scores)
    assert f1_score(y, scores >= result.best_f1_threshold) == pytest.approx(result.best_f1)
    assert max(f1_score(y, scores >= t) for t in scores) == pytest.approx(result.best_f1)


def test_perfect_reversed_and_constant_scores():
    y = np.array([0, 0, 0, 1, 1])
    perfect = ranking(y, y)
    assert (
        perfect.roc_auc
        == perfect.average_precision
        == perfect.best_f1
        == perfect.precision_at_n
        == 1
    )
    assert ranking(y, -y).roc_auc == 0
    constant = ranking(y, np.zeros(5))
    assert constant.roc_auc == 0.5
    assert constant.average_precision == constant.precision_at_n == pytest.approx(0.4)


def test_ranking_is_the_same_after_a_monotone_change_and_in_any_order():
    y, scores = made()
    order = np.random.default_rng(1).permutation(len(y))
    changed = asdict(ranking(y[order], np.exp(scores[order])))
    first = asdict(ranking(y, scores))
    assert changed.pop("best_f1_threshold") == pytest.approx(np.exp(first.pop("best_f1_threshold")))
    assert changed == pytest.approx(first)


@pytest.mark.parametrize("y", [[0, 0, 0], [1, 1, 1]])
def test_one_class_cannot_be_ranked(y):
    result = ranking(y, [1.0, 2.0, 3.0])
    assert result.roc_auc is None
    assert result.average_precision is None
    assert result.best_f1 is None
    assert result.anomalies == sum(y)


def test_ties_at_rank_k_count_in_proportion_whatever_their_order():
    scores = [5.0, 1.0, 1.0, 1.0, 1.0, 0.0]
    assert precision_at_k([1, 1, 0, 0, 0, 0], scores, 2) == pytest.approx(1.25 / 2)
    assert precision_at_k([1, 0, 0, 0, 1, 0], scores, 2) == pytest.approx(1.25 / 2)
    assert precision_at_k([1, 0, 0, 0, 1, 0], scores, 6) == pytest.approx(2 / 6)


@pytest.mark.parametrize("k", [0, -1, 4])
def test_k_beyond_the_rows_is_refused(k):
    with pytest.raises(ParameterError, match="1 to 3"):
        precision_at_k([0, 1, 1], [1, 2, 3], k)


def test_classification_counts_and_rates():
    result = classification([0, 0, 0, 0, 1, 1], [0, 1, 0, 0, 1, 0])
    assert (result.tn, result.fp, result.fn, result.tp) == (3, 1, 1, 1)
    assert result.accuracy == pytest.approx(4 / 6)
    assert result.false_alarm_rate == pytest.approx(1 / 4)
    assert result.balanced_accuracy == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert result.precision == result.recall == result.f1 == pytest.approx(1 / 2)
    assert result.mcc == pytest.approx((3 * 1 - 1 * 1) / np.sqrt(2 * 2 * 4 * 4))


def test_classification_says_none_where_a_rate_has_no_meaning():
    silent = classification([0, 1], [False, False])
    assert (silent.precision, silent.recall, silent.f1) == (None, 0, 0)
    only_normal = classification([0, 0, 0], [False, True, False])
    assert only_normal.recall is only_normal.f1 is only_normal.mcc is None
    assert only_normal.balanced_accuracy is None
    assert only_normal.false_alarm_rate == pytest.approx(1 / 3)
    only_anomalies = classification([1, 1], [True, False])
    assert only_anomalies.false_alarm_rate is None
    assert only_anomalies.recall == 0.5


@pytest.mark.parametrize(
    ("y", "scores", "message"),
    [
        ([0, 1], [1.0], "Expected 2 scores"),
        ([0, 1], [1.0, np.nan], "not finite"),
        ([0, 2], [1.0, 2.0], "Labels are 0"),
        ([], [], "nothing to measure"),
        ([[0, 1]], [[1.0, 2.0]], "Expected 1 labels"),
    ],
)
def test_bad_input_is_named(y, scores, message):
    with pytest.raises(InputError, match=message):
        ranking(y, scores)


def test_decisions_of_another_length_are_refused():
    with pytest.raises(InputError, match="Expected 3 labels"):
        classification([0, 1, 0], [True, False])
