"""Metrics on the command line: readings of entities, scored as a monitor does."""

from __future__ import annotations

from tocsin.cli.inputs import Input
from tocsin.cli.modalities.series import SeriesCli


class MetricsCli(SeriesCli):
    """Tables of what entities report; taken as such where --as metrics says so."""

    modality = "metrics"
    order = 60
    options = frozenset({"label", "time", "entity", "train_rows", "png"})
    decided_by = frozenset()
    noun = "metrics"
    hint = "pass --as series to judge a whole series in view"

    def recognises(self, source: Input) -> bool:
        """Return False: what looks like metrics looks like series, too."""
        return False
