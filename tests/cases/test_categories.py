"""Tables with a category of many values: no ordinary value is the anomaly itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tocsin.features.categories import Categories
from tocsin.pipeline import Pipeline

ODD = 77


def sites(seed: int, values: int, rows: int, frequency: str = "equal") -> pd.DataFrame:
    """Return measures of sites; one row is six deviations off in both."""
    random = np.random.default_rng(seed)
    share = {
        "equal": np.ones(values),
        "mixed": random.gamma(3, size=values),
        "zipf": 1 / np.arange(1, values + 1),
    }[frequency]
    site = random.choice(values, rows, p=share / share.sum())
    frame = pd.DataFrame({"site": [f"s{i}" for i in site], "temp": random.normal(20, 2, rows),
                          "load": random.normal(50, 5, rows)})  # fmt: skip
    frame.loc[ODD, ["temp", "load"]] = [32.0, 80.0]
    return frame


def largest_share(frame: pd.DataFrame, flagged: np.ndarray, column: str) -> float:
    """Return the share of the flagged rows that have the same value."""
    return float(frame.loc[flagged, column].value_counts(normalize=True).iloc[0])


@pytest.mark.parametrize(
    ("values", "rows", "frequency"),
    [(20, 300, "equal"), (30, 700, "equal"), (50, 1200, "equal"), (30, 700, "mixed"),
     (30, 700, "zipf")],
)  # fmt: skip
@pytest.mark.parametrize("seed", [0, 1])
def test_the_odd_row_of_many_sites_is_first(
    seed: int, values: int, rows: int, frequency: str
) -> None:
    """Of 20 to 50 sites no one is the anomaly; the one odd row is first."""
    frame = sites(seed, values, rows, frequency)
    detection = Pipeline().fit_detect(frame, explain=False)
    assert detection.scores.values.argmax() == ODD
    assert detection.decision.is_anomaly[ODD]
    if len(detection.anomalies) > 3:
        assert largest_share(frame, detection.decision.is_anomaly, "site") <= 0.6


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_categories(seed: int) -> None:
    """Of 25 sites and 40 products the one row with odd measures is first."""
    random = np.random.default_rng(seed)
    frame = sites(seed, 25, 800)
    frame["product"] = [f"p{i}" for i in random.integers(40, size=800)]
    assert Pipeline().fit_detect(frame, explain=False).scores.values.argmax() == ODD


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_users_of_own_amounts(seed: int) -> None:
    """Of 20 users, each with amounts of a size of their own, the flagged rows are of several."""
    random = np.random.default_rng(seed)
    user = random.integers(20, size=3000)
    amount = np.exp(random.normal(5, 1, 20)[user] + random.normal(0, 0.1, 3000))
    frame = pd.DataFrame({"user": [f"u{i}" for i in user], "amount": amount,
                          "items": random.poisson(4, 3000)})  # fmt: skip
    frame.loc[ODD, "amount"] *= 20
    detection = Pipeline().fit_detect(frame, explain=False)
    assert detection.decision.is_anomaly[ODD]
    assert largest_share(frame, detection.decision.is_anomaly, "user") <= 0.5


def test_a_rare_value_of_a_category_is_still_an_anomaly() -> None:
    """A value that two of 400 rows have, where all others share one, is flagged."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"country": ["DE"] * 400, "x": random.normal(size=400),
                          "y": random.normal(size=400)})  # fmt: skip
    frame.loc[[5, 9], "country"] = "XX"
    assert Pipeline().fit_detect(frame, explain=False).decision.is_anomaly[[5, 9]].all()


def test_categories_are_told_from_other_0_1_columns() -> None:
    """A category is a run of 0/1 columns of which each row has one; other 0/1 columns are none."""
    random = np.random.default_rng(0)
    category = np.eye(4)[random.integers(4, size=200)] * 1.2
    flags = (random.random((200, 3)) < 0.3).astype(float)
    found = Categories(np.hstack([random.normal(size=(200, 2)), category, flags]))
    assert found.blocks == [slice(2, 6)]
    assert np.flatnonzero(found.others).tolist() == [0, 1, 6, 7, 8]
