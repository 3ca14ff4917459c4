"""Preparation of series: order, duplicates, grid, gaps, counters, entities, schema, state."""

import json
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import InputError, NotFitted, SchemaMismatch
from tocsin.prepare.levels import Levels
from tocsin.prepare.series import PreparedSeries, SeriesPreparer, looks_like_series

N = 200
RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=N)


def hourly(n=N, start="2024-01-01", **columns):
    times = pd.date_range(start, periods=n, freq="h")
    return pd.DataFrame({"time": times, **(columns or {"v": VALUES[:n]})})


def at(seconds, values=None):
    """A table with one value at each second after a start; by default the second itself."""
    seconds = np.asarray(seconds, dtype=float)
    times = pd.Timestamp("2024-05-01") + pd.to_timedelta(seconds, unit="s")
    return pd.DataFrame({"time": times, "v": seconds if values is None else values})


def every_ten_seconds():
    preparer = SeriesPreparer()
    preparer.fit_transform(at(10 * np.arange(N), VALUES))
    assert preparer.step_ == 10
    return preparer


def several(n=50):
    times = pd.date_range("2024-01-01", periods=n, freq="min")
    return pd.DataFrame(
        {
            "time": np.tile(times, 3),
            "machine": np.repeat(["b", "a", "c"], n),
            "v": RNG.normal(size=3 * n),
        }
    )


def only(series):
    (one,) = series
    return one


def test_a_plain_table_comes_through_unchanged():
    frame = hourly(v=VALUES, w=np.arange(N) % 7)
    before = frame.copy()
    preparer = SeriesPreparer()
    series = only(preparer.fit_transform(frame))
    np.testing.assert_array_equal(series.values, frame[["v", "w"]])
    np.testing.assert_array_equal(series.rows, np.arange(N))
    np.testing.assert_array_equal(series.times, frame["time"])
    assert series.times.dtype == "datetime64[ns]"
    assert not series.filled.any()
    assert series.entity is None
    assert preparer.columns_ == ["v", "w"]
    assert (preparer.time_, preparer.entity_, preparer.step_) == ("time", None, 3600)
    assert preparer.remarks(frame) == []
    pd.testing.assert_frame_equal(frame, before)


def test_arrays_have_no_time():
    preparer = SeriesPreparer()
    series = only(preparer.fit_transform(VALUES))
    np.testing.assert_array_equal(series.values[:, 0], VALUES)
    assert series.times is None
    assert (preparer.columns_, preparer.step_, preparer.time_) == (["x0"], None, None)
    assert only(preparer.transform([1.0])).values.tolist() == [[1.0]]
    assert only(SeriesPreparer().fit_transform(np.eye(5))).values.shape == (5, 5)
    with pytest.raises(InputError, match=r"\(2, 2, 2\)"):
        SeriesPreparer().fit_transform(np.zeros((2, 2, 2)))
    with pytest.raises(SchemaMismatch, match="1 channels; this series has 2"):
        preparer.transform(np.eye(2))


def test_the_index_of_a_frame_may_hold_the_times():
    frame = hourly().set_index("time")
    assert SeriesPreparer().fit_transform(frame)[0].times[1] == np.datetime64("2024-01-01T01")
    assert SeriesPreparer().fit_transform(frame["v"])[0].values.shape == (N, 1)


def test_rows_out_of_order_are_sorted_and_duplicates_merged():
    frame = hourly(10, v=np.arange(10.0))
    mixed = pd.concat([frame.iloc[[4, 3, 2, 1, 0]], frame.iloc[5:], frame.iloc[[9]].assign(v=10.0)])
    preparer = SeriesPreparer()
    series = only(preparer.fit_transform(mixed))
    assert series.values.ravel().tolist() == [*range(9), 9.5]
    assert series.rows.tolist() == [4, 3, 2, 1, 0, 5, 6, 7, 8, 9]
    said = " ".join(preparer.remarks(mixed))
    assert "4 rows went back in time" in said
    assert "1 row repeated a time" in said
    assert set(preparer.remarks(mixed)) <= set(preparer.notes_)


@settings(max_examples=30, deadline=None)
@given(st.permutations(range(40)), st.sets(st.integers(1, 38), max_size=12))
def test_the_order_of_rows_does_not_matter(order, absent):
    frame = hourly(40, v=VALUES[:40], w=np.where(np.arange(40) % 9 == 4, np.nan, VALUES[40:80]))
    frame = frame[~frame.index.isin(absent)]
    shuffled = frame.loc[[row for row in order if row not in absent]]
    one, other = (only(SeriesPreparer().fit_transform(table)) for table in (frame, shuffled))
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.times, other.times)
    np.testing.assert_array_equal(one.filled, other.filled)
    seen = other.rows >= 0
    np.testing.assert_array_equal(shuffled["v"].to_numpy()[other.rows[seen]], other.values[seen, 0])


def test_short_gaps_are_filled_and_long_ones_cut():
    preparer = every_ten_seconds()
    table = at(np.delete(10 * np.arange(100), np.r_[5:15, 40:60]))
    series = only(preparer.transform(table))
    np.testing.assert_allclose(series.values[:40, 0], 10 * np.arange(40))
    assert series.values[40, 0] == 600
    assert len(series.values) == 80
    assert series.filled[5:15].all()
    assert series.filled.sum() == 10
    assert (series.rows[5:15] == -1).all()
    assert set(np.diff(series.times[:40]).astype(np.int64)) == {10**10}
    said = " ".join(preparer.remarks(table))
    assert "10 missing points filled" in said
    assert "2024-05-01 00:00:40 to 2024-05-01 00:02:30" in said
    assert "1 gap longer than 10 points, up to 210 s" in said
    assert "2024-05-01 00:06:30 to 2024-05-01 00:10:00" in said
    assert series.spans == ((0, 40, 0), (40, 80, 60))
    assert series.inside.all()


def test_blank_rows_are_gaps_too():
    table = at(10 * np.arange(100))
    table.loc[40:59, "v"] = np.nan
    table.loc[[70, 98, 99], "v"] = np.nan
    series = only(every_ten_seconds().transform(table))
    assert series.spans == ((0, 40, 0), (60, 100, 60))
    assert np.flatnonzero(~series.inside).tolist() == list(range(40, 60))
    assert (series.rows == np.arange(100)).all()


def test_a_later_table_has_its_place_in_time():
    preparer = every_ten_seconds()
    assert only(preparer.transform(at([5_000, 5_010, 5_020]))).spans == ((0, 3, 500),)
    assert only(preparer.transform(at([-30, -20]))).spans == ((0, 2, -3),)
    months = pd.DataFrame({"time": pd.date_range("2015-01-01", periods=80, freq="MS"), "v": 1.0})
    preparer = SeriesPreparer()
    preparer.fit_transform(months[:36])
    assert only(preparer.transform(months[70:])).spans == ((0, 10, 70),)
    assert only(SeriesPreparer().fit_transform(VALUES)).spans == ((0, N, None),)
    entities = SeriesPreparer().fit_transform(pd.concat([several(), several()[:70]]))
    assert {one.spans[0][2] for one in entities} == {0}


def test_what_missing_points_are():
    table = hourly().drop(index=[*range(5, 8), *range(50, 90)])
    ignored = only(SeriesPreparer().fit_transform(table))
    assert (len(ignored.values), ignored.outages) == (160, ())
    zero = SeriesPreparer(missing="zero")
    series = only(zero.fit_transform(table))
    assert series.spans == ((0, N, 0),)
    assert not series.values[50:90].any()
    assert not series.filled.any()
    assert (series.rows[50:90] == -1).all()
    assert any("43 missing points taken as 0" in note for note in zero.notes_)
    outage = only(SeriesPreparer(missing="anomaly").fit_transform(table))
    assert outage.outages == ((5, 7), (50, 89))
    assert outage.spans == ((0, 50, 0), (90, N, 90))
    assert outage.filled[50:90].all()
    day = [i for i in range(0, N, 10) for i in (i, i + 1)]
    often = SeriesPreparer(missing="anomaly")
    assert only(often.fit_transform(hourly().drop(index=day))).outages == ()
    later = hourly().drop(index=[*range(20, 22), *range(60, 69)])
    assert only(often.transform(later)).outages == ((60, 68),)


def test_jitter_and_drift_make_no_gaps():
    preparer = every_ten_seconds()
    for seconds in (10 * np.arange(100) + RNG.uniform(-2, 2, 100), 10.2 * np.arange(1000)):
        series = only(preparer.transform(at(seconds)))
        np.testing.assert_allclose(series.values[:, 0], seconds)
        np.testing.assert_array_equal(series.times, at(seconds)["time"])
    learned = SeriesPreparer()
    learned.fit_transform(at(10 * np.arange(100) + RNG.uniform(-1, 1, 100)))
    assert learned.step_ == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("every", [1, 2, 5, 7, 15, 60, 600])
def test_another_sampling_rate_is_brought_to_the_step(every):
    preparer = every_ten_seconds()
    table = at(np.r_[10 * np.arange(50), 500 + every * np.arange(60)])
    series = only(preparer.transform(table))
    due = 10 * np.arange(len(series.values))
    assert len(due) == pytest.approx(51 + every * 59 / 10, abs=1)
    assert np.abs(series.values[:, 0] - due).max() <= 5
    assert preparer.remarks(table)


def test_sampling_much_slower_than_the_step_is_cut():
    table = at(1200 * np.arange(20))
    preparer = every_ten_seconds()
    assert len(only(preparer.transform(table)).values) == 20
    assert "19 gaps" in preparer.remarks(table)[0]


def test_events_without_a_common_step_stay_as_they_are():
    frame = at(np.cumsum(RNG.exponential(60, N)), VALUES)
    frame.loc[3, "v"] = np.nan
    preparer = SeriesPreparer()
    series = only(preparer.fit_transform(frame))
    assert preparer.step_ is None
    assert "no common step" in preparer.notes_[0]
    assert len(series.values) == N
    moments = frame["time"].astype("int64")
    share = (moments[3] - moments[2]) / (moments[4] - moments[2])
    expected = VALUES[2] + share * (VALUES[4] - VALUES[2])
    assert series.values[3, 0] == pytest.approx(expected)


def test_missing_and_infinite_values_are_filled():
    v = np.abs(np.arange(N) - 100.0)
    v[:3] = np.nan
    v[50:60] = np.nan
    v[70] = np.inf
    w = VALUES.copy()
    w[55] = np.nan
    preparer = SeriesPreparer()
    frame = hourly(v=v, w=w, empty=np.nan)
    series = only(preparer.fit_transform(frame))
    assert preparer.columns_ == ["v", "w"]
    assert series.values[:3, 0].tolist() == [97, 97, 97]
    np.testing.assert_allclose(series.values[50:71, 0], 100 - np.arange(50, 71))
    assert np.flatnonzero(series.filled).tolist() == [55]
    assert series.rows[55] == 55
    said = " ".join(preparer.notes_)
    assert 'column "empty" dropped' in said
    assert 'column "v" had infinite values' in said
    assert 'column "v" had 14 missing values' in said
    typical = preparer.transform(hourly(3, v=np.nan, w=np.nan))[0]
    assert typical.filled.all()
    np.testing.assert_allclose(typical.values[0], preparer.typical_)


def test_counters_become_their_increase():
    growth = RNG.poisson(20, N).astype(float)
    counter = np.cumsum(growth)
    counter[120:] -= counter[119]
    preparer = SeriesPreparer()
    frame = hourly(
        counter=counter, trend=np.arange(N) + VALUES, ramp=np.arange(N) % 20, up=VALUES > 0
    )
    series = only(preparer.fit_transform(frame))
    np.testing.assert_allclose(series.values[1:, 0], growth[1:])
    np.testing.assert_array_equal(series.values[:, 1:], frame[["trend", "ramp", "up"]])
    said = " ".join(preparer.notes_)
    assert 'column "counter" only grows: its increase per step' in said
    assert "reset 1 time" in said
    # A gap is spread over its points.
    counter[130:135] = np.nan
    gap = only(preparer.transform(hourly(counter=counter, trend=1, ramp=1, up=True)))
    assert gap.values[135, 0] == pytest.approx(growth[130:136].mean())


@pytest.mark.parametrize(
    "idle",
    [np.arange(N) % 24 < 14, RNG.random(N) < 0.7, np.arange(N) % 8 > 0],
    ids=["odometer at night", "errors", "deliveries"],
)
def test_counters_may_rest(idle):
    growth = np.where(idle, 0, RNG.integers(1, 9, N)).astype(float)
    series = only(SeriesPreparer().fit_transform(hourly(total=100 + np.cumsum(growth))))
    np.testing.assert_allclose(series.values[1:, 0], growth[1:])


@pytest.mark.parametrize(
    "channel",
    [
        np.ones(N),
        np.arange(N) >= 100,
        1 - np.exp(-np.arange(N) / 10),
        np.sort(VALUES),
        np.arange(N) % 50,
        np.repeat(np.arange(N / 10), 10),
        np.where(np.arange(N) == 90, 50, np.arange(N)),
    ],
)
def test_what_is_no_counter_stays(channel):
    channel = np.asarray(channel, dtype=float)
    series = only(SeriesPreparer().fit_transform(channel))
    np.testing.assert_array_equal(series.values[:, 0], channel)


def test_columns_that_are_no_plain_numbers():
    frame = hourly(
        v=VALUES,
        on=np.arange(N) % 3 == 0,
        mode=["idle", "busy"] * (N // 2),
        price=["1,204.5", "3"] * (N // 2),
        name=[f"unit {i}" for i in range(N)],
        built=pd.date_range("1990-01-01", periods=N)[::-1],
        row=np.arange(N),
        site="north",
        fixed=3,
    )
    preparer = SeriesPreparer()
    series = only(preparer.fit_transform(frame))
    assert preparer.columns_ == ["v", "on", "mode", "price", "fixed"]
    assert series.values[:2, 1:].tolist() == [[1, 1, 1204.5, 3], [0, 0, 3, 3]]
    said = " ".join(preparer.notes_)
    for name in ("name", "built", "row", "site"):
        assert f'"{name}"' in said
    assert 'column "fixed" is constant' in said
    assert 'column "mode" read as 0 ("busy") and 1 ("idle")' in said
    new = frame.assign(mode="broken")
    assert any('"broken"' in remark for remark in preparer.remarks(new))
    with pytest.raises(SchemaMismatch, match=r'row 1 .* "what"'):
        preparer.transform(frame.assign(price=["3", "what"] * (N // 2)))


@pytest.mark.parametrize("shuffled", [False, True])
def test_several_series_are_told_apart(shuffled):
    frame = several()
    table = frame.sample(frac=1, random_state=0) if shuffled else frame
    preparer = SeriesPreparer()
    series = preparer.fit_transform(table)
    assert preparer.entity_ == "machine"
    assert [one.entity for one in series] == ["a", "b", "c"]
    for one in series:
        own = frame[frame["machine"] == one.entity]
        np.testing.assert_array_equal(one.values[:, 0], own["v"])
        assert set(table["machine"].to_numpy()[one.rows]) == {one.entity}
    unseen = preparer.transform(frame[:1].assign(machine="new"))
    assert [(one.entity, len(one.values)) for one in unseen] == [("new", 1)]


def test_an_entity_is_found_only_if_obvious():
    frame = several()
    late = frame.assign(
        time=frame["time"]
        + pd.to_timedelta(frame["machine"].map({"a": 0, "b": 7, "c": 31}), unit="s")
    )
    blocks = frame.assign(
        time=pd.Timestamp("2024-01-01")
        + pd.to_timedelta(np.tile(np.arange(50), 3) * 60 + np.repeat([30, 40, 50], 50), unit="s")
    )
    numbered = frame.assign(machine=frame["machine"].map({"a": 3, "b": 1, "c": 2}))
    for table, entity in {
        "late": (late.sort_values("time"), "machine"),
        "blocks": (blocks, "machine"),
        "identifiers": (numbered.rename(columns={"machine": "machine_id"}), "machine_id"),
        "numbers": (numbered.rename(columns={"machine": "speed"}), None),
        "mode": (hourly(v=VALUES, mode=["idle", "busy", "off", "on"] * 50), None),
    }.values():
        preparer = SeriesPreparer()
        preparer.fit_transform(table)
        assert preparer.entity_ == entity
    named = SeriesPreparer(time="none", entity="machine")
    assert [len(one.values) for one in named.fit_transform(frame)] == [50, 50, 50]
    merged = SeriesPreparer(entity="none")
    assert len(only(merged.fit_transform(frame)).values) == 50
    assert any("name the entity" in note for note in merged.notes_)


def test_an_entity_with_one_point_is_dropped_in_training_only():
    frame = pd.concat([several(), several().iloc[:1].assign(machine="z")])
    preparer = SeriesPreparer(entity="machine")
    assert [one.entity for one in preparer.fit_transform(frame)] == ["a", "b", "c"]
    assert any('"z"' in note for note in preparer.notes_)
    assert [one.entity for one in preparer.transform(frame)] == ["a", "b", "c", "z"]


def test_daylight_saving():
    local = pd.date_range("2024-10-26", periods=72, freq="h", tz="Europe/Berlin")
    frame = pd.DataFrame({"time": local, "v": VALUES[:72]})
    assert len(only(SeriesPreparer().fit_transform(frame)).values) == 72
    naive = frame.assign(time=local.tz_localize(None))
    preparer = SeriesPreparer()
    assert len(only(preparer.fit_transform(naive)).values) == 71
    assert any("1 row repeated a time" in note for note in preparer.notes_)


def test_rows_without_a_readable_time_are_dropped():
    frame = hourly().assign(time=lambda table: table["time"].astype(str))
    frame.loc[5, "time"] = "soon"
    frame.loc[9, "time"] = None
    preparer = SeriesPreparer()
    series = only(preparer.fit_transform(frame))
    assert np.flatnonzero(series.rows < 0).tolist() == [5, 9]
    assert any("2 rows without a readable time" in note for note in preparer.notes_)


def test_huge_values_stay_finite():
    for size in (1e300, np.finfo(float).max):
        v = np.where(np.arange(N) % 3 == 1, np.nan, np.where(np.arange(N) % 2, size, -size))
        repeated = pd.concat([hourly(v=v), hourly(v=v)])
        assert np.isfinite(only(SeriesPreparer().fit_transform(repeated)).values).all()


ISO = [f"2024-01-{day:02d}" for day in range(1, 11)]


@pytest.mark.parametrize(
    ("frame", "settings", "match"),
    [
        (pd.DataFrame(), {}, "0 rows"),
        (pd.DataFrame({"time": [], "v": []}), {}, "0 rows and 2 columns"),
        (hourly(1), {}, "1 usable row"),
        (pd.DataFrame({"v": [1.0]}), {}, "1 usable row"),
        (pd.DataFrame({"a": ["x", "y", "z"]}), {}, '"a" dropped: text'),
        (pd.DataFrame({"time": ISO, "v": np.nan}), {}, '"v" dropped: no finite value'),
        (pd.DataFrame({"time": ISO}), {}, "only times"),
        (pd.DataFrame({"time": ISO[:1] * 5, "v": 1.0}), {}, "5 usable rows at 1 time"),
        (pd.DataFrame({"v": [1, 2]}), {"time": "when"}, 'no column "when".*"v"'),
        (pd.DataFrame({"v": [1, 2]}), {"entity": "who"}, 'no column "who"'),
        (pd.DataFrame({"a": ["2024-01-01", "x", "y"], "v": 1}), {"time": "a"}, 'row 1 .*"x"'),
        (pd.DataFrame({"a": ["1600-01-01"] * 3, "v": 1}), {"time": "a"}, '3 of 3 .*"1600-01-01"'),
        (pd.DataFrame({"e": ["a", "b"], "time": ISO[:2], "v": 1}), {"entity": "e"}, "2 series"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(frame, settings, match):
    with pytest.raises(InputError, match=match):
        SeriesPreparer(**settings).fit_transform(frame)


def test_a_table_that_does_not_fit_is_refused():
    preparer = SeriesPreparer()
    with pytest.raises(NotFitted):
        preparer.transform(hourly())
    frame = hourly(v=VALUES, w=VALUES)
    preparer.fit_transform(frame)
    with pytest.raises(SchemaMismatch, match='"w"'):
        preparer.transform(frame.drop(columns="w"))
    with pytest.raises(SchemaMismatch, match='"time"'):
        preparer.transform(frame.drop(columns="time"))
    with pytest.raises(InputError, match="no rows"):
        preparer.transform(frame[:0])
    extra = frame.assign(z=1)
    assert preparer.remarks(extra) == ['column "z" ignored: training did not have it']
    np.testing.assert_array_equal(preparer.transform(extra)[0].values, frame[["v", "w"]])


def test_state_goes_through_json():
    frame = several().assign(
        c=np.tile(np.cumsum(RNG.poisson(9, 50)), 3), on=True, text=["x", "y"] * 75
    )
    frame["time"] = frame["time"].dt.strftime("%d/%m/%Y %H:%M")
    preparer = SeriesPreparer()
    preparer.fit_transform(frame)
    state = preparer.get_state()
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    plain = {name: value for name, value in state.items() if name not in arrays}
    restored = SeriesPreparer().set_state(json.loads(json.dumps(plain)) | arrays)
    assert vars(restored).keys() == vars(preparer).keys()
    for one, other in zip(preparer.transform(frame), restored.transform(frame), strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        np.testing.assert_array_equal(one.times, other.times)
    assert preparer.get_state().keys() == state.keys()


def levelled(levels, n=200, spreads=1.0):
    """Series whose values lie around a level and spread so much, as prepared."""
    spreads = np.broadcast_to(spreads, len(levels))
    rng = np.random.default_rng(1)
    for i, (level, spread) in enumerate(zip(levels, spreads, strict=True)):
        values = rng.normal(level, spread, (n, 1))
        yield PreparedSeries(f"e{i}", values, np.zeros(n, bool), np.arange(n), None, ((0, n, 0),))


@pytest.mark.parametrize(
    ("levels", "spreads", "differ"),
    [
        ([0, 0, 0], 1, False),
        ([20, 120, -30], 1, True),
        ([5, 5, 5, 5], [1, 4, 1, 0.2], True),
        ([0, 0.2, 0.1], 1, False),
        ([1e6, 2e6], [10, 10], True),
    ],
)
def test_entities_have_units_of_their_own_where_they_differ(levels, spreads, differ):
    series = list(levelled(levels, spreads=spreads))
    learned = Levels().fit(series)
    assert learned.differ is differ
    for one in series:
        unit = learned.unit(one)
        np.testing.assert_allclose(unit.back(unit.of(one.values)), one.values)
        if differ:
            assert abs(np.median(unit.of(one.values))) < 0.5
            assert 0.5 < unit.of(one.values).std() < 2
        else:
            np.testing.assert_array_equal(unit.of(one.values), one.values)


@pytest.mark.parametrize("seed", range(5))
def test_short_series_of_one_kind_do_not_differ(seed):
    rng = np.random.default_rng(seed)
    series = [
        PreparedSeries(str(i), rng.poisson(100, (12, 1)) * 1.0, np.zeros(12, bool), None, None, ())
        for i in range(95)
    ]
    assert not Levels().fit(series).differ


def test_units_are_of_training_for_those_it_had():
    learned = Levels().fit(list(levelled([20, 120])))
    (known,) = levelled([500])
    assert learned.unit(known).location == pytest.approx(20, abs=0.5)
    stranger = replace(known, entity="new")
    assert learned.unit(stranger).location == pytest.approx(500, abs=0.5)
    state = json.loads(json.dumps({k: np.asarray(v).tolist() for k, v in vars(learned).items()}))
    arrays = {k: v if k == "entities_" else np.array(v) for k, v in state.items()}
    again = Levels().set_state(arrays)
    np.testing.assert_array_equal(again.unit(stranger).scale, learned.unit(stranger).scale)


def test_flags_keep_their_values():
    values = np.tile([[0.0], [1.0]], (50, 1))
    one = PreparedSeries("a", values, np.zeros(100, bool), np.arange(100), None, ())
    other = replace(one, entity="b", values=np.ones((100, 1)))
    assert not Levels().fit([one, other]).differ


def test_what_looks_like_a_series():
    minutes = several()
    assert looks_like_series(hourly())
    assert looks_like_series(minutes)
    assert looks_like_series(minutes.sort_values("time"))
    assert looks_like_series(pd.DataFrame({"t": 0.02 * np.arange(N), "v": VALUES}))
    assert looks_like_series(pd.DataFrame({"date": pd.bdate_range("2024", periods=N), "v": VALUES}))


def test_what_stays_a_table():
    days = pd.Timestamp("1950-01-01") + pd.to_timedelta(RNG.integers(0, 20_000, N), unit="D")
    born = pd.DataFrame({"born": days, "v": VALUES})
    bought = np.sort(RNG.integers(0, 172_800, N * 100))
    for table in (
        born,
        born.sort_values("born"),
        pd.DataFrame({"Time": bought, "amount": 1.0}),
        pd.DataFrame({"time": np.sort(1.7e9 + RNG.uniform(0, 1e6, N)), "v": VALUES}),
        pd.DataFrame({"date": np.repeat(pd.date_range("2024", periods=20), 10), "v": VALUES}),
        pd.DataFrame({"v": VALUES, "w": VALUES}),
        hourly(v=VALUES, text=["a b", "c d", "e", "f"] * 50),
        hourly(10),
        hourly()[["time"]],
    ):
        assert not looks_like_series(table)


def test_many_entities_are_prepared_quickly():
    entities, n = 5_000, 100
    frame = pd.DataFrame(
        {
            "ts": np.tile(1_700_000_000 + 60 * np.arange(n), entities),
            "host": np.repeat([f"h{i}" for i in range(entities)], n),
            "v": RNG.normal(size=entities * n),
        }
    )
    start = time.process_time()
    assert len(SeriesPreparer().fit_transform(frame)) == entities
    assert time.process_time() - start < 10
