"""Images, each by itself, as the paths of their files."""

from __future__ import annotations

from dataclasses import asdict

from tocsin.errors import InputError
from tocsin.monitor.scorers.base import Description, Scorer, reasons_of_first
from tocsin.types import PATH_COLUMN, Batch, BatchDecision


class ImageScorer(Scorer):
    """Scores the images in the files that events name."""

    modality = "images"
    column = PATH_COLUMN
    opens_files = True

    def judge(self, batch: Batch) -> BatchDecision:
        """Return the score and the decision of each image.

        Raises InputError if one cannot be read.
        """
        found = self.pipeline.detect(self.items(batch), explain=False)
        if found.skipped:
            raise InputError(f"{found.skipped[0].name} {found.skipped[0].reason}.")
        return self._decided(found.scores, found.decision)

    def describe(self, batch: Batch, i: int) -> Description:
        """Return where an image is anomalous, its path, and the boxes in pixels."""
        path = self.items(batch)[i]
        found = self.pipeline.explain([path], [0])
        reasons = reasons_of_first(found)
        regions = [asdict(region) for region in found.regions.get(0, ())]
        return reasons, {"image": path, "regions": regions}, f"{path[-160:]}: {reasons[0].name}"
