"""PyOD's detectors by their names: what they cannot do is told, and as theirs."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pandas as pd
import pytest

from tocsin import cli, registry
from tocsin.errors import InputError, ParameterError, UnknownName
from tocsin.pipeline import Pipeline

pyod = pytest.importorskip("pyod")


def rows_with_copies(copies: int, seed: int = 0) -> np.ndarray:
    """Return 60 ordinary rows, copies of one of them, and one row far off, the last."""
    ordinary = np.random.default_rng(seed).normal(size=(60, 2))
    return np.vstack([ordinary, np.repeat(ordinary[:1], copies, axis=0), [[9.0, 9.0]]])


@pytest.mark.parametrize("copies", [20, 50])
@pytest.mark.parametrize("name", ["ABOD", "SOS"])
def test_no_score_is_an_error_that_names_the_detector(name: str, copies: int) -> None:
    """Rows that PyOD gives NaN raise an error that names its detector, never a score of 0."""
    with pytest.raises(InputError, match=rf"PyOD's {name} gives no score \(NaN\)"):
        registry.create(f"pyod:{name}").fit(rows_with_copies(copies))


@pytest.mark.parametrize("copies", [20, 50])
@pytest.mark.parametrize("name", ["KNN", "ECOD"])
def test_the_outlier_beside_copies_is_first(name: str, copies: int) -> None:
    """Beside many copies of one row the row far off is first, with detectors that score it."""
    X = rows_with_copies(copies)
    assert registry.create(f"pyod:{name}").fit(X).training_scores_.argmax() == len(X) - 1


@pytest.mark.parametrize("name", ["CD", "COF", "LMDD", "SOD", "SOS"])
def test_a_row_alone_has_a_score(name: str) -> None:
    """Detectors that compare rows of one batch score single rows beside training rows."""
    X = np.random.default_rng(0).normal(size=(80, 3))
    detector = registry.create(f"pyod:{name}").fit(X)
    usual, far = (detector.score([row]).values[0] for row in ([0.1, 0, 0.1], [9.0, 8, 9]))
    assert far > usual
    assert f"PyOD's {name} scores a row by the rows beside it" in detector.reason_


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ECOD", "scores a row by the rows beside it"),
        ("COPOD", "scores a row by the rows beside it"),
        ("ROD", "scores a row by the rows beside it"),
        ("QMCD", "gives rows far from all others low scores"),
        ("KNN", ""),
        ("LOF", ""),
        ("IForest", ""),
    ],
)
def test_what_breaks_a_promise_says_so(name: str, said: str) -> None:
    """Scores that depend on the batch, or are low far away, are noted; sound ones are not."""
    frame = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 3)), columns=list("abc"))
    notes = " ".join(Pipeline(f"pyod:{name}").fit(frame).notes_)
    assert said in notes
    assert ("PyOD's" in notes) == bool(said)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("DOMINANT", "graphs"), ("MatrixProfile", "time series"), ("AudioAE", "audio"),
     ("EmbeddingOD", "texts"), ("XGBOD", "labels"), ("lscp", "other detectors")],
)  # fmt: skip
def test_only_detectors_of_tables_are_offered(name: str, kind: str) -> None:
    """Detectors of graphs, series, texts and audio, and those that need more, are refused."""
    from tocsin.detectors.tables.pyod import names

    assert name.lower() not in [each.lower() for each in names()]
    with pytest.raises(UnknownName, match=rf"(?i)PyOD's {name} .*{kind}"):
        registry.create(f"pyod:{name}").fit(np.eye(12))


@pytest.mark.parametrize("moment", ["__init__", "fit", "decision_function"])
@pytest.mark.parametrize(
    "error", [IndexError, ValueError, NotImplementedError, ModuleNotFoundError]
)
def test_faults_of_pyod_are_told_as_its_own(
    tmp_path, monkeypatch, capsys, moment: str, error: type[Exception]
) -> None:
    """Whatever PyOD raises, in making, learning or scoring, ends as PyOD's limit, exit code 2."""
    from pyod.models.knn import KNN

    def fails(*args: object, **kwargs: object) -> None:
        raise error("out of bounds")

    monkeypatch.setattr(KNN, moment, fails)
    pd.DataFrame(rows_with_copies(5)).to_csv(tmp_path / "a.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["tocsin", "detect", str(tmp_path / "a.csv"), "--detector",
                                      "pyod:KNN"])  # fmt: skip
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert "PyOD's KNN" in told
    assert "fault of Tocsin" not in told


def test_a_package_that_is_missing_is_named() -> None:
    """A detector of PyOD that needs a package that is not there says which."""
    if importlib.util.find_spec("combo") is not None:
        pytest.skip("combo is installed")
    for name in ("SUOD", "FeatureBagging"):
        with pytest.raises(ParameterError, match=f"PyOD's {name} needs .*combo"):
            registry.create(f"pyod:{name}").fit(np.random.default_rng(0).normal(size=(40, 2)))


@pytest.mark.parametrize("name", ["pyod:MO_GAAL", "pyod:SO_GAAL", "pyod:KNN"])
def test_what_pyod_prints_is_no_part_of_the_output(name: str, capsys) -> None:
    """Epochs that networks print do not stand before the JSON of a detection."""
    rows = np.random.default_rng(0).normal(size=(40, 2))
    registry.create(name).fit(rows)
    assert capsys.readouterr().out == ""
