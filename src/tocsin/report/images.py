"""The report of images: one self-contained HTML file, a contact sheet of the anomalies."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from PIL import Image

from tocsin.errors import InputError
from tocsin.report.base import Model, Picture
from tocsin.report.items import MOST_ANOMALIES, ItemReport
from tocsin.report.plots.images import encoded, overlay, picture, write_overlays
from tocsin.types import ImageDetection

_SIDE, _SMALLER = 320, 224
_MANY = 60
_MOST_SKIPPED = 100


@dataclass(frozen=True, slots=True)
class _Image:
    """An image, as it is and with its heat, as data URIs; "" where it can no longer be read."""

    name: str
    size: str
    plain: str
    heated: str


class ImageReport(ItemReport):
    """The report of images, each as it is and with its heat and regions.

    Sides are 320 pixels, or 224 for more than 60 anomalies, so that the file stays below some
    10 MB.
    """

    modality = "images"
    pictures: ClassVar[Mapping[str, Picture]] = {"overlays": write_overlays}
    unit = "image"
    template = "images.html"

    @classmethod
    def show_item(cls, detection: ImageDetection, item: int, data: Any) -> _Image:
        """Return an image and its heat map as small pictures."""
        row = int(detection.rows[item])
        height, width = (int(side) for side in detection.sizes[item])
        regions = detection.regions.get(row, ())
        plain = heated = ""
        try:
            base = picture(detection.images[item], _longest_side(detection))
        except InputError:  # it was there when it was scored
            pass
        else:
            plain = _as_uri(base)
            if (heat := detection.maps.get(row)) is not None:
                threshold = detection.decision.threshold
                heated = _as_uri(overlay(base, (height, width), heat, regions, threshold))
        return _Image(detection.names[item], f"{width:,} × {height:,}", plain, heated)

    @classmethod
    def context(cls, detection: ImageDetection, pipeline: Model, data: Any) -> dict[str, Any]:
        """Return the size of all images, and what was skipped."""
        return {
            "mean_weights": [],  # places in one image mean nothing in another
            "megapixels": float(detection.sizes.astype(float).prod(axis=1).sum()) / 1e6,
            "skipped": detection.skipped[:_MOST_SKIPPED],
            "skipped_in_all": len(detection.skipped),
        }


def _longest_side(detection: ImageDetection) -> int:
    shown = min(int(detection.decision.is_anomaly.sum()), MOST_ANOMALIES)
    return _SIDE if shown <= _MANY else _SMALLER


def _as_uri(made: Image.Image) -> str:
    return "data:image/webp;base64," + base64.b64encode(encoded(made, "WEBP")).decode()
