"""Pictures of images: small ones for reports, and overlays of heat and boxes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from tocsin.errors import InputError, ParameterError
from tocsin.explain.images import resize_map
from tocsin.files import file_names, write_atomically
from tocsin.readers.image import read_image
from tocsin.types import ImageDetection, MapArray, Region

__all__ = ["encoded", "overlay", "picture", "write_overlays"]

_LONGEST = 1600
_COLOURS = "inferno"
_COVER = 0.8  # of the picture under the hottest cell
_FAINT = 0.35  # of its colours that a picture under heat keeps
_BOX, _AROUND = (255, 255, 255), (20, 20, 20)


def picture(image: str | Path | NDArray[Any], longest: int) -> Image.Image:
    """Return an image with no side longer than that; raises as ``read_image`` does."""
    pixels = np.asarray(read_image(image))
    if pixels.dtype != np.uint8:
        pixels = np.rint(pixels).astype(np.uint8)
    made = Image.fromarray(pixels)
    made.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return made


def overlay(
    base: Image.Image,
    size: tuple[int, int],
    heat: MapArray | None,
    regions: Sequence[Region],
    threshold: float,
) -> Image.Image:
    """Return a picture under its heat, with boxes around the regions.

    ``size``: height and width of the image that the regions are in; the picture may be smaller.
    What is as hot as half of the map is left clear; the colours end at the peak, or at the
    threshold where nothing exceeds it.

    >>> heat = np.eye(4, dtype=np.float32)
    >>> overlay(Image.new("RGB", (40, 20)), (200, 400), heat, (), 0.5).size
    (40, 20)
    """
    made = base.convert("RGB")
    if heat is not None:
        made = _heated(made, heat, threshold)
    draw = ImageDraw.Draw(made)
    down, across = made.height / size[0], made.width / size[1]
    width = max(1, round(max(made.size) / 240))
    for region in regions:
        box = (
            round(region.left * across),
            round(region.top * down),
            max(round(region.right * across), round(region.left * across) + 1) - 1,
            max(round(region.bottom * down), round(region.top * down) + 1) - 1,
        )
        around = (box[0] - width, box[1] - width, box[2] + width, box[3] + width)
        draw.rectangle(around, outline=_AROUND, width=width)
        draw.rectangle(box, outline=_BOX, width=width)
    return made


def encoded(made: Image.Image, kind: str) -> bytes:
    """Return a picture as the bytes of a file: "PNG", or "WEBP", which is smaller and lossy."""
    out = io.BytesIO()
    made.save(out, kind, **({"quality": 80} if kind == "WEBP" else {"optimize": True}))
    return out.getvalue()


def write_overlays(folder: Path, detection: ImageDetection) -> list[Path]:
    """Write an overlay of each anomaly explained, as a PNG named after it; return their paths.

    Sides are 1,600 pixels at most. Whatever the images are called, the files are in the folder
    itself. Images that can no longer be read are left out. Raises ParameterError when a file
    cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ParameterError(f"{folder} cannot be made a folder: {error}.") from error
    written: list[Path] = []
    rows = detection.rows.tolist()
    places = [place for place, row in enumerate(rows) if row in detection.explanations]
    stems = (detection.names[place].rpartition(".")[0] for place in places)
    for place, name in zip(places, file_names(stems, ".png"), strict=True):
        row = rows[place]
        try:
            base = picture(detection.images[place], _LONGEST)
        except InputError:
            continue
        made = overlay(
            base,
            (int(detection.sizes[place, 0]), int(detection.sizes[place, 1])),
            detection.maps.get(row),
            detection.regions.get(row, ()),
            detection.decision.threshold,
        )
        written.append(write_atomically(folder / name, encoded(made, "PNG")))
    return written


def _heated(base: Image.Image, heat: MapArray, threshold: float) -> Image.Image:
    grid = resize_map(heat, (base.height, base.width))
    middle = float(np.median(heat))
    top = max(float(heat.max()), threshold if np.isfinite(threshold) else middle)
    share = np.clip((grid - middle) / max(top - middle, 1e-12), 0, 1)[..., None]
    plain = np.asarray(base, dtype=np.float32)
    grey = plain.mean(axis=2, keepdims=True)
    faint = grey + _FAINT * (plain - grey)
    colours = _table()[np.rint(255 * share[..., 0]).astype(np.int64)]
    cover = _COVER * np.sqrt(share)
    return Image.fromarray(((1 - cover) * faint + cover * colours).astype(np.uint8))


@cache
def _table() -> NDArray[np.float32]:
    """Return 256 colours, from dark to light, evenly far apart to the eye."""
    from matplotlib import colormaps

    colours = colormaps[_COLOURS](np.linspace(0, 1, 256))[:, :3]
    table: NDArray[np.float32] = (255 * np.asarray(colours)).astype(np.float32)
    return table
