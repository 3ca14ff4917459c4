"""One sentence on what ``tocsin detect`` assumed, and what its budget is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.cli.inputs import Loaded
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


def guarantee(pipeline: BasePipeline, detection: Detection) -> str:
    """Return how many false alarms the budget means, or that it is not guaranteed."""
    rate, known = detection.decision.false_alarm_rate, pipeline.calibration_
    if rate >= known.resolution:
        return (
            f"{rate:.2%} of {len(detection):,} normal {pipeline.item} are "
            f"{_format_count(rate * len(detection))}, if new data are like the training data"
        )
    fewer = known.independent_ < known.n_
    worth = f", worth {known.independent_:,.0f} independent ones," if fewer else ""
    return (
        f"{known.n_:,} {pipeline.item}{worth} are too few to guarantee {rate:.2%}; those flagged "
        "are the most unusual ones"
    )


def _format_count(alarms: float) -> str:
    """Return how many false alarms are to be expected, in words.

    >>> _format_count(0.2), _format_count(1.3), _format_count(51.9)
    ('less than 1 false alarm', 'about 1 false alarm', 'about 52 false alarms')
    """
    if alarms < 1:
        return "less than 1 false alarm"
    return f"about {alarms:,.0f} false alarm" + ("s" if round(alarms) > 1 else "")
