"""Plots of tables: how a column spreads, and the latent space of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from tocsin.errors import InputError
from tocsin.report.plots.canvas import (
    ANOMALY,
    NORMAL,
    TITLE,
    add_legend,
    bin_edges,
    draw_axes,
    draw_bars,
    drawable,
    sample,
    short_name,
)
from tocsin.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def column_histogram(column: ArrayLike, is_anomaly: BoolArray, name: str) -> str:
    """Return how the numbers (n,) of a column spread, those of anomalies marked, as SVG.

    Values that are missing or infinite are left out.
    """
    values = np.asarray(column, dtype=np.float64)
    finite = np.isfinite(values)
    values, marked = drawable(values[finite]), is_anomaly[finite]

    def paint(axes: Axes) -> None:
        draw_bars(axes, values, bin_edges(values, None, 36), NORMAL, name)
        shown, _ = sample(marked, "", seed=0)
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
        axes.set_title(short_name(name, 34), **TITLE)

    return draw_axes(paint, width=3.2, height=1.9)


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
            shown, label = sample(inside, name, seed)
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
        add_legend(axes)

    return draw_axes(paint, width=9, height=4.6)


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
