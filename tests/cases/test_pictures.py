"""Names of columns, channels and sets in pictures: valid XML, without what cannot be seen."""

from __future__ import annotations

import warnings
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from tocsin.evaluate.false_alarms.later import limits
from tocsin.pipeline import SeriesPipeline
from tocsin.report.plots.series import series_plot, write_png
from tocsin.report.plots.tables import column_histogram
from tocsin.report.promises import draw_promises

NAMES = {
    "escape": "\x1b[31mred",
    "null": "a\x00b",
    "next line": "a\x85b",
    "no character": "a\uffffb",
    "reversed": "a\u202eb",
    "markup": "<script>&amp;</script>",
    "line feed": "a\nb\rc",
    "far plane": "a\U0010ffffb",
}


def _texts(svg: str) -> str:
    """Return what a picture says, which is valid XML and holds nothing that cannot be seen."""
    text = "".join(ET.fromstring(svg).itertext())  # noqa: S314 - our own
    assert all(c.isprintable() or c in "\n\u00a0" for c in text)
    return text


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_pictures_of_tables_and_sets_are_valid_xml(name: str, tmp_path: Path) -> None:
    """A column's histogram, and the sets of a plot of false alarms."""
    shown = name.encode("unicode_escape").decode()
    values = np.random.default_rng(0).normal(size=60)
    assert shown in _texts(column_histogram(values, values > 2, name))
    low, high = limits(0.01)
    row = {"dataset": name, "rate": 0.01, "budget": 0.01, "inside": low <= 0.01 <= high}
    draw_promises(tmp_path / "p.html", [row])
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert shown in _texts(page[page.index("<svg") :])


@pytest.mark.parametrize("name", [*NAMES.values(), "温度", "🔥 heat"], ids=[*NAMES, "han", "emoji"])
def test_pictures_of_series_are_valid_xml_and_warn_of_nothing(name: str, tmp_path: Path) -> None:
    """A channel's name, also in letters that the font has not."""
    frame = pd.DataFrame({name: np.sin(np.arange(200) / 5), "other": np.cos(np.arange(200) / 9)})
    frame.loc[150:155, name] = 9.0
    pipeline = SeriesPipeline("kmeans_windows").fit(frame[:140])
    detection = pipeline.detect(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        svg = series_plot(detection)
        write_png(tmp_path / "x.png", detection)
    shown = name.encode("unicode_escape").decode() if name in NAMES.values() else name
    assert shown in _texts(svg)
