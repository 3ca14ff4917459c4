"""Plots of scores, curves, columns and latent spaces, each returned as SVG text.

Matplotlib is imported when the first plot is drawn, and its global settings are left as
they were. The colours are told apart by colour-blind readers too. Of many points, a
seeded sample is drawn, and the legend says so.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

from tocsin.errors import InputError
from tocsin.evaluate.metrics import check_pairs
from tocsin.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID = "#16202c", "#5b6776", "#dfe4ea"
NORMAL, ANOMALY = "#2f6ea8", "#c8501e"

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
"""How axes are placed: by matplotlib, or by who paints."""

_MOST_POINTS = 1500
_LARGEST = 1e100  # what axes can hold; a score beyond it is drawn at it


def score_histogram(
    scores: ArrayLike, threshold: float, y: ArrayLike | None = None, unit: str = "row"
) -> str:
    """Return a histogram of scores (n,) with the threshold marked, as SVG.

    Coloured by the labels y (n,) where given, else by the side of the threshold. An axis
    with a few far larger scores is compressed towards its ends. ``unit``: what is scored.

    >>> score_histogram([0.1, 0.2, 0.9], threshold=0.5).lstrip().startswith("<?xml")
    True
    """
    values = drawable(scores)
    marked = values > threshold if y is None else check_pairs(y, values)[0] == 1
    names = ("below the threshold", "above") if y is None else ("labelled normal", "anomaly")

    def paint(axes: Axes) -> None:
        edges = _bins(values, _tail_width(values), 60)
        groups = [(values[~marked], NORMAL, names[0]), (values[marked], ANOMALY, names[1])]
        for group, colour, name in groups:
            _bars(axes, group, edges, colour, f"{name} ({group.size:,})")
        if len(values) > 100:
            axes.set_yscale("log")
            axes.set_ylim(bottom=0.7)
            axes.yaxis.set_major_formatter("{x:,.0f}")
        scale_to(axes, "x", values)
        if abs(threshold) <= _LARGEST:
            axes.axvline(threshold, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.grid(visible=False, axis="x")
        axes.set(xlabel="score", ylabel=f"{unit}s, log scale" if len(values) > 100 else f"{unit}s")
        _legend(axes)

    return _draw(paint)


def score_rows(
    scores: ArrayLike,
    rows: ArrayLike,
    is_anomaly: BoolArray,
    threshold: float,
    seed: int = 0,
    unit: str = "row",
) -> str:
    """Return scores (n,) over the positions (n,) of their rows, the flagged ones marked, as SVG.

    The positions may be times, datetime64, UTC. ``unit``: what is scored.
    """
    values, positions = drawable(scores), np.asarray(rows)
    timed = positions.dtype.kind == "M"

    def paint(axes: Axes) -> None:
        _points(axes, positions, values, *_sample(~is_anomaly, "not flagged", seed), NORMAL, 2.6)
        _points(axes, positions, values, *_sample(is_anomaly, "flagged", seed), ANOMALY, 4.6)
        scale_to(axes, "y", values)
        if abs(threshold) <= _LARGEST:
            axes.axhline(threshold, color=INK, linewidth=1.2, linestyle=(0, (4, 2)))
        axes.set(xlabel=unit, ylabel="score")
        if timed:
            time_axis(axes)
        _legend(axes)

    return _draw(paint, width=12) if timed else _draw(paint)


def anomalies_over_time(times: ArrayLike, is_anomaly: BoolArray, unit: str = "row") -> str:
    """Return how many items, and how many flagged ones, fall into stretches of time, as SVG.

    ``times``: (n,) datetime64, UTC. ``unit``: what an item is called.
    """
    moments = np.asarray(times).astype("datetime64[s]").astype(np.float64) / 86_400  # in days
    edges = _bins(moments, None, 48)

    def paint(axes: Axes) -> None:
        groups = ((~is_anomaly, NORMAL, "not flagged"), (is_anomaly, ANOMALY, "flagged"))
        for inside, colour, name in groups:
            _bars(axes, moments[inside], edges, colour, f"{name} ({inside.sum():,})")
        axes.set_yscale("log")
        axes.set_ylim(bottom=0.7)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.set(ylabel=f"{unit}s, log scale")
        axes.grid(visible=False, axis="x")
        time_axis(axes)
        _legend(axes)

    return _draw(paint)


def time_axis(axes: Axes) -> None:
    """Label the x axis with UTC times."""
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz="UTC")  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator, tz="UTC")  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlabel("time, UTC")


def roc_plot(y: ArrayLike, scores: ArrayLike, threshold: float) -> str:
    """Return the ROC curve of scores (n,) for labels y (n,), the threshold marked, as SVG.

    Raises InputError when the labels hold only one class.
    """
    labels, values = _two_classes(y, scores)
    false_alarms, found, _ = roc_curve(labels, values)
    called = values > threshold
    at = (called[labels == 0].mean(), called[labels == 1].mean())

    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
        _curve(axes, false_alarms, found, at)
        axes.set(xlabel="false-alarm rate", ylabel="anomalies found (recall)")
        axes.set_title(f"ROC, area {auc(false_alarms, found):.3f}", **TITLE)

    return _draw(paint, width=5.6, height=3.8)


def precision_recall_plot(y: ArrayLike, scores: ArrayLike, threshold: float) -> str:
    """Return the precision-recall curve of scores (n,), the threshold marked, as SVG.

    Raises InputError when the labels hold only one class.
    """
    labels, values = _two_classes(y, scores)
    precision, recall, _ = precision_recall_curve(labels, values, drop_intermediate=True)
    called = values > threshold
    at = (called[labels == 1].mean(), labels[called].mean()) if called.any() else None

    def paint(axes: Axes) -> None:
        axes.axhline(labels.mean(), color=MUTED, linewidth=1, linestyle=":")
        _curve(axes, recall, precision, at)
        axes.set(xlabel="anomalies found (recall)", ylabel="alarms that are right (precision)")
        average = average_precision_score(labels, values)
        axes.set_title(f"Precision and recall, average {average:.3f}", **TITLE)

    return _draw(paint, width=5.6, height=3.8)


def latent_map(
    embedding: ArrayLike, scores: ArrayLike, is_anomaly: BoolArray, seed: int = 0
) -> str:
    """Return the latent space (n, k ≥ 2) flattened to a plane, coloured by score, as SVG.

    With k > 2 the plane is that of the first two principal components. The colour is the
    rank of the score, so that one huge score does not hide the others; anomalies are ringed.
    """
    points = _plane(np.asarray(embedding, dtype=np.float64))
    values = drawable(scores)
    rank = np.argsort(np.argsort(values, kind="stable")) / max(len(values) - 1, 1)

    def paint(axes: Axes) -> None:
        from matplotlib.colors import LinearSegmentedColormap

        colours = LinearSegmentedColormap.from_list("score", ["#b9d3ea", NORMAL, "#123b63"])
        rings = (("not flagged", ~is_anomaly, 11, "none"), ("flagged", is_anomaly, 34, ANOMALY))
        for name, inside, size, ring in rings:
            shown, label = _sample(inside, name, seed)
            drawn = axes.scatter(
                points[shown, 0],
                points[shown, 1],
                c=rank[shown],
                s=size,
                cmap=colours,
                vmin=0,
                vmax=1,
                edgecolors=ring,
                linewidths=1.5,
                label=label,
            )
        bar = axes.figure.colorbar(drawn, ax=axes, ticks=[0, 1], pad=0.02, aspect=30)
        bar.ax.set_yticklabels(["lowest\nscore", "highest"])
        bar.outline.set_visible(False)
        axes.set(xticklabels=[], yticklabels=[])
        _legend(axes)

    return _draw(paint, width=9, height=4.6)


def column_histogram(column: ArrayLike, is_anomaly: BoolArray, name: str) -> str:
    """Return how the numbers (n,) of a column spread, those of anomalies marked, as SVG.

    Values that are missing or infinite are left out.
    """
    values = np.asarray(column, dtype=np.float64)
    finite = np.isfinite(values)
    values, marked = drawable(values[finite]), is_anomaly[finite]

    def paint(axes: Axes) -> None:
        _bars(axes, values, _bins(values, None, 36), NORMAL, name)
        shown, _ = _sample(marked, "", seed=0)
        height = np.full(len(shown), -0.07)
        axes.plot(
            values[shown],
            height,
            color=ANOMALY,
            transform=axes.get_xaxis_transform(),
            clip_on=False,
            marker="|",
            markersize=7,
            linestyle="none",
        )
        axes.tick_params(axis="x", pad=9)
        axes.set(yticks=[])
        axes.locator_params(axis="x", nbins=4)
        axes.set_title(name if len(name) <= 34 else name[:33] + "…", **TITLE)

    return _draw(paint, width=3.2, height=1.9)


TITLE: dict[str, Any] = {"loc": "left", "fontsize": 10.5, "color": INK}


def draw(
    paint: Callable[[Figure], None], width: float, height: float, layout: Layout = "constrained"
) -> str:
    """Return a figure of that many inches as SVG; ``paint`` adds the axes."""
    options = {"format": "svg", "transparent": True, "metadata": {"Date": None}}
    return _drawn(paint, width, height, layout, options).decode()


def draw_png(
    paint: Callable[[Figure], None], width: float, height: float, layout: Layout = "constrained"
) -> bytes:
    """Return the same figure as PNG, on white."""
    return _drawn(paint, width, height, layout, {"format": "png", "dpi": 150})


def _draw(paint: Callable[[Axes], None], width: float = 6.4, height: float = 3.4) -> str:
    return draw(lambda figure: paint(figure.add_subplot()), width, height)


def _drawn(
    paint: Callable[[Figure], None],
    width: float,
    height: float,
    layout: Layout,
    options: dict[str, Any],
) -> bytes:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout=layout)
        FigureCanvasAgg(figure)
        paint(figure)
        out = BytesIO()
        figure.savefig(out, **options)
    return out.getvalue()


def drawable(scores: ArrayLike) -> FloatArray:
    """Return values within what axes can hold."""
    return np.clip(np.asarray(scores, dtype=np.float64), -_LARGEST, _LARGEST)


def _tail_width(values: FloatArray, most: float = 20) -> float | None:
    """Return the width within which an axis stays linear, or None when no tail needs it."""
    low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
    if max(values.max() - high, low - values.min()) <= most * (high - low):
        return None
    return float(max(abs(low), abs(middle), abs(high), 1e-6 * abs(values).max()))


def _bars(axes: Axes, values: FloatArray, edges: FloatArray, colour: str, label: str) -> None:
    counts, _ = np.histogram(values, edges)
    axes.stairs(counts, edges, fill=True, color=colour, alpha=0.8, linewidth=0, label=label)


def _bins(values: FloatArray, width: float | None, count: int) -> FloatArray:
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


def scale_to(axes: Axes, axis: str, values: FloatArray, most: float = 20) -> None:
    """Compress an axis towards its ends where a tail is that many times as wide as the rest."""
    width = _tail_width(values, most)
    if width is not None:
        (axes.set_xscale if axis == "x" else axes.set_yscale)("asinh", linear_width=width)
        (axes.xaxis if axis == "x" else axes.yaxis).set_major_formatter("{x:g}")


def _points(
    axes: Axes,
    x: NDArray[Any],
    y: FloatArray,
    shown: IntArray,
    label: str,
    colour: str,
    size: float,
) -> None:
    axes.plot(
        x[shown],
        y[shown],
        color=colour,
        label=label,
        marker="o",
        markersize=size,
        markeredgewidth=0,
        alpha=0.8,
        linestyle="none",
    )


def _sample(inside: BoolArray, name: str, seed: int) -> tuple[IntArray, str]:
    """Return at most _MOST_POINTS positions of True, and a legend that says how many."""
    positions = np.flatnonzero(inside)
    if len(positions) <= _MOST_POINTS:
        return positions, f"{name} ({len(positions):,})"
    random = np.random.default_rng(seed)
    chosen = np.sort(random.choice(positions, _MOST_POINTS, replace=False))
    return chosen, f"{name} ({_MOST_POINTS:,} of {len(positions):,} drawn)"


def _curve(axes: Axes, x: FloatArray, y: FloatArray, at: tuple[float, float] | None) -> None:
    kept = np.unique(np.linspace(0, len(x) - 1, _MOST_POINTS).astype(int))
    axes.plot(x[kept], y[kept], color=NORMAL, linewidth=2, solid_joinstyle="round")
    if at is not None:
        axes.plot(*at, color=ANOMALY, marker="o", markersize=7, linestyle="none", label="threshold")
        axes.legend(loc="lower right")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.04))


def _legend(axes: Axes) -> None:
    axes.legend(
        loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, handlelength=1.2, markerscale=1.5
    )


def _two_classes(y: ArrayLike, scores: ArrayLike) -> tuple[IntArray, FloatArray]:
    labels, values = check_pairs(y, scores)
    if labels.min() == labels.max():
        raise InputError(f"A curve needs both classes; all {len(labels)} labels are {labels[0]}.")
    return labels, values


def _plane(embedding: FloatArray) -> FloatArray:
    """Return points (n, 2): the embedding, or its first two principal components."""
    if embedding.ndim != 2 or embedding.shape[1] < 2:
        raise InputError(f"A map needs an embedding (n, 2 or more); got {embedding.shape}.")
    if embedding.shape[1] == 2:
        return embedding
    centred = embedding - embedding.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    axes = directions[:, :-3:-1]
    signs = np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    return np.asarray(centred @ (axes * signs))
