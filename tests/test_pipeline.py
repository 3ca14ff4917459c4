"""The pipeline: from tables to explained decisions, saved and loaded."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.utils.estimator_checks import parametrize_with_checks

import tocsin
from tocsin.errors import (
    InputError,
    NewerFormat,
    NotFitted,
    ParameterError,
    SchemaMismatch,
    UnknownName,
)
from tocsin.pipeline import Pipeline
from tocsin.pipeline.base import check_rows
from tocsin.registry import create
from tocsin.store import folder
from tocsin.types import Decision, Detection, Scores, SeriesDetection


@parametrize_with_checks([Pipeline()])
@pytest.mark.filterwarnings("ignore:y is ignored")
def test_scikit_learn_accepts_it(estimator, check) -> None:
    check(estimator)


@pytest.fixture(scope="module")
def machines() -> pd.DataFrame:
    """Power follows load; idle machines are cold; times are spread over a month."""
    rng = np.random.default_rng(0)
    n = 600
    load = rng.uniform(0, 1, n)
    return pd.DataFrame(
        {
            "load": load,
            "watts": 100 + 200 * load + rng.normal(0, 3, n),
            "mode": np.where(load < 0.2, "idle", rng.choice(["a", "b"], n)),
            "seen": pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 30 * 24, n), "h"),
            "note": pd.Series(np.where(rng.random(n) < 0.1, None, "ok"), dtype="string"),
        }
    )


@pytest.fixture(scope="module")
def broken(machines: pd.DataFrame) -> pd.DataFrame:
    rows = machines.iloc[:3].copy()
    rows.loc[rows.index[1], ["load", "watts"]] = [0.95, 60.0]
    rows.loc[rows.index[2], "mode"] = "on fire"
    return rows


def test_it_finds_and_explains_in_the_users_terms(
    machines: pd.DataFrame, broken: pd.DataFrame
) -> None:
    before = machines.copy()
    pipeline = Pipeline("neighbours", training="clean", false_alarms=0.01).fit(machines)
    detection = pipeline.detect(broken)
    pd.testing.assert_frame_equal(machines, before)
    assert detection.decision.is_anomaly.tolist() == [False, True, True]
    reasons = {reason.name: reason for reason in detection.explanations[1].reasons}
    assert reasons.keys() & {"load", "watts"}
    fire = detection.explanations[2].reasons[0]
    assert (fire.name, fire.seen) == ("mode", "on fire")
    assert fire.expected in {"idle", "a", "b"}


@pytest.mark.parametrize("detector", ["local_geometry", "isolation_forest", "autoencoder"])
def test_saved_is_loaded_with_the_same_answers(
    detector: str, machines: pd.DataFrame, broken: pd.DataFrame, tmp_path: Path
) -> None:
    made = create(detector, **create(detector).test_parameters())
    pipeline = Pipeline(made, training="clean", false_alarms=0.02).fit(machines)
    pipeline.save(tmp_path / "model")
    loaded = tocsin.load(tmp_path / "model")
    first, second = pipeline.detect(broken), loaded.detect(broken)
    np.testing.assert_allclose(second.scores.values, first.scores.values, rtol=1e-6)
    np.testing.assert_array_equal(second.decision.p_values, first.decision.p_values)
    assert second.explanations == first.explanations
    assert second.notes == first.notes
    with pytest.raises(SchemaMismatch, match="watts"):
        loaded.preparer_.align(broken.drop(columns="watts"))


def test_the_budget_changes_without_refitting(machines: pd.DataFrame) -> None:
    pipeline = Pipeline("neighbours", training="clean").fit(machines)
    new = machines.assign(load=machines["load"] + 0.01, watts=machines["watts"] + 1)
    counts = [
        int((pipeline.set_params(false_alarms=rate).predict(new) == -1).sum())
        for rate in (0.001, 0.1, 0.5)
    ]
    assert counts[0] < counts[1] < counts[2]
    pipeline.set_params(alarms_per_day=5, rows_per_day=1000)
    assert pipeline.budget.rate == 0.005
    pipeline.set_params(rows_per_day=None)
    with pytest.raises(ParameterError, match="rows_per_day"):
        pipeline.predict(machines)


def test_unseen_normal_rows_ring_within_the_budget() -> None:
    rng = np.random.default_rng(1)
    pipeline = Pipeline("auto", training="clean", false_alarms=0.05)
    pipeline.fit(rng.normal(size=(2000, 4)))
    rate = (pipeline.predict(rng.normal(size=(4000, 4))) == -1).mean()
    # Both the calibration rows and the test rows vary: 4 standard deviations of their sum.
    assert abs(rate - 0.05) < 4 * np.sqrt(0.05 * 0.95 * (1 / 2000 + 1 / 4000))


def test_training_rows_leave_themselves_out() -> None:
    rows = np.random.default_rng(0).normal(size=(300, 2))
    rows[0] = [40, 40]
    detection = Pipeline("neighbours", training="mixed").fit_detect(rows)
    assert detection.anomalies[0] == 0
    assert detection.scores.values[0] > 30
    assert 0 in detection.explanations


def test_labels_are_used(machines: pd.DataFrame) -> None:
    labels = (machines["load"] > 0.9).astype(int).to_numpy()
    pipeline = Pipeline("neighbours").fit(machines, labels=labels)
    high = pipeline.score(machines).values[labels == 1]
    assert np.median(high) > np.median(pipeline.score(machines).values[labels == 0])
    with pytest.raises(InputError, match="labels"):
        Pipeline("neighbours").fit(machines, labels=labels[:-1])
    with pytest.warns(UserWarning, match="labels=y"):
        Pipeline("neighbours").fit(machines, labels)


def test_detect_takes_frames_arrays_and_files(tmp_path: Path) -> None:
    wine = load_wine(as_frame=True)
    normal = wine.data[wine.target == 0]
    mixed = pd.concat([normal, wine.data[wine.target == 2].iloc[:4]], ignore_index=True)
    path = tmp_path / "wine.csv"
    mixed.to_csv(path, index=False)
    found = [
        tocsin.detect(data, train=normal, detector="neighbours", false_alarms=0.05).anomalies
        for data in (mixed, path)
    ]
    assert set(range(59, 63)) <= set(found[0].tolist())
    np.testing.assert_array_equal(found[0], found[1])


def test_rows_of_any_shape_are_flattened() -> None:
    poses = np.random.default_rng(0).normal(size=(60, 4, 3))
    pipeline = Pipeline("neighbours", training="clean").fit(poses)
    assert len(pipeline.detect(poses[:5])) == 5
    with pytest.raises(InputError, match="12 features"):
        pipeline.score(poses[:, :3])


def test_errors_say_what_to_do(machines: pd.DataFrame) -> None:
    with pytest.raises(NotFitted, match="fit first"):
        Pipeline().score(machines)
    with pytest.raises(UnknownName, match="neighbours"):
        Pipeline("neighbors").fit(machines)
    with pytest.raises(InputError, match="constant, empty"):
        Pipeline().fit(pd.DataFrame({"a": [1.0] * 20}))
    with pytest.raises(InputError, match="2 rows"):
        Pipeline().fit(machines.iloc[:1])
    with pytest.raises(ParameterError, match="latent"):
        Pipeline("neighbours").fit(machines).embed(machines)


def test_a_fitted_pipeline_draws_rows_in_the_users_units(machines: pd.DataFrame) -> None:
    vae = create("vae", **create("vae").test_parameters())
    drawn = Pipeline(vae, training="clean").fit(machines[["load", "watts"]]).sample(200)
    assert list(drawn.columns) == ["load", "watts"]
    assert abs(drawn["watts"].mean() - machines["watts"].mean()) < 60


def test_training_rows_have_p_values_above_zero(machines: pd.DataFrame) -> None:
    labels = (np.arange(len(machines)) < 20).astype(int)
    moved = machines.assign(watts=machines["watts"] + 500 * labels)
    detection = Pipeline("neighbours", false_alarms=0.02).fit_detect(moved, labels=labels)
    assert detection.decision.is_anomaly[:20].all()
    assert 1e-12 < detection.decision.p_values[:20].max() < 0.002
    normal = detection.decision.is_anomaly[20:]
    assert normal.sum() == int(0.02 * len(normal))


@pytest.mark.parametrize(
    ("place", "key"), [("about", "pipeline"), ("card", "modality"), ("card", "name")]
)
def test_a_model_of_what_is_not_known_asks_for_an_update(
    tmp_path: Path, place: str, key: str
) -> None:
    pipeline = Pipeline("pca").fit(np.random.default_rng(0).normal(size=(50, 2)))
    pipeline.save(tmp_path / "model")
    state, about = folder.load_state(tmp_path / "model")
    (about if place == "about" else about["card"])[key] = "smells"
    folder.save_state(tmp_path / "newer", state, about)
    with pytest.raises(NewerFormat, match=r"'smells'.*Update it"):
        tocsin.load(tmp_path / "newer")


@pytest.mark.parametrize("rows", [3, "3", ["x"], [1.7], [True], [[1]], [None]])
def test_what_is_no_list_of_rows_is_not_explained(rows: object) -> None:
    with pytest.raises(InputError, match="list of whole numbers"):
        check_rows(rows, 9)  # type: ignore[arg-type]
    assert check_rows([], 9).tolist() == []


def test_labels_of_another_length_are_refused() -> None:
    decision = Decision(np.ones(3), 1.0, np.zeros(3, dtype=bool), 0.01)
    about = (Scores(np.zeros(3)), decision)
    for rows, kind in (([0, 1, 2], Detection), ([0, -1, 4], SeriesDetection)):
        detection = kind(*about, np.array(rows))
        size = max(rows) + 1
        assert len(detection.labels([0] * size)) == 3
        with pytest.raises(InputError, match=f"{size} or more"):
            detection.labels([0] * (size - 1))
    with pytest.raises(InputError, match="4 labels for 3 items"):
        Detection(*about, np.arange(3)).labels(np.zeros(4, dtype=int))


def test_what_is_no_detector_is_refused() -> None:
    for kind in (Pipeline, tocsin.SeriesPipeline, tocsin.TextPipeline):
        with pytest.raises(ParameterError, match="name of a detector"):
            kind(None).fit(np.zeros((30, 2)) if kind is not tocsin.TextPipeline else ["a", "b"])
