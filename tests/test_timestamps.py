"""Times: which column holds them, and how its cells read."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.prepare.timestamps import TimeColumn, find_time, format_duration, read_times

N = 60
HOURS = pd.date_range("2024-03-01", periods=N, freq="h")
EXPECTED = HOURS.to_numpy().astype("datetime64[ns]")
SECONDS = EXPECTED.astype(np.int64) // 10**9
VALUES = np.random.default_rng(0).normal(size=N)


@pytest.mark.parametrize(
    ("cells", "style"),
    [
        (HOURS, "datetime"),
        (HOURS.tz_localize("UTC").tz_convert("Asia/Tokyo"), "datetime"),
        (HOURS.astype("datetime64[s]"), "datetime"),
        (HOURS.astype(str), "ISO8601"),
        (HOURS.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "ISO8601"),
        (HOURS.tz_localize("UTC").tz_convert("Asia/Tokyo").astype(str), "ISO8601"),
        (HOURS.strftime("%d/%m/%Y %H:%M"), "%d/%m/%Y %H:%M"),
        (HOURS.strftime("%m/%d/%Y %H:%M"), "%m/%d/%Y %H:%M"),
        (HOURS.strftime("%d.%m.%Y %H:%M:%S"), "%d.%m.%Y %H:%M:%S"),
        (SECONDS, "s"),
        (SECONDS.astype(float), "s"),
        (SECONDS.astype(str), "s"),
        (SECONDS * 10**3, "ms"),
        (SECONDS * 10**6, "us"),
        (SECONDS * 10**9, "ns"),
        (pd.array(SECONDS, dtype="Int64"), "s"),
        (HOURS.to_period("h"), "ISO8601"),
        (HOURS.astype(str).astype("category"), "ISO8601"),
        ([moment.to_pydatetime() for moment in HOURS], "datetime"),
    ],
)
def test_times_of_all_kinds_read_the_same(cells, style):
    frame = pd.DataFrame({"watts": VALUES, "timestamp": cells})
    assert find_time(frame) == "timestamp"
    moments, found = read_times(frame["timestamp"])
    assert moments.dtype == "datetime64[ns]"
    np.testing.assert_array_equal(moments, EXPECTED)
    assert found == style


def test_fractions_of_seconds_keep_their_microseconds():
    moments, _ = read_times(pd.Series(1_700_000_000 + np.arange(5) * 0.1))
    assert set(np.diff(moments).astype(np.int64)) == {100_000_000}
    moments, _ = read_times(pd.Series(["2024-01-01T00:00:00.000000001"]))
    assert moments.astype(np.int64)[0] % 10 == 1


def test_elapsed_time_counts_from_1970():
    for cells in (np.arange(5) * 0.5, pd.to_timedelta(np.arange(5) * 0.5, unit="s")):
        frame = pd.DataFrame({"time": cells, "v": VALUES[:5]})
        assert find_time(frame) == "time"
        assert read_times(frame["time"])[0][2] == np.datetime64("1970-01-01T00:00:01")


def test_days_written_as_numbers():
    moments, style = read_times(pd.Series([20241230, 20241231, 20250101]))
    assert style == "%Y%m%d"
    assert moments[2] == np.datetime64("2025-01-01")


def test_zones_are_brought_to_utc_and_none_is_utc():
    cells = ["2024-07-01T12:00+02:00", "2024-07-01T10:00Z", "2024-07-01 10:00"]
    assert len(set(read_times(pd.Series(cells))[0])) == 1


def test_what_cannot_be_read_is_nat():
    cells = pd.Series(["2024-01-01", "soon", None, "1600-01-01", "2500-01-01"])
    assert np.isnat(read_times(cells)[0]).tolist() == [False, True, True, True, True]
    assert np.isnat(read_times(pd.Series([1.7e9, np.nan, np.inf, 1e300]))[0]).tolist() == [
        False,
        True,
        True,
        True,
    ]
    assert np.isnat(read_times(pd.Series([True, False]))[0]).all()


def test_day_and_month_are_told_apart_by_the_order_of_time():
    days = pd.date_range("2024-01-05", periods=6)
    for form in ("%d/%m/%Y", "%m/%d/%Y"):
        moments, style = read_times(pd.Series(days.strftime(form)))
        assert style == form
        np.testing.assert_array_equal(moments, days.to_numpy())


def test_a_style_that_is_given_is_kept_unless_it_reads_less_than_half():
    cells = pd.Series(["03/04/2024"])
    assert read_times(cells, "%m/%d/%Y")[0][0] == np.datetime64("2024-03-04")
    assert read_times(cells, "%d/%m/%Y")[0][0] == np.datetime64("2024-04-03")
    assert read_times(pd.Series(["2024-04-03"]), "%d/%m/%Y")[0][0] == np.datetime64("2024-04-03")


def test_the_plainest_name_is_taken_and_numbers_need_one():
    frame = pd.DataFrame({"created": HOURS, "start_time": HOURS, "time": HOURS, "v": VALUES})
    assert find_time(frame) == "time"
    assert find_time(frame.drop(columns="time")) == "start_time"
    assert find_time(frame[["v", "created"]]) == "created"
    assert find_time(pd.DataFrame({"price": SECONDS, "v": VALUES})) is None
    assert find_time(pd.DataFrame({"t": 0.1 * np.arange(N), "v": VALUES})) == "t"
    assert find_time(pd.DataFrame({"t": VALUES})) is None
    assert find_time(pd.DataFrame({"response_time": np.arange(N)})) is None
    assert find_time(pd.DataFrame({"time": ["x", "y"] * 30})) is None
    assert find_time(pd.DataFrame({"time": [None, None]})) is None


def test_days_and_clock_in_two_columns():
    frame = pd.DataFrame(
        {
            "Date": HOURS.strftime("%d/%m/%Y"),
            "Time": HOURS.strftime("%H:%M"),
            "v": VALUES,
        }
    )
    column = TimeColumn(find_time(frame))
    np.testing.assert_array_equal(column.fit(frame), EXPECTED)
    assert column.columns == ["Date", "Time"]
    restored = TimeColumn().set_state(column.get_state())
    np.testing.assert_array_equal(restored.read(frame[3:4]), EXPECTED[3:4])
    without = TimeColumn("Date")
    assert not np.isnat(without.fit(frame.assign(Time=None))).any()
    assert without.columns == ["Date"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.datetimes(pd.Timestamp("1801-01-01"), pd.Timestamp("2089-01-01")), min_size=1))
def test_iso_text_reads_as_the_same_moment(moments):
    read, _ = read_times(pd.Series([moment.isoformat() for moment in moments]))
    np.testing.assert_array_equal(read, np.array(moments, dtype="datetime64[us]"))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1, "1 s"),
        (90, "90 s"),
        (3600, "1 h"),
        (172_800, "2 days"),
        (4510, "75.2 min"),
        (1e-7, "0.1 µs"),
    ],
)
def test_durations(seconds, words):
    assert format_duration(seconds) == words
