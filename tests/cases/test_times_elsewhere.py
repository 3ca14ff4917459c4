"""More times as languages, programs and logs write them, and years that are left out."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from tocsin.prepare import schema
from tocsin.prepare.timestamps import find_time, read_times
from tocsin.readers.table import read_table
from tocsin.readers.years import years_of

N = 200
DAYS = pd.date_range("2026-01-22", periods=N, freq="D")
HOURS = pd.date_range("2026-01-22 13:00", periods=N, freq="h")
MONTHS = {
    "Portuguese": "jan fev mar abr mai jun jul ago set out nov dez",
    "Portuguese, long": "janeiro fevereiro março abril maio junho julho agosto setembro outubro "
    "novembro dezembro",
    "Dutch": "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "Dutch, long": "januari februari maart april mei juni juli augustus september oktober "
    "november december",
    "Swedish": "jan feb mars apr maj juni juli aug sep okt nov dec",
    "Norwegian": "januar februar mars april mai juni juli august september oktober november "
    "desember",
    "Polish": "sty lut mar kwi maj cze lip sie wrz paź lis gru",
    "Polish, long": "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września "
    "października listopada grudnia",
    "Turkish": "Oca Şub Mar Nis May Haz Tem Ağu Eyl Eki Kas Ara",
    "Russian": "янв фев мар апр мая июн июл авг сен окт ноя дек",
}
SPANISH = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"


def half(moment, names):
    return names[moment.hour >= 12]


def local(how, offset):
    return lambda t: (t + pd.Timedelta(offset)).strftime(how)


WRITTEN = {
    "a word before the clock, German": local("%d.%m.%Y um %H:%M Uhr", "0h"),
    "a word before the clock, French": local("%d/%m/%Y à %H:%M", "0h"),
    "half a day, Chinese": lambda t: f"{t:%Y/%m/%d} {half(t, ('上午', '下午'))}{t:%I:%M:%S}",
    "half a day, Japanese": lambda t: (
        f"{t.year}年{t.month}月{t.day}日 {half(t, ('午前', '午後'))}{t.hour % 12 or 12}:{t:%M}"
    ),
    "half a day, Korean": lambda t: (
        f"{t.year}. {t.month}. {t.day}. {half(t, ('오전', '오후'))} {t.hour % 12 or 12}:{t:%M}"
    ),
    "month first with points": local("%m.%d.%Y %I:%M %p", "0h"),
    "day of the year after a slash": local("%Y/%j %H:%M", "0h"),
    "day of the year after a colon": local("%Y:%j:%H:%M:%S", "0h"),
    "small letters": local("%Y-%m-%dt%H:%M:%Sz", "0h"),
    "UTC+2": local("%Y-%m-%d %H:%M:%S UTC+2", "2h"),
    "one digit of a zone": local("%Y-%m-%d %H:%M:%S-5", "-5h"),
    "zone by its place": local("%Y-%m-%d %H:%M:%S Asia/Tokyo", "9h"),
    ".NET's JSON": lambda t: f"/Date({t.value // 10**6})/",
    ".NET's JSON with an offset": lambda t: f"/Date({t.value // 10**6}+0100)/",
    "a serial day with a comma": lambda t: (
        f"{(t - pd.Timestamp(0)) / pd.Timedelta('1D') + 25569:.8f}".replace(".", ",")
    ),
}
WRITTEN_DAYS = {
    "Spanish": lambda t: f"{t.day} de {SPANISH.split()[t.month - 1]} de {t.year}",
    "digits, the day first": lambda t: f"{t:%d%m%Y}",
    "digits, the month first": lambda t: f"{t:%m%d%Y}",
    "six digits": lambda t: f"{t:%y%m%d}",
}
OTHER_STEPS = {
    "weeks, German": (pd.date_range("2026-01-05", periods=90, freq="W-MON"), "KW %V/%G"),
    "weeks, English": (pd.date_range("2026-01-05", periods=90, freq="W-MON"), "W%V %G"),
    "years": (pd.date_range("1900-01-01", periods=100, freq="YS"), "%Y"),
}


def save(tmp_path, cells, name="when"):
    path = tmp_path / "a.csv"
    values = np.random.default_rng(0).normal(5, 0.2, len(cells)).round(4)
    pd.DataFrame({name: cells, "a": values}).to_csv(path, index=False)
    return read_table(path)


def seconds(moments):
    return np.asarray(moments).astype("datetime64[s]")


def check(tmp_path, cells, times):
    frame = save(tmp_path, list(cells))
    assert find_time(frame) == "when"
    assert np.array_equal(seconds(read_times(frame["when"])[0]), seconds(times))
    return frame["when"]


@pytest.mark.parametrize("language", MONTHS)
def test_months_of_more_languages(tmp_path, language):
    """All twelve months, short and long, in six more languages."""
    names = MONTHS[language].split()
    cells = check(tmp_path, [f"{t.day} {names[t.month - 1]} {t.year}" for t in DAYS], DAYS)
    column = schema.infer(cells)
    assert np.array_equal(seconds(schema.read_dates(cells, column)), seconds(DAYS))


@pytest.mark.parametrize("form", WRITTEN)
def test_clocks_zones_and_surroundings(tmp_path, form):
    """Words before clocks, halves of the day, zones by place, .NET's JSON: the same hours."""
    cells = check(tmp_path, [WRITTEN[form](t) for t in HOURS], HOURS)
    if (column := schema.infer(cells)).kind == "date":
        assert seconds(schema.read_dates(cells.iloc[[7]], column)) == seconds(HOURS[[7]])


@pytest.mark.parametrize("form", WRITTEN_DAYS)
def test_days_in_digits(tmp_path, form):
    """22012026, 01222026 and 260122 are days of 2026, never of 1970."""
    check(tmp_path, [WRITTEN_DAYS[form](t) for t in DAYS], DAYS)


@pytest.mark.parametrize("form", OTHER_STEPS)
def test_weeks_and_years(tmp_path, form):
    """KW 02/2026 and W02 2026 are Mondays; 1900 to 1999 are years, not seconds of 1970."""
    times, how = OTHER_STEPS[form]
    check(tmp_path, times.strftime(how), times)


def test_years_with_fractions(tmp_path):
    """2010.5 is the middle of 2010."""
    frame = save(tmp_path, [f"{2010 + i / 4:.2f}" for i in range(60)])
    moments = read_times(frame["when"])[0]
    assert seconds(moments[2]) == np.datetime64("2010-07-02T12:00:00")
    assert (np.diff(moments) > np.timedelta64(89, "D")).all()


@pytest.mark.parametrize("form", ["%b %d %H:%M:%S", "%d %b %H:%M", "%m-%d %H:%M:%S.500"])
def test_years_left_out(tmp_path, form):
    """Times of syslog: in order over New Year, the last not in the future, and the note says so."""
    end = pd.Timestamp(time.time(), unit="s").floor("D")
    times = pd.date_range(end=end, periods=N, freq="49h")
    frame = save(tmp_path, list(times.strftime(form)))
    assert find_time(frame) == "when"
    moments = read_times(frame["when"])[0]
    assert np.array_equal(moments.astype("datetime64[m]"), times.to_numpy().astype("datetime64[m]"))
    assert "do not lie in the future" in schema.infer(frame["when"]).note


@pytest.mark.parametrize("form", ["%d %b %Y", "%b %d %Y", "%d.%m. %Y"])
def test_a_year_is_no_clock(tmp_path, form):
    """1 Jan 2025 in no order is a day of 2025, not 20:25 of a year left out."""
    days = DAYS[np.random.default_rng(2).permutation(N)]
    frame = save(tmp_path, list(days.strftime(form)))
    assert np.array_equal(seconds(read_times(frame["when"])[0]), seconds(days))
    assert schema.infer(frame["when"]).style == ("%d.%m.%Y" if "." in form else form)


def test_the_29th_of_february_has_a_leap_year():
    """A day that only leap years have is of one; a day that none has is missing."""
    now = pd.Timestamp("2026-11-30").timestamp()
    assert years_of(np.array([2, 2]), np.array([29, 30]), now).tolist() == [2024, 0]


def test_a_date_and_a_clock_are_no_duration(tmp_path):
    """20260122 14:00 is an hour of January, not twenty million days."""
    cells = check(tmp_path, HOURS.strftime("%Y%m%d %H:%M"), HOURS)
    assert schema.infer(cells).kind == "date"
