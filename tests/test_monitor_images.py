"""Monitors that watch a folder of images, and that open no files for strangers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tocsin
from support.monitors import configured, model, running, said, stores, until
from tocsin import config, registry
from tocsin.errors import ParameterError
from tocsin.monitor.models import open_model


def wall(i: int, *, spoilt: bool = False) -> Image.Image:
    pixels = np.random.default_rng(i).integers(90, 110, (64, 64), dtype=np.uint8)
    if spoilt:
        pixels[20:36, 20:36] = 250
    return Image.fromarray(pixels)


def trained(path: Path) -> Path:
    memory = registry.create("patch_memory", "images", size=64, bank=100)
    walls = [np.asarray(wall(i)) for i in range(24)]
    tocsin.ImagePipeline(memory, training="clean", false_alarms=0.01).fit(walls).save(path)
    return path


def put(folder: Path, name: str, picture: Image.Image) -> None:
    picture.save(folder / f".{name}", "png")
    (folder / f".{name}").rename(folder / name)


def test_a_spoilt_image_of_a_watched_folder_is_an_alarm_and_a_damaged_one_stops_nothing(
    tmp_path: Path,
) -> None:
    belt = tmp_path / "belt"
    belt.mkdir()
    path = configured(tmp_path, f"{{type: folder, path: {belt}, every: 50ms, settle: 100ms}}")
    path.write_text(path.read_text().replace(str(model()), str(trained(tmp_path / "trained"))))
    with running(path):
        until(lambda: "scored by trained@" in said(path), 60, what=said(path))
        for i in range(6):
            put(belt, f"{i}.png", wall(100 + i))
        (belt / "6.png").write_bytes(b"no image at all")
        put(belt, "7.png", wall(107, spoilt=True))
        kept = stores(path)
        until(lambda: list(kept.alarms.list()), 60, what=said(path))
        until(lambda: sum(map(len, kept.events.read("m"))) == 7, 30, what=said(path))
    (alarm,) = kept.alarms.list()
    assert "7.png" in alarm.summary
    (refused,) = kept.quarantine.list()
    assert "6.png is not a PNG, " in refused.reason


def test_a_model_of_images_takes_no_paths_from_senders_elsewhere(tmp_path: Path) -> None:
    path = configured(tmp_path, "{type: socket, port: 1}")
    source = config.read(path).monitors["m"].source
    with pytest.raises(ParameterError, match="source of the type folder"):
        open_model(trained(tmp_path / "trained"), 100, source)
