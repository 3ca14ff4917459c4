"""Decisions: scores to p-values to anomalies under a stated false-alarm budget."""

from __future__ import annotations

from numpy.typing import ArrayLike

from tocsin.decide.budget import Budget
from tocsin.decide.calibration import Calibration
from tocsin.decide.conformal import Conformal
from tocsin.decide.drift import drifting_stretch
from tocsin.decide.extreme_value import ExtremeValue
from tocsin.decide.false_discovery import false_discoveries
from tocsin.decide.quantile import Quantile
from tocsin.decide.standing_out import stand_out
from tocsin.errors import UnknownName
from tocsin.types import Decision

__all__ = [
    "Budget",
    "Calibration",
    "Conformal",
    "ExtremeValue",
    "Quantile",
    "convert",
    "create",
    "decide",
    "drifting_stretch",
    "false_discoveries",
    "methods",
    "stand_out",
]

_METHODS: dict[str, type[Calibration]] = {
    "conformal": Conformal,
    "extreme_value": ExtremeValue,
    "quantile": Quantile,
}


def methods() -> list[str]:
    """Return the names of the calibrations.

    >>> methods()
    ['conformal', 'extreme_value', 'quantile']
    """
    return sorted(_METHODS)


def create(method: str = "conformal") -> Calibration:
    """Return a new calibration, to be fitted. Raises UnknownName.

    >>> create("quantile").fit([1.0, 2.0]).threshold(0.5)
    1.0
    """
    if method not in _METHODS:
        raise UnknownName(f'Unknown calibration "{method}"; known: {", ".join(methods())}.')
    return _METHODS[method]()


def convert(calibration: Calibration, method: str) -> Calibration:
    """Return a calibration of another method by the same scores; itself if it is of that method.

    Raises UnknownName.

    >>> convert(create("quantile").fit([1.0, 2.0]), "conformal").p_values([3.0])
    array([0.33333333])
    """
    wanted = create(method)
    if type(calibration) is type(wanted):
        return calibration
    return wanted.set_state(calibration.get_state())


def decide(calibration: Calibration, scores: ArrayLike, rate: float) -> Decision:
    """Return which of the scores (n,) are anomalies at this false-alarm rate.

    Raises NotFitted, InputError for scores that are not finite, ParameterError for a rate
    outside (0, 1).

    >>> calibration = Conformal().fit([1.0, 2.0, 3.0, 4.0])
    >>> decide(calibration, [0.5, 5.0], rate=0.2).is_anomaly.tolist()
    [False, True]
    """
    p_values = calibration.p_values(scores)
    return Decision(p_values, calibration.threshold(rate), p_values <= rate, float(rate))
