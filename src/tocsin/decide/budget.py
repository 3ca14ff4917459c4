"""How many false alarms are allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tocsin.errors import ParameterError


@dataclass(frozen=True, slots=True)
class Budget:
    """The share of normal items that may ring, given as such or as alarms a day.

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
        """Return the budget of so many false alarms a day, out of so many events a day.

        Raises ParameterError unless 0 < alarms < events_per_day.
        """
        if not 0 < alarms < events_per_day:
            raise ParameterError(
                f"A budget needs more than 0 and fewer alarms than events a day; "
                f"got {alarms} alarms a day of {events_per_day} events a day."
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
