"""Images of 16 bits per channel, dark ones, and transparent ones."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tocsin.pipeline import ImagePipeline
from tocsin.readers.image import read_image

GREY, GREY_ALPHA, COLOUR, COLOUR_ALPHA = 1, 2, 3, 4


def write_png(path: Path, pixels: np.ndarray, *chunks: tuple[bytes, bytes]) -> Path:
    """Write pixels (rows, columns, 1 to 4) uint16; Pillow writes grey ones alone."""
    rows, columns, channels = pixels.shape
    kind = {GREY: 0, GREY_ALPHA: 4, COLOUR: 2, COLOUR_ALPHA: 6}[channels]
    header = struct.pack(">IIBBBBB", columns, rows, 16, kind, 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        check = struct.pack(">I", zlib.crc32(name + data))
        content += struct.pack(">I", len(data)) + name + data + check
    path.write_bytes(content)
    return path


def write_tiff(path: Path, pixels: np.ndarray, order: str) -> Path:
    """Write colours (rows, columns, 3) uint16, not compressed, in the byte order < or >."""
    rows, columns, _ = pixels.shape
    data = pixels.astype(f"{order}u2").tobytes()
    tags = [(256, 4, 1, columns), (257, 4, 1, rows), (258, 3, 3, 8), (259, 3, 1, 1),
            (262, 3, 1, 2), (273, 4, 1, 14), (277, 3, 1, 3), (278, 4, 1, rows),
            (279, 4, 1, len(data))]  # fmt: skip
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 14 + len(data))
    content += struct.pack(f"{order}HHH", 16, 16, 16) + data + struct.pack(f"{order}H", len(tags))
    for tag, kind, count, value in tags:
        short = kind == 3 and count == 1
        packed = struct.pack(f"{order}HH", value, 0) if short else struct.pack(f"{order}I", value)
        content += struct.pack(f"{order}HHI", tag, kind, count) + packed
    path.write_bytes(content + bytes(4))
    return path


def deep_pixels(channels: int, highest: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, highest, (24, 32, channels), endpoint=True).astype(np.uint16)


@pytest.mark.parametrize("highest", [200, 4_095, 65_535])
@pytest.mark.parametrize("kind", ["grey.png", "colour.png", "little.tif", "big.tif"])
def test_all_of_16_bits_is_kept(tmp_path: Path, kind: str, highest: int) -> None:
    """Images of 16 bits, grey or colour, PNG or TIFF, of 8, 12 or 16 bits used: all kept."""
    pixels = deep_pixels(GREY if kind == "grey.png" else COLOUR, highest)
    if kind.endswith(".png"):
        path = write_png(tmp_path / kind, pixels)
    else:
        path = write_tiff(tmp_path / kind, pixels, "<" if kind == "little.tif" else ">")
    np.testing.assert_array_equal(
        np.rint(read_image(path) * 257), np.broadcast_to(pixels, (24, 32, 3))
    )


def seen(colours: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Return what a person sees of colours (rows, columns, c) before middle grey."""
    return colours * opacity[..., None] + 127.5 * (1 - opacity[..., None])


@pytest.mark.parametrize("hidden", [0, 77, 255])
@pytest.mark.parametrize("kind", ["RGBA", "LA", "P", "key", "16 bits", "16 bits grey", "array"])
def test_images_that_look_alike_are_read_alike(tmp_path: Path, kind: str, hidden: int) -> None:
    """Whatever colour is hidden under the transparent part, all lies over one middle grey."""
    random = np.random.default_rng(0)
    shown = random.integers(100, 200, (24, 32, 3)).astype(np.uint8)
    clear = np.zeros((24, 32), dtype=bool)
    clear[5:15, 8:20] = True
    if kind in ("LA", "16 bits grey"):
        shown[:] = shown[..., :1]
    if kind == "P":
        shown[:] = (10, 200, 30)
    picture = shown.copy()
    picture[clear] = hidden
    alpha = np.where(clear, 0, 255).astype(np.uint8)
    path = tmp_path / "a.png"
    given: Path | np.ndarray = path
    if kind == "RGBA":
        Image.fromarray(np.dstack([picture, alpha])).save(path)
    elif kind == "LA":
        Image.fromarray(np.dstack([picture[..., 0], alpha]), mode="LA").save(path)
    elif kind == "P":
        palette = Image.fromarray(clear.astype(np.uint8), mode="P")
        palette.putpalette([10, 200, 30, hidden, hidden, hidden])
        palette.save(path, transparency=1)
    elif kind == "key":
        Image.fromarray(picture).save(path, transparency=(hidden, hidden, hidden))
    elif kind.startswith("16 bits"):
        colours = picture if kind == "16 bits" else picture[..., :1]
        write_png(path, np.dstack([colours, alpha]).astype(np.uint16) * np.uint16(257))
    else:
        given = np.dstack([picture, alpha])
    np.testing.assert_allclose(read_image(given), seen(shown, ~clear), atol=0.51)


def good_images(folder: Path, channels: int, highest: int, count: int) -> list[Path]:
    """Write noisy grounds of as many bits as ``highest`` has, one image a file."""
    random = np.random.default_rng(0)
    paths = []
    for i in range(count):
        ground = random.normal(0.5, 0.04, (64, 64, 1)) * np.ones(channels)
        pixels = (np.clip(ground, 0, 1) * highest).astype(np.uint16)
        if i == count - 1:
            pixels[20:34, 24:40] = highest // 10
        paths.append(write_png(folder / f"{i}.png", pixels))
    return paths


@pytest.mark.parametrize(("channels", "highest"), [(GREY, 250), (COLOUR, 4_095)])
def test_the_default_learns_deep_images(tmp_path: Path, channels: int, highest: int) -> None:
    """The default detector learns from 16-bit images, also dark ones, and finds the spoilt one."""
    paths = good_images(tmp_path, channels, highest, 7)
    pipeline = ImagePipeline(training="clean").fit([str(path) for path in paths[:-2]])
    scores = pipeline.score([str(path) for path in paths[-2:]]).values
    assert scores[1] > 1.5 * scores[0]


def test_files_that_fail_are_named(tmp_path: Path) -> None:
    """A file that cannot be read is named, and what is wrong with it told."""
    paths = good_images(tmp_path, GREY, 4_095, 7)
    paths[2].write_bytes(paths[2].read_bytes()[:500])
    detection = ImagePipeline("patch_memory").fit_detect(str(tmp_path), explain=False)
    assert [each.name for each in detection.skipped] == ["2.png"]
    assert any("2.png" in note for note in detection.notes)
