"""The page that reports share: template, colours, how values read, and the file."""

from __future__ import annotations

import base64
import hashlib
import math
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tocsin.evaluate.metrics.names import humanised
from tocsin.printable import printable
from tocsin.report.plots import canvas
from tocsin.types import Card, Reason

_MOST_WEIGHTS = 8
_THEME = {
    canvas.INK: "--ink",
    canvas.MUTED: "--muted",
    canvas.GRID: "--line",
    canvas.NORMAL: "--normal",
    canvas.ANOMALY: "--anomaly",
}
_DARK = ("#e7ecf2", "#9ba8b7", "#2a3440", "#6fb0e6", "#ff8a5c")


def render(template: str | Path, context: Mapping[str, Any]) -> str:
    """Return the page that a template makes of a context; all values are escaped.

    ``template``: the name of one of ours, or the path of another one, which may extend ours.
    """
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined

    path = Path(template)
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("tocsin.report"), FileSystemLoader(path.parent)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = (formatted, percent, share, short, printable)
    environment.filters |= {each.__name__: each for each in filters}
    script = environment.get_template("report.js").render()
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(path.name).render(context, script_hash=f"sha256-{digest}")


def image(svg: str) -> str:
    """Return SVG as a data URI, its colours following the reader's light or dark setting."""
    light = "".join(f"{name}:{colour};" for colour, name in _THEME.items())
    dark = "".join(f"{name}:{colour};" for name, colour in zip(_THEME.values(), _DARK, strict=True))
    for colour, name in _THEME.items():
        svg = svg.replace(colour, f"var({name})")
    svg = svg[svg.index("<svg") :].replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans'")
    style = f"<style>svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    opened = svg.index(">") + 1
    themed = svg[:opened] + style + svg[opened:]
    return "data:image/svg+xml;base64," + base64.b64encode(themed.encode()).decode()


def provenance(card: Card, settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what it takes to reproduce a result, as names and values."""
    packages = ("tocsin", "numpy", "scikit-learn", "torch")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return [
        ("Detector", f"{card.name}: {card.summary}"),
        ("Kind", f"{card.family}; learns {', '.join(card.learning)}; {card.cost}"),
        ("Paper", card.paper),
        *((humanised(name), str(value)) for name, value in settings.items()),
        ("Versions", f"{versions}, Python {platform.python_version()}"),
    ]


def mean_weights(explained: Sequence[tuple[Reason, ...]]) -> list[tuple[str, float]]:
    """Return the names that weigh most in the reasons of anomalies, each with its mean weight."""
    total: dict[str, float] = {}
    for reasons in explained:
        for reason in reasons:
            total[reason.name] = total.get(reason.name, 0.0) + reason.weight
    heaviest = sorted(total.items(), key=lambda pair: -pair[1])[:_MOST_WEIGHTS]
    return [(name, weight / len(explained)) for name, weight in heaviest]


def formatted(value: Any) -> str:
    """Return a value for reading: four figures for numbers, a dash for nothing.

    >>> formatted(12345.678), formatted(0.00012345), formatted(None), formatted(3.0)
    ('12,346', '0.0001234', '–', '3')
    """
    if value is None or value is pd.NA or value is pd.NaT:
        return "–"
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        return short(value)
    number = float(value) + 0.0  # so that -0 reads 0
    if math.isnan(number):
        return "–"
    if not 1e-4 <= abs(number) < 1e9 and number != 0:
        return f"{number:.4g}"
    if float(number).is_integer() or abs(number) >= 1e4:
        return f"{number:,.0f}"
    return f"{number:.4g}"


def percent(value: float) -> str:
    """Return a share as per cent."""
    return f"{100 * value:.3g}\N{NO-BREAK SPACE}%"


def share(value: float | None) -> str:
    """Return a share with three decimals, a dash for nothing."""
    return "–" if value is None else f"{value:.3f}"


def short(value: Any) -> str:
    """Return at most 80 characters of text, as ``printable`` shows them."""
    text = str(value)
    return printable(text, 79) if len(text) > 80 else printable(text)
