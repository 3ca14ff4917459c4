"""Numbers as people write them: read as a person would, and the planted row is first."""

import numpy as np
import pandas as pd
import pytest

import tocsin
from tocsin.errors import SchemaMismatch
from tocsin.pipeline import Pipeline
from tocsin.prepare import schema
from tocsin.prepare.tables import TablePreparer
from tocsin.readers.numbers import Style, read
from tocsin.readers.table import read_table

N = 150
PLANTED = 66

LOCALES = {  # group mark, decimal mark, separator of the file
    "german": (".", ",", ";"),
    "american": (",", ".", ","),
    "american, tabs": (",", ".", "\t"),
    "american, semicolons": (",", ".", ";"),
    "french": ("\u202f", ",", ";"),
    "no-break": ("\u00a0", ",", ";"),
    "thin": ("\u2009", ",", ";"),
    "blank": (" ", ",", ";"),
    "blank and point": (" ", ".", ","),
    "swiss": ("'", ".", ";"),
    "swiss, curly": ("\u2019", ".", ","),
}
SIGNS = {
    "before": "-{}",
    "behind": "{}-",
    "parentheses": "({})",
    "minus": "\u2212{}",
    "dash": "\u2013{}",
}
MONEY = ["$ {}", "${}", "{} €", "€{}", "{} EUR", "USD {}", "R$ {}", "{} kr", "CHF {}", "₹{}", "{}%"]


def written(value, group, decimal, digits=2):
    text = f"{abs(value):,.{digits}f}"
    return text.replace(",", "\0").replace(".", decimal).replace("\0", group)


def read_back(path, name):
    cells = read_table(path)[name]
    column = schema.infer(cells)
    assert column.kind == "numeric", column
    return schema.read_numbers(cells, column), column


def save(path, columns, separator=",", encoding="utf-8"):
    frame = pd.DataFrame(columns)
    frame.to_csv(path, sep=separator, index=False, encoding=encoding)
    return path


def amounts(seed=0, digits=2):
    values = np.random.default_rng(seed).normal(1_000, 150, N).round(digits)
    values[PLANTED] = 98_765.4 if digits else 98_765
    return values


@pytest.mark.parametrize("name", LOCALES)
def test_groups_and_decimal_marks_of_many_countries(tmp_path, name):
    """Amounts grouped by point, comma, blank or apostrophe have their value; the large is first."""
    group, decimal, separator = LOCALES[name]
    values = amounts()
    km = np.random.default_rng(1).normal(52, 3, N).round(1)
    texts = [written(value, group, decimal) for value in values]
    path = save(
        tmp_path / "a.csv", {"amount": texts, "km": [written(x, group, decimal, 1) for x in km]},
        separator,
    )  # fmt: skip
    assert np.array_equal(read_back(path, "amount")[0], values)
    assert np.array_equal(read_back(path, "km")[0], km)
    assert tocsin.detect(path).anomalies[0] == PLANTED


@pytest.mark.parametrize("name", LOCALES)
def test_whole_thousands_in_a_file_with_and_without_fractions_beside_them(tmp_path, name):
    """1.031 among 711 is about one thousand, whatever else the file holds."""
    group, decimal, separator = LOCALES[name]
    values = amounts(digits=0)
    texts = [written(value, group, decimal, 0) for value in values]
    alone = save(tmp_path / "a.csv", {"visits": texts, "x": np.arange(N)}, separator)
    found, column = read_back(alone, "visits")
    assert np.array_equal(found, values)
    if group in ".,":
        assert "read as" in column.note
    beside = [written(value / 200, group, decimal) for value in values]
    path = save(tmp_path / "b.csv", {"visits": texts, "price": beside}, separator)
    assert np.array_equal(read_back(path, "visits")[0], values)
    assert tocsin.detect(alone).anomalies[0] == tocsin.detect(path).anomalies[0] == PLANTED


def test_thousands_that_begin_late_in_a_file(tmp_path):
    """The first 20,000 rows are below a thousand: 1.031 after them is still about a thousand."""
    values = [*range(100, 999)] * 23 + [1_031, 98_765, 1_360]
    texts = [f"{value:,}".replace(",", ".") for value in values]
    path = save(tmp_path / "a.csv", {"visits": texts, "mode": "x"}, "\t")
    assert np.array_equal(read_back(path, "visits")[0], values)
    halves = [f"{value / 2:g}" for value in values]
    path = save(tmp_path / "b.csv", {"x": ["7"] * 9000 + halves, "mode": "x"}, "\t")
    assert read_table(path)["x"].dtype == float


@pytest.mark.parametrize(("group", "decimal", "separator"), [(".", ",", ";"), (",", ".", ",")])
def test_three_decimals_are_fractions_where_the_column_or_the_file_shows_it(
    tmp_path, group, decimal, separator
):
    """49.914 in a column of three decimals is about fifty."""
    values = np.random.default_rng(0).normal(50, 2, N).round(3)
    texts = [written(value, group, decimal, 3) for value in values]
    other = [written(value, group, decimal, 1) for value in values]
    path = save(tmp_path / "a.csv", {"flow": texts, "level": other}, separator)
    assert np.array_equal(read_back(path, "flow")[0], values)
    assert np.array_equal(read_back(path, "level")[0], values.round(1))


def test_columns_of_a_file_that_shows_the_other_mark(tmp_path):
    """Thousands beside fractions of the same mark are thousands where they must be, and noted."""
    rng = np.random.default_rng(0)
    for mark, separator in ((".", ","), (".", ";"), (",", ";")):
        values = amounts(digits=0)
        values[3] = 1_360
        texts = [f"{int(value):,}".replace(",", mark) for value in values]
        other = [f"{x:.1f}".replace(".", mark) for x in rng.normal(5, 1, N)]
        path = save(tmp_path / "a.csv", {"visits": texts, "price": other}, separator)
        assert np.array_equal(read_back(path, "visits")[0], values)
        assert "read as thousands" in "".join(TablePreparer().fit(read_table(path)).notes_)


def test_three_decimals_alone_between_semicolons_are_fractions_and_noted(tmp_path):
    """4,914 in a file with semicolons, no other number: about five."""
    values = np.random.default_rng(0).normal(5, 0.2, N).round(3)
    texts = [f"{value:.3f}".replace(".", ",") for value in values]
    path = save(tmp_path / "a.csv", {"flow": texts, "mode": "x"}, ";")
    frame = read_table(path)
    assert np.array_equal(frame["flow"], values)
    assert "fractions, not thousands" in "".join(TablePreparer().fit(frame).notes_)


def test_what_nothing_decides_is_noted():
    """Commas before three digits everywhere: thousands, and the note says so."""
    column = schema.infer(pd.Series(["4,914", "5,031", "4,877"]))
    assert "thousands, not fractions" in column.note
    both = schema.infer(pd.Series(["4,5", "5.25", "4,125"]))
    assert "both decimal marks" in both.note


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("money", ["{}", "${}", "{} €"])
def test_rare_negative_amounts_are_numbers_not_missing(tmp_path, sign, money):
    """A few amounts with their minus before, behind, in parentheses or as U+2212."""
    values = np.random.default_rng(0).normal(700, 80, N).round(2)
    values[[33, 120]] = -6_878.63, -9_400.1
    texts = [
        SIGNS[sign].format(money.format(f"{-v:,.2f}")) if v < 0 else money.format(f"{v:,.2f}")
        for v in values
    ]
    texts[5] = texts[50] = ""
    path = save(tmp_path / "a.csv", {"amount": texts, "qty": np.arange(N) % 7})
    found, _ = read_back(path, "amount")
    assert np.isnan(found[[5, 50]]).all()
    assert np.array_equal(np.delete(found, [5, 50]), np.delete(values, [5, 50]))
    ranks = np.argsort(-tocsin.detect(path).scores.values)
    assert set(ranks[:2]) == {33, 120}


@pytest.mark.parametrize("money", MONEY)
def test_currencies_and_per_cent_are_no_part_of_the_number(tmp_path, money):
    """Signs and codes before or behind an amount."""
    values = amounts(1)
    path = save(
        tmp_path / "a.csv", {"a": [money.format(f"{v:,.2f}") for v in values], "b": np.arange(N)}
    )
    assert np.array_equal(read_back(path, "a")[0], values)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["-$6,878.63", "($9,400.10)", "$ (5.00)", "$-7", "8-"], [-6878.63, -9400.1, -5, -7, -8]),
        (["1,63,437", "9,87,65,432", "999", "12,34,567.5"], [163437, 98765432, 999, 1234567.5]),
        (["1'234.50", "1’234’567", "12.5"], [1234.5, 1234567, 12.5]),
        (["1 234,5", "1\u202f234,75", "7"], [1234.5, 1234.75, 7]),
        (["<0.5", "> 100", "~3", "≥4"], [0.5, 100, 3, 4]),
        (["1e3", "2.5E-3", "+7", ".5", "5."], [1000, 0.0025, 7, 0.5, 5]),
        (["1.2K", "3M", "450"], [1.2, 3000, 0.45]),
        (["\u200e-5", "\u22127", "+3"], [-5, -7, 3]),
        (["0,123", "0,5", "12"], [0.123, 0.5, 12]),
        (["1234,567", "2,5"], [1234.567, 2.5]),
        (["12,-", "1.234,--", "7,50"], [12, 1234, 7.5]),
        (["$1.2M", "$450K", "$ 3bn", "$7"], [1.2e6, 450e3, 3e9, 7]),
        (["1,2 Mio. €", "3 Mrd. EUR", "12 €"], [1.2e6, 3e9, 12]),
    ],
)  # fmt: skip
def test_single_spellings(texts, values):
    """One cell of each spelling has the value that a person reads."""
    cells = pd.Series(texts)
    column = schema.infer(cells)
    assert column.kind == "numeric", column
    np.testing.assert_allclose(schema.read_numbers(cells, column), values, rtol=1e-15)


@pytest.mark.parametrize(
    ("texts", "unit", "values"),
    [
        (["533.7 kB", "601 kB", "9.8 GB", "1 MiB"], "kB", [533.7, 601, 9.8e6, 1048.576]),
        (["3.99 GiB", "4.02 GiB", "512 MiB"], "GiB", [3.99, 4.02, 0.5]),
        (["12 ms", "15ms", "1.2 s", "3 min"], "ms", [12, 15, 1200, 180_000]),
        (["230 V", "231.5 V", "1.2 kV"], "V", [230, 231.5, 1200]),
        (["5 kW", "7,5 kW", "900 W"], "kW", [5, 7.5, 0.9]),
        (["20 °C", "68 °F", "21 °C"], "°C", [20, 20, 21]),
        (["5m", "30s", "2h", "1h30m", "7m", "9m"], "min", [5, 0.5, 120, 90, 7, 9]),
        (["12 pcs", "17 pcs"], "pcs", [12, 17]),
        (["100 Mbit/s", "1 Gbit/s", "200 Mbit/s"], "Mbit/s", [100, 1000, 200]),
        (["1013 hPa", "990 hPa", "101,3 kPa"], "hPa", [1013, 990, 1013]),
    ],
)
def test_units_of_one_dimension_are_brought_to_one(texts, unit, values):
    """kB beside GB, ms beside s: values in the most frequent unit, and the note names it."""
    cells = pd.Series(texts)
    column = schema.infer(cells)
    assert column.style.split(" ")[-1] == unit
    np.testing.assert_allclose(schema.read_numbers(cells, column), values, rtol=1e-12)
    assert unit in column.note


@pytest.mark.parametrize(
    ("texts", "seconds"),
    [
        (["00:04:47", "04:00:00", "0:05:01.5"], [287, 14_400, 301.5]),
        (["4:47", "59:59", "1:02:03"], [287, 3599, 3723]),
        (["14:30", "09:05"], [52_200, 32_700]),
        (["1 day, 2:03:04", "0:00:01", "2 days 01:00:00"], [93_784, 1, 176_400]),
        (["1.02:03:04", "00:00:09"], [93_784, 9]),
        (["PT5M", "PT1H30M", "P1DT1S"], [300, 5_400, 86_401]),
        (["1h2m3s", "1m30.5s", "2h5m"], [3723, 90.5, 7500]),
    ],
)
def test_durations_are_seconds(texts, seconds):
    """h:mm:ss, mm:ss, days and hours, ISO 8601."""
    cells = pd.Series(texts)
    np.testing.assert_allclose(schema.read_numbers(cells, schema.infer(cells)), seconds)


def test_sizes_and_durations_find_what_is_far_off(tmp_path):
    """One of 9.8 GB among kB and one of four hours among minutes are the first two."""
    rng = np.random.default_rng(0)
    size = [f"{x:.1f} kB" for x in rng.normal(650, 90, N)]
    wait = [f"0:0{x // 60}:{x % 60:02d}" for x in rng.integers(180, 360, N)]
    size[70], wait[110] = "9.8 GB", "4:00:00"
    path = save(tmp_path / "a.csv", {"size": size, "wait": wait})
    ranks = np.argsort(-tocsin.detect(path).scores.values)
    assert set(ranks[:2]) == {70, 110}


@pytest.mark.parametrize("words", [1, 4, 8, 30])
@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_status_words_beside_numbers_are_missing_however_many(tmp_path, words, share):
    """A historian's export: the channel stays numeric, its words are missing and noted."""
    rng = np.random.default_rng(0)
    texts = [f"{x:.2f}" for x in rng.normal(50, 1, 400)]
    for row in range(3, 400, int(1 / share)):
        texts[row] = f"Comm Fail {'abcdefghijklmnopqrstuvwxyzABCDE'[row % words]}"
    texts[250] = "90.0"
    path = save(tmp_path / "a.csv", {"flow": texts, "level": rng.normal(80, 1, 400).round(2)})
    found, column = read_back(path, "flow")
    assert found[250] == 90.0
    assert np.isnan(found).sum() == sum("Comm" in text for text in texts)
    assert "taken as missing" in column.note
    assert np.argmax(tocsin.detect(path).scores.values) == 250


def test_a_new_status_word_is_missing_too_and_named():
    """A word that training did not have, in a column that had others; an error in one without."""
    texts = [str(i / 10) for i in range(100)]
    preparer = TablePreparer().fit(pd.DataFrame({"a": [*texts, "Bad"]}))
    assert "Offline" in preparer.remarks(pd.DataFrame({"a": ["1", "Offline"]}))[0]
    with pytest.raises(SchemaMismatch, match="Offline"):
        TablePreparer().fit(pd.DataFrame({"a": texts})).transform(pd.DataFrame({"a": ["Offline"]}))


def test_mostly_numbers_is_never_dropped_nor_made_categories():
    """Nine rows in ten are numbers: a numeric column, whatever the tenth is."""
    rng = np.random.default_rng(0)
    for odd in ("A-17/x", "#ERR", "10.0.0.1", "2024-01-01", "see note 5"):
        texts = [f"{x:.3f}" for x in rng.normal(size=90)] + [f"{odd}{i}" for i in range(10)]
        column = schema.infer(pd.Series(texts))
        assert column.kind == "numeric"
        assert column.note


@pytest.mark.parametrize(
    "texts",
    [
        [f"{i:03d}" for i in range(1, 31)] + ["HQ"],
        ["$5", "€7"] * 20,
        ["A1", "B2", "17"] * 20,
        ["10.0.0.1", "192.168.1.7", "10.0.0.2"] * 9,
        ["1.2.3", "1.10.0", "2.0.1"] * 9,
        ["0x10", "0xff", "0x1a"] * 9,
        ["3B", "12A", "7C", "14F"] * 9,
    ],
)
def test_codes_are_no_numbers(texts):
    """Stores, seats, versions, addresses and amounts in several currencies stay categories."""
    assert schema.infer(pd.Series(texts)).kind == "category"


@pytest.mark.parametrize("mark", ["€", "£", "“x”", "–"])
def test_windows_1252_is_read_as_such(tmp_path, mark):
    """Excel's files: the euro sign, curly quotes and dashes are themselves."""
    texts = [f"{x:.2f} €".replace(".", ",") for x in np.random.default_rng(0).normal(50, 4, N)]
    texts[PLANTED] = "950,00 €"
    columns = {"Filiale": [f"Köln {mark} {i % 3}" for i in range(N)], "Betrag": texts}
    path = save(tmp_path / "a.csv", columns, ";", "cp1252")
    assert read_table(path)["Filiale"][0] == f"Köln {mark} 0"
    assert read_back(path, "Betrag")[0][PLANTED] == 950.0
    assert np.argmax(tocsin.detect(path).scores.values) == PLANTED


def test_events_and_files_read_the_same():
    """A model of a German file scores events of text alike."""
    rng = np.random.default_rng(0)
    texts = [written(x, ".", ",") for x in rng.normal(1_000, 150, N)]
    frame = pd.DataFrame({"amount": texts, "n": rng.normal(size=N)})
    pipeline = Pipeline("neighbours").fit(frame)
    usual, large, other = pipeline.score(
        pd.DataFrame({"amount": ["1.031", "98.765,40", "1,031.00"], "n": [0.0, 0.0, 0.0]})
    ).values
    assert usual == other < large / 10


def test_each_cell_reads_by_itself_where_it_says_all():
    """A style decides nothing but what is open: 1.031."""
    texts = np.array(["1.234,5", "1,234.5", "1.031"], dtype=object)
    assert read(texts, Style(".")).tolist() == [1234.5, 1234.5, 1.031]
    assert read(texts, Style(",")).tolist() == [1234.5, 1234.5, 1031.0]


@pytest.mark.parametrize("sides", ["SH", "DC", ("Dr", "Cr"), ("debit", "credit")])
def test_amounts_with_a_mark_of_their_side(sides):
    """Debit and credit in a column of their own: the note says that the amounts have no sign."""
    rng = np.random.default_rng(0)
    amounts = rng.normal(1500, 200, 120).round(2)
    amounts[70] = 900_000.0
    frame = pd.DataFrame({"amount": amounts, "side": [sides[i % 2] for i in range(120)]})
    detection = tocsin.detect(frame)
    assert detection.anomalies[0] == 70
    assert any('"side" marks debit and credit' in note for note in detection.notes)
