"""How scores become decisions under the budget that the settings state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from tocsin.base import Detector, held_out_scores
from tocsin.base.held_out import Relearn
from tocsin.decide import Budget, Calibration, convert, decide, drifting_stretch, stand_out
from tocsin.decide import create as create_calibration
from tocsin.errors import NotFitted, ParameterError
from tocsin.types import Decision, Drift, FloatArray, IntArray, Scores


class NotFittedPipeline(NotFitted, NotFittedError):  # type: ignore[misc]
    """A pipeline was asked for scores before it was trained; also scikit-learn's error."""


class DecidesByBudget(BaseEstimator):  # type: ignore[misc]
    """What has a trained detector and its calibration, and decides under a stated budget.

    The budget and the method of calibration may be changed after training, and hold at once.
    """

    item: ClassVar[str] = "rows"
    """What one score is of, in the plural."""

    detector: str | Detector
    false_alarms: float | None
    alarms_per_day: float | None
    rows_per_day: float | None
    calibration: str

    detector_: Detector
    calibration_: Calibration

    def restate_budget(
        self, false_alarms: float | None = None, *, alarms_per_day: float | None = None
    ) -> Self:
        """Decide by another share of normal items, or number per day, and return self."""
        self.set_params(alarms_per_day=alarms_per_day)
        if false_alarms is not None:
            self.set_params(false_alarms=false_alarms)
        return self

    def decide(self, scores: Scores) -> Decision:
        """Return which scores are anomalies under the budget as it is set now."""
        return self._decide(self._fitted().calibration_, scores.values)

    @property
    def budget(self) -> Budget:
        """The false-alarm budget. Raises ParameterError when the settings contradict."""
        if self.alarms_per_day is None:
            return Budget(0.0 if self.false_alarms is None else self.false_alarms)
        if (rows := self._rows_per_day()) is None:
            raise ParameterError(
                f"alarms_per_day needs rows_per_day: how many {self.item} come per day."
            )
        return Budget.per_day(self.alarms_per_day, rows)

    def _promise(self) -> list[str]:
        """Return what the calibration can promise, where that is less than it seems."""
        known, rate = self.calibration_, self.budget.rate
        if known.independent_ < known.n_:
            return [
                f"{known.n_:,} {self.item} in order of time, about {known.independent_:,.0f} "
                f"independent: supports a budget of {_percent(known.resolution)}; smaller ones are "
                "extrapolated and not guaranteed"
            ]
        if rate >= known.resolution:
            return []
        below = (
            "extrapolated and not guaranteed"
            if self.calibration == "extreme_value"
            else 'out of reach; calibration "extreme_value" extrapolates'
        )
        return [
            f"calibrated on {known.n_:,} {self.item}, which supports false-alarm rates down to "
            f"{known.resolution:.2%}; {rate:.2%} is {below}"
        ]

    def _rows_per_day(self) -> float | None:
        return self.rows_per_day

    def _calibrate(
        self,
        items: Any,
        known: IntArray | None,
        relearn: Relearn | None = None,
        *,
        novel: bool = False,
    ) -> None:
        """Calibrate on the normal training items, in their order, as if they were new.

        See ``held_out_scores``; ``relearn`` counts positions among the normal items.
        """
        detector = self.detector_
        normal = np.arange(len(items)) if known is None else np.flatnonzero(known == 0)
        own = detector.training_scores_[normal]
        chosen = detector.chosen
        learns_labels = known is not None and (chosen.uses_labels or chosen.needs_labels)
        self.calibration_ = create_calibration(self.calibration)
        if learns_labels:  # blocks of time may hold one class only
            self.calibration_.fit(own)
            return
        held_out = held_out_scores(detector, items[normal], own, relearn, novel=novel)
        self.calibration_.fit(held_out.scores, held_out.independent)

    def _decide(self, calibration: Calibration, values: FloatArray) -> Decision:
        return decide(convert(calibration, self.calibration), values, self.budget.rate)

    def _drifting(self, decision: Decision) -> Drift | None:
        """Return where more items are flagged, in their order, than the budget allows."""
        rate, known = decision.false_alarm_rate, self.calibration_
        stretch = drifting_stretch(decision.is_anomaly, rate, known)
        if stretch is None:
            return None
        first, last = stretch
        flagged = int(decision.is_anomaly[first : last + 1].sum())
        return Drift(first, last, flagged, item=self.item)

    def _counted(self, labels: ArrayLike | None) -> Calibration:
        """Return a calibration by the normal training items' own scores, to judge these."""
        own = self.detector_.training_scores_
        normal = own if labels is None else own[np.asarray(labels) == 0]
        return create_calibration(self.calibration).fit(normal)

    def _decide_training(
        self, calibration: Calibration, values: FloatArray, labels: ArrayLike | None
    ) -> Decision:
        """Decide on training items; those that calibrate are counted once, not twice.

        Of unlabelled ones too few to count, those are anomalies that stand out from the others.
        """
        if labels is None and self._too_few(len(values)):
            return stand_out(values, self.budget.rate)
        decision = decide(convert(calibration, "quantile"), values, self.budget.rate)
        if labels is None:
            return decision
        new = self._decide(calibration, values).p_values
        return replace(decision, p_values=np.where(np.asarray(labels) == 0, decision.p_values, new))

    def _too_few(self, items: int) -> bool:
        """Return whether so few items may not have one false alarm, and are extrapolated from."""
        return self.calibration == "extreme_value" and items * self.budget.rate < 1

    def _fitted(self) -> Self:
        if not hasattr(self, "calibration_"):
            raise NotFittedPipeline("This Pipeline is not trained yet: call fit first.")
        return self


def _percent(rate: float) -> str:
    """Return a rate with two digits, as 5 % or 1.6 %."""
    return f"{100 * rate:.2g} %"
