"""Images in files and arrays: what is read, by which rules, and what is refused and why."""

import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tocsin.errors import InputError, UnreadableFile
from tocsin.readers.image import find_images, is_image_folder, read_image, resize_image

RAMP = np.arange(32 * 48, dtype=np.uint8).reshape(32, 48)
COLOURS = np.stack([RAMP, RAMP[::-1], np.full_like(RAMP, 90)], axis=2)


def saved(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_all_of_16_bits_is_kept(tmp_path: Path, ending: str) -> None:
    deep = (np.arange(32 * 48).reshape(32, 48) * 42).astype(np.uint16)
    read = read_image(saved(tmp_path / f"deep{ending}", deep))
    assert read.shape == (32, 48, 3)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(np.rint(read[..., 0] * 257), deep)
    np.testing.assert_array_equal(read, read_image(deep))


def test_a_deep_image_is_read_alike_as_a_file_and_as_the_array_read_from_it(tmp_path: Path) -> None:
    from tocsin.prepare.images import ImageReading

    deep = np.random.default_rng(0).integers(0, 65536, (32, 48), dtype=np.uint16)
    path = saved(tmp_path / "deep.png", deep)
    ((_, block),) = ImageReading([str(path)]).blocks("scoring")
    np.testing.assert_array_equal(read_image(block[0]), read_image(path))


def test_pictures_are_turned_as_their_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.fromarray(COLOURS).save(path, exif=exif)
    assert read_image(path).shape == (48, 32, 3)


def test_transparency_lies_over_grey_and_palettes_are_colours(tmp_path: Path) -> None:
    clear = np.dstack([COLOURS, np.zeros_like(RAMP)])
    assert (read_image(saved(tmp_path / "alpha.png", clear)) == 128).all()
    opaque = np.dstack([COLOURS, np.full_like(RAMP, 255)])
    np.testing.assert_array_equal(read_image(saved(tmp_path / "opaque.png", opaque)), COLOURS)
    few = np.where(RAMP[..., None] > 100, [250, 10, 20], [0, 90, 180]).astype(np.uint8)
    Image.fromarray(few).quantize(2).save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_image(tmp_path / "palette.png"), few)


def test_webp_cmyk_bits_and_bitmaps_are_read(tmp_path: Path) -> None:
    webp = saved(tmp_path / "a.webp", COLOURS, lossless=True)
    np.testing.assert_array_equal(read_image(webp), COLOURS)
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.bmp", COLOURS)), COLOURS)
    Image.fromarray(COLOURS).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    assert np.abs(read_image(tmp_path / "print.jpg").astype(int) - COLOURS).mean() < 12
    bits = read_image(saved(tmp_path / "bits.png", RAMP > 100))
    assert np.unique(bits).tolist() == [0, 255]


def test_what_is_no_image_is_refused_and_told(tmp_path: Path) -> None:
    whole = saved(tmp_path / "whole.png", COLOURS).read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.png").write_text("no image at all")
    (tmp_path / "empty.png").write_bytes(b"")
    saved(tmp_path / "dot.png", np.zeros((1, 1), np.uint8))
    saved(tmp_path / "float.tif", np.zeros((32, 32), np.float32))
    os.mkfifo(tmp_path / "pipe.png")
    for name, told in {
        "half.png": "cannot be decoded",
        "text.png": "is not a PNG, JPEG, BMP, TIFF or WEBP image",
        "empty.png": "is not a PNG, JPEG, BMP, TIFF or WEBP image",
        "dot.png": "has 1 × 1 pixels",
        "float.tif": "32 bits",
        "pipe.png": "is not a file",
        "none.png": "does not exist",
    }.items():
        with pytest.raises(UnreadableFile, match=f"{name} .*{told}"):
            read_image(tmp_path / name)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    for side in (20_000, 9_500):
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0))
        rows = zlib.compress(b"\0" * (side // 8 + 1) * side)
        path = tmp_path / "bomb.png"
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
        start = time.process_time()
        with pytest.raises(UnreadableFile, match="pixels"):
            read_image(path)
        assert time.process_time() - start < 0.5


def test_a_folder_is_searched_without_leaving_it(tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "out"
    for place in (folder / "b", folder / ".hidden", outside):
        place.mkdir(parents=True)
        saved(place / "x.PNG", COLOURS)
    saved(folder / "z.jpg", COLOURS)
    (folder / "notes.txt").write_text("words")
    (folder / "link.png").symlink_to(outside / "x.PNG")
    (folder / "inner.png").symlink_to(folder / "z.jpg")
    (folder / "linked").symlink_to(outside)
    found = find_images(folder)
    assert found.names == ("inner.png", "z.jpg", "b/x.PNG")
    assert [Path(path).name for path, _ in found.refused] == ["link.png"]
    assert found.others == 1
    assert is_image_folder(folder)
    assert find_images(folder / "z.jpg").names == ("z.jpg",)


def test_folders_without_images_are_told_apart(tmp_path: Path) -> None:
    assert not is_image_folder(tmp_path)
    with pytest.raises(InputError, match=r"holds no images .* but nothing"):
        find_images(tmp_path)
    (tmp_path / "mask.npy").write_bytes(b"")
    assert not is_image_folder(tmp_path)
    with pytest.raises(InputError, match="1 other files"):
        find_images(tmp_path)
    with pytest.raises(UnreadableFile, match="does not exist"):
        find_images(tmp_path / "none")


def test_arrays_are_taken_by_their_type() -> None:
    np.testing.assert_array_equal(read_image(COLOURS), COLOURS)
    assert read_image(RAMP / np.float64(255)).max() == pytest.approx(255, abs=1e-3)
    assert read_image(RAMP > 100).max() == 255
    for wrong, told in (
        (RAMP.astype(np.int32), "int32"),
        (RAMP.astype(float), "between 0 and 1"),
        (np.full((32, 32), np.nan), "between 0 and 1"),
        (np.zeros((32, 32, 7), np.uint8), r"\(32, 32, 7\)"),
        (np.zeros((4, 40), np.uint8), "at least 16"),
    ):
        with pytest.raises(InputError, match=told):
            read_image(wrong)


def test_any_size_becomes_a_square() -> None:
    square = resize_image(read_image(COLOURS), 16)
    assert square.shape == (16, 16, 3)
    assert square.dtype == np.float32
    np.testing.assert_allclose(square.mean((0, 1)), COLOURS.mean((0, 1)), atol=1)
