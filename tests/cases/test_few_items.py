"""A file of fewer items than the budget can count: the one odd item is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tocsin.decide import stand_out
from tocsin.pipeline import ImagePipeline, Pipeline, SeriesPipeline, TextPipeline

ODD = 21


def months(seed: int, rows: int = 36) -> pd.DataFrame:
    """Return sales by month, with a season."""
    random = np.random.default_rng(seed)
    season = 250 + 60 * np.sin(np.arange(rows) * 2 * np.pi / 12)
    return pd.DataFrame({"sales": (season + 20 * random.normal(size=rows)).round(),
                         "visitors": random.poisson(40, rows)})  # fmt: skip


def parts(seed: int, rows: int = 36) -> pd.DataFrame:
    """Return weights and lengths of parts of two kinds."""
    random = np.random.default_rng(seed)
    weight = random.normal(10, 0.3, rows)
    return pd.DataFrame({"kind": random.choice(["a", "b"], rows), "weight": weight,
                         "length": 3 * weight + random.normal(0, 0.5, rows)})  # fmt: skip


def invoices(seed: int, rows: int = 36) -> pd.DataFrame:
    """Return amounts that are skewed."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {"amount": random.lognormal(5, 0.4, rows), "days": random.poisson(14, rows)}
    )


MAKERS = {"months": (months, "sales"), "parts": (parts, "length"), "invoices": (invoices, "amount")}


@pytest.mark.parametrize("rows", [30, 36, 80])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", MAKERS)
def test_the_odd_row_of_few_is_found(kind: str, seed: int, rows: int) -> None:
    """Of 30 to 80 rows without labels the tenfold one is first, flagged, and nearly alone."""
    make, column = MAKERS[kind]
    frame = make(seed, rows).astype({column: float})
    frame.loc[ODD, column] *= 10
    detection = Pipeline().fit_detect(frame, explain=False)
    assert detection.scores.values.argmax() == ODD
    assert detection.decision.is_anomaly[ODD]
    assert detection.decision.is_anomaly.sum() <= 2
    assert detection.decision.p_values[ODD] <= 0.01


@pytest.mark.parametrize("kind", MAKERS)
def test_few_ordinary_rows_flag_nothing(kind: str) -> None:
    """Of 20 files of 36 ordinary rows at most two have an alarm."""
    make, _ = MAKERS[kind]
    alarms = [
        Pipeline().fit_detect(make(seed), explain=False).decision.is_anomaly.any()
        for seed in range(20)
    ]
    assert sum(alarms) <= 2


@pytest.mark.parametrize("shape", ["exponential", "normal", "uniform", "lognormal"])
@pytest.mark.parametrize("n", [36, 60, 90])
def test_ordinary_scores_do_not_stand_out(shape: str, n: int) -> None:
    """Whatever the tail of ordinary scores, few of 100 files have an alarm."""
    random = np.random.default_rng(0)
    files = getattr(random, shape)(size=(100, n))
    flagged = [stand_out(scores, 0.01).is_anomaly.any() for scores in files]
    assert np.mean(flagged) <= (0.15 if shape == "lognormal" else 0.05)


@pytest.mark.parametrize("n", [8, 36, 90])
def test_scores_that_are_equal_but_one(n: int) -> None:
    """One score above others that are all equal stands out; none does where all are equal."""
    scores = np.zeros(n)
    assert not stand_out(scores, 0.01).is_anomaly.any()
    scores[3] = 1.0
    assert np.flatnonzero(stand_out(scores, 0.01).is_anomaly).tolist() == [3]


@pytest.mark.parametrize("odd", [1, 2, 3])
def test_several_odd_scores_do_not_hide_one_another(odd: int) -> None:
    """Up to a tenth of the items, whose scores widen the tail of one another, are found."""
    scores = np.random.default_rng(0).normal(size=36)
    scores[:odd] += 30
    found = stand_out(scores, 0.01)
    assert np.flatnonzero(found.is_anomaly).tolist() == list(range(odd))
    assert (found.p_values[:odd] <= 0.01).all()
    assert ((scores > found.threshold) == found.is_anomaly).all()


@pytest.mark.parametrize("calibration", ["conformal", "quantile"])
def test_counting_alone_flags_none_of_few_and_says_so(calibration: str) -> None:
    """A calibration that only counts flags none of 36 rows, and the note says out of reach."""
    detection = Pipeline(calibration=calibration).fit_detect(months(0), explain=False)
    assert not detection.decision.is_anomaly.any()
    assert any("out of reach" in note for note in detection.notes)


def test_the_note_of_few_rows_is_true() -> None:
    """With the default the note says that the budget is extrapolated, and something is flagged."""
    frame = months(0)
    frame.loc[ODD, "sales"] *= 10
    detection = Pipeline().fit_detect(frame, explain=False)
    assert any("extrapolated" in note for note in detection.notes)
    assert detection.decision.is_anomaly.any()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_odd_month_of_a_series_is_first(seed: int) -> None:
    """Of 36 months as a series the tenfold one has the highest score."""
    frame = months(seed)[["sales"]].astype(float)
    frame.insert(0, "month", pd.date_range("2021-01-01", periods=36, freq="MS").astype(str))
    frame.loc[ODD, "sales"] *= 10
    detection = SeriesPipeline().fit_detect(frame, explain=False)
    assert detection.scores.values.argmax() == ODD


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_odd_text_of_forty_is_found(seed: int) -> None:
    """Of 40 tickets the poem is first and flagged."""
    random = np.random.default_rng(seed)
    kinds = ("The screen of workstation {} stays black.", "Please reset the password of user {}.",
             "Paper is stuck in printer {}.")  # fmt: skip
    texts = [str(random.choice(kinds)).format(random.integers(1, 400)) for _ in range(40)]
    texts[ODD] = "Tiger, tiger, burning bright, in the forests of the night!"
    detection = TextPipeline().fit_detect(texts, explain=False)
    assert detection.scores.values.argmax() == ODD
    assert detection.decision.is_anomaly[ODD]
    assert detection.decision.is_anomaly.sum() <= 3


def test_the_spoilt_photo_of_thirty_is_found() -> None:
    """Of 30 photos the one with a black square is first and flagged."""
    random = np.random.default_rng(0)
    photos = (120 + 10 * random.normal(size=(30, 64, 64, 3))).clip(0, 255).astype(np.uint8)
    photos[ODD, 20:40, 20:40] = 0
    detection = ImagePipeline().fit_detect(photos, explain=False)
    assert detection.scores.values.argmax() == ODD
    assert detection.decision.is_anomaly[ODD]
    assert detection.decision.is_anomaly.sum() <= 2
