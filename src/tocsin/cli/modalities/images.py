"""Images on the command line: which are anomalous, and where in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tocsin.cli.modalities.base import ModalityCli, Outcome
from tocsin.printable import printable
from tocsin.types import ImageDetection

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from tocsin.cli.inputs import Input
    from tocsin.types import ImageArray, IntArray

_LONGEST_NAME = 60


class ImageCli(ModalityCli[ImageDetection]):
    """Images: a folder of them, or one file."""

    modality = "images"
    order = 20
    options = frozenset({"overlays"})
    hint = "pass --as logs if this is a folder of logs"

    def recognises(self, source: Input) -> bool:
        """Return whether this is an image by its name, or a folder most of whose files are."""
        from tocsin.readers.image import ENDINGS, is_image_folder

        path = source.path
        return path.suffix.lower() in ENDINGS if path.is_file() else is_image_folder(path)

    def load(self, source: Input) -> tuple[Path, None]:
        """Return the path, whose images the pipeline reads; labels are in a file of their own."""
        return source.path, None

    def first(
        self, data: Path, labels: IntArray | None, count: int
    ) -> tuple[ImageArray, IntArray | None]:
        """Return the first images in the order of their names, and their labels."""
        from tocsin.prepare.images import gather

        return super().first(gather(data).images, labels, count)

    def columns(self, detection: ImageDetection) -> pd.DataFrame:
        """Return one row per image: its name, and its regions as a JSON list of boxes.

        A box is [left, top, right, bottom] in pixels.
        """
        frame = super().columns(detection)
        frame.insert(1, "name", detection.names)
        frame["regions"] = [_boxes(detection, row) for row in detection.rows.tolist()]
        return frame

    def as_dict(self, outcome: Outcome[ImageDetection], detector: str) -> dict[str, Any]:
        """Return a detection as JSON values, and the files that were skipped."""
        skipped = [asdict(each) for each in outcome.detection.skipped]
        return {**super().as_dict(outcome, detector), "skipped": skipped}

    def name_item(self, detection: ImageDetection, place: int) -> dict[str, Any]:
        """Return the row and the name of an image."""
        return {**super().name_item(detection, place), "name": detection.names[place]}

    def describe_item(self, detection: ImageDetection, place: int) -> dict[str, Any]:
        """Return the size of an image and its regions, in pixels."""
        height, width = detection.sizes[place].tolist()
        regions = detection.regions.get(int(detection.rows[place]), ())
        return {"height": height, "width": width, "regions": [asdict(each) for each in regions]}

    def cells(self, detection: ImageDetection, place: int) -> dict[str, str]:
        """Return the cells of an image: its name, and where it is anomalous."""
        cells = super().cells(detection, place)
        reasons = self.reasons(detection, place)
        more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        return {
            "row": cells["row"],
            "image": printable(detection.names[place], _LONGEST_NAME),
            "score": cells["score"],
            "p-value": cells["p-value"],
            "where": f"{reasons[0].name}{more}" if reasons else "",
        }

    def title(self, detection: ImageDetection, place: int) -> Sequence[str]:
        """Return the row, the name and the size of an image."""
        height, width = detection.sizes[place].tolist()
        name = printable(detection.names[place], _LONGEST_NAME)
        return [*super().title(detection, place), name, f"{width:,} × {height:,}"]


def _boxes(detection: ImageDetection, row: int) -> str:
    found = detection.regions.get(row, ())
    boxes = [[each.left, each.top, each.right, each.bottom] for each in found]
    return json.dumps(boxes) if boxes else ""
