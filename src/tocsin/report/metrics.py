"""The report of metrics: that of series, which they are once they are sorted by entity."""

from __future__ import annotations

from tocsin.report.series import SeriesReport


class MetricsReport(SeriesReport):
    """The report of the most anomalous entities and stretches of time."""

    modality = "metrics"
