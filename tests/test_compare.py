import json
from dataclasses import asdict
from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from scipy.stats import wilcoxon

from tocsin.errors import InputError, UnknownName
from tocsin.evaluate.compare import compare, print_comparison


def results(values, seeds=(0,)):
    """Rows of {detector: {dataset: value}}, the same for each seed."""
    return [
        {"dataset": dataset, "detector": detector, "seed": seed, "roc_auc": value}
        for detector, sets in values.items()
        for dataset, value in sets.items()
        for seed in seeds
    ]


def test_means_are_over_seeds_first_then_sets():
    rows = [
        {"dataset": "a", "detector": "x", "seed": 0, "roc_auc": 0.4},
        {"dataset": "a", "detector": "x", "seed": 1, "roc_auc": 0.6},
        {"dataset": "b", "detector": "x", "seed": 0, "roc_auc": 0.9},
    ]
    assert compare(rows).standings[0].mean == pytest.approx((0.5 + 0.9) / 2)


def test_ranks_wins_ties_and_order():
    values = {
        "x": {"a": 0.5, "b": 0.5, "c": 0.5},
        "y": {"a": 0.9, "b": 0.5, "c": 0.4},
        "z": {"a": 0.7, "b": 0.7, "c": 0.7},
    }
    comparison = compare(results(values, seeds=(0, 1)))
    assert comparison.baseline == "x"
    assert [standing.detector for standing in comparison.standings] == ["z", "y", "x"]
    z, y, x = comparison.standings
    assert (y.wins, y.losses, y.ties) == (1, 1, 1)
    assert (x.wins, x.losses, x.ties, x.p_value) == (0, 0, 3, 1.0)
    assert z.mean_rank == pytest.approx((2 + 1 + 1) / 3)
    assert x.mean_rank == pytest.approx((3 + 2.5 + 2) / 3)


def test_p_value_is_wilcoxons():
    random = np.random.default_rng(0)
    base, better = random.random(30), random.random(30)
    better = base + 0.2 * better - 0.05
    sets = [f"s{i}" for i in range(30)]
    rows = results(
        {"base": dict(zip(sets, base, strict=True)), "better": dict(zip(sets, better, strict=True))}
    )
    found = {s.detector: s.p_value for s in compare(rows).standings}
    assert found["better"] == pytest.approx(wilcoxon(better - base).pvalue)


def test_a_set_that_one_detector_did_not_finish_is_left_out_for_all_and_listed():
    rows = results({"x": {"a": 0.5, "b": 0.1}, "y": {"a": 0.6, "b": None}})
    comparison = compare(rows)
    assert comparison.datasets == ("a",)
    assert comparison.left_out == ("b",)
    assert {s.detector: s.mean for s in comparison.standings} == {"x": 0.5, "y": 0.6}


def test_a_missing_seed_leaves_the_set_out():
    rows = results({"x": {"a": 0.5, "b": 0.5}, "y": {"a": 0.6, "b": 0.6}}, seeds=(0, 1))
    assert compare(rows[:-1]).left_out == ("b",)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="no rows"):
        compare([])
    with pytest.raises(InputError, match="have no pr"):
        compare(results({"x": {"a": 0.5}}), metric="pr")
    with pytest.raises(UnknownName, match="nobody"):
        compare(results({"x": {"a": 0.5}}), baseline="nobody")
    with pytest.raises(InputError, match="two results"):
        compare(results({"x": {"a": 0.5}}) * 2)
    with pytest.raises(InputError, match="every detector"):
        compare(results({"x": {"a": 0.5}, "y": {"b": 0.5}}))


def test_comparison_prints_and_goes_into_json():
    comparison = compare(results({"x": {"a": 0.5, "b": 0.1}, "y": {"a": 0.6, "b": None}}))
    out = StringIO()
    print_comparison(comparison, Console(file=out, width=100))
    text = out.getvalue()
    assert "ROC AUC over 1 sets" in text
    assert "60.0" in text
    assert "Left out" in text
    assert json.loads(json.dumps(asdict(comparison)))["standings"][0]["detector"] == "y"
