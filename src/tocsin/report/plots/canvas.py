"""What all plots share: style, figures as SVG or PNG, axes, bars, samples and legends.

Matplotlib is imported when the first plot is drawn, and its global settings are left as they
were. Colour-blind readers can distinguish the colours. Of many points, a seeded sample is drawn,
and the legend states this.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from tocsin.printable import printable
from tocsin.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#16202c", "#5b6776", "#dfe4ea"
NORMAL, ANOMALY = "#2f6ea8", "#c8501e"

TITLE: dict[str, Any] = {"loc": "left", "fontsize": 10.5, "color": INK}

_STYLE: dict[Any, Any] = {
    "axes.edgecolor": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 9.5,
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "legend.labelcolor": MUTED,
    "svg.fonttype": "none",
    "svg.hashsalt": "tocsin",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": GRID,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 8.5,
    "ytick.color": GRID,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 8.5,
    "ytick.left": False,
    "ytick.minor.left": False,
}

Layout = Literal["constrained"] | None
"""How axes are placed: by matplotlib, or by ``paint``."""

MOST_POINTS = 1500
"""Of more points, a sample of this many is drawn."""

LARGEST = 1e100
"""What axes can hold; a score beyond it is drawn at it."""


def draw(
    paint: Callable[[Figure], None], width: float, height: float, layout: Layout = "constrained"
) -> str:
    """Return a figure, its size in inches, as SVG; ``paint`` adds the axes.

    Characters in names that XML may not hold, or that cannot be seen, are drawn as escapes.
    """
    options = {"format": "svg", "transparent": True, "metadata": {"Date": None}}
    return printable(_render(paint, width, height, layout, options).decode(), keep="\n")


def draw_png(
    paint: Callable[[Figure], None], width: float, height: float, layout: Layout = "constrained"
) -> bytes:
    """Return the same figure as PNG, on white."""
    return _render(paint, width, height, layout, {"format": "png", "dpi": 150})


def draw_axes(paint: Callable[[Axes], None], width: float = 6.4, height: float = 3.4) -> str:
    """Return a figure of one pair of axes as SVG; sizes in inches."""
    return draw(lambda figure: paint(figure.add_subplot()), width, height)


def _render(
    paint: Callable[[Figure], None],
    width: float,
    height: float,
    layout: Layout,
    options: dict[str, Any],
) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # A name in letters that the font has not is drawn as boxes; a browser has the letters.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        figure = Figure(figsize=(width, height), layout=layout)
        FigureCanvasAgg(figure)
        paint(figure)
        out = BytesIO()
        figure.savefig(out, **options)
    return out.getvalue()


def drawable(scores: ArrayLike) -> FloatArray:
    """Return values within what axes can hold."""
    return np.clip(np.asarray(scores, dtype=np.float64), -LARGEST, LARGEST)


def scale_to(axes: Axes, axis: str, values: FloatArray, most: float = 20) -> None:
    """Compress an axis towards its ends where a tail is ``most`` times as wide as the rest."""
    width = tail_width(values, most)
    if width is not None:
        (axes.set_xscale if axis == "x" else axes.set_yscale)("asinh", linear_width=width)
        (axes.xaxis if axis == "x" else axes.yaxis).set_major_formatter("{x:g}")


def tail_width(values: FloatArray, most: float = 20) -> float | None:
    """Return the width within which an axis stays linear, or None when no tail needs it."""
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    if max(values.max() - high, low - values.min()) <= most * (high - low):
        return None
    return float(max(abs(low), abs(middle), abs(high), 1e-6 * abs(values).max()))


def draw_bars(axes: Axes, values: FloatArray, edges: FloatArray, colour: str, label: str) -> None:
    """Draw how many values fall between the edges, as bars without gaps."""
    counts, _ = np.histogram(values, edges)
    axes.stairs(counts, edges, fill=True, color=colour, alpha=0.8, linewidth=0, label=label)


def bin_edges(values: FloatArray, width: float | None, count: int) -> FloatArray:
    """Return the edges of at most ``count`` bins; beyond ``width`` they grow with the values."""
    if not len(values):
        return np.array([0.0, 1.0])
    low, high = float(values.min()), float(values.max())
    if width is None:
        edges = np.unique(np.linspace(low, high, count + 1))
    else:
        ends = np.arcsinh([low / width, high / width])
        edges = np.unique(width * np.sinh(np.linspace(ends[0], ends[1], count + 1)))
        edges[[0, -1]] = low, high  # sinh does not return exactly to where arcsinh came from
    if len(edges) < 2:
        margin = 0.5 * max(1.0, abs(low))
        return np.array([low - margin, low + margin])
    return np.asarray(edges, dtype=np.float64)


def sample(inside: BoolArray, name: str, seed: int) -> tuple[IntArray, str]:
    """Return at most MOST_POINTS positions of True, and a legend that states how many."""
    positions = np.flatnonzero(inside)
    if len(positions) <= MOST_POINTS:
        return positions, f"{name} ({len(positions):,})"
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(positions, MOST_POINTS, replace=False))
    return chosen, f"{name} ({MOST_POINTS:,} of {len(positions):,} drawn)"


def short_name(name: str, most: int) -> str:
    """Return a name from data as a title can show it, in at most about that many characters."""
    return printable(name if len(name) <= most else name[: most - 1] + "…")


def add_legend(axes: Axes) -> None:
    """Put the legend above the axes, in one line."""
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, handlelength=1.2, markerscale=1.5
    )


def time_axis(axes: Axes) -> None:
    """Label the x axis with UTC times."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz="UTC")  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, tz="UTC")  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel("time, UTC")
