"""Times and numbers as other languages and programs write them: what a person there reads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tocsin.prepare import schema
from tocsin.prepare.timestamps import find_time, read_times
from tocsin.readers.table import read_table

N = 120
TIMES = {  # how a time is written, and the step of the series
    "%Y年%m月%d日": "D",
    "%Y年%m月%d日 %H:%M:%S": "min",
    "%Y년 %m월 %d일": "D",
    "%Y. %m. %d.": "D",
    "%Y.%m.%d. %H:%M": "h",
    "%d.%m.%Y.": "D",
    "%d. %m. %Y": "D",
    "%d. %m. %Y. %H:%M": "h",
    "%d.%m.%Y %H:%M Uhr": "h",
    "%H:%M %d.%m.%Y": "h",
    "%H:%M:%S, %d/%m/%Y": "min",
    "%I:%M %p %m/%d/%Y": "h",
    "%m/%d/%Y, %I:%M:%S\u202f%p": "min",
    "%d/%m/%Y\u00a0%H:%M": "h",
    "[%Y-%m-%d %H:%M:%S]": "min",
    "'%d.%m.%Y %H:%M'": "h",
    "%Y-%m-%d %H:%M:%S GMT+0000": "min",
    "%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)": "min",
}


def save(tmp_path, cells, name="when"):
    path = tmp_path / "a.csv"
    values = np.random.default_rng(0).normal(5, 0.2, len(cells)).round(4)
    pd.DataFrame({name: cells, "a": values}).to_csv(path, index=False)
    return read_table(path)


def seconds(moments):
    return np.asarray(moments).astype("datetime64[s]")


@pytest.mark.parametrize("form", TIMES)
def test_times_of_other_languages_and_programs(tmp_path, form):
    """Years before 年, dots behind days, clocks first, JavaScript's: series and tables."""
    times = pd.date_range("2026-01-22 13:00", periods=N, freq=TIMES[form])
    times = times.normalize() if TIMES[form] == "D" else times
    frame = save(tmp_path, times.strftime(form))
    assert find_time(frame) == "when"
    assert np.array_equal(seconds(read_times(frame["when"])[0]), seconds(times))
    column = schema.infer(frame["when"])
    assert column.kind == "date"
    assert np.array_equal(seconds(schema.read_dates(frame["when"], column)), seconds(times))
    later = frame["when"].iloc[[7]]
    assert seconds(schema.read_dates(later, column)) == seconds(times[[7]])


@pytest.mark.parametrize("form", ["%Y-%m-%d {}:00", "%d.%m.%Y {}:00:00", "%Y-%m-%dT{}:00"])
def test_hours_from_1_to_24(tmp_path, form):
    """24:00 is midnight at the end of a day: no hour is lost."""
    times = pd.date_range("2026-01-22 13:00", periods=N, freq="h")
    before = times - pd.Timedelta(hours=1)
    cells = [day.strftime(form).format(f"{day.hour + 1:02d}") for day in before]
    frame = save(tmp_path, cells)
    assert np.array_equal(seconds(read_times(frame["when"])[0]), seconds(times))


@pytest.mark.parametrize("name", ["month", "date", "time"])
@pytest.mark.parametrize("begin", ["1998-11-01", "2019-02-01"])
def test_months_of_six_digits(tmp_path, name, begin):
    """202402 is February 2024, not two days after 1970, where a column is one of times."""
    times = pd.date_range(begin, periods=N, freq="MS")
    frame = save(tmp_path, times.strftime("%Y%m"), name)
    assert np.array_equal(seconds(read_times(frame[name])[0]), seconds(times))
    assert find_time(frame) == (None if name == "month" else name)


MONTHS = {
    "French": "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.",
    "French without accents": "janvier fevrier mars avril mai juin juillet aout septembre octobre "
    "novembre decembre",
    "German": "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.",
    "Spanish": "ene feb mar abr may jun jul ago sep oct nov dic",
    "Italian": "gen feb mar apr mag giu lug ago set ott nov dic",
}


@pytest.mark.parametrize("language", MONTHS)
def test_every_month_of_a_year_is_read(tmp_path, language):
    """Short and long names of months in five languages, all twelve."""
    times = pd.date_range("2025-01-31", periods=N, freq="3D")
    names = MONTHS[language].split()
    frame = save(tmp_path, [f"{day.day} {names[day.month - 1]} {day.year}" for day in times])
    column = schema.infer(frame["when"])
    assert column.kind == "date"
    assert np.array_equal(seconds(schema.read_dates(frame["when"], column)), seconds(times))


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["٤.٦٢", "-١٢", "٣٬٢٠٠"], [4.62, -12, 3200]),
        (["۱۲٫۵", "۷", "۹٫۲۵"], [12.5, 7, 9.25]),
        (["４．５", "７８", "１２"], [4.5, 78, 12]),
        (["४.५", "७८", "१२"], [4.5, 78, 12]),
        ([" $ 1,204.50 ", " $ -   ", " $ (7.25)"], [1204.5, 0, -7.25]),
        (["12,50 €", "- €", "-7,25 €"], [12.5, 0, -7.25]),
        (["4.6L/min", "5.25L/min", "6L/min"], [4.6, 5.25, 6]),
        (["12mg/dL", "9.5 mg/dL", "11mg/dL"], [12, 9.5, 11]),
    ],
)
def test_digits_dashes_and_ratios(texts, values):
    """Digits of other scripts, a spreadsheet's dash for zero, ratios of units set close."""
    cells = pd.Series(texts)
    column = schema.infer(cells)
    assert column.kind == "numeric", column
    np.testing.assert_allclose(schema.read_numbers(cells, column), values)


def test_an_uncertainty_in_parentheses_is_no_negative_number():
    """4.62(3) is 4.62 give or take .03: never -4.623."""
    column = schema.infer(pd.Series([f"{i / 7:.2f}(3)" for i in range(40)]))
    assert column.kind != "numeric"


@pytest.mark.parametrize("other", ["7.25", "7", "1.031", "7,25"])
@pytest.mark.parametrize("separator", [",", ";"])
@pytest.mark.parametrize("mark", [",", "."])
@pytest.mark.parametrize("power", ["E", "e"])
def test_a_mark_before_a_power_of_ten_is_decimal(tmp_path, mark, separator, power, other):
    """4,903E+01 is 49.03 whatever the marks of the other columns: never 49,030."""
    values = np.random.default_rng(0).normal(50, 8, N)
    cells = [f"{x:.3e}".replace(".", mark).replace("e", power) for x in values]
    frame = pd.DataFrame({"v": cells, "other": [other] * N})
    frame.to_csv(tmp_path / "a.csv", index=False, sep=separator)
    read = read_table(tmp_path / "a.csv")["v"]
    found = schema.read_numbers(read, schema.infer(read))
    np.testing.assert_allclose(found, [float(f"{x:.3e}") for x in values])


@pytest.mark.parametrize(
    "unit",
    [
        "m³/h",
        "m3/h",
        "Nm³/h",
        "m/s^2",
        "kg/m²",
        "kWh/100km",
        "L/100 km",
        "kg·m",
        "W/m²",
        "Nm",
        "m2",
    ],
)
def test_ratios_powers_and_products_of_units(unit):
    """Flows, densities and consumptions stay numbers, never 300 distinct texts."""
    values = np.random.default_rng(0).normal(18, 2, N).round(2)
    cells = pd.Series([f"{x:.2f} {unit}" for x in values])
    column = schema.infer(cells)
    assert column.kind == "numeric", column
    np.testing.assert_allclose(schema.read_numbers(cells, column), values)


@pytest.mark.parametrize("form", ["{}:-", "{}/-", "{},-", "{}*", "{} **", "{}†"])
def test_dashes_for_no_cents_and_marks_of_footnotes(form):
    """300:- of Sweden, 300/- of India, 300* of a table with footnotes."""
    values = np.random.default_rng(0).integers(100, 900, N)
    cells = pd.Series([form.format(x) if i % 3 else str(x) for i, x in enumerate(values)])
    np.testing.assert_allclose(schema.read_numbers(cells, schema.infer(cells)), values)
