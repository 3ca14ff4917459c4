"""Pretrained encoders of images: real weights, networks that transformers reads, and graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from tocsin import registry
from tocsin.encoders.images import export_layers, open_encoder
from tocsin.encoders.images._efficientnet_lite import EfficientNetLite
from tocsin.encoders.images._patch_grid import PatchGrid
from tocsin.errors import CorruptModel, ModelFolderError, ParameterError
from tocsin.nn.onnx.graph import OnnxGraph
from tocsin.readers.image import resize_image

transformers = pytest.importorskip("transformers")

CATS = range(281, 286)
"""The domestic cats among ImageNet's classes."""


@pytest.mark.parametrize("name", registry.part_names("encoders.images"))
def test_the_weights_know_a_cat(name: str) -> None:
    picture = resize_image(data.chelsea(), 224)
    x = (torch.from_numpy(picture).permute(2, 0, 1)[None] - 127) / 128
    encoder = open_encoder(name)
    assert isinstance(encoder, EfficientNetLite)
    with torch.no_grad():
        logits = encoder.classifier()(x)[0]
    assert int(logits.argmax()) in CATS


def test_the_stages_one_after_the_other_give_the_maps_of_their_ends() -> None:
    encoder = open_encoder()
    assert isinstance(encoder, EfficientNetLite)
    picture = torch.from_numpy(resize_image(data.chelsea(), 64)[None])
    x = picture
    with torch.no_grad():
        maps = encoder.network()(picture)
        for number, stage in enumerate(encoder.stages(), 1):
            x = stage(x)
            if number < 7:  # the last ends in the features that are pooled
                assert torch.equal(x, maps[f"stage{number}"])
    assert torch.equal(x.mean((2, 3)), maps["pooled"])


@pytest.mark.parametrize("size", [64, 256])
def test_the_graph_gives_what_torch_gives(size: int) -> None:
    encoder = open_encoder()
    layers = ("stage2", "stage5", "pooled")
    graph = export_layers(encoder, size, layers)
    picture = resize_image(data.chelsea(), size)
    found = graph.run(picture)
    with torch.no_grad():
        wanted = PatchGrid(encoder.network(), layers, size // 8)(torch.from_numpy(picture[None]))
    assert [array.shape for array in found.values()] == [
        (size // 8, size // 8, 24),
        (size // 8, size // 8, 112),
        (1280,),
    ]
    for name, tensor in zip(layers, wanted, strict=True):
        np.testing.assert_allclose(found[name], tensor[0].numpy(), atol=1e-4)


def test_a_graph_is_kept_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOCSIN_CACHE", str(tmp_path))
    encoder = open_encoder()
    first = export_layers(encoder, 64, ["stage3"])
    (kept,) = (tmp_path / "encoders").glob("*.onnx")
    assert kept.read_bytes() == first.content_.tobytes()
    again = OnnxGraph().set_state(export_layers(encoder, 64, ["stage3"]).get_state())
    picture = resize_image(data.chelsea(), 64)
    np.testing.assert_array_equal(first.run(picture)["stage3"], again.run(picture)["stage3"])
    with pytest.raises(CorruptModel):
        OnnxGraph(b"no graph at all", 64, ["stage3"]).run(picture)


def test_a_layer_that_is_not_there_is_named() -> None:
    with pytest.raises(ParameterError, match=r"stage9.*stage1, stage2"):
        export_layers(open_encoder(), 64, ["stage9"])


def network(kind: str) -> torch.nn.Module:
    """Return a small network of the kind, its norms as after training."""
    small = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
    torch.manual_seed(0)
    if kind == "resnet":
        config = transformers.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic"
        )
        net = transformers.ResNetModel(config)
    elif kind == "dinov2":
        net = transformers.Dinov2Model(
            transformers.Dinov2Config(**small, patch_size=14, image_size=56)
        )
    else:
        config = transformers.CLIPVisionConfig(
            **small, intermediate_size=64, patch_size=16, image_size=64
        )
        net = transformers.CLIPVisionModel(config)
    with torch.no_grad():
        for weight in net.parameters():
            if weight.ndim == 1:
                weight.add_(0.1 * torch.randn_like(weight))
    return net


@pytest.mark.parametrize(
    ("kind", "size", "grid"), [("resnet", 64, 8), ("dinov2", 112, 8), ("clip", 96, 6)]
)
def test_networks_of_transformers_are_read_from_a_folder(
    tmp_path: Path, kind: str, size: int, grid: int
) -> None:
    network(kind).save_pretrained(tmp_path / kind)
    encoder = open_encoder(str(tmp_path / kind))
    layers = (*dict.fromkeys((*encoder.fine, *encoder.coarse)), "pooled")
    stride = size // grid
    picture = resize_image(data.chelsea(), size)
    found = export_layers(encoder, size, layers, stride).run(picture)
    with torch.no_grad():
        wanted = PatchGrid(encoder.network(), layers, grid)(torch.from_numpy(picture[None]))
    for name, tensor in zip(layers, wanted, strict=True):
        assert name == "pooled" or found[name].shape[:2] == (grid, grid)
        np.testing.assert_allclose(found[name], tensor[0].numpy(), atol=1e-4)


def test_a_network_that_was_never_trained_is_refused(tmp_path: Path) -> None:
    config = transformers.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1])
    transformers.ResNetModel(config).save_pretrained(tmp_path)
    with pytest.raises(ModelFolderError, match="never trained"):
        open_encoder(str(tmp_path))


def test_a_folder_without_a_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFolderError, match=r"config\.json"):
        open_encoder(str(tmp_path))
