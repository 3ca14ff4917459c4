"""Models of the hub: fetched by whoever learns with them, never by whoever scores."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

import tocsin
from support.encoders import needed, tiny_bert
from tocsin.detectors.text.text_neighbours import TextNeighbours
from tocsin.encoders import text
from tocsin.encoders.hub import folder_of, pinned
from tocsin.errors import ModelFolderError

NAME, REVISION = "somebody/tiny-bert", "0123456789abcdef0123456789abcdef01234567"
TEXTS = [f"see you at {i}" for i in range(30)]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What somebody tried to connect to."""
    tried: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> None:
        tried.append(arguments[-1])
        raise OSError("no network in this test")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    return tried


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds one model of the hub, as fetching it would leave it."""
    needed("transformers", "huggingface_hub")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TOCSIN_CACHE", "off")
    text._load.cache_clear()
    snapshots = tmp_path / "hub" / "models--somebody--tiny-bert" / "snapshots"
    snapshots.mkdir(parents=True)
    tiny_bert(snapshots / REVISION)
    refs = snapshots.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text(REVISION)
    return tmp_path / "hub"


@pytest.mark.usefixtures("connections")
def test_a_name_is_pinned_to_its_revision(hub: Path) -> None:
    assert pinned(NAME) == f"{NAME}@{REVISION}"
    assert folder_of(f"{NAME}@{REVISION}").name == REVISION
    assert pinned(str(hub)) == str(hub)


@pytest.mark.usefixtures("hub")
def test_the_revision_is_kept_and_scoring_connects_to_nothing(
    tmp_path: Path, connections: list[Any]
) -> None:
    pipeline = tocsin.TextPipeline(TextNeighbours(encoder=NAME)).fit(TEXTS)
    pipeline.save(tmp_path / "model")
    connections.clear()
    loaded = tocsin.load(tmp_path / "model")
    assert loaded.detector_.get_state()["encoder_source_"] == f"{NAME}@{REVISION}"
    text._load.cache_clear()
    assert (loaded.score(TEXTS).values == pipeline.score(TEXTS).values).all()
    assert connections == []


def test_a_saved_model_fetches_nothing(hub: Path, tmp_path: Path, connections: list[Any]) -> None:
    tocsin.TextPipeline(TextNeighbours(encoder=NAME)).fit(TEXTS).save(tmp_path / "model")
    shutil.rmtree(hub)
    text._load.cache_clear()
    connections.clear()
    loaded = tocsin.load(tmp_path / "model")
    with pytest.raises(ModelFolderError, match=f"hf download {NAME} --revision {REVISION}"):
        loaded.score(TEXTS)
    assert connections == []


@pytest.mark.usefixtures("hub")
def test_what_is_not_there_is_fetched_for_learning_alone(connections: list[Any]) -> None:
    with pytest.raises(ModelFolderError, match="not on this machine"):
        folder_of("somebody/other")
    assert connections == []
    with pytest.raises(ModelFolderError, match="cannot be read"):
        pinned("somebody/other")
    assert connections


@pytest.mark.parametrize("name", ["a/b/c", "../../no-such", "a b", "@"])
@pytest.mark.usefixtures("hub", "connections")
def test_what_is_no_name_is_refused(name: str) -> None:
    for find in (folder_of, pinned):
        with pytest.raises(ModelFolderError):
            find(name)
