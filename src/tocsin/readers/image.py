"""Images in files: found in folders, read one at a time, made eight bits of red, green and blue.

The rules. Formats are PNG, JPEG, BMP, TIFF and WebP, recognised by content, whatever the name; of
several pages or frames the first is read. A folder is searched with its subfolders, by name,
without hidden files and folders; files with other endings are skipped, and so are links that
lead out of the folder. EXIF orientation is applied, what is transparent is laid over middle grey,
so that images score alike that look alike, and grey is spread over three channels. Of 16 bits all
are kept, as fractions of 255, but 8 of CMYK and of premultiplied alpha; 32 bits per channel are
refused, for nothing X
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tocsin.errors import InputError, UnreadableFile

__all__ = [
    "ENDINGS",
    "Found",
    "as_given",
    "find_images",
    "is_image_folder",
    "read_image",
    "resize_image",
]

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
MOST_PIXELS = 80_000_000
LEAST_SIDE = 16

Pixels = NDArray[np.uint8] | NDArray[np.float32]
"""An image (rows, columns, 3): uint8, or float32 from 0 to 255 where there were 16 bits."""

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I;16N")
_LOOKED_AT = 1000
_GREY = 0.5  # of full brightness: what transparent images are laid over
_EXCHANGED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_ORDERED = ("RGB;16", "RGBX;16", "RGBA;16")


@dataclass(frozen=True, slots=True)
class Found:
    """Images found in a folder: ``paths`` in order, ``names`` of them within it.

    ``refused``: paths skipped, each with the reason; ``others``: how many files of other
    kinds there were.
    """

    paths: tuple[str, ...]
    names: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]
    others: int


def find_images(folder: str | Path) -> Found:
    """Return the images of a folder, or the one that a path names, without opening any.

    Raises UnreadableFile for a path that does not exist, and InputError for a folder without any.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> Image.new("L", (32, 32)).save(folder / "a.png")
    >>> find_images(folder).names
    ('a.png',)
    """
    folder = Path(folder)
    if folder.is_file():
        return Found((str(folder),), (folder.name,), (), 0)
    if not folder.is_dir():
        raise UnreadableFile(f"{folder} does not exist; give a folder of images, or an image.")
    paths, refused, others = [], [], 0
    root = folder.resolve()
    for path in _files(folder):
        if path.suffix.lower() not in ENDINGS:
            others += 1
        elif not path.resolve().is_relative_to(root):
            refused.append((str(path), "a link that leads out of the folder"))
        else:
            paths.append(path)
    if not paths:
        found = f"{others:,} other files" if others else "nothing"
        raise InputError(f"{folder} holds no images ({', '.join(ENDINGS)}), but {found}.")
    names = tuple(path.relative_to(folder).as_posix() for path in paths)
    return Found(tuple(map(str, paths)), names, tuple(refused), others)


def is_image_folder(path: Path) -> bool:
    """Return whether most of the first 1,000 files of a folder are images, by their names."""
    if not path.is_dir():
        return False
    images = seen = 0
    for file in _files(path):
        seen += 1
        images += file.suffix.lower() in ENDINGS
        if seen == _LOOKED_AT:
            break
    return 2 * images > seen


def read_image(image: str | Path | NDArray[Any]) -> Pixels:
    """Return the pixels (rows, columns, 3) of a file or an array.

    An array is (rows, columns) or (rows, columns, 1, 3 or 4) of uint8, uint16, bool, or of floats
    from 0 to 1. Raises UnreadableFile for a file and InputError for an array that is not an image.

    >>> read_image(np.full((20, 30), 7, dtype=np.uint8)).shape
    (20, 30, 3)
    """
    if isinstance(image, np.ndarray):
        return _of_array(image)
    if os.path.exists(image) and not os.path.isfile(image):  # opening a pipe would wait for ever
        raise UnreadableFile(f"{image} is not a file.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # ours is stricter
            opened = Image.open(image, formats=_FORMATS)
        with opened as file:
            _check_size(file.size, str(image))
            return _of_picture(file, str(image))
    except UnidentifiedImageError as error:
        raise UnreadableFile(
            f"{image} is not a {', '.join(_FORMATS[:-1])} or {_FORMATS[-1]} image."
        ) from error
    except FileNotFoundError as error:
        raise UnreadableFile(f"{image} does not exist.") from error
    except Image.DecompressionBombError as error:
        raise UnreadableFile(
            f"{image} has far more than {MOST_PIXELS:,} pixels, which are not read. Cut it into "
            "parts."
        ) from error
    except UnreadableFile:
        raise
    # What decoders raise for damaged files has no common base: OSError, SyntaxError, struct.error…
    except Exception as error:
        raise UnreadableFile(f"{image} cannot be decoded: {_first_line(error)}.") from error


def as_given(pixels: Pixels) -> NDArray[Any]:
    """Return pixels as ``read_image`` takes an array, so that it returns the very same ones.

    >>> deep = read_image(np.full((20, 30), 1234, dtype=np.uint16))
    >>> bool((read_image(as_given(deep)) == deep).all())
    True
    """
    return np.rint(pixels * 257).astype(np.uint16) if pixels.dtype == np.float32 else pixels


def resize_image(image: Pixels, size: int) -> NDArray[np.float32]:
    """Return an image as (size, size, 3), float32 from 0 to 255, by averaging or interpolating.

    >>> resize_image(np.full((20, 30, 3), 7, dtype=np.uint8), 16).mean()
    np.float32(7.0)
    """
    grey = bool((image[..., 0] == image[..., 1]).all() and (image[..., 0] == image[..., 2]).all())
    channels = [image[..., i] for i in range(1 if grey else 3)]
    pictures = [Image.fromarray(np.ascontiguousarray(channel)) for channel in channels]
    if image.shape[:2] != (size, size):
        pictures = [each.resize((size, size), Image.Resampling.BILINEAR) for each in pictures]
    planes = [np.asarray(each, dtype=np.float32) for each in pictures]
    return np.stack(planes * (3 if grey else 1), axis=-1)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, by name; linked folders are not entered."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(place, name)


def _check_size(size: Iterable[int], name: str) -> None:
    width, height = size
    if width * height > MOST_PIXELS:
        raise UnreadableFile(
            f"{name} has {width:,} × {height:,} pixels; more than {MOST_PIXELS:,} are not read. "
            "Cut it into parts."
        )
    if min(width, height) < LEAST_SIDE:
        raise UnreadableFile(
            f"{name} has {width:,} × {height:,} pixels; a side has at least {LEAST_SIDE}."
        )


def _of_picture(file: Image.Image, name: str) -> Pixels:
    if file.mode in ("I", "F"):
        raise UnreadableFile(f"{name} has 32 bits per pixel; give images of 8 or 16.")
    deep = _sixteen_bits(file, name)
    if deep is None:
        turned = ImageOps.exif_transpose(file)
        if turned.has_transparency_data:
            return _opaque(np.asarray(turned.convert("RGBA")), 255)
        return np.asarray(turned.convert("RGB"))
    key = file.info.get("transparency")
    if key is not None and deep.shape[2] in (1, 3):
        shown = (deep != np.asarray(key)).any(axis=2, keepdims=True)
        deep = np.concatenate([deep, shown * np.uint16(65535)], axis=2)
    if deep.shape[2] in (2, 4):
        deep = _opaque(deep, 65535)
    return _spread(deep.astype(np.float32) / np.float32(257))


def _sixteen_bits(file: Image.Image, name: str) -> NDArray[np.uint16] | None:
    """Return the values (rows, columns, 1 to 4) of an image of 16 bits per channel, else None.

    Of several channels Pillow keeps the first byte of each value; with the order of the bytes
    exchanged, it keeps the second.
    """
    if file.mode in _SIXTEEN:
        return np.asarray(ImageOps.exif_transpose(file)).astype(np.uint16)[..., None]
    raw = _raw_mode(file)
    if raw.startswith("LA;16"):
        file._mode = "RGBA"
        _set_raw_mode(file, "RGBA")
        values = np.asarray(ImageOps.exif_transpose(file)).astype(np.uint16)
        return values[..., ::2] * np.uint16(256) + values[..., 1::2]
    if not raw.startswith(_ORDERED):
        return None
    with Image.open(name, formats=_FORMATS) as second:
        _set_raw_mode(second, raw[:-1] + _EXCHANGED[raw[-1]])
        high, low = (
            np.asarray(ImageOps.exif_transpose(each)).astype(np.uint16) for each in (file, second)
        )
    return high * np.uint16(256) + low


def _raw_mode(file: Image.Image) -> str:
    """Return Pillow's name of the layout of the values in the file, "" if it has none."""
    tiles = getattr(file, "tile", ())
    if not tiles:
        return ""
    args = tiles[0].args
    return str(args[0] if isinstance(args, tuple) else args)


def _set_raw_mode(file: Any, raw: str) -> None:
    file.tile = [
        tile._replace(args=(raw, *tile.args[1:]) if isinstance(tile.args, tuple) else raw)
        for tile in file.tile
    ]


def _opaque(image: NDArray[Any], full: int) -> NDArray[Any]:
    """Return (rows, columns, channels) laid over middle grey; the last of image is the opacity."""
    colours = image[..., :-1]
    if (image[..., -1] == full).all():
        return colours
    opacity = image[..., -1:].astype(np.float32) / np.float32(full)
    mixed = colours * opacity + np.float32(_GREY * full) * (1 - opacity)
    whole: NDArray[Any] = np.rint(mixed) if image.dtype.kind == "u" else mixed
    return whole.astype(image.dtype)


def _of_array(image: NDArray[Any]) -> Pixels:
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise InputError(
            f"An image is (rows, columns) or (rows, columns, 1, 3 or 4); got {image.shape}."
        )
    try:
        _check_size((image.shape[1], image.shape[0]), "an array")
    except UnreadableFile as error:
        raise InputError(str(error)) from error
    scaled = _eight_bits(image)
    return _spread(_opaque(scaled, 255) if channels == 4 else scaled)


def _eight_bits(image: NDArray[Any]) -> NDArray[Any]:
    """Return the values of an array from 0 to 255."""
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype == np.uint16:
        return image.astype(np.float32) / np.float32(257)
    if image.dtype.kind != "f":
        raise InputError(f"Pixels are uint8, uint16, bool or floats; got {image.dtype}.")
    if not ((image >= 0) & (image <= 1)).all():
        raise InputError("Pixels that are floats lie between 0 and 1; some do not.")
    return image.astype(np.float32) * np.float32(255)


def _spread(image: NDArray[Any]) -> Pixels:
    """Return (rows, columns, 3) from one or three channels."""
    if image.ndim == 2:
        image = image[..., None]
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
