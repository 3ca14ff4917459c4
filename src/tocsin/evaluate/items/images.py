"""Images, whose labels come by name or in the order of their names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tocsin.evaluate.items.base import Items
from tocsin.prepare.images import gather
from tocsin.readers.item_labels import read_image_labels
from tocsin.types import IntArray


class ImageItems(Items):
    """The images of a folder, a list or an array, none of them opened."""

    modality = "images"

    def __init__(self, data: Any) -> None:
        gathered = gather(data)
        super().__init__(gathered.images)
        self.names = gathered.names

    def labels(self, path: str | Path) -> IntArray:
        """Return the labels (n,), 1 = anomaly; see ``read_image_labels``."""
        return read_image_labels(path, self.names)
