"""Columns to numbers: what each kind of column becomes in the matrix that detectors take.

Under the scalings "standard" and "robust" each source column has about the variance of one
standardised number, so that none outweighs the others by the way it is written.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.base import Stateful
from tocsin.base.declared import Shape, Within
from tocsin.errors import CorruptModel
from tocsin.types import BoolArray, FloatArray, IntArray

Scale = Literal["standard", "robust", "minmax", "none"]
Cell = float | str | None
"""A value in the user's terms; None for a missing or an unknown one."""

REACH = 100.0
"""Standard deviations beyond the training range at which numbers, also infinite ones, are cut."""

HEAVIEST = 10.0
"""The largest weight of a 0/1 column, that of an event seen in about 1 % of the rows."""

_FEWEST_NEW, _NEW_SHARE = 5, 0.005
_UNSEEN_COUNT = 0.5  # the count of a value that was never seen
_CELLS = 4_000_000  # values handled at once: bounds the temporary memory to some tens of MB


class Numbers(Stateful):
    """All numeric columns at once: filled, cut, scaled, with indicators beside them.

    The matrix holds the columns that vary, then an indicator for each column that had
    missing values, then a column for each constant that shows whether a value differs.
    ``groups_`` (m,) int64 is the input column of each.
    """

    center_: Annotated[FloatArray, Shape("p", empty=True)]
    varying_: Annotated[IntArray, Shape("v", empty=True), Within(0, "p-1", rising=True)]
    indicated_: Annotated[IntArray, Shape("i", empty=True), Within(0, "p-1", rising=True)]
    constant_: Annotated[IntArray, Shape("c", empty=True), Within(0, "p-1", rising=True)]
    indicator_weight_: Annotated[FloatArray, Shape("i", empty=True)]
    constant_weight_: float
    groups_: Annotated[IntArray, Shape("g", empty=True), Within(0, "p-1")]
    scale_: Annotated[FloatArray, Shape("v", empty=True)]
    shift_: Annotated[FloatArray, Shape("v", empty=True)]
    low_: Annotated[FloatArray, Shape("v", empty=True)]
    high_: Annotated[FloatArray, Shape("v", empty=True)]

    def fit(self, values: FloatArray, scale: Scale) -> Numbers:
        """Learn from values (n, p), NaN where missing, with a finite value in every column."""
        rows, columns = values.shape
        summary = np.empty((6, columns))
        missing = np.empty(columns)
        step = max(1, _CELLS // rows)
        for start in range(0, columns, step):
            block = np.ascontiguousarray(values[:, start : start + step].T)
            missing[start : start + step] = np.isnan(block).mean(axis=1)
            summary[:, start : start + step] = _summarise(block, quartiles=scale == "robust")
        low, high, median, mean, std, iqr = summary
        with np.errstate(over="ignore"):
            varies = (high - low > _rounding(low, high)) & (std > 0)
        self.varying_ = np.flatnonzero(varies).astype(np.int64)
        self.constant_ = np.flatnonzero(~varies).astype(np.int64)
        self.indicated_ = np.flatnonzero(missing > 0).astype(np.int64)
        self.center_ = median
        self.indicator_weight_ = _weight(missing[self.indicated_])
        self.constant_weight_ = float(_weight(np.array([1 / (rows + 1)]))[0])
        self.groups_ = self._groups()
        with np.errstate(over="ignore"):
            if scale == "standard":
                center, width = mean, std
            elif scale == "robust":
                # 1.349 is the interquartile range of a normal distribution.
                center, width = median, np.where(iqr > 0, iqr / 1.349, std)
            elif scale == "minmax":
                center, width = low, high - low
            else:
                center, width = np.zeros(columns), np.ones(columns)
            width = np.nan_to_num(width)[self.varying_]
            reach = REACH * std[self.varying_] / width
            self.scale_, self.shift_ = width, center[self.varying_] / width
            self.low_ = np.nan_to_num(low[self.varying_] / width - self.shift_ - reach)
            self.high_ = np.nan_to_num(high[self.varying_] / width - self.shift_ + reach)
        return self

    def _groups(self) -> IntArray:
        return np.concatenate([self.varying_, self.indicated_, self.constant_])

    def _derive(self) -> None:
        if not np.array_equal(self.groups_, self._groups()):
            raise CorruptModel("The columns of the numbers are not those that they were made of.")

    def transform(self, values: FloatArray, out: FloatArray) -> None:
        """Write values (n, p) into out (n, m)."""
        step = max(1, _CELLS // 16 // max(1, values.shape[1]))
        every = self.varying_.size == values.shape[1]
        first = self.varying_.size
        second = first + self.indicated_.size
        constants = self.center_[self.constant_]
        for start in range(0, len(values), step):
            raw, part = values[start : start + step], out[start : start + step]
            block = part[:, :first]
            block[:] = raw if every else raw[:, self.varying_]
            np.copyto(block, self.center_[self.varying_], where=np.isnan(block))
            with np.errstate(over="ignore"):
                block /= self.scale_
            block -= self.shift_
            np.clip(block, self.low_, self.high_, out=block)
            part[:, first:second] = np.isnan(raw[:, self.indicated_]) * self.indicator_weight_
            fixed = raw[:, self.constant_]
            with np.errstate(over="ignore", invalid="ignore"):
                differs = np.abs(fixed - constants) > _rounding(constants, constants)
            part[:, second : second + constants.size] = differs * self.constant_weight_

    def typical(self) -> list[Cell]:
        """Return the median of each column."""
        return list(self.center_.tolist())

    def to_units(self, row: FloatArray) -> list[Cell]:
        """Return the value of each column that a row (m,) of the matrix stands for."""
        values = self.center_.copy()
        values[self.varying_] = (row[: self.varying_.size] + self.shift_) * self.scale_
        return list(values.tolist())


class Categories(Stateful):
    """One category column: a 0/1 column per frequent value, one for the rare, one for the unseen.

    With more than ``max_categories`` frequent values, or most rows rare, the logarithm of how
    often a value occurs takes the place of all but the last. A missing value is a value like
    any other.
    The weight of "unseen" follows from how often an unseen value was expected: the
    share of values that occur once (Good, The population frequencies of species, 1953). Where
    that is more than 0.5 % of the rows, values seen once count as unseen: without their own row
    they would be, and new rows will have as many.
    """

    once_is_unseen_: bool = False
    values_: Annotated[list[str], Shape("distinct", empty=True)]
    counts_: Annotated[IntArray, Shape("distinct", empty=True), Within(0)]
    missing_count_: Annotated[int, Within(0)]
    kept_: Annotated[int, Within(0, "distinct")]
    missing_kept_: bool
    rare_: bool
    by_frequency_: bool
    varies_: bool
    unseen_weight_: float
    weight_: float

    def fit(
        self, texts: NDArray[np.object_], scale: Scale, rare: float, max_categories: int
    ) -> Categories:
        """Learn the values of a column (n,), None where missing."""
        missing = int(pd.isna(texts).sum())
        counts = pd.Series(texts, dtype=object).value_counts()
        order = sorted(zip(counts.index, counts.tolist(), strict=True), key=lambda c: (-c[1], c[0]))
        fewest = max(2.0, rare * len(texts))
        self.values_ = [str(value) for value, _ in order]
        self.counts_ = np.array([count for _, count in order], dtype=np.int64)
        self.missing_count_ = missing
        kept = int((self.counts_ >= fewest).sum())
        mostly_rare = self.counts_[kept:].sum() > len(texts) / 2
        self.by_frequency_ = bool(kept > max_categories or mostly_rare)
        self.kept_ = 0 if self.by_frequency_ else kept
        self.missing_kept_ = bool(missing >= fewest and not self.by_frequency_)
        self.rare_ = bool(self.counts_[kept:].size or (missing and not self.missing_kept_))
        every = np.append(self.counts_, [missing] if missing else []) / len(texts)
        once = int((self.counts_ == 1).sum()) + (missing == 1)
        self.once_is_unseen_ = once >= _FEWEST_NEW and once > _NEW_SHARE * len(texts)
        self.varies_ = every.size > 1
        self.unseen_weight_ = float(_weight(np.array([(once + 1) / (len(texts) + 1)]))[0])
        if self.by_frequency_:
            counted = np.rint(every * len(texts))
            logs = np.log(np.where(self.once_is_unseen_ & (counted == 1), _UNSEEN_COUNT, counted))
            self.shift_ = float(every @ logs)
            self.weight_ = 1 / max(float(np.sqrt(every @ (logs - self.shift_) ** 2)), 0.3)
        else:
            spread = max(1 - float(every @ every), HEAVIEST**-2)
            self.weight_ = float(np.sqrt(1 / spread if scale in ("standard", "robust") else 0.5))
        return self

    def _derive(self) -> None:
        if len(set(self.values_)) < len(self.values_):
            raise CorruptModel("A value of a category column is there twice.")

    @property
    def width(self) -> int:
        """Number of columns in the matrix."""
        if self.by_frequency_:
            return 2
        return 1 + (self.kept_ + self.missing_kept_ + self.rare_ if self.varies_ else 0)

    def transform(self, texts: NDArray[np.object_], out: FloatArray) -> None:
        """Write a column of texts (n,) into out (n, width)."""
        out[:] = 0.0
        codes, seen = self._codes(texts)
        out[~seen, -1] = self.unseen_weight_
        if self.by_frequency_:
            counts = np.concatenate([self.counts_, [self.missing_count_, 0]])[codes]
            out[:, 0] = (np.log(np.maximum(counts, _UNSEEN_COUNT)) - self.shift_) * self.weight_
        elif self.varies_:
            missing, rare = len(self.values_), self.kept_ + self.missing_kept_
            slots = np.where(codes < self.kept_, codes, rare)
            slots[(codes == missing) & self.missing_kept_] = self.kept_
            rows = np.flatnonzero(seen)
            out[rows, slots[rows]] = self.weight_

    def unseen(self, texts: NDArray[np.object_]) -> BoolArray:
        """Return for each text (n,) whether it is missing in training."""
        return ~self._known(texts)[1]

    def typical(self) -> Cell:
        """Return the most frequent value."""
        return self.values_[0] if self.counts_[0] >= self.missing_count_ else None

    def to_units(self, row: FloatArray) -> Cell:
        """Return the value that a part (width,) of a row of the matrix stands for."""
        if self.by_frequency_:
            return None
        if not self.varies_:
            return self.typical()
        slot = int(np.argmax(row[:-1]))
        if slot < self.kept_:
            return self.values_[slot]
        return None if self.missing_kept_ and slot == self.kept_ else "a rare value"

    def _codes(self, texts: NDArray[np.object_]) -> tuple[IntArray, BoolArray]:
        """Return the number of each text's value (n,), and whether it counts as seen."""
        codes, seen = self._known(texts)
        if self.once_is_unseen_:
            once = np.append(self.counts_, [self.missing_count_, 0])[codes] == 1
            codes[once], seen = len(self.values_) + 1, seen & ~once
        return codes, seen

    def _known(self, texts: NDArray[np.object_]) -> tuple[IntArray, BoolArray]:
        missing = len(self.values_)
        codes = (
            pd.Index(self.values_, dtype=object)
            .get_indexer(pd.Index(texts, dtype=object))
            .astype(np.int64)
        )
        codes[pd.isna(texts)] = missing
        seen = (codes >= 0) & ((codes != missing) | (self.missing_count_ > 0))
        codes[codes < 0] = missing + 1
        return codes, seen


class Dates(Stateful):
    """One date column: sine and cosine of the cycles that the training data covers twice.

    The cycles: time of day, day of the week, day of the month, month of the year, all UTC.
    Absolute time is left out, since new rows always lie later.
    """

    _DAYS = (1, 7, 31, 365)

    def fit(self, moments: NDArray[np.datetime64]) -> Dates:
        """Learn from moments (n,) datetime64[s], NaT where missing, at least one of them given."""
        missing = np.isnat(moments)
        known = moments[~missing].astype(np.int64)
        days = (known.max() - known.min()) / 86_400
        varied = [bool((cycle != cycle[0]).any()) for cycle in _cycles(moments[~missing])]
        self.cycles_ = [
            i for i, length in enumerate(self._DAYS) if varied[i] and days >= 2 * length
        ]
        self.missing_weight_ = (
            float(_weight(np.array([missing.mean()]))[0]) if missing.any() else 0.0
        )
        return self

    @property
    def width(self) -> int:
        """Number of columns in the matrix."""
        return 2 * len(self.cycles_) + (self.missing_weight_ > 0)

    def transform(self, moments: NDArray[np.datetime64], out: FloatArray) -> None:
        """Write a column of moments (n,) into out (n, width)."""
        missing = np.isnat(moments)
        cycles = _cycles(np.where(missing, np.datetime64(0, "s"), moments))
        for position, cycle in enumerate(self.cycles_):
            angle = 2 * np.pi * cycles[cycle]
            out[:, 2 * position] = np.where(missing, 0.0, np.sin(angle))
            out[:, 2 * position + 1] = np.where(missing, 0.0, np.cos(angle))
        if self.missing_weight_:
            out[:, -1] = missing * self.missing_weight_


def _cycles(moments: NDArray[np.datetime64]) -> list[FloatArray]:
    days = moments.astype("datetime64[D]")
    months = moments.astype("datetime64[M]")
    of_day = (moments - days).astype(np.int64) / 86_400
    of_week = (days.astype(np.int64) + 3) % 7 / 7
    of_month = (days - months.astype("datetime64[D]")).astype(np.int64) / 31
    of_year = months.astype(np.int64) % 12 / 12
    return [of_day, of_week, of_month, of_year]


def _summarise(block: FloatArray, *, quartiles: bool) -> FloatArray:
    """Return low, high, median, mean, std, interquartile range (6, p) of a block (p, n).

    Only finite values count; the last is 0 unless ``quartiles``.
    """
    finite = np.isfinite(block)
    ignoring = "" if finite.all() else "nan"
    if ignoring:
        block = np.where(finite, block, np.nan)
    # Dividing by a power of two is exact and keeps squares and differences from overflowing.
    _, exponent = np.frexp(np.nanmax(np.abs(block), axis=1))
    block = np.ldexp(block, -exponent[:, None])
    summary = np.zeros((6, len(block)))
    for place, name in enumerate(("min", "max", "median", "mean", "std")):
        summary[place] = getattr(np, ignoring + name)(block, axis=1)
    if quartiles:
        summary[5] = np.subtract(*np.nanquantile(block, [0.75, 0.25], axis=1))
    with np.errstate(over="ignore"):
        return np.nan_to_num(np.ldexp(summary, exponent))


def _rounding(low: FloatArray, high: FloatArray) -> FloatArray:
    """Return how far apart values may lie and still be equal up to rounding."""
    return 8 * np.finfo(np.float64).eps * np.maximum(np.abs(low), np.abs(high))


def _weight(rate: FloatArray) -> FloatArray:
    """Return the weight that gives a 0/1 column of this rate the variance 1, at most HEAVIEST."""
    return 1 / np.sqrt(np.maximum(rate * (1 - rate), HEAVIEST**-2))
