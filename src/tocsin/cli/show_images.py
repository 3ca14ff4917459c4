"""What commands print of images: the anomalous ones, and where in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from tocsin.cli import show
from tocsin.printable import printable

if TYPE_CHECKING:
    from tocsin.types import ImageDetection

_LONGEST_NAME = 60


def images(detection: ImageDetection, rows: Sequence[int]) -> list[dict[str, Any]]:
    """Return images as JSON values, with their regions in pixels."""
    place = {row: i for i, row in enumerate(detection.rows.tolist())}
    return [
        {
            "row": row,
            "name": detection.names[place[row]],
            "score": float(detection.scores.values[place[row]]),
            "p_value": float(detection.decision.p_values[place[row]]),
            "is_anomaly": bool(detection.decision.is_anomaly[place[row]]),
            "height": int(detection.sizes[place[row], 0]),
            "width": int(detection.sizes[place[row], 1]),
            "regions": [asdict(region) for region in detection.regions.get(row, ())],
        }
        for row in rows
    ]


def print_detection(detection: ImageDetection, detector: str, top: int) -> None:
    """Print how many anomalies there are, the notes, and the top anomalies in a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = detection.anomalies
    show.print_headline(len(found), len(detection), detector, detection, "images")
    if not len(found):
        return
    table = Table(
        "row", "image", "score", "p-value", "where", box=None, header_style="bold", pad_edge=False
    )
    for image in images(detection, found[:top].tolist()):
        explained = detection.explanations.get(image["row"])
        reasons = explained.reasons if explained else ()
        more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        table.add_row(
            str(image["row"]),
            Text(printable(image["name"], _LONGEST_NAME)),
            f"{image['score']:.4g}",
            f"{image['p_value']:.2g}",
            Text(f"{reasons[0].name}{more}" if reasons else ""),
        )
    Console().print(table)
    show.print_more(len(found) - top)


def print_explained(detection: ImageDetection, rows: Sequence[int]) -> None:
    """Print images one by one, each with all its regions."""
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for image in images(detection, rows):
        told = [
            f"row {image['row']}",
            printable(image["name"], _LONGEST_NAME),
            f"{image['width']:,} × {image['height']:,}",
            f"score {image['score']:.4g}",
            f"p-value {image['p_value']:.2g}",
            "" if image["is_anomaly"] else "normal",
        ]
        console.print(Text("  ".join(filter(None, told)), style="bold"), soft_wrap=True)
        for reason in detection.explanations[image["row"]].reasons:
            line = f"  {reason.weight:5.0%}  {show.sentence(reason)}"
            console.print(Text(line), soft_wrap=True)
