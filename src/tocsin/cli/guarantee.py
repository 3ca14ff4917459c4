"""What a false-alarm budget is worth, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.pipeline import BasePipeline
    from tocsin.types import Detection


def describe_guarantee(pipeline: BasePipeline, detection: Detection) -> str:
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
