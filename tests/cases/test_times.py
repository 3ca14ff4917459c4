"""Times as people write them: the moment that a person reads, or a refusal; never 1970 unsaid."""

import json

import numpy as np
import pandas as pd
import pytest

from tocsin.pipeline import Pipeline
from tocsin.prepare import schema
from tocsin.prepare.series import SeriesPreparer, looks_like_series
from tocsin.prepare.timestamps import TimeColumn, find_time, read_times
from tocsin.readers.table import read_table
from tocsin.sources._records import Fields, batch_of

N = 300
VALUES = np.random.default_rng(0).normal(5, 0.2, N)

FORMS = {  # how it is written, and the step of the series
    "%Y%m%d%H%M": "min",
    "%Y%m%d%H%M%S": "min",
    "%y%m%d%H%M%S": "min",
    "%Y%m%d": "D",
    "%Y%j": "D",
    "%d.%m.%y %H:%M:%S": "min",
    "%d.%m.%Y %H:%M": "min",
    "%d/%m/%Y %H:%M": "h",
    "%m/%d/%Y %H:%M": "h",
    "%m/%d/%y %I:%M %p": "h",
    "%m/%d/%Y %I:%M:%S %p": "min",
    "%d-%b-%y %H:%M:%S": "min",
    "%d-%b-%Y": "D",
    "%d %B %Y %H:%M": "h",
    "%b %d, %Y %I:%M:%S %p": "min",
    "%d/%b/%Y:%H:%M:%S +0000": "min",
    "%a %b %d %H:%M:%S %Y": "min",
    "%a, %d %b %Y %H:%M:%S GMT": "min",
    "%Y-%jT%H:%M:%S": "min",
    "%Y-%m-%d_%H-%M-%S": "min",
    "%Y-%m-%d %H.%M.%S": "min",
    "%Y%m%d_%H%M%S": "min",
    "%Y%m%dT%H%M%SZ": "min",
    "%Y/%m/%d %H:%M:%S": "min",
    "%Y.%m.%d %H:%M": "min",
    "%Y-%m-%d %H:%M:%S UTC": "min",
    "%Y-%m-%dT%H:%M:%S+00:00[UTC]": "min",
    "%G-W%V-%u": "D",
    "%y/%m/%d %H:%M": "h",
    "%b %Y": "MS",
    "%YM%m": "MS",
    "%m/%Y": "MS",
    "%Y-%m": "MS",
    "%B %Y": "MS",
}
BEGIN = {"MS": "2000-01-01", "D": "2023-11-20", "h": "2026-01-02 12:00", "min": "2026-01-02 12:00"}


def moments(step, n=N):
    return pd.date_range(BEGIN[step], periods=n, freq=step)


def save(path, column, name="timestamp", separator=","):
    frame = pd.DataFrame({name: column, "a": VALUES[: len(column)], "b": VALUES[: len(column)] + 4})
    frame.to_csv(path, index=False, sep=separator)
    return path


def ns(times):
    return np.asarray(times).astype("datetime64[ns]")


@pytest.mark.parametrize("form", FORMS)
def test_many_ways_to_write_a_time(tmp_path, form):
    """Compact digits, two-digit years, month names, CLF, ctime, day of year, weeks: a series."""
    times = moments(FORMS[form])
    frame = read_table(save(tmp_path / "a.csv", times.strftime(form)))
    assert find_time(frame) == "timestamp"
    assert np.array_equal(read_times(frame["timestamp"])[0], ns(times))
    assert looks_like_series(frame)
    column = TimeColumn("timestamp")
    column.fit(frame)
    restored = TimeColumn().set_state(column.get_state())
    assert np.array_equal(restored.read(frame.iloc[[7]]), ns(times)[[7]])


@pytest.mark.parametrize(
    "form",
    [
        form
        for form in FORMS
        if not form.startswith(("%Y%m%d%H", "%y%m%d", "%Yj", "%Y%j", "%Y%m%d"))
    ],
)
def test_tables_read_times_as_series_do(form):
    """One reader of times: the same moments in a table."""
    times = moments(FORMS[form])
    cells = pd.Series(times.strftime(form))
    column = schema.infer(cells)
    assert column.kind == "date"
    assert np.array_equal(
        schema.read_dates(cells, column), np.asarray(times).astype("datetime64[s]")
    )


EPOCHS = {  # name, how a number is made of nanoseconds since 1970, digits kept
    "seconds": (lambda x: x / 1e9, 3),
    "milliseconds": (lambda x: x // 10**6, None),
    "microseconds": (lambda x: x // 10**3, None),
    "nanoseconds": (lambda x: x, None),
    "FILETIME": (lambda x: x // 100 + 116_444_736_000_000_000, None),
    ".NET ticks": (lambda x: x // 100 + 621_355_968_000_000_000, None),
    "WebKit": (lambda x: x // 1000 + 11_644_473_600_000_000, None),
    "LabVIEW": (lambda x: x / 1e9 + 2_082_844_800, 1),
    "Excel": (lambda x: x / 86_400e9 + 25_569, 8),
    "MATLAB datenum": (lambda x: x / 86_400e9 + 719_529, 8),
    "MJD": (lambda x: x / 86_400e9 + 40_587, 8),
    "Julian date": (lambda x: x / 86_400e9 + 2_440_587.5, 8),
}


@pytest.mark.parametrize("name", EPOCHS)
@pytest.mark.parametrize("column", ["time", "timestamp", "Date"])
def test_times_that_are_counted(tmp_path, name, column):
    """Numbers since 1970, 1601, 1904, the year 1 and days of spreadsheets."""
    make, digits = EPOCHS[name]
    times = moments("min")
    numbers = [make(x) for x in ns(times).astype(np.int64).tolist()]
    texts = [str(x) if digits is None else f"{x:.{digits}f}" for x in numbers]
    frame = read_table(save(tmp_path / "a.csv", texts, column))
    assert find_time(frame) == column
    found = read_times(frame[column])[0]
    assert np.abs(found - ns(times)).max() <= np.timedelta64(1, "ms")
    assert looks_like_series(frame)


def test_whole_days_of_a_spreadsheet(tmp_path):
    """45292 is New Year's Day of 2024."""
    frame = read_table(save(tmp_path / "a.csv", np.arange(45_292, 45_292 + N), "Datum"))
    found = read_times(frame["Datum"])[0]
    assert np.array_equal(found, ns(pd.date_range("2024-01-01", periods=N)))


def test_elapsed_seconds_are_named_as_such():
    """Small numbers that grow count from an unknown beginning, and the note says so."""
    frame = pd.DataFrame({"time": np.arange(N) * 0.5, "v": VALUES})
    preparer = SeriesPreparer()
    preparer.fit_transform(frame)
    assert "elapsed seconds" in preparer.notes_[0]
    assert preparer.step_ == 0.5


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2024Q1", "2024Q2", "2024Q4"], ["2024-01-01", "2024-04-01", "2024-10-01"]),
        (["Q1 2024", "Q3 2024"], ["2024-01-01", "2024-07-01"]),
        (["2015-W02", "2015-W53"], ["2015-01-05", "2015-12-28"]),
        (["1. März 2024", "2. Okt. 2024", "3. ago 2024"],
         ["2024-03-01", "2024-10-02", "2024-08-03"]),
        (["2026-01-02 12:00:00,250", "2026-01-02 12:00:01,5"],
         ["2026-01-02T12:00:00.25", "2026-01-02T12:00:01.5"]),
        (["02.01.26 12:00:00,25", "02.01.26 12:00:01"],
         ["2026-01-02T12:00:00.25", "2026-01-02T12:00:01"]),
        (["2026-01-02 12:00:00 CET", "2026-07-02 12:00:00 CEST"],
         ["2026-01-02T11:00", "2026-07-02T10:00"]),
        (["01/02/2026 12:00:00 AM EST", "01/02/2026 12:00:00 PM EST"],
         ["2026-01-02T05:00", "2026-01-02T17:00"]),
        (["Jan 1, 1970 12:00 a.m.", "Jan 2, 1970 1:30 p.m."], ["1970-01-01", "1970-01-02T13:30"]),
        (["01/Mar/2024:00:00:00 +0200"], ["2024-02-29T22:00"]),
        (["31/12/1999", "01/01/2000"], ["1999-12-31", "2000-01-01"]),
    ],
)  # fmt: skip
def test_single_forms(texts, expected):
    """Quarters, weeks, months of other languages, comma fractions, zones, AM and PM."""
    expected = np.array(expected, dtype="datetime64[ns]")
    assert np.array_equal(read_times(pd.Series(texts))[0], expected)
    cells = pd.Series(texts)
    found = schema.read_dates(cells, schema.infer(cells))
    assert np.array_equal(found, expected.astype("datetime64[s]"))


@pytest.mark.parametrize("form", ["%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y %H:%M", "%m/%d/%y"])
def test_day_or_month_first_is_decided_by_all_rows(form):
    """One 31 in a thousand rows decides; where nothing does, the note says so."""
    days = pd.date_range("2024-01-01", "2024-12-12", freq="D")
    few = days[days.day <= 12]
    cells = pd.Series([*few.strftime(form), days[30].strftime(form)])
    expected = np.asarray(few.append(days[[30]])).astype("datetime64[s]")
    column = schema.infer(cells)
    assert np.array_equal(schema.read_dates(cells, column), expected)
    assert "would fit" not in column.note
    assert "would fit" in schema.infer(pd.Series(few.strftime(form))).note


def test_what_is_open_is_reported_for_series_too():
    """One day written 01/02/2026: read day first and noted; with AM and PM month first."""
    times = moments("min")
    for form, day in (("%m/%d/%Y %H:%M", "2026-02-01"), ("%m/%d/%Y %I:%M %p", "2026-01-02")):
        frame = pd.DataFrame({"time": times.strftime(form), "v": VALUES})
        preparer = SeriesPreparer()
        series = preparer.fit_transform(frame)[0]
        assert series.times[0] == np.datetime64(f"{day}T12:00")
        assert "would fit as well" in preparer.notes_[0]


@pytest.mark.parametrize("form", ["%d/%m/%Y %H:%M", "%d.%m.%y", "%m/%d/%Y", "%b %d, %Y"])
def test_iso_is_read_beside_any_other_style(form):
    """Trained on 31/01/2024, scored with 2024-01-31: the same answer."""
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-01-01", periods=N, freq="D")
    frame = pd.DataFrame({"when": days.strftime(form), "temp": rng.normal(20, 1, N)})
    pipeline = Pipeline("neighbours").fit(frame)
    iso = frame.assign(when=days.strftime("%Y-%m-%d"))
    assert np.array_equal(pipeline.score(iso).values, pipeline.score(frame).values)
    both = pd.concat([frame[:99], iso[99:]])
    assert np.array_equal(pipeline.score(both).values, pipeline.score(frame).values)


def test_years_beyond_2262_break_nothing():
    """9999-12-31 as an open end: a date of a table, no time of a series, never 1816."""
    texts = ["2024-01-01", "9999-12-31", "2500-06-01"] * 9
    cells = pd.Series(texts)
    assert schema.read_dates(cells, schema.infer(cells))[1] == np.datetime64("9999-12-31")
    frame = pd.DataFrame({"until": texts, "v": np.arange(27) % 5})
    Pipeline("ecod").fit(frame)
    assert np.isnat(read_times(cells)[0][1])


def test_year_9999_in_parquet(tmp_path):
    """Spark writes times as INT96: an open end stays what it is."""
    path = tmp_path / "a.parquet"
    times = pd.Series(moments("min")).astype("datetime64[us]")
    times[5] = pd.Timestamp("9999-12-31").as_unit("us")
    frame = pd.DataFrame({"time": times, "v": VALUES})
    frame.to_parquet(path, use_deprecated_int96_timestamps=True)
    assert read_table(path)["time"][5].year == 9999


@pytest.mark.parametrize("clock", ["%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S%p", "%H:%M:%S,000"])
@pytest.mark.parametrize("day", ["%m/%d/%Y", "%d.%m.%y", "%Y-%m-%d", "%d-%b-%Y"])
def test_day_and_clock_in_two_columns(tmp_path, day, clock):
    """A day beside a clock, also with AM and PM."""
    times = moments("h")
    frame = pd.DataFrame({"Date": times.strftime(day), "Time": times.strftime(clock), "v": VALUES})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame = read_table(tmp_path / "a.csv")
    assert np.array_equal(TimeColumn(find_time(frame)).fit(frame), ns(times))


OBJECTS = {
    "MongoDB": lambda t: {"$date": t.strftime("%Y-%m-%dT%H:%M:%S.000Z")},
    "MongoDB, long": lambda t: {"$date": {"$numberLong": str(int(t.timestamp() * 1000))}},
    "ROS 2": lambda t: {"sec": int(t.timestamp()), "nanosec": 0},
    "ROS 1": lambda t: {"secs": int(t.timestamp()), "nsecs": 0},
    "protobuf": lambda t: {"seconds": int(t.timestamp()), "nanos": 0},
    "timeval": lambda t: {"tv_sec": int(t.timestamp()), "tv_usec": 0},
}


@pytest.mark.parametrize("name", OBJECTS)
def test_times_that_are_objects(tmp_path, name):
    """{"$date"}, {"sec", "nanosec"}: the time, of files and of events."""
    times = moments("min")
    records = [
        {"time": OBJECTS[name](t), "v": v} for t, v in zip(times, VALUES.tolist(), strict=True)
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    frame = read_table(path)
    assert np.array_equal(read_times(frame["time"])[0], ns(times))
    batch = batch_of([json.dumps(record).encode() for record in records], Fields())
    assert np.array_equal(batch.times, np.asarray(times).astype("datetime64[us]"))
    assert batch.frame.columns.tolist() == ["v"]


@pytest.mark.parametrize(
    "form",
    [
        form
        for form in FORMS
        if form.startswith(("%Y%m%d%H", "%d.%m", "%d/%b", "%a", "%b %d", "%Y-%m-%d", "%d-%b"))
    ],
)
def test_events_read_times_as_files_do(form):
    """One reader of times: the same moments of events, each by itself."""
    times = moments(FORMS[form], 20)
    texts = times.strftime(form)
    values = [int(text) if text.isdigit() else text for text in texts]
    raw = [json.dumps({"time": value, "v": 1.5}).encode() for value in values]
    batch = batch_of(raw, Fields())
    assert np.array_equal(batch.times, np.asarray(times).astype("datetime64[us]"))


@pytest.mark.parametrize(
    "value", ["03/04/2024 10:00", {"a": 1, "b": 2}, [1, 2], True, "soon", 1e300]
)
def test_events_whose_time_cannot_be_told_are_quarantined(value):
    """Neither the time of arrival nor a feature: refused."""
    batch = batch_of([json.dumps({"time": value, "v": 1.5}).encode()], Fields())
    assert not len(batch.times)
    assert len(batch.rejected) == 1


@pytest.mark.parametrize("order", ["newest first", "shuffled", "each entity newest first"])
def test_exports_in_another_order_are_series(order):
    """The newest row first, or rows in no order: a series, as after sorting."""
    times = moments("h")
    frame = pd.DataFrame({"time": times.strftime("%Y-%m-%d %H:%M"), "v": VALUES})
    if order == "each entity newest first":
        frame = pd.concat([frame[::-1].assign(site=name) for name in ("north", "south")])
    else:
        frame = frame[::-1] if order == "newest first" else frame.sample(frac=1, random_state=0)
    assert looks_like_series(frame.reset_index(drop=True))


def test_tables_of_events_are_no_series():
    """Rows at times of no common step, or several a time, stay a table."""
    rng = np.random.default_rng(0)
    at = pd.Timestamp("2024-01-01") + pd.to_timedelta(np.sort(rng.uniform(0, 1e6, N)), unit="s")
    assert not looks_like_series(pd.DataFrame({"time": at, "v": VALUES}))
    assert not looks_like_series(pd.DataFrame({"time": at[rng.permutation(N)], "v": VALUES}))
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 40, N), unit="D")
    assert not looks_like_series(pd.DataFrame({"day": days, "v": VALUES}))
