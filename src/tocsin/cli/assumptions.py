"""One sentence on what ``tocsin detect`` assumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.cli.loading import Loaded
    from tocsin.pipeline import BasePipeline
    from tocsin.types import Detection


def describe_run(
    loaded: Loaded,
    pipeline: BasePipeline,
    detection: Detection,
    *,
    apart: bool,
    labelled: bool,
) -> str:
    """Return what the data were taken as, what was learned from, and the false alarms to expect.

    ``apart``: learned from other items than those that were scored. ``labelled``: learned from
    labels.
    """
    cli, item = loaded.cli, pipeline.item
    parts = [f"taken as {cli.noun}"]
    if loaded.guessed and cli.hint:
        parts.append(cli.hint)
    if labelled:
        parts.append("learned from its labels")
    elif apart:
        parts.append(f"learned from other {item}, taken as normal")
    elif pipeline.get_params(deep=False).get("training") == "clean":
        parts.append(f"learned from these {item} themselves, all taken as normal")
    else:
        parts.append(f"learned from these {item} themselves, most of them taken as normal")
    parts.append(cli.guarantee(pipeline, detection))
    return "; ".join(parts)
