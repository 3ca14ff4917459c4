"""One sentence of what ``tocsin detect`` assumed, and what its budget is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tocsin.pipeline import BasePipeline
    from tocsin.types import Detection

_TAKEN = {
    "tables": "taken as a table",
    "series": "taken as time series; say --as tables if the rows stand alone",
    "logs": "taken as logs; say --as tables if this is a table",
    "text": "taken as texts; say --as tables if its column holds names or codes",
    "images": "taken as images; say --as logs if this is a folder of logs",
}


def sentence(
    taken: str,
    made: BasePipeline,
    detection: Detection,
    *,
    guessed: bool,
    apart: bool,
    labelled: bool,
) -> str:
    """Return what was taken for what, learned from what, and how many false alarms that means.

    ``guessed``: nobody said what the data are. ``apart``: learned from other items than those
    that were judged. ``labelled``: learned from labels.
    """
    told = [_TAKEN[taken] if guessed else _TAKEN[taken].partition(";")[0]]
    if labelled:
        told.append("learned from its labels")
    elif apart:
        told.append(f"learned from other {made.item}, taken as normal")
    elif getattr(made, "training", "mixed") == "clean":
        told.append(f"learned from these {made.item} themselves, all taken as normal")
    else:
        told.append(f"learned from these {made.item} themselves, most of them taken as normal")
    told.append(_worth(made, detection))
    return "; ".join(told)


def _worth(made: BasePipeline, detection: Detection) -> str:
    """Return what the budget means for so many items, or that it is no promise."""
    if getattr(made, "detector_threshold", None) is not None:
        return "decided by the gap between usual and rare ones, which promises no false-alarm rate"
    rate, known = detection.decision.false_alarm_rate, made.calibration_
    if rate < known.resolution:
        fewer = known.independent_ < known.n_
        worth = f", worth {known.independent_:,.0f} independent ones," if fewer else ""
        return (
            f"{known.n_:,} {made.item}{worth} are too few to promise {rate:.2%}, so that those "
            "flagged are the most unusual ones, and no more"
        )
    return (
        f"{rate:.2%} of {len(detection):,} normal {made.item} are "
        f"{_count(rate * len(detection))}, if what comes is like what was learned"
    )


def _count(alarms: float) -> str:
    """Return how many false alarms are to be expected, in words.

    >>> _count(0.2), _count(1.3), _count(51.9)
    ('less than 1 false alarm', 'about 1 false alarm', 'about 52 false alarms')
    """
    if alarms < 1:
        return "less than 1 false alarm"
    return f"about {alarms:,.0f} false alarm" + ("s" if round(alarms) > 1 else "")
