"""Detectors of images that train networks, and table detectors over embeddings of images."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch
from skimage import data
from sklearn.metrics import roc_auc_score

from tocsin import registry
from tocsin.detectors.images import _networks, image_classifier
from tocsin.detectors.images._maps import image_scores, pictures
from tocsin.errors import InputError, NotFitted, ParameterError, UnknownName
from tocsin.store.folder import load_state, save_state

MAPPED = ["image_autoencoder", "image_vae", "image_gan", "student_teacher"]
OWN = [*MAPPED, "image_classifier"]
SIDE = 64


def small(name, **changed):
    parameters = {**registry.find(name, "images").test_parameters(), **changed}
    return registry.create(name, "images", **parameters)


def bricks(n, seed=0):
    """Return pieces (n, 64, 64) of a photograph of a brick wall."""
    random = np.random.default_rng(seed)
    wall = data.brick()
    places = random.integers(0, len(wall) - SIDE, size=(n, 2))
    return np.stack([wall[r : r + SIDE, c : c + SIDE] for r, c in places])


def scratched(n, seed=1):
    """Return pieces with a bright scratch, and where it is (n, 64, 64)."""
    random = np.random.default_rng(seed)
    images, masks = bricks(n, seed), np.zeros((n, SIDE, SIDE), dtype=bool)
    for mask in masks:
        row, column = random.integers(8, SIDE - 12), random.integers(4, SIDE - 34)
        mask[row : row + 3, column : column + 30] = True
    images[masks] = 250
    return images, masks


@pytest.fixture(scope="module", autouse=True)
def no_cache():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOCSIN_CACHE", "off")
        yield


@pytest.fixture(scope="module", params=MAPPED)
def fitted(request):
    return small(request.param, steps=80).fit(list(bricks(16)))


@pytest.fixture(scope="module")
def classifier():
    good, (bad, _) = bricks(24), scratched(12)
    return small("image_classifier").fit([*good, *bad], [0] * 24 + [1] * 12)


def test_a_scratch_is_found_and_located(fitted):
    images, masks = scratched(12)
    usual, odd = fitted.score(list(bricks(12, seed=5))), fitted.score(list(images))
    values = np.concatenate([usual.values, odd.values])
    assert roc_auc_score([0] * 12 + [1] * 12, values) > 0.7
    times = SIDE // odd.parts.shape[1]
    heat = odd.parts.repeat(times, axis=1).repeat(times, axis=2)
    areas = [roc_auc_score(m.ravel(), h.ravel()) for m, h in zip(masks, heat, strict=True)]
    assert np.mean(areas) > 0.7


def test_the_score_is_that_of_the_hottest_cells(fitted):
    image = bricks(1, seed=9)[0]
    heat = fitted._heat(np.repeat(image[..., None], 3, axis=2).astype(np.float32))
    assert fitted.score([image]).values[0] == pytest.approx(image_scores(heat[None])[0])


@pytest.mark.parametrize("name", OWN)
def test_the_graph_gives_what_the_networks_in_torch_give(name, monkeypatch):
    module = image_classifier if name == "image_classifier" else _networks
    kept, export = [], module.export_graph

    def keep(network, *rest):
        kept.append(network)
        return export(network, *rest)

    monkeypatch.setattr(module, "export_graph", keep)
    images = [*bricks(8), *scratched(4)[0]]
    labels = [0] * 8 + [1] * 4 if name == "image_classifier" else None
    detector = small(name, steps=5).fit(images, labels)
    picture = next(pictures(images[-1:], detector.size, "scoring"))
    with torch.no_grad():
        wanted = [each[0].numpy() for each in kept[0](torch.from_numpy(picture)[None])]
    for one, other in zip(wanted, detector.graph_.run(picture).values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", OWN)
def test_a_saved_detector_scores_alike(name, tmp_path):
    images = [*bricks(6), *scratched(3)[0]]
    labels = [0] * 6 + [1] * 3 if name == "image_classifier" else None
    detector = small(name, steps=5).fit(images, labels)
    save_state(tmp_path / "model", detector.get_state(), {})
    loaded = small(name, steps=5).set_state(load_state(tmp_path / "model")[0])
    wanted, given = detector.score(images), loaded.score(images)
    np.testing.assert_array_equal(wanted.values, given.values)
    np.testing.assert_array_equal(wanted.parts, given.parts)


@pytest.mark.parametrize("n", [1, 2, 5, 10])
@pytest.mark.parametrize("name", ["image_gan", "student_teacher"])
def test_few_images_are_learned_from(name, n):
    detector = small(name, steps=5, members=2 + (n > 1)).fit(list(bricks(n)))
    assert detector.training_scores_.shape == (n,)
    assert np.isfinite(detector.training_scores_).all()
    assert np.isfinite(detector.score(list(scratched(2)[0])).values).all()


def test_images_beyond_the_most_are_scored_as_new():
    images = list(bricks(12))
    detector = small("image_autoencoder", steps=5, max_images=9).fit(images)
    same = np.isclose(detector.training_scores_, detector.score(images).values)
    assert same.sum() == 3


def test_training_scores_come_from_networks_that_have_not_seen_the_image():
    images = list(bricks(16))
    images[3] = scratched(1)[0][0]
    scores = small("image_autoencoder", steps=80).fit(images).training_scores_
    assert scores.argmax() == 3


def test_the_classifier_tells_classes_apart(classifier):
    good, (bad, _) = bricks(12, seed=5), scratched(12, seed=6)
    scores = classifier.score([*good, *bad])
    assert roc_auc_score([0] * 12 + [1] * 12, scores.values) > 0.9
    np.testing.assert_allclose(scores.parts.mean(axis=(1, 2)), scores.values, rtol=1e-5)
    probability = classifier.predict_probability([*good, *bad])
    assert ((probability > 0) & (probability < 1)).all()
    assert probability[12:].mean() > probability[:12].mean()


def test_the_classifier_needs_both_classes():
    with pytest.raises(InputError, match="both normal images and anomalies"):
        small("image_classifier").fit(list(bricks(6)), [0] * 6)
    with pytest.raises(InputError, match="learns from labels"):
        small("image_classifier").fit(list(bricks(6)))
    with pytest.raises(NotFitted):
        small("image_classifier").predict_probability(list(bricks(1)))


def test_the_classifier_learns_from_one_anomaly():
    images = [*bricks(5), *scratched(1)[0]]
    detector = small("image_classifier", steps=5, members=3).fit(images, [0] * 5 + [1])
    assert np.isfinite(detector.training_scores_).all()


def test_anomalies_are_kept_when_there_are_too_many_images():
    y = np.array([0] * 90 + [1] * 10)
    assert image_classifier._chosen(y, 30, seed=0)[-10:].tolist() == list(range(90, 100))
    mostly = image_classifier._chosen(1 - y, 30, seed=0)
    assert len(mostly) == 30
    assert (mostly >= 90).sum() == 10


@pytest.mark.parametrize("model", ["neighbours", "pca"])
def test_tables_over_embeddings(model, tmp_path):
    detector = registry.create(f"embedded:{model}", "images", size=64).fit(list(bricks(24)))
    other = data.coffee()[150 : 150 + SIDE, 250 : 250 + SIDE]
    values = detector.score([*bricks(8, seed=5), other]).values
    assert values[8] > np.median(values[:8])
    save_state(tmp_path / "model", detector.get_state(), {})
    fresh = registry.create(f"embedded:{model}", "images", size=64)
    loaded = fresh.set_state(load_state(tmp_path / "model")[0])
    np.testing.assert_array_equal(loaded.score([other]).values, values[8:])


def test_a_classifier_of_tables_over_embeddings_takes_labels():
    good, (bad, _) = bricks(16), scratched(8)
    chosen = {"model": "classifier", "parameters": {"steps": 50, "width": 16}, "size": 64}
    detector = registry.create("embedded", "images", **chosen)
    detector.fit([*good, *bad], [0] * 16 + [1] * 8)
    values = detector.score([*bricks(8, seed=5), *scratched(8, seed=6)[0]]).values
    assert roc_auc_score([0] * 8 + [1] * 8, values) > 0.7


def test_a_lone_image_is_embedded():
    detector = registry.create("embedded", "images", size=64).fit(list(bricks(1)))
    assert detector.training_scores_.shape == (1,)


BAD = [
    *[(name, {"size": 100}) for name in [*OWN, "embedded"]],
    *[(name, {"steps": 0}) for name in OWN],
    *[(name, {"members": 1}) for name in OWN],
    *[(name, {"learning_rate": 0.0}) for name in OWN],
    *[(name, {"device": "abacus"}) for name in OWN],
    ("image_autoencoder", {"latent": 0}),
    ("image_vae", {"beta": -1.0}),
    ("image_gan", {"adversarial": -1.0}),
    ("image_gan", {"max_images": 0}),
    ("student_teacher", {"layer": "stage9"}),
    ("student_teacher", {"width": 0}),
    ("image_classifier", {"stages": 6}),
    ("image_classifier", {"encoder": "minilm"}),
    ("embedded", {"parameters": {"colour": "red"}}),
]


@pytest.mark.parametrize(("name", "changed"), BAD)
def test_parameters_that_cannot_work(name, changed):
    labels = [0, 1] * 3 if name == "image_classifier" else None
    with pytest.raises(ParameterError):
        small(name, **changed).fit(list(bricks(6)), labels)


def test_unknown_models_of_tables():
    with pytest.raises(UnknownName):
        registry.create("embedded:neighbors", "images").fit(list(bricks(6)))


class Tiny:
    """An encoder of another package: three convolutions, each a stage."""

    fingerprint = "tiny 1"

    def stages(self):
        torch.manual_seed(0)
        first = torch.nn.Sequential(Channels(), torch.nn.Conv2d(3, 8, 3, stride=4, padding=1))
        rest = [torch.nn.Conv2d(8, 8, 3, stride=step, padding=1) for step in (4, 2)]
        return [first, *(torch.nn.Sequential(torch.nn.ReLU(), each) for each in rest)]


class Channels(torch.nn.Module):
    def forward(self, images):
        return images.permute(0, 3, 1, 2) / 255


def test_an_encoder_of_another_package_that_offers_stages_is_fine_tuned(register):
    group = "tocsin.encoders.images"
    point = EntryPoint("tiny", f"{__name__}:Tiny", group)
    register(point)
    images = [*bricks(8), *scratched(4)[0]]
    detector = small("image_classifier", encoder="tiny", size=64, steps=5)
    scores = detector.fit(images, [0] * 8 + [1] * 4).score(images)
    assert detector.encoder_hash_ == "tiny 1"
    assert scores.parts.shape == (12, 2, 2)
    assert np.isfinite(scores.values).all()
    with pytest.raises(ParameterError, match="stages must be from 1 to 1"):
        small("image_classifier", encoder="tiny", size=64, stages=2).fit(images, [0, 1] * 6)
