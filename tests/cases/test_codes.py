"""Codes of digits: postcodes and stores with leading zeros are names, measurements are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tocsin.pipeline import Pipeline
from tocsin.readers.table import iter_table, read_table

N = 400
CODES = {
    "German postcodes": ["01067", "10115", "80331", "50667", "04109"],
    "US postcodes": ["02139", "10001", "94105", "30301", "60601", "00501"],
    "stores": [f"{i:03d}" for i in range(1, 41)],
    "accounts": [f"{i:010d}" for i in range(4_711_000, 4_711_050)],
    "hours": [f"{i:02d}" for i in range(24)],
}


def rows(codes, seed=0, n=N, **columns):
    rng = np.random.default_rng(seed)
    values = {"code": rng.choice(codes, n), "amount": rng.normal(100, 10, n).round(2)}
    return pd.DataFrame(values | columns)


def save(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    else:
        frame.to_csv(path, index=False, sep=";" if path.stem == "semicolons" else ",")
    return path


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("file", ["a.csv", "semicolons.csv", "a.parquet"])
def test_digits_with_leading_zeros_are_codes(tmp_path, name, file):
    """01067 is no 1,067: categories that are told, the same in each format and chunk."""
    pipeline = Pipeline("neighbours").fit(read_table(save(rows(CODES[name]), tmp_path / file)))
    assert pipeline.preparer_.kinds_ == ["category", "numeric"]
    assert any('"code" codes such as "0' in note for note in pipeline.notes_)
    later = rows(CODES[name], seed=1, n=60)
    expected = pipeline.score(later).values
    path = save(later, tmp_path / file)
    for size in (7, 50):
        parts = iter_table(path, size, known=pipeline.preparer_.known)
        found = np.concatenate([pipeline.score(part).values for part in parts])
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("name", ["German postcodes", "stores"])
def test_a_later_code_with_letters_is_a_new_one(tmp_path, name):
    """HQ among stores that were digits in training: a value unseen, not a file refused."""
    pipeline = Pipeline("neighbours").fit(read_table(save(rows(CODES[name]), tmp_path / "a.csv")))
    later = rows(CODES[name], seed=1, n=60)
    later.loc[7, "code"] = "HQ"
    frame = read_table(save(later, tmp_path / "b.csv"), known=pipeline.preparer_.known)
    assert np.isfinite(pipeline.score(frame).values).all()


@pytest.mark.parametrize(
    ("width", "low", "high"), [(3, 0, 400), (5, 200, 90_000), (4, 0, 2400), (8, 0, 10**7)]
)
def test_measurements_padded_with_zeros_stay_numbers(tmp_path, width, low, high):
    """Fields of a fixed width, most of them different: numbers, and the far one is first."""
    values = np.random.default_rng(2).integers(low, high // 2, N)
    values[77] = high * 5 // 3 if len(str(high * 5 // 3)) <= width else 10**width - 1
    frame = rows(["a", "b"]).assign(level=[f"{x:0{width}d}" for x in values])
    read = read_table(save(frame, tmp_path / "a.csv"))
    pipeline = Pipeline("neighbours").fit(read)
    assert pipeline.preparer_.kinds_ == ["category", "numeric", "numeric"]
    assert np.argmax(pipeline.score(read).values) == 77


@pytest.mark.parametrize("ends", [(80, 90, 100, 85, 95), (60, 95, 70, 88), (300, 420, 280, 390)])
@pytest.mark.parametrize("name", ["soc", "temperature", "x"])
def test_ramps_of_a_measured_column_are_no_counter(name, ends):
    """Charges and heatings that begin alike and end at other heights: kept as measured."""
    ramps = np.concatenate([np.linspace(10, end, 60) for end in ends]).round(1)
    frame = pd.DataFrame({name: ramps, "volts": np.random.default_rng(0).normal(size=len(ramps))})
    assert Pipeline("neighbours").fit(frame).preparer_.kinds_ == ["numeric", "numeric"]


@pytest.mark.parametrize("step", [1, 0.25, 1000])
def test_counters_that_restart_are_dropped_whatever_their_name(step):
    """Equal steps from the same start, to unlike heights: a counter of runs."""
    counts = np.concatenate([np.arange(n) for n in (210, 90, 300)]) * step
    frame = pd.DataFrame({"x": counts, "volts": np.random.default_rng(0).normal(size=600)})
    assert Pipeline("neighbours").fit(frame).preparer_.kinds_ == ["dropped", "numeric"]
