"""The report of images: one self-contained HTML file, a contact sheet of the anomalies."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike
from PIL import Image

from tocsin.errors import InputError
from tocsin.evaluate.image_plots import encoded, overlay, picture
from tocsin.evaluate.item_report import MOST_ANOMALIES, write_item_report
from tocsin.types import Card, ImageDetection

_SIDE, _SMALLER = 320, 224
_MANY = 60
_MOST_SKIPPED = 100


@dataclass(frozen=True, slots=True)
class _Shown:
    """An image, as it is and with its heat, as data URIs; "" where it can no longer be read."""

    name: str
    size: str
    plain: str
    heated: str


def write_image_report(
    path: str | os.PathLike[str],
    detection: ImageDetection,
    *,
    card: Card,
    settings: Mapping[str, Any] | None = None,
    command: str | None = None,
    labels: ArrayLike | None = None,
    title: str = "Anomalies",
) -> Path:
    """Write what was detected in images as one HTML file that loads nothing; return its path.

    ``card``: of the detector that scored them. ``settings`` and ``command`` are shown as what it
    takes to reproduce the result. ``labels`` (n,), 1 = anomaly, add measures and curves. Shown are
    the 200 most anomalous images, each as it is and with its heat and regions, with sides of 320
    pixels, or 224 if there are more than 60, so that the file stays below some 10 MB. A file of
    that name is replaced only when the new one is complete.

    Raises InputError for labels of another length, and ParameterError when ``path`` cannot be
    written.
    """
    found = min(int(detection.decision.is_anomaly.sum()), MOST_ANOMALIES)
    longest = _SIDE if found <= _MANY else _SMALLER
    megapixels = float(detection.sizes.astype(float).prod(axis=1).sum()) / 1e6
    return write_item_report(
        path,
        "image_report.html",
        detection,
        lambda item: _shown(detection, item, longest),
        card=card,
        settings=settings,
        command=command,
        labels=labels,
        title=title,
        unit="image",
        more={
            "causes": [],  # places in one image say nothing about another
            "megapixels": megapixels,
            "skipped": detection.skipped[:_MOST_SKIPPED],
            "skipped_in_all": len(detection.skipped),
        },
    )


def _shown(detection: ImageDetection, item: int, longest: int) -> _Shown:
    row = int(detection.rows[item])
    height, width = (int(side) for side in detection.sizes[item])
    regions = detection.regions.get(row, ())
    plain = heated = ""
    try:
        base = picture(detection.images[item], longest)
    except InputError:  # it was there when it was scored
        pass
    else:
        plain = _uri(base)
        if (heat := detection.maps.get(row)) is not None:
            threshold = detection.decision.threshold
            heated = _uri(overlay(base, (height, width), heat, regions, threshold))
    return _Shown(detection.names[item], f"{width:,} × {height:,}", plain, heated)


def _uri(made: Image.Image) -> str:
    return "data:image/webp;base64," + base64.b64encode(encoded(made, "WEBP")).decode()
