"""Preparation of tables: kinds, scaling, new values, schema checks, purity, saved state."""

import io
import json
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.errors import InputError, NotFitted, ParameterError, SchemaMismatch
from tocsin.prepare.encode import HEAVIEST, REACH
from tocsin.prepare.tables import TablePreparer

N = 400


def mixed(n=N, seed=0):
    rng = np.random.default_rng(seed)
    days, months = rng.integers(1, 29, n), rng.integers(1, 13, n)
    return pd.DataFrame(
        {
            "row": np.arange(n),
            "watts": rng.normal(50, 9, n),
            "gaps": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "mode": rng.choice(["idle", "busy", "off"], n),
            "name": [f"unit {i}" for i in range(n)],
            "volts": 230,
            "site": "north",
            "when": pd.date_range("2024-01-01", periods=n, freq="3h", tz="Europe/Berlin"),
            "built": [f"{d:02d}/{m:02d}/2019" for d, m in zip(days, months, strict=True)],
            "on": rng.random(n) < 0.5,
            "price": [f"${x:,.2f}" for x in rng.normal(3_000, 400, n)],
            "user": rng.choice([f"u{i}" for i in range(70)], n),
            "empty": None,
        }
    )


def through_files(preparer):
    """Write the state as JSON beside arrays, as a saved model does, and restore it."""
    arrays = {}

    def split(value, name):
        if isinstance(value, np.ndarray):
            arrays[name] = value
            return {"array": name}
        if isinstance(value, dict):
            return {key: split(inner, f"{name}/{key}") for key, inner in value.items()}
        return value

    def join(value):
        if isinstance(value, dict):
            if set(value) == {"array"}:
                return stored[value["array"]]
            return {key: join(inner) for key, inner in value.items()}
        return value

    text = json.dumps(split(preparer.get_state(), "state"))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    buffer.seek(0)
    stored = np.load(buffer, allow_pickle=False)
    return TablePreparer().set_state(join(json.loads(text)))


def test_kinds_groups_and_notes():
    preparer = TablePreparer()
    matrix = preparer.fit_transform(mixed())
    assert dict(zip(preparer.columns_, preparer.kinds_, strict=True)) == {
        "row": "dropped",
        "watts": "numeric",
        "gaps": "numeric",
        "mode": "category",
        "name": "dropped",
        "volts": "numeric",
        "site": "category",
        "when": "date",
        "built": "date",
        "on": "boolean",
        "price": "numeric",
        "user": "category",
        "empty": "dropped",
    }
    assert matrix.dtype == np.float64
    assert matrix.flags.c_contiguous
    assert np.isfinite(matrix).all()
    assert preparer.groups_.shape == (matrix.shape[1],)
    assert preparer.groups_.dtype == np.int64
    kinds = preparer.kinds_
    assert set(preparer.groups_) == {i for i, kind in enumerate(kinds) if kind != "dropped"}
    notes = "\n".join(preparer.notes_)
    assert 'column "row" dropped: it numbers the rows' in notes
    assert 'column "name" dropped: 400 distinct texts in 400 rows' in notes
    assert 'column "empty" dropped: every value is missing' in notes
    assert 'column "volts" constant' in notes
    assert "read as dates, %d/%m/%Y" in notes
    assert 'column "user" has 70 values' in notes


def test_numbers_are_standardised():
    X = np.random.default_rng(0).normal(5, 3, (200, 4))
    matrix = TablePreparer().fit_transform(X)
    np.testing.assert_allclose(matrix, (X - X.mean(0)) / X.std(0), atol=1e-12)
    matrix = TablePreparer(scale="minmax").fit_transform(X)
    np.testing.assert_allclose([matrix.min(), matrix.max()], [0, 1], atol=1e-12)
    assert np.array_equal(TablePreparer(scale="none").fit_transform(X), X)
    iqr = np.subtract(*np.quantile(X, [0.75, 0.25], axis=0))
    expected = (X - np.median(X, axis=0)) / (iqr / 1.349)
    np.testing.assert_allclose(TablePreparer(scale="robust").fit_transform(X), expected, atol=1e-12)


def test_robust_falls_back_where_the_quartiles_agree():
    X = np.zeros((100, 1))
    X[:10, 0] = np.arange(10)
    matrix = TablePreparer(scale="robust").fit_transform(X)
    np.testing.assert_allclose(matrix, X / X.std(), atol=1e-12)


@pytest.mark.parametrize("scale", ["standard", "robust", "minmax", "none"])
def test_state_survives_files(scale):
    frame = mixed()
    preparer = TablePreparer(scale=scale).fit(frame)
    new = mixed(50, seed=1).assign(mode="unheard of", site=None, gaps=np.inf)
    restored = through_files(preparer)
    assert np.array_equal(restored.transform(new), preparer.transform(new))
    assert restored.to_units(preparer.transform(new)[0]) == preparer.to_units(
        preparer.transform(new)[0]
    )
    assert restored.typical_ == preparer.typical_
    assert restored.remarks(new) == preparer.remarks(new)


def test_every_column_weighs_the_same():
    preparer = TablePreparer()
    matrix = preparer.fit_transform(mixed()[["watts", "on", "mode"]])
    weight = np.bincount(preparer.groups_, weights=matrix.var(axis=0))
    np.testing.assert_allclose(weight, 1, atol=1e-6)


def test_what_is_passed_in_stays_as_it_was():
    frame = mixed()
    copy = frame.copy(deep=True)
    preparer = TablePreparer().fit(frame)
    preparer.transform(frame)
    aligned = preparer.align(frame)
    aligned.loc[:, "watts"] = 0.0
    preparer.seen(frame, 0, 1)
    pd.testing.assert_frame_equal(frame, copy)
    X = np.random.default_rng(0).normal(size=(30, 3))
    X[0, 0], X[1, 1] = np.nan, np.inf
    before = X.copy()
    TablePreparer().fit(X).transform(X)
    assert np.array_equal(X, before, equal_nan=True)
    X.flags.writeable = False
    TablePreparer().fit_transform(X)


def test_transform_changes_no_state():
    preparer = TablePreparer().fit(mixed())
    before = json.dumps(preparer.get_state(), default=lambda array: array.tolist())
    preparer.transform(mixed(20, seed=3).assign(mode="new"))
    after = json.dumps(preparer.get_state(), default=lambda array: array.tolist())
    assert before == after


def test_missing_values_take_the_median_beside_an_indicator():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0, np.nan], "b": [1.0, 2.0, 3.0, 4.0]})
    preparer = TablePreparer(scale="none").fit(frame)
    matrix = preparer.transform(frame)
    assert preparer.groups_.tolist() == [0, 1, 0]
    assert matrix[3, 0] == 2.0
    assert (matrix[:, 2] > 0).tolist() == [False, False, False, True]
    new = preparer.transform(pd.DataFrame({"a": [1.0], "b": [np.nan]}))
    assert new[0, 1] == 2.5
    remarks = preparer.remarks(pd.DataFrame({"a": [1.0], "b": [np.nan]}))
    assert remarks == ['column "b" had no missing values in training; 1 filled with the median']


def test_infinities_lie_beyond_everything():
    X = np.random.default_rng(0).normal(size=(100, 2))
    preparer = TablePreparer().fit(X)
    high, far, low = preparer.transform([[np.inf, 0], [1e300, 0], [-np.inf, 0]])[:, 0]
    top = (X[:, 0].max() - X[:, 0].mean()) / X[:, 0].std()
    assert high == far == pytest.approx(top + REACH)
    assert low < -REACH
    X[0, 0] = np.inf
    preparer = TablePreparer().fit(X)
    assert any("infinite" in note for note in preparer.notes_)
    assert preparer.transform(X)[0, 0] > REACH


@pytest.mark.parametrize("scale", ["standard", "robust", "minmax", "none"])
@pytest.mark.parametrize("magnitude", [1e300, 1.7e308, 1e-300, 5e-324])
def test_extreme_magnitudes_stay_finite(scale, magnitude):
    X = np.random.default_rng(0).choice([-1.0, 0.5, 1.0], (60, 3)) * magnitude
    X[:, 2] = np.random.default_rng(0).normal(size=60)
    with np.errstate(all="raise", under="ignore"):
        preparer = TablePreparer(scale=scale).fit(X)
        matrix = preparer.transform(np.array([[1e308, -1e308, 0], [-np.inf, 1e-320, np.nan]]))
    assert np.isfinite(matrix).all()


def test_rounding_noise_is_constant():
    frame = pd.DataFrame({"a": [0.1 + 0.2, 0.3] * 10, "b": range(20)})
    preparer = TablePreparer().fit(frame)
    assert np.all(preparer.transform(frame)[:, preparer.groups_ == 0] == 0)


def test_a_change_in_a_constant_column_shows():
    frame = pd.DataFrame({"a": 7, "site": "north", "b": np.arange(200.0) % 9})
    preparer = TablePreparer().fit(frame)
    usual, other = preparer.transform(
        pd.DataFrame({"a": [7, 8], "site": ["north", "south"], "b": [1.0, 1.0]})
    )
    assert np.abs(other - usual).max() == HEAVIEST
    changed = preparer.groups_[other != usual]
    assert sorted(changed.tolist()) == [0, 1]


def test_unseen_rare_and_missing_categories():
    values = ["a"] * 60 + ["b"] * 38 + ["c", "d"]
    frame = pd.DataFrame({"x": values, "y": np.arange(100.0) % 7})
    preparer = TablePreparer(rare=0.02).fit(frame)
    own = preparer.groups_ == 0
    assert own.sum() == 4  # a, b, rare, unseen
    matrix = preparer.transform(frame)[:, own]
    assert np.array_equal(matrix[98], matrix[99])
    assert np.all(matrix[:, -1] == 0)
    new = preparer.transform(pd.DataFrame({"x": ["z", None], "y": 1.0}))[:, own]
    assert np.all(new[:, :3] == 0)
    assert np.all(new[:, -1] > np.abs(matrix).max())
    assert preparer.remarks(pd.DataFrame({"x": ["z", None, "a"], "y": 1.0})) == [
        'column "x" has 2 values unseen in training'
    ]


def test_missing_is_a_category_where_training_had_it():
    frame = pd.DataFrame({"x": ["a", None, "b", "a", None, "b"] * 20, "y": np.arange(120.0) % 7})
    preparer = TablePreparer().fit(frame)
    own = preparer.groups_ == 0
    matrix = preparer.transform(frame)[:, own]
    assert np.all(matrix[:, -1] == 0)
    assert preparer.to_units(preparer.transform(frame)[1])[0] is None
    assert len(np.unique(matrix, axis=0)) == 3


def test_many_categories_count_by_frequency():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"u": [f"u{i}" for i in rng.geometric(0.02, 3_000)], "y": rng.normal(size=3_000)}
    )
    preparer = TablePreparer(max_categories=20).fit(frame)
    own = preparer.groups_ == 0
    matrix = preparer.transform(frame)[:, own]
    assert matrix.shape[1] == 2
    assert matrix[:, 0].std() == pytest.approx(1)
    new = preparer.transform(pd.DataFrame({"u": ["stranger"], "y": [0.0]}))[0, own]
    # A dozen training rows have a value of their own: a new one is no more unusual than those.
    assert new[0] == matrix[:, 0].min()
    assert new[1] == matrix[:, 1].max() > 0


def test_dates_convert_to_utc_across_a_clock_change():
    aware = pd.date_range("2024-03-30 00:30", periods=24 * 40, freq="h", tz="Europe/Berlin")
    texts = pd.DataFrame({"t": [moment.isoformat() for moment in aware]})
    stamps = pd.DataFrame({"t": aware})
    naive = pd.DataFrame({"t": aware.tz_convert("UTC").tz_localize(None)})
    expected = TablePreparer().fit_transform(stamps)
    for frame in (texts, naive):
        preparer = TablePreparer()
        np.testing.assert_array_equal(preparer.fit_transform(frame), expected)
        assert preparer.seen(frame, 30, 0) == str(naive["t"][30].isoformat())
    one_hour_apart = expected[24:] - expected[:-24]
    np.testing.assert_allclose(one_hour_apart[:, :2], 0, atol=1e-9)


def test_date_cycles_need_two_turns():
    def width(freq, periods):
        moments = pd.date_range("2024-01-01", periods=periods, freq=freq)
        return TablePreparer().fit_transform(pd.DataFrame({"t": moments})).shape[1]

    assert width("h", 72) == 2
    assert width("h", 24 * 20) == 4
    assert width("h", 24 * 80) == 6
    assert width("D", 800) == 6
    with pytest.raises(InputError):
        width("s", 100)


def test_ambiguous_days_are_said():
    preparer = TablePreparer().fit(pd.DataFrame({"t": ["03/04/2020", "05/06/2023"] * 9}))
    assert "%m/%d/%Y would fit as well" in preparer.notes_[0]
    preparer = TablePreparer().fit(pd.DataFrame({"t": ["03/14/2020", "05/06/2023"] * 9}))
    assert preparer.seen(pd.DataFrame({"t": ["05/06/2023"]}), 0, 0) == "2023-05-06T00:00:00"


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1,234.5", "17", "-2,000,000"], [1234.5, 17, -2e6]),
        (["12 %", "3.5%", "99 %"], [12, 3.5, 99]),
        (["1.234,5", "17,25", "-0,5"], [1234.5, 17.25, -0.5]),
        (["€ 5", "€7", "?"], [5, 7, None]),
        (["1e3", " 2 ", "n/a"], [1000, 2, None]),
    ],
)
def test_numbers_written_as_text(texts, numbers):
    frame = pd.DataFrame({"a": texts * 3})
    preparer = TablePreparer().fit(frame)
    assert preparer.kinds_ == ["numeric"]
    assert [preparer.seen(frame, row, 0) for row in range(3)] == numbers


def test_mixed_units_are_no_numbers():
    preparer = TablePreparer().fit(pd.DataFrame({"a": ["$5", "€7", "$5", "€7"]}))
    assert preparer.kinds_ == ["category"]


def test_a_few_odd_words_among_numbers_are_missing():
    cells = [str(i / 10) for i in range(60)] + ["sensor off"]
    frame = pd.DataFrame({"a": cells})
    preparer = TablePreparer().fit(frame)
    assert preparer.kinds_ == ["numeric"]
    assert any("sensor off" in note for note in preparer.notes_)
    assert np.isfinite(through_files(preparer).transform(frame)).all()
    new = pd.DataFrame({"a": ["1", "broken", "sensor off"]})
    assert np.array_equal(preparer.transform(new)[1], preparer.transform(new)[2])
    assert preparer.remarks(new) == ['column "a" has texts that are not numbers, "broken", missing']
    clean = TablePreparer().fit(pd.DataFrame({"a": cells[:-1]}))
    with pytest.raises(SchemaMismatch, match=r'"a".*row 1 .*"broken"'):
        clean.transform(new)


def test_mismatches_name_columns_and_rows():
    preparer = TablePreparer().fit(mixed())
    with pytest.raises(SchemaMismatch, match=r'"mode".*Did you mean "mod" for "mode"'):
        preparer.transform(mixed().rename(columns={"mode": "mod"}))
    text = mixed().astype({"watts": object})
    text.loc[17, "watts"] = "high"
    with pytest.raises(SchemaMismatch, match=r'"watts".*row 17 .*"high"; 1 of 400 rows'):
        preparer.transform(text)
    with pytest.raises(SchemaMismatch, match='"when" held dates'):
        preparer.transform(mixed().assign(when=3))
    with pytest.raises(SchemaMismatch, match=r'"when".*row 0 .*"soon"'):
        preparer.transform(mixed().assign(when="soon"))
    with pytest.raises(SchemaMismatch, match='"watts" held numbers'):
        preparer.transform(mixed().assign(watts=pd.Timestamp("2024-01-01")))
    with pytest.raises(SchemaMismatch, match="13 columns; these rows have 2"):
        preparer.transform(np.zeros((3, 2)))


def test_chunks_of_another_type_still_fit():
    frame = mixed()
    preparer = TablePreparer().fit(frame)
    expected = preparer.transform(frame.assign(gaps=np.nan, when=pd.NaT, on=None))
    blank = frame.assign(gaps=None, when=np.nan, on=np.nan).astype({"watts": str})
    np.testing.assert_allclose(preparer.transform(blank), expected, atol=1e-12)
    codes = pd.DataFrame({"code": ["A1", "12", "7", None] * 9})
    preparer = TablePreparer().fit(codes)
    new = preparer.transform(pd.DataFrame({"code": [12.0, np.nan]}))
    assert np.array_equal(new, preparer.transform(codes.iloc[[1, 3]]))


def test_order_and_further_columns_do_not_matter():
    frame = mixed()
    preparer = TablePreparer().fit(frame)
    shuffled = frame[frame.columns[::-1]].assign(new=1).drop(columns=["row", "empty", "name"])
    assert np.array_equal(preparer.transform(shuffled), preparer.transform(frame))
    assert preparer.align(shuffled).columns.tolist() == preparer.columns_


def test_arrays_flatten_and_are_matched_by_position():
    poses = np.random.default_rng(0).normal(size=(50, 4, 3))
    preparer = TablePreparer().fit(poses)
    assert preparer.columns_ == [f"x{i}" for i in range(12)]
    flat = poses.reshape(50, 12)
    assert np.array_equal(preparer.transform(poses), preparer.transform(flat))
    named = pd.DataFrame(flat, columns=list("abcdefghijkl"))
    assert np.array_equal(preparer.transform(named), preparer.transform(flat))
    own = pd.DataFrame(flat, columns=preparer.columns_)[preparer.columns_[::-1]]
    assert np.array_equal(preparer.transform(own), preparer.transform(flat))


def test_units_come_back():
    frame = mixed()
    preparer = TablePreparer()
    matrix = preparer.fit_transform(frame)
    for row in (0, 7):
        units = dict(zip(preparer.columns_, preparer.to_units(matrix[row]), strict=True))
        assert units["watts"] == pytest.approx(frame["watts"][row])
        assert units["mode"] == frame["mode"][row]
        assert units["volts"] == 230
        assert units["site"] == "north"
        assert units["on"] == str(frame["on"][row]).lower()
        assert units["row"] is units["when"] is units["name"] is None
        seen = dict(
            zip(
                preparer.columns_,
                (preparer.seen(frame, row, column) for column in range(13)),
                strict=True,
            )
        )
        assert seen["mode"] == frame["mode"][row]
        assert seen["on"] == units["on"]
        assert seen["price"] == float(frame["price"][row].replace("$", "").replace(",", ""))
        assert seen["empty"] is None
    typical = dict(zip(preparer.columns_, preparer.typical_, strict=True))
    assert typical["watts"] == pytest.approx(frame["watts"].median())
    assert typical["mode"] == frame["mode"].mode()[0]


@pytest.mark.parametrize(
    "table",
    [
        pd.DataFrame({"a": []}),
        pd.DataFrame(index=range(3)),
        pd.DataFrame({"a": [1.0, 1.0, 1.0], "b": "x"}),
        pd.DataFrame({"a": [None, None], "b": [np.nan, np.nan]}),
        pd.DataFrame({"a": [np.inf, -np.inf]}),
        np.array([[1.0, 2.0]]),
        np.zeros(5),
        np.zeros((3, 2), dtype=complex),
    ],
)
def test_tables_that_cannot_be_learned_from(table):
    with pytest.raises(InputError) as caught:
        TablePreparer().fit(table)
    assert len(str(caught.value)) > 40


def test_settings_and_order_of_calls_are_checked():
    with pytest.raises(ParameterError, match="scale"):
        TablePreparer(scale="huge").fit(np.eye(3))
    with pytest.raises(ParameterError, match="rare"):
        TablePreparer(rare=2).fit(np.eye(3))
    with pytest.raises(NotFitted):
        TablePreparer().transform(np.eye(3))
    with pytest.raises(InputError, match='"a" occurs twice'):
        TablePreparer().fit(pd.DataFrame(np.eye(2), columns=["a", "a"]))


def test_extension_types_give_the_same_matrix():
    plain = pd.DataFrame({"i": [1.0, 2, np.nan, 4] * 5, "c": ["x", "y", "x", None] * 5})
    other = pd.DataFrame(
        {"i": pd.array([1, 2, None, 4] * 5, dtype="Int64"), "c": plain["c"].astype("category")}
    )
    expected = TablePreparer().fit_transform(plain)
    assert np.array_equal(TablePreparer().fit_transform(other), expected)
    assert np.array_equal(TablePreparer().fit(plain).transform(other), expected)
    spans = pd.DataFrame({"d": pd.to_timedelta([1, 2, 5], unit="s")})
    assert TablePreparer(scale="none").fit_transform(spans)[:, 0].tolist() == [1, 2, 5]


def test_duplicate_rows_are_counted_and_kept():
    frame = pd.DataFrame({"a": [1.0, 2, 1, 3, 1], "c": ["x", "y", "x", "y", "x"]})
    preparer = TablePreparer()
    assert len(preparer.fit_transform(frame)) == 5
    assert preparer.notes_[-1] == "2 duplicate rows kept"


def test_ten_thousand_columns():
    X = np.random.default_rng(0).normal(size=(60, 10_000))
    X[0, :100] = np.nan
    started = time.process_time()
    preparer = TablePreparer().fit(pd.DataFrame(X))
    assert preparer.transform(X[:1]).shape == (1, 10_100)
    assert time.process_time() - started < 10
    assert len("\n".join(preparer.notes_)) < 2_000


CELLS = {
    "number": st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
    "word": st.one_of(st.none(), st.sampled_from(["a", "b", "Ä", ""]), st.text(max_size=3)),
    "flag": st.booleans(),
    "when": st.one_of(
        st.none(), st.datetimes(pd.Timestamp("1970-01-01"), pd.Timestamp("2200-01-01"))
    ),
    "any": st.one_of(st.none(), st.integers(), st.floats(), st.text(max_size=2), st.booleans()),
}


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.fixed_dictionaries(CELLS), min_size=2, max_size=7),
    st.sampled_from(["standard", "robust", "minmax", "none"]),
)
def test_any_table_becomes_finite_row_by_row(rows, scale):
    frame = pd.DataFrame(rows, columns=list(CELLS))
    preparer = TablePreparer(scale=scale)
    try:
        matrix = preparer.fit_transform(frame)
    except InputError:
        return
    assert np.isfinite(matrix).all()
    assert np.array_equal(through_files(preparer).transform(frame), matrix)
    for i in range(len(frame)):
        assert np.array_equal(preparer.transform(frame.iloc[[i]])[0], matrix[i])
        assert len(preparer.to_units(matrix[i])) == len(CELLS)
    for column in range(len(CELLS)):
        preparer.seen(frame, 0, column)
