"""More numbers as ledgers, spreadsheets, programs and laboratories write them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tocsin.prepare import schema
from tocsin.prepare.tables import TablePreparer

N, PLANTED = 120, 70
VALUES = np.random.default_rng(3).integers(100_000, 500_000, N) / 100
VALUES[PLANTED] = 98_765.25
TENTHS = np.floor(VALUES / 4) / 16  # exact in decimals and in binary

WRITTEN = {
    "primes as apostrophes": (lambda x: f"{x:,.2f}".replace(",", "′"), VALUES),
    "a tolerance": (lambda x: f"{x:.2f} ± 0.5", VALUES),
    "a tolerance in ASCII": (lambda x: f"{x:.2f} +/- 0.05", VALUES),
    "a power of ten": (lambda x: f"{x:.2f}×10^3", 1000 * VALUES),
    "a power of ten in ASCII": (lambda x: f"{x:.2f} * 10^-2", VALUES / 100),
    "Fortran's exponents": (lambda x: f"{x:.8E}".replace("E", "D"), VALUES),
    "quoted against spreadsheets": (lambda x: f'="{x:.2f}"', VALUES),
    "an apostrophe against spreadsheets": (lambda x: f"'{x:.2f}", VALUES),
    "a point at half height": (lambda x: f"{x:.2f}".replace(".", "·"), VALUES),
    "thousands in German": (lambda x: f"{x:.2f} Tsd. €".replace(".", ",", 1), 1000 * VALUES),
    "minutes and fractions of seconds": (
        lambda x: f"{int(x // 60):02d}:{x % 60:07.4f}",
        TENTHS,
    ),
}


@pytest.mark.parametrize("form", WRITTEN)
def test_numbers_of_ledgers_and_laboratories(form):
    """Tolerances, powers of ten, quotes, points at half height: the values a person reads."""
    write, values = WRITTEN[form]
    cells = pd.Series([write(x) for x in (TENTHS if values is TENTHS else VALUES)])
    column = schema.infer(cells)
    assert column.kind == "numeric"
    found = schema.read_numbers(cells, column)
    assert np.allclose(found, values, rtol=1e-12)
    assert found.argmax() == PLANTED


@pytest.mark.parametrize(
    ("credit", "debit"), [("CR", "DR"), ("Cr", "Dr"), (" cr.", " dr."), ("CR", "")]
)
def test_credits_of_a_ledger_are_negative(credit, debit):
    """12.50 CR is -12.5 beside 12.50 DR, and the note says so."""
    is_credit = np.arange(N) % 3 == 0
    cells = pd.Series(
        [
            f"{x:,.2f} {credit if c else debit}".strip()
            for x, c in zip(VALUES, is_credit, strict=True)
        ]
    )
    column = schema.infer(cells)
    assert column.kind == "numeric"
    assert "are negative" in column.note
    found = schema.read_numbers(cells, column)
    assert np.allclose(found, np.where(is_credit, -VALUES, VALUES))


@pytest.mark.parametrize(
    "names", [("DBIT", "CRDT"), ("Débit", "Crédit"), ("Debe", "Haber"), ("+", "-")]
)
def test_marks_of_debit_and_credit_elsewhere(names):
    """A column of marks beside amounts: the note names it, as the amounts have no sign."""
    frame = pd.DataFrame({"amount": VALUES, "side": [names[i % 2] for i in range(N)]})
    notes = TablePreparer().fit(frame).notes_
    assert any('"side" marks debit and credit' in note for note in notes)


@pytest.mark.parametrize("unit", ["outages", "sets", "maps", "marks"])
def test_units_that_begin_like_months(unit):
    """5 sets and 3 outages are numbers with a unit, no dates."""
    cells = pd.Series([f"{int(x)} {unit}" for x in VALUES])
    column = schema.infer(cells)
    assert column.kind == "numeric"
    assert np.array_equal(schema.read_numbers(cells, column), np.floor(VALUES))


def test_a_month_is_no_unit():
    """1 Mar among 2 Apr: no numbers."""
    cells = pd.Series([f"{i % 28 + 1} {'Mar' if i % 2 else 'April'}" for i in range(N)])
    assert schema.infer(cells).kind != "numeric"
