"""What detection gives, whatever the modality: frozen, typed results that need NumPy alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tocsin.errors import InputError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Family = Literal[
    "reconstruction",
    "density",
    "neighbours",
    "forecast",
    "adversarial",
    "memory bank",
    "likelihood",
    "one-class",
    "isolation",
    "projection",
    "supervised",
    "composite",
]
Training = Literal["guess", "clean", "mixed"]
"""What training items are: normal only, unlabelled with anomalies among them, or not known."""
Learning = Literal["one-class", "unlabelled", "supervised", "zero-shot", "streaming"]


@dataclass(frozen=True, slots=True)
class Card:
    """What a detector is: shown by ``tocsin detectors`` and written into every saved model.

    ``also_known_as``: names, as their papers spell them, of methods that it implements or comes
    closest to; errors and listings lead from these names to this detector.
    """

    name: str
    modality: str
    family: Family
    learning: tuple[Learning, ...]
    summary: str
    paper: str
    cost: str
    also_known_as: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scores:
    """Anomaly scores of n items; higher is more anomalous, always.

    ``values``: (n,) float64, finite. ``parts``: how much each part of an item adds, for
    tables (n, d), for images a heat map each, (n, rows, columns). ``expected``: what the model
    expected in place of the input, same shape and units as the input, where the detector has
    one.

    Raises InputError when a value is not finite or a shape does not fit.

    >>> import numpy as np
    >>> scores = Scores(np.array([0.1, 2.5]))
    >>> len(scores), float(np.asarray(scores).max())
    (2, 2.5)
    """

    values: FloatArray
    parts: FloatArray | NDArray[np.float32] | None = None
    expected: FloatArray | None = None

    def __post_init__(self) -> None:
        values = np.ascontiguousarray(self.values, dtype=np.float64)
        if values.ndim != 1:
            raise InputError(f"Scores are one number per item; got shape {values.shape}.")
        if not np.isfinite(values).all():
            bad = int((~np.isfinite(values)).sum())
            raise InputError(f"{bad} of {values.size} scores are not finite: a detector's fault.")
        object.__setattr__(self, "values", values)
        for name in ("parts", "expected"):
            array = getattr(self, name)
            if array is not None and len(array) != values.size:
                raise InputError(f"Scores.{name} has {len(array)} rows for {values.size} scores.")

    def __len__(self) -> int:
        return int(self.values.size)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.values, dtype=dtype, copy=copy)


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from scores under a false-alarm budget.

    ``p_values``: (n,) float64 in (0, 1], the share of normal items that score at least as
    high. ``threshold``: the score above which an item is an anomaly. ``is_anomaly``: (n,)
    bool. ``false_alarm_rate``: the budget, the share of normal items that may be flagged.
    """

    p_values: FloatArray
    threshold: float
    is_anomaly: BoolArray
    false_alarm_rate: float


@dataclass(frozen=True, slots=True)
class Reason:
    """One part of an item that made it anomalous, in the user's own names and units.

    ``weight`` is this part's share of the whole explanation, from 0 to 1.
    """

    name: str
    seen: float | str | None
    expected: float | str | None
    weight: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why one item is anomalous: its reasons, the heaviest first."""

    row: int
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """A stretch of items of which more are flagged than the budget allows.

    ``first`` and ``last`` are positions, ``flagged`` counts the anomalies between them, and
    ``columns`` are those whose values moved as a whole, the farthest first. ``adapted``: whether
    their levels there were taken as the new normal ones.

    >>> str(Drift(100, 299, 30, ("watts",)))[:61]
    'more is flagged than the budget allows: 15.0 % of 200 rows si'
    """

    first: int
    last: int
    flagged: int
    columns: tuple[str, ...] = ()
    item: str = "rows"
    adapted: bool = False

    def __str__(self) -> str:
        count = self.last - self.first + 1
        moved = f"columns that moved: {', '.join(self.columns)}; " if self.columns else ""
        cause = (
            f"{moved}their level from there on was taken as the new normal one"
            if self.adapted
            else f"{moved}this is drift rather than {self.flagged:,} anomalies"
            if self.columns
            else "no column moved by itself: what is normal has changed, or many are anomalous"
        )
        return (
            f"more is flagged than the budget allows: {100 * self.flagged / count:.1f} % of "
            f"{count:,} {self.item} since {self.item.removesuffix('s')} {self.first:,}; {cause}"
        )


@dataclass(frozen=True, slots=True)
class Detection:
    """The whole answer for n items: scores, decision, and reasons for the anomalies.

    ``rows``: (n,) int64, the position of each item in its file or frame. ``explanations``:
    by that position, for the anomalies. ``notes``: what was assumed or done, in plain words.
    ``drift``: where more is flagged than the budget allows, also among the notes.
    """

    scores: Scores
    decision: Decision
    rows: IntArray
    explanations: Mapping[int, Explanation] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    drift: Drift | None = None

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def anomalies(self) -> IntArray:
        """Positions of the anomalies, the most anomalous first."""
        found = np.flatnonzero(self.decision.is_anomaly)
        return self.rows[found[np.argsort(-self.scores.values[found], kind="stable")]]

    def labels(self, given: ArrayLike) -> IntArray:
        """Return the labels (n,) of what was scored, from those of everything that was given.

        Raises InputError where these are fewer or more than what was given.
        """
        labels = given_labels(given, len(self))
        if len(labels) > len(self):
            raise InputError(f"There are {len(labels):,} labels for {len(self):,} items.")
        return labels


def given_labels(given: ArrayLike, fewest: int) -> IntArray:
    """Return the labels of all that was given as an array. Raises InputError for fewer.

    >>> given_labels([0, 1], 2)
    array([0, 1])
    """
    labels: IntArray = np.asarray(given)
    if labels.ndim != 1 or len(labels) < fewest:
        raise InputError(
            f"Labels are one per item that was given, {fewest:,} or more; got an array of shape "
            f"{labels.shape}."
        )
    return labels
