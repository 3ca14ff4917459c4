"""Types come from training: codes stay codes, however a file is cut and whatever its format."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import tocsin
from tocsin.cli import app
from tocsin.errors import InputError
from tocsin.pipeline import Pipeline, SeriesPipeline
from tocsin.readers.table import iter_table, read_table

CODES = {
    "leading zeros": [f"{i:03d}" for i in range(1, 13)] + ["HQ"],
    "exponents": ["1E5", "2E7", "3E1", "7B2", "9A4", "A17"],
    "versions": ["1.1", "1.10", "1.2", "2.0", "2.00", "beta"],
    "hexadecimal": ["0x10", "0x1", "0xff", "16", "1"],
    "signs": ["+1", "1", "-1", "x"],
    "blanks": ["007 ", "7", "07", "a"],
    "words of missing": ["inf", "1", "2", "x", "01"],
}
FORMATS = ["csv", "tsv", "parquet", "jsonl", "json", "csv.gz"]


def save(frame, path):
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix in (".jsonl", ".json"):
        lines = path.suffix == ".jsonl"
        frame.to_json(path, orient="records", lines=lines, double_precision=15)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def coded(codes, n=240, seed=0, only=None):
    rng = np.random.default_rng(seed)
    kept = codes if only is None else only
    return pd.DataFrame({"store": rng.choice(kept, n), "sales": rng.normal(100, 10, n).round(2)})


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("ending", FORMATS)
def test_a_file_that_holds_only_codes_like_numbers(tmp_path, name, ending):
    """Codes of digits in a later file are those of training: scores as those of the table."""
    codes = CODES[name]
    digits = [code for code in codes if code.strip("+-0123456789.Ex ") == ""] or codes[:2]
    train = save(coded(codes), tmp_path / "train.csv")
    later = coded(codes, 40, 1, digits)
    pipeline = Pipeline("neighbours").fit(read_table(train))
    expected = pipeline.score(later).values
    path = save(later, tmp_path / f"later.{ending}")
    for frames in ([read_table(path, known=pipeline.preparer_.known)],
                   iter_table(path, 7, known=pipeline.preparer_.known)):  # fmt: skip
        found = np.concatenate([pipeline.score(frame).values for frame in frames])
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert pipeline.detect(later).decision.is_anomaly.mean() < 0.2


@pytest.mark.parametrize("name", ["leading zeros", "exponents"])
def test_numbers_of_other_programs_are_the_codes_with_their_value(name):
    """A table in Python or an event holds 7 where training had 007."""
    pipeline = Pipeline("neighbours").fit(coded(CODES[name]))
    text = coded(CODES[name], 30, 1, [code for code in CODES[name] if code[:2] in ("00", "1E")])
    number = text.assign(store=pd.to_numeric(text["store"]))
    assert np.array_equal(pipeline.score(number).values, pipeline.score(text).values)


@pytest.mark.parametrize("rows", [1, 7, 50, 100, 50_000])
def test_chunks_of_the_command_line(tmp_path, rows):
    """`tocsin score` gives the same scores for every --chunk-rows."""
    codes = CODES["leading zeros"]
    save(coded(codes), tmp_path / "train.csv")
    ordered = coded(codes, 100, 1).sort_values("store", ascending=False)
    save(ordered, tmp_path / "new.csv")
    run = CliRunner().invoke
    model, out = tmp_path / "model", tmp_path / "out.csv"
    fitted = run(
        app, ["fit", str(tmp_path / "train.csv"), "--detector", "neighbours", "--out", str(model)]
    )
    assert fitted.exit_code == 0, fitted.output
    arguments = ["score", str(model), str(tmp_path / "new.csv"), "--out", str(out)]
    scored = run(app, [*arguments, "--chunk-rows", str(rows)])
    assert scored.exit_code == 0, scored.output
    expected = Pipeline("neighbours").fit(read_table(tmp_path / "train.csv")).score(ordered).values
    np.testing.assert_allclose(pd.read_csv(out)["score"], expected, rtol=1e-5)


def test_train_and_data_in_one_call(tmp_path):
    """`tocsin.detect` reads new data as it read those to learn from."""
    codes = CODES["versions"]
    train = save(coded(codes, 400), tmp_path / "train.csv")
    later = coded(codes, 60, 1, ["1.10", "2.00", "1.2"])
    path = save(later, tmp_path / "later.csv")
    detection = tocsin.detect(str(path), train=str(train), detector="neighbours")
    expected = tocsin.detect(later, train=coded(codes, 400), detector="neighbours")
    np.testing.assert_allclose(detection.scores.values, expected.scores.values, rtol=1e-9)


def test_entities_that_are_codes(tmp_path):
    """Series of sensors 001 and HQ: a later file of 001 alone is that sensor."""
    times = pd.date_range("2024-01-01", periods=300, freq="h")
    parts = [
        pd.DataFrame({"sensor": name, "time": times, "v": level + np.sin(np.arange(300) / 4)})
        for name, level in (("001", 20.0), ("002", 90.0), ("HQ", -30.0))
    ]
    path = save(pd.concat(parts), tmp_path / "train.csv")
    pipeline = SeriesPipeline("seasonal").fit(read_table(path))
    later = save(parts[0].iloc[:60], tmp_path / "later.csv")
    frame = read_table(later, known=pipeline.preparer_.known)
    assert frame["sensor"].tolist() == ["001"] * 60
    assert [one.entity for one in pipeline.preparer_.transform(frame)] == ["001"]


CELLS = {
    "number": st.floats(-1e6, 1e6).map(lambda x: round(x, 4)),
    "whole": st.integers(-(10**6), 10**6),
    "gap": st.one_of(st.none(), st.floats(-10, 10).map(lambda x: round(x, 3))),
    "word": st.sampled_from(["north", "south", "007", "7", "1E5", "1.10", "x,y", 'say "x"', "NA"]),
    "digits": st.sampled_from(["001", "002", "010", "1E5"]),
    "money": st.sampled_from(["$1,204.50", "($7.00)", "12.5", "$ 3", ""]),
    "flag": st.booleans(),
    "day": st.dates(date(1990, 1, 1), date(2080, 1, 1)).map(str),
    "status": st.one_of(st.floats(0, 9).map(lambda x: f"{x:.3f}"), st.just("Bad Input")),
}


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.fixed_dictionaries(CELLS), min_size=30, max_size=60), st.integers(4, 20))
def test_any_table_is_the_same_in_every_format_and_chunk(tmp_path_factory, rows, chunk):
    """Random tables: kinds of columns and scores of CSV, Parquet, JSON and JSON lines agree."""
    folder = tmp_path_factory.mktemp("formats")
    frame = pd.DataFrame(rows)
    kinds, scores = [], []
    for ending in ("csv", "parquet", "jsonl", "json"):
        path = save(frame, folder / f"a.{ending}")
        pipeline = Pipeline("ecod")
        try:
            pipeline.fit(read_table(path))
        except InputError:
            return
        kinds.append(pipeline.preparer_.kinds_)
        parts = iter_table(path, chunk, known=pipeline.preparer_.known)
        scores.append(np.concatenate([pipeline.score(part).values for part in parts]))
        whole = pipeline.score(read_table(path, known=pipeline.preparer_.known)).values
        np.testing.assert_allclose(scores[-1], whole, rtol=1e-9)
    for kind, values in zip(kinds, scores, strict=True):
        assert kind == kinds[0]
        np.testing.assert_allclose(values, scores[0], rtol=1e-9)
