import json

import numpy as np
import pandas as pd
import pytest

from tocsin import registry
from tocsin.base import held_out_scores
from tocsin.base.dependence import (
    blocks,
    contiguous_folds,
    correlation_length,
    group_starts,
    independent_count,
)
from tocsin.decide import Conformal, create, drifting_stretch
from tocsin.pipeline import Pipeline, load
from tocsin.types import Drift


def walk(n, columns=3, seed=0):
    return np.cumsum(np.random.default_rng(seed).normal(size=(n, columns)), axis=0)


def memory(n, share, columns=3, seed=0):
    noise = np.random.default_rng(seed).normal(size=(n, columns))
    for i in range(1, n):
        noise[i] += share * noise[i - 1]
    return noise


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("n", [30, 60, 500, 3000])
def test_shuffled_rows_show_no_dependence(n, seed):
    rng = np.random.default_rng(seed)
    rows = np.column_stack([rng.normal(size=(n, 10)), rng.uniform(size=(n, 20)) < 0.02])
    assert correlation_length(rows) == 0
    assert correlation_length(rng.permutation(memory(n, 0.95))) == 0
    assert independent_count(rng.normal(size=n)) == n


@pytest.mark.parametrize("share", [0.5, 0.9, 0.97])
def test_dependence_reaches_as_far_as_the_autocorrelation(share):
    expected = np.log(0.1) / np.log(share)
    assert 0.5 * expected <= correlation_length(memory(4000, share)) <= 2.5 * expected


def test_independent_rows_are_counted_by_the_autocorrelation_time():
    share = 0.8
    expected = 4000 * (1 - share) / (1 + share)
    assert independent_count(memory(4000, share)[:, 0]) == pytest.approx(expected, rel=0.4)


def test_neighbours_in_time_tell_dependence_that_no_column_shows():
    rng = np.random.default_rng(0)
    angle = np.repeat(rng.uniform(0, 2 * np.pi, 300), 2)
    rows = np.column_stack([np.cos(angle), np.sin(angle)])[rng.permutation(600).argsort()]
    assert correlation_length(rows) == 0
    paired = np.repeat(rng.normal(size=(300, 4)), 2, axis=0)
    assert correlation_length(paired) > 0


def test_a_table_sorted_by_a_measurement_has_no_order_of_time():
    rng = np.random.default_rng(0)
    rows = np.column_stack([np.sort(rng.normal(size=500)), rng.normal(size=500)])
    assert correlation_length(rows) == 0


def test_groups_that_stand_one_after_another_are_cut_by_themselves():
    rng = np.random.default_rng(0)
    machine = np.repeat([3.0, 1.0, 2.0], 100)
    rows = np.column_stack([machine, machine + rng.normal(size=300)])
    assert group_starts(rows) == [0, 100, 200]
    assert correlation_length(rows) == 0
    seconds = np.tile(np.arange(100.0), 3)
    assert group_starts(np.column_stack([rng.normal(size=300), seconds])) == [0, 100, 200]
    folds = blocks(300, 4, [0, 100, 200])
    assert np.sort(np.concatenate([fold.outside for fold in folds])).tolist() == list(range(300))
    assert all(len(np.unique(fold.outside // 100)) == 3 for fold in folds)


@pytest.mark.parametrize(("n", "length"), [(50, 50), (100, 3), (1000, 7), (1000, 400)])
def test_each_row_is_left_out_once_with_a_gap_around_its_block(n, length):
    folds = blocks(n, length)
    assert 5 <= len(folds) <= 10
    assert np.concatenate([fold.outside for fold in folds]).tolist() == list(range(n))
    for fold in folds:
        gap = min(length, len(fold.outside))
        away = np.abs(fold.inside[:, None] - fold.outside[None, :]).min()
        assert away == gap + 1
        assert len(fold.inside) > 0


def test_folds_of_networks_are_contiguous_and_leave_gaps():
    fold = contiguous_folds(300, 3, length=10)
    assert sorted(set(fold.tolist())) == [-1, 0, 1, 2]
    assert (np.diff(fold[fold >= 0]) >= 0).all()
    assert (fold == -1).sum() == 20


@pytest.mark.parametrize("name", ["neighbours", "pca", "isolation_forest"])
def test_shuffled_rows_are_calibrated_on_their_own_training_scores(name):
    rows = np.random.default_rng(0).normal(size=(300, 4))
    detector = registry.create(name).fit(rows)
    found = held_out_scores(detector, rows, detector.training_scores_)
    assert found.scores is detector.training_scores_
    assert not found.ordered
    pipeline = Pipeline(name, training="clean").fit(rows)
    expected = np.sort(pipeline.detector_.training_scores_)
    assert pipeline.calibration_.scores_.tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["neighbours", "pca", "isolation_forest", "auto"])
def test_calibration_leaves_the_scores_of_new_and_of_training_rows_alone(name):
    rows, new = walk(300), walk(50, seed=1)
    pipeline = Pipeline(name, training="clean").fit(rows)
    matrix = pipeline.preparer_.transform(rows)
    alone = registry.create(name, **({"training": "clean"} if name == "auto" else {})).fit(matrix)
    assert pipeline.score(new).values.tolist() == (
        alone.score(pipeline.preparer_.transform(new)).values.tolist()
    )
    assert pipeline.detector_.training_scores_.tolist() == alone.training_scores_.tolist()
    assert pipeline.calibration_.independent_ < 100


def test_networks_hold_out_blocks_of_dependent_rows_alone():
    settings = {"steps": 50, "width": 16, "batch_size": 64}
    ordered = registry.create("autoencoder", **settings).fit(walk(300))
    assert ordered.holds_out_blocks_
    shuffled = np.random.default_rng(0).permutation(walk(300))
    assert not registry.create("autoencoder", **settings).fit(shuffled).holds_out_blocks_


def test_the_count_of_independent_rows_is_kept_and_missing_in_old_models(tmp_path):
    rows = pd.DataFrame(walk(300), columns=["a", "b", "c"])
    pipeline = Pipeline("neighbours", training="clean").fit(rows)
    pipeline.save(tmp_path / "new")
    kept = load(tmp_path / "new").calibration_
    assert kept.independent_ == pipeline.calibration_.independent_
    assert kept.resolution == 1 / (kept.independent_ + 1)
    state = pipeline.calibration_.get_state()
    del state["independent_"]
    assert create("extreme_value").set_state(state).independent_ == 300


def test_a_stretch_of_too_many_alarms_is_found_where_it_is():
    rng = np.random.default_rng(0)
    calibration = Conformal().fit(rng.normal(size=1000))
    quiet = rng.uniform(size=2000) < 0.01
    assert drifting_stretch(quiet, 0.01, calibration) is None
    loud = quiet.copy()
    loud[1200:1500] = rng.uniform(size=300) < 0.5
    first, last = drifting_stretch(loud, 0.01, calibration)
    assert abs(first - 1200) <= 5
    assert abs(last - 1499) <= 5
    few = Conformal().fit(rng.normal(size=1000), independent=5)
    slightly = rng.uniform(size=2000) < 0.04
    assert drifting_stretch(slightly, 0.01, calibration) is not None
    assert drifting_stretch(slightly, 0.01, few) is None


def test_drift_is_told_in_one_sentence():
    drift = Drift(100, 299, 30, ("watts", "volts"))
    assert str(drift) == (
        "more is flagged than the budget allows: 15.0 % of 200 rows since row 100; columns that "
        "moved: watts, volts; this is drift rather than 30 anomalies"
    )


def test_drift_reaches_the_notes_and_json_of_the_command_line(tmp_path):
    from typer.testing import CliRunner

    from tocsin.cli import app

    rng = np.random.default_rng(0)
    rows = pd.DataFrame(rng.normal(size=(1200, 3)), columns=["a", "b", "c"])
    rows.loc[900:, "b"] += 6
    rows.loc[1100, "c"] += 12
    rows[:800].to_csv(tmp_path / "train.csv", index=False)
    rows[800:].to_csv(tmp_path / "new.csv", index=False)
    run = CliRunner().invoke
    model, new = str(tmp_path / "model"), str(tmp_path / "new.csv")
    assert run(app, ["fit", str(tmp_path / "train.csv"), "--clean", "--out", model]).exit_code == 0
    told = json.loads(run(app, ["score", model, new, "--chunk-rows", "300", "--json"]).stdout)
    assert told["drift"]["columns"] == ["b"]
    assert abs(told["drift"]["first"] - 100) <= 5
    adapted = json.loads(run(app, ["score", model, new, "--adapt", "--json"]).stdout)
    assert adapted["drift"]["adapted"]
    assert adapted["anomalies"][0]["row"] == 300
    assert adapted["found"] < 15
    refused = run(app, ["detect", new, "--adapt"])
    assert refused.exit_code != 0
