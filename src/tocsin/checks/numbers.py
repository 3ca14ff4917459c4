"""The checks of a detector of numbers, of tables or series."""

from __future__ import annotations

import numpy as np

from tocsin.checks.asserting import require, require_area, require_raises, scored
from tocsin.checks.subject import MatrixSubject
from tocsin.errors import SchemaMismatch

HUGE = 1e300


def check_units_do_not_matter(subject: MatrixSubject) -> None:
    """Check that a column or channel in a unit of 1e-6 is not drowned by others."""
    X, y = subject.training
    units = np.logspace(-6, 6, X.shape[1])
    rows, labels = subject.testing_first
    values = subject.new().fit(X * units, y).score(rows * units).values
    require_area(subject.least_area, labels, values, "in mixed units")


def check_other_width(subject: MatrixSubject) -> None:
    """Check that scoring another number of columns than trained on raises SchemaMismatch."""
    good = subject.normal
    for X in (good[:, 1:], np.hstack([good, good])):
        require_raises(SchemaMismatch, "scoring another width", subject.fitted.score, X)


def check_expected(subject: MatrixSubject) -> None:
    """Check that expected values are nearer to normal items than their median is."""
    X = subject.unseen
    expected = scored(subject.fitted, X).expected
    if expected is not None:
        error = np.median(np.abs(X - expected).sum(axis=1))
        usual = np.median(np.abs(X - np.median(X, axis=0)).sum(axis=1))
        require(error < usual, "expected is not nearer to normal items than their median")


def check_parts(subject: MatrixSubject) -> None:
    """Check that ``parts`` find the column or channel of a grossly changed value."""
    X, spots = subject.unseen, subject.spots
    usual = scored(subject.fitted, X).parts
    if usual is None:
        return
    found = []
    for column, deviation in enumerate(subject.normal.std(axis=0)):
        changed = X.copy()
        changed[spots, column] += 10 * deviation
        parts = np.asarray(scored(subject.fitted, changed).parts)
        found.append((parts - usual)[spots].argmax(axis=1) == column)
    share = float(np.mean(found))
    require(share > 0.7, f"parts find a grossly changed value's column in {share:.0%} of cases")


def check_constant_column(subject: MatrixSubject) -> None:
    """Check that a constant column gives finite scores, also to items that differ in it."""
    rows = subject.normal[:60].copy()
    rows[:, -1] = 4.0
    detector = subject.fits(rows)
    rows[:, -1] = np.linspace(-50, 50, 60)
    scored(detector, rows)


def check_one_column(subject: MatrixSubject) -> None:
    """Check that one column is enough."""
    subject.fits(subject.normal[:60, :1])


def check_wide(subject: MatrixSubject) -> None:
    """Check that more columns than items give finite scores."""
    subject.fits(np.random.default_rng(0).normal(size=(30, 60)))


def check_huge_training_values(subject: MatrixSubject) -> None:
    """Check that values up to 1e300 among the training items give finite scores."""
    rows = subject.normal[:60].copy()
    rows[5, 1], rows[6, 1] = HUGE, -HUGE
    subject.fits(rows)
