"""Scale words beside numbers, and times in still other programs' digits, words and intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tocsin.errors import UnreadableFile
from tocsin.prepare import schema
from tocsin.prepare.tables import TablePreparer
from tocsin.prepare.timestamps import find_time, read_times
from tocsin.readers import times
from tocsin.readers.table import iter_table, read_table

N, PLANTED = 120, 70
VALUES = np.random.default_rng(9).integers(1_000, 90_000, N) / 4
VALUES[PLANTED] = 4_000_000.25
HOURS = pd.date_range("2026-01-22 13:00", periods=200, freq="h")
DAYS = pd.date_range("2026-01-22", periods=200, freq="D")
WEEKS = pd.date_range("2024-01-01", periods=120, freq="W-MON")
MONTHS = pd.date_range("2015-01-01", periods=60, freq="MS")
QUARTERS = pd.date_range("2012-01-01", periods=44, freq="QS")


def scaled(small, large, power, more, mark=".", front=""):
    """Write numbers in one unit below a million and in a larger one above."""

    def write(x):
        unit, exponent = (large, more) if x >= 1e6 else (small, power)
        return f"{front}{x / 10**exponent:.{exponent + 2}f}{unit}".replace(".", mark, 1)

    return write


SCALED = {  # how they are written, and what they are brought to
    "Chinese": (scaled("", "万", 0, 4), 1e4),
    "Korean": (scaled("만", "억", 4, 8), 1e4),
    "Indian": (scaled(" lakh", " crore", 5, 7), 1e5),
    "Russian": (scaled(" тыс.", " млн", 3, 6, ","), 1e3),
    "Russian, with a currency": (scaled(" тыс. руб.", " млн руб.", 3, 6, ","), 1),
    "Polish": (scaled(" tys. zł", " mln zł", 3, 6, ","), 1),
    "French": (scaled(" k€", " M€", 3, 6, ","), 1),
    "French, milliards": (scaled(" M€", " Md€", 6, 9, ","), 1),
    "Swedish": (scaled(" tkr", " mkr", 3, 6, ","), 1e3),
    "English": (scaled(" thousand", " million", 3, 6), 1e3),
    "of finance": (scaled("k", "mm", 3, 6, front="$"), 1),
    "Brazilian": (scaled(" mil", " mi", 3, 6, ",", "R$ "), 1),
}


def save(tmp_path, cells, name="v"):
    path = tmp_path / "a.tsv"
    rows = (f"{cell}\t{i % 7 + 0.5}" for i, cell in enumerate(cells))
    path.write_text("\n".join([f"{name}\ta", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("language", SCALED)
def test_words_for_powers_of_ten(tmp_path, language):
    """1.2万, 3 crore, 0,5 млн and 250 k€ are on one scale, in any chunk."""
    write, unit = SCALED[language]
    path = save(tmp_path, [write(x) for x in VALUES])
    frame = read_table(path)
    column = schema.infer(frame["v"])
    assert column.kind == "numeric"
    found = schema.read_numbers(frame["v"], column)
    assert np.allclose(found * unit, VALUES, rtol=1e-12)
    known = TablePreparer().fit(frame).known
    parts = [schema.read_numbers(part["v"], column) for part in iter_table(path, 7, known=known)]
    assert np.array_equal(np.concatenate(parts), found)


@pytest.mark.parametrize("ending", ["k", "万", " Mi"])
def test_plain_numbers_where_training_had_scales(ending):
    """12000 in Parquet or JSON is 12 k of a column trained on texts such as 12k."""
    column = schema.infer(pd.Series([f"{x:.2f}{ending}" for x in VALUES]))
    one = schema.read_numbers(pd.Series([f"3{ending}"]), column)
    text = schema.read_numbers(pd.Series(["12000"]), column)
    number = schema.read_numbers(pd.Series([12_000.0]), column)
    assert one[0] == 3
    assert number[0] == pytest.approx(text[0], rel=1e-12)


def test_spans_of_time_where_training_had_hours():
    """A duration of Parquet is in the hours of training."""
    column = schema.infer(pd.Series([f"{x:.2f} h" for x in VALUES]))
    spans = pd.Series(pd.to_timedelta([90, 30], unit="min"))
    assert schema.read_numbers(spans, column).tolist() == [1.5, 0.5]


def test_bare_numbers_beside_a_unit_are_noted():
    """340m beside 2, 50 % beside 0.5: a note says what was assumed."""
    column = schema.infer(
        pd.Series([f"{x:.2f}{' %' if i % 3 else ''}" for i, x in enumerate(VALUES)])
    )
    assert "40 values without a unit were taken in that of the others" in column.note


NUMBERS = {
    "Thai digits": lambda x: f"{x:.2f}".translate({48 + i: 0xE50 + i for i in range(10)}),
    "a long dash for no cents": lambda x: f"{x // 1:.0f}.\u2014",
    "won": lambda x: f"{x:,.2f}원",
    "wide yen": lambda x: f"\uffe5{x:,.2f}",
    "Kenya": lambda x: f"KSh {x:,.2f}",
    "Peru": lambda x: f"S/. {x:,.2f}",
    "Taiwan": lambda x: f"NT${x:,.2f}",
    "a meter's register": lambda x: f"{x:012.2f}*kWh",
    "flags of a laboratory": lambda x: f"{x:.2f}{' (H)' if x > 20_000 else ''}",
    "a star in front": lambda x: f"{'*' if x > 20_000 else ''}{x:.2f}",
    "circa": lambda x: f"ca. {x:.2f}",
    "a power of ten per litre": lambda x: f"{x / 1e9:.11f} x10^9/L",
}


@pytest.mark.parametrize("form", NUMBERS)
def test_numbers_of_still_more_programs(tmp_path, form):
    """Digits, currencies and flags of more countries and laboratories."""
    frame = read_table(save(tmp_path, [NUMBERS[form](x) for x in VALUES]))
    column = schema.infer(frame["v"])
    expected = np.floor(VALUES) if form.startswith("a long dash") else VALUES
    assert np.allclose(schema.read_numbers(frame["v"], column), expected, rtol=1e-9)


def test_degrees_south_and_west_are_negative():
    """33.9° S is -33.9."""
    cells = pd.Series([f"{i / 2:.1f}° {'NS'[i % 2]}" for i in range(N)])
    found = schema.read_numbers(cells, schema.infer(cells))
    assert found.tolist() == [(-1) ** i * i / 2 for i in range(N)]


def later(how, more):
    return lambda t: t.strftime(how) + (t + pd.Timedelta("1h")).strftime(more)


STAMPS = {
    "digits, the day first, two of the year": (DAYS, "%d%m%y"),
    "digits to the minute": (HOURS, "%y%m%d%H%M"),
    "digits to the minute, the day first": (pd.DatetimeIndex(HOURS), "%d%m%y%H%M"),
    "digits to the millisecond": (HOURS + pd.Timedelta("250ms"), "%Y%m%d%H%M%S250"),
    "digits of weeks": (WEEKS, "%G%V"),
    "months behind a point": (MONTHS, "%Y.%m"),
    "two groups of digits": (HOURS, "%y%m%d %H%M%S"),
    "two groups of digits, the day first": (HOURS, "%d%m%Y %H%M"),
    "of a directory": (HOURS, "%Y%m%d%H%M%S.0Z"),
    "of a hospital": (HOURS, "%Y%m%d%H%M%S+0000"),
    "of a certificate": (HOURS, "%y%m%d%H%M%SZ"),
    "of a photo": (HOURS, "%Y:%m:%d %H:%M:%S"),
    "of a router": (HOURS, "*%b %d %Y %H:%M:%S"),
    "offset and zone": (HOURS, "%Y-%m-%d %H:%M:%S.0 +0000 UTC m=+0.0123"),
    "offset in parentheses": (HOURS, "%Y-%m-%d %H:%M (UTC+00:00)"),
    "Danish": (HOURS, "%d.%m.%Y kl. %H.%M"),
    "Finnish": (HOURS, "%d.%m.%Y klo %H.%M"),
    "French": (HOURS, "%d/%m/%Y %H h %M"),
    "Chinese": (HOURS, "%Y年%m月%d日%H时%M分%S秒"),
    "Korean": (HOURS, "%Y년 %m월 %d일 %H시 %M분"),
    "month, Chinese": (MONTHS, "%Y年%m月"),
    "month after M": (MONTHS, "%Y-M%m"),
    "intervals": (HOURS, later("%d.%m.%Y %H:%M", " - %d.%m.%Y %H:%M")),
    "intervals of ISO 8601": (HOURS, later("%Y-%m-%dT%H:%MZ", "/%Y-%m-%dT%H:%MZ")),
    "intervals of a clock": (HOURS, later("%Y-%m-%d %H:%M", " - %H:%M")),
    "weeks of one digit": (WEEKS, lambda t: f"KW {int(t.strftime('%V'))}/{t:%g}"),
    "weeks after a slash": (WEEKS, "%G/W%V"),
    "weeks, French": (WEEKS, "S%V-%G"),
    "days of weeks": (DAYS, "%GW%V%u"),
    "quarters, French": (QUARTERS, lambda t: f"T{t.quarter} {t.year}"),
    "quarters, German": (QUARTERS, lambda t: f"{t.quarter}. Quartal {t.year}"),
    "quarters after a point": (QUARTERS, lambda t: f"{t.year}.Q{t.quarter}"),
    "quarters of two digits": (QUARTERS, lambda t: f"Q{t.quarter} '{t:%y}"),
    "marks of direction": (HOURS, "\u200e%d.%m.%Y\u200e %H:%M"),
    "an apostrophe in front": (HOURS, "'%Y-%m-%d %H:%M"),
    "seconds after @": (HOURS, lambda t: f"@{t.value // 10**9}"),
}


@pytest.mark.parametrize("form", STAMPS)
def test_stamps_of_still_more_programs(tmp_path, form):
    """Digits, weeks, quarters, intervals and clocks of more programs: the times a person reads."""
    times, how = STAMPS[form]
    write = how if callable(how) else lambda t: t.strftime(how)
    if form == "digits to the minute, the day first":
        times = pd.date_range("2026-01-01", periods=400, freq="3h")
    frame = read_table(save(tmp_path, [write(t) for t in times], "when"))
    assert find_time(frame) == "when"
    found = read_times(frame["when"])[0]
    assert np.array_equal(found.astype("datetime64[ms]"), times.to_numpy("datetime64[ms]"))


def test_clocks_of_intervals_are_no_offsets(tmp_path):
    """13:00-14:00 is no time of the zone -14:00: the column is not taken for times."""
    cells = [later("%d.%m.%Y %H:%M", "-%H:%M")(t) for t in HOURS]
    assert find_time(read_table(save(tmp_path, cells, "when"))) is None


@pytest.mark.parametrize("text", ["2024-13-40", "202-41-30", "20-24-1340"])
def test_digits_are_not_cut_into_dates(text):
    """An impossible date stays unread, however its digits could be cut."""
    assert np.isnat(read_times(pd.Series([text]))[0]).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260122130000Z", True),
        ("20260122130000+0100", True),
        ("260122130000Z", True),
        ("@1769086800", True),
        ("2026-01-22 13:00 (UTC+01:00)", True),
        ("2026-01-22 13:00:00 +0100 CET m=+0.5", True),
        ("20260122130000", False),
        ("22.01.2026 13:00 - 22.01.2026 14:00", False),
        ("22.01.2026 kl. 13.00", False),
        ("2026年1月22日 13时00分", False),
    ],
)
def test_zones_of_still_more_programs(text, expected):
    """A stated time zone is not added to times that name theirs."""
    assert times.has_zone(text) is expected


def test_quotes_after_backslashes_are_refused(tmp_path):
    """Escaped quotes beside commas would shift the columns: the file is refused with what to do."""
    path = tmp_path / "a.csv"
    path.write_text("n,v,g\n" + "".join(f'{i},{i / 2},"a \\"b\\", c"\n' for i in range(40)))
    with pytest.raises(UnreadableFile, match="Write it twice"):
        read_table(path)


def test_text_that_is_not_utf_8_is_noted(tmp_path):
    """A file of another code page is read as Windows-1252, and the note says so."""
    path = tmp_path / "a.csv"
    path.write_bytes(("town,v\n" + "".join(f"Köln,{i / 2}\n" for i in range(40))).encode("cp850"))
    assert any("read as Windows-1252" in note for note in read_table(path).attrs["notes"])
