"""How many false alarms are allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tocsin.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Budget:
    """The share of normal items that may be flagged, given as a rate or as alarms per day.

    Raises ParameterError for a rate outside (0, 1).

    >>> Budget(0.01).rate
    0.01
    >>> Budget.per_day(alarms=5, events_per_day=1000).rate
    0.005
    """

    rate: float

    def __post_init__(self) -> None:
        check_rate(self.rate)

    @classmethod
    def per_day(cls, alarms: float, events_per_day: float) -> Self:
        """Return the budget of ``alarms`` false alarms per day, out of ``events_per_day`` events.

        Raises ParameterError unless 0 < alarms < events_per_day.
        """
        if not 0 < alarms < events_per_day:
            raise ParameterError(
                "alarms_per_day must lie between 0 and the number of events per day; "
                f"got {alarms} alarms and {events_per_day} events per day."
            )
        return cls(alarms / events_per_day)


def check_rate(rate: float) -> float:
    """Return the rate as a float, or raise ParameterError when it is not within (0, 1)."""
    try:
        value = float(rate)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"A rate is a number between 0 and 1; got {rate!r}.") from error
    if not 0 < value < 1:
        raise ParameterError(f"A rate lies between 0 and 1, for instance 0.01; got {rate!r}.")
    return value
