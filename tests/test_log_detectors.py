"""Detectors of log sessions, on sessions of a made-up job scheduler."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tocsin import decide, registry
from tocsin.base import check_sessions, out_of_fold_scores
from tocsin.detectors.logs.auto import Auto
from tocsin.detectors.logs.log_counts import LogCounts
from tocsin.detectors.logs.log_lines import LogLines
from tocsin.detectors.logs.log_lstm import LogLstm
from tocsin.detectors.logs.log_rarity import LogRarity
from tocsin.detectors.logs.log_transformer import LogTransformer
from tocsin.errors import InputError, NotFitted, ParameterError
from tocsin.features.char_model import CharModel
from tocsin.features.sparse_neighbours import SparseSearch
from tocsin.features.tfidf import Tfidf
from tocsin.types import LogSession

SMALL = {"steps": 150, "batch_size": 32, "device": "cpu"}
ALL = registry.names("logs")


def session(*templates: int, **lines) -> LogSession:
    return LogSession(np.array(templates, dtype=np.int64), **lines)


def line(template: int, message: str, level: str = "", parameters: tuple = ()) -> LogSession:
    return session(
        template,
        messages=(message,),
        levels=(level,),
        components=("disk",),
        parameters=(parameters,),
    )


def normal(rng: np.random.Generator) -> LogSession:
    """A job is queued (1), started (2), works (3) a few times, may be paused (4, 5), ends (6)."""
    work = [3] * rng.integers(1, 4)
    pause = [4, 5] if rng.random() < 0.4 else []
    return session(1, 2, *work, *pause, 6)


def strange(kind: int) -> LogSession:
    return [session(1, 2), session(1, 2, 3, 7, 6), session(1, 2, *[3] * 40, 6)][kind]


def sessions(n: int, anomalies: int, kinds: int = 3, seed: int = 0):
    rng = np.random.default_rng(seed)
    made = [normal(rng) for _ in range(n)] + [strange(i % kinds) for i in range(anomalies)]
    return made, np.r_[np.zeros(n), np.ones(anomalies)]


def tiny(name: str):
    """A detector that has what there is to save, and need not be good."""
    detector = registry.create(name, "logs")
    return detector.set_params(**{"steps": 3} if "steps" in detector.get_params() else {})


def f1(flagged, y) -> float:
    return 2 * (flagged & (y == 1)).sum() / (flagged.sum() + y.sum())


def test_counts_are_distances_and_new_templates():
    detector = LogCounts().fit([session(1, 2), session(1, 2), session(1, 2, 2, 2)])
    scores = detector.score(
        [session(2, 1), session(1, 1, 2), session(1, 2, 9), session(1, 2, -1), session(9)]
    ).values
    assert np.allclose(
        scores, [0, np.log(3 / 2), 3, 3, 3 + np.sqrt(2) * np.log(2)], rtol=0, atol=1e-12
    )


def test_counts_score_training_sessions_without_themselves():
    detector = LogCounts().fit([session(1), session(1), session(1, 1), session(1, 5)])
    assert np.allclose(detector.training_scores_, [0, 0, np.log(3 / 2), 3])


def test_counts_find_all_anomalies_within_the_budget():
    X, _ = sessions(500, 0)
    new, y = sessions(500, 50, seed=1)
    detector = LogCounts().fit(X)
    calibration = decide.create("extreme_value").fit(detector.training_scores_)
    decision = decide.decide(calibration, detector.score(new).values, rate=0.01)
    assert f1(decision.is_anomaly, y) > 0.99


def test_counts_compare_with_a_sample_of_many_distinct_sessions():
    rng = np.random.default_rng(0)
    X = [session(*rng.integers(0, 50, size=10)) for _ in range(300)]
    detector = LogCounts(max_reference=100).fit(X)
    kept = detector.reference_sessions_
    assert len(kept) == 100
    assert (detector.score([X[i] for i in kept]).values == 0).all()
    assert (detector.training_scores_ > 0).all()


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_rarity_finds_anomalies_among_what_it_learns_from(share):
    X, y = sessions(1000, int(1000 * share / (1 - share)), kinds=2)
    detector = LogRarity().fit(X)
    assert roc_auc_score(y, detector.training_scores_) > 0.99
    assert f1(detector.training_scores_ > detector.detector_threshold_, y) > 0.95


def test_rarity_has_no_threshold_where_nothing_is_rare():
    detector = LogRarity().fit([session(1, 2), session(1, 3)] * 50)
    assert detector.detector_threshold_ is None
    assert detector.drift(np.ones(100)) is None


def test_rarity_warns_of_drift_and_not_without():
    X, _ = sessions(1000, 50, kinds=2)
    detector = LogRarity().fit(X)
    same, _ = sessions(1000, 60, kinds=2, seed=1)
    changed, _ = sessions(700, 300, kinds=2, seed=1)
    assert detector.drift(detector.score(same).values) is None
    assert "30.0%" in detector.drift(detector.score(changed).values)
    with pytest.raises(NotFitted):
        LogRarity().drift([1.0])


@pytest.mark.parametrize("detector", [LogLstm(**SMALL), LogTransformer(**SMALL)])
def test_networks_find_wrong_order_early_ends_and_new_templates(detector):
    X, _ = sessions(300, 0)
    detector.fit(X)
    usual = np.quantile(detector.score(sessions(100, 0, seed=1)[0]).values, 0.9)
    wrong = [session(1, 2, 6, 3), session(1, 2), session(1, 2, 3, 7, 6), session(1, 2, -1, 6)]
    assert (detector.score(wrong).values > usual).all()
    restored = type(detector)(**SMALL).set_state(detector.get_state())
    assert np.array_equal(restored.score(wrong).values, detector.score(wrong).values)


def test_networks_read_long_sessions_in_pieces():
    X = [session(*[1, 2] * 40) for _ in range(20)]
    detector = LogLstm(length=10, **SMALL).fit(X)
    good, bad = detector.score([X[0], session(*[1, 2] * 30, 2, 2, *[1, 2] * 9)]).values
    assert good < bad


def test_lines_score_text_level_and_parameters():
    known = [line(0, "read block *", "INFO", (str(size),)) for size in range(100, 140)]
    known += [line(1, "write failed for volume *", "ERROR", ("7",))] * 10
    detector = LogLines().fit(known)
    usual, error, text, level, number = detector.score(
        [
            known[0],
            known[-1],
            line(-1, "kernel panic in scheduler", "INFO"),
            line(0, "read block *", "ERROR", ("120",)),
            line(0, "read block *", "INFO", ("90000000",)),
        ]
    ).values
    assert min(text, level, number) > usual + 0.3
    assert level > error
    assert text == max(text, level, number)


def test_a_session_is_as_strange_as_its_strangest_line():
    known = [line(0, "read block *"), line(1, "write block *")] * 10
    detector = LogLines().fit(known)
    both = session(0, -1, messages=("read block *", "panic!"), components=("disk", "disk"))
    scores = detector.line_scores([both])
    assert scores[1] > scores[0]
    assert detector.score([both]).values.tolist() == [scores[1]]


@pytest.mark.parametrize(
    ("training", "chosen", "said"),
    [
        ("clean", "log_counts", "taken as normal"),
        ("mixed", "log_rarity", "taken as unlabelled"),
        ("guess", "log_rarity", "--clean"),
    ],
)
def test_training_decides(training, chosen, said):
    X, y = sessions(500, 0 if training == "clean" else 25, kinds=2)
    auto = Auto(training).fit(X)
    assert auto.chosen_.card.name == chosen
    assert said in auto.reason_
    new, y = sessions(500, 25, kinds=2, seed=1)
    assert roc_auc_score(y, auto.score(new).values) > 0.99
    assert (auto.detector_threshold_ is None) == (training == "clean")
    assert auto.drift(auto.score(new).values) is None


def test_auto_takes_labels_and_single_lines():
    X, y = sessions(100, 10)
    labelled = Auto().fit(X, y)
    assert labelled.chosen_.card.name == "log_counts"
    assert (labelled.training_scores_[y == 1] > 0).all()
    lines = Auto().fit([line(0, "read block *"), line(1, "write block *")] * 10)
    assert lines.chosen_.card.name == "log_lines"


@pytest.mark.parametrize("name", ALL)
def test_state_alone_gives_the_same_scores(name):
    X, _ = sessions(60, 6)
    detector = tiny(name)
    scores = detector.fit(X).score(X).values
    restored = registry.create(name, "logs", **detector.get_params())
    restored.set_state(detector.get_state())
    assert np.array_equal(restored.score(X).values, scores)
    alone = np.concatenate([detector.score([each]).values for each in X])
    assert np.allclose(alone, scores, rtol=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_odd_sessions_are_scored(name):
    odd = [
        session(-1),
        session(2**62, 0, -5),
        session(*[1] * 5000),
        line(3, "", "?"),
        line(3, "x" * 10_000_000),
        line(4, "日本語 \ud800 \0 <b>", "ERREUR", ("nan", "1e999", "é")),
    ]
    for X in ([session(1), session(1)], [session(-1), session(-1, -1)], [line(0, ""), odd[-1]]):
        assert len(tiny(name).fit(X).score(odd)) == len(odd)


@pytest.mark.parametrize("name", ALL)
def test_what_is_no_session_is_refused(name):
    detector = registry.create(name, "logs")
    with pytest.raises(InputError, match="log sessions"):
        detector.fit(["a line", "another"])
    with pytest.raises(InputError, match="no lines"):
        detector.fit([session(1), session()])


@pytest.mark.parametrize(
    "detector",
    [
        LogCounts(new_weight=-1),
        LogCounts(max_reference=1),
        LogRarity(least_kept=0),
        LogLines(window=0),
        LogLines(max_reference=1),
        LogLstm(members=1),
        LogLstm(steps=0),
        Auto(training="dirty"),
    ],
)
def test_settings_that_cannot_work_are_refused(detector):
    with pytest.raises(ParameterError):
        detector.fit([session(1, 2), session(1, 3)])


def test_char_model_gives_probabilities():
    model = CharModel(order=2).fit(["abab", "abba", "b"])
    following = [model.surprise([f"ab{each}"]).values[2] for each in "ab"]
    end, other = model.surprise(["ab", "abz"]).values[[2, 5]]
    assert np.isclose(np.exp(-np.array([*following, end, other])).sum(), 1)


def test_char_model_windows():
    surprise = CharModel().fit(["abc"] * 3).surprise(["abc", "", "abczzz"])
    assert surprise.starts.tolist() == [0, 4, 5]
    last = surprise.values[5:]
    assert np.isclose(surprise.worst(2)[2], ((last[1:] + last[:-1]) / 2).max())
    assert np.array_equal(surprise.worst(100), surprise.mean())
    assert np.array_equal(surprise.worst(1)[1:2], surprise.values[4:5])


def test_sparse_search_finds_what_a_full_comparison_finds():
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["red", "green", "blue", "grey"], 5)) for _ in range(50)]
    rows = Tfidf(longest=2).fit(texts[:40]).transform(texts)
    distances, near = SparseSearch(rows[:40]).nearest(rows, 3)
    full = np.linalg.norm(rows.toarray()[:, None] - rows.toarray()[None, :40], axis=2)
    assert np.allclose(distances, np.sort(full, axis=1)[:, :3])
    assert np.allclose(np.take_along_axis(full, near, 1), distances)
    itself, _ = SparseSearch(rows[:40]).nearest(rows[:40], 1, np.arange(40))
    np.fill_diagonal(full[:40], np.inf)
    assert np.allclose(itself[:, 0], full[:40].min(axis=1))


def test_log_lines_scores_shared_sessions_as_separate_ones():
    def made(i: int) -> LogSession:
        messages = (f"volume {'mounted' if i % 3 else 'lost'} at *",) * (1 + i % 2)
        n = len(messages)
        parts = [("INFO",) * n, ("disk",) * n, ((str(10 * i),),) * n]
        return LogSession(np.full(n, i % 3), messages, *parts)

    few = [made(i) for i in range(10)]
    shared = LogLines().fit(few * 6)
    separate = LogLines().fit([made(i % 10) for i in range(60)])
    np.testing.assert_array_equal(shared.training_scores_, separate.training_scores_)
    separate_scores = np.array([separate.score([each]).values[0] for each in few])
    np.testing.assert_array_equal(shared.score(few).values, separate_scores)


def test_log_lines_scores_training_sessions_by_folds():
    sessions = [LogSession(np.array([i % 4]), (f"kind {i % 4} of line",)) for i in range(23)]
    detector = LogLines().fit(sessions)
    expected = out_of_fold_scores(LogLines(), check_sessions(sessions), None)
    np.testing.assert_array_equal(detector.training_scores_, expected)
    assert np.isfinite(LogLines().fit(sessions[:2]).training_scores_).all()
