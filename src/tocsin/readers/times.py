"""Times as people write them: any order of day, month and year, clocks, zones, weeks, quarters.

The one reader of written times, in files and in events; times that are numbers are read in
``epochs``. ISO 8601 is read whatever the style of a column is. Of other texts the style is the
order of its parts, written as strptime has it; %q is the quarter. Clocks may lack seconds, have
fractions after a point or comma, or AM and PM, and may come first; 24:00 is the next day's 0:00.
Months may be of any language of ``time_words``. Zones are offsets, common names, read as in Europe
and North America, or those such as Europe/Berlin; a time without one is UTC. Two-digit years lie
from 1970 to 2069; times without a year, as of syslog, get theirs in ``years``.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tocsin.readers.epochs import of_day_of_year, of_days, of_weeks
from tocsin.readers.time_words import MONTHS, offset_of, rewritten, zone_of
from tocsin.readers.years import years_of
from tocsin.types import IntArray

Texts = NDArray[np.object_]
Moments = NDArray[np.datetime64]

ISO = "ISO8601"

_SAMPLE = 50

_DAY_FIRST = {"%d/%m/%Y": "%m/%d/%Y", "%d-%m-%Y": "%m-%d-%Y"}
_DAY_FIRST |= {day.lower(): month.lower() for day, month in _DAY_FIRST.items()}
_MONTH_FIRST = frozenset(_DAY_FIRST.values())
_SWAPPED = _DAY_FIRST | {month: day for day, month in _DAY_FIRST.items()}
_UNORDERED = 0.05  # of all movement goes backwards in times that are in no order
_DAYS = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y %m %d", "%Y%m%d", "%G-W%V-%u", "%G-W%V"),
    *("%Y-%j", "%Y/%j", "%Y:%j", "%Y.%j", "%qQ%Y", "%qQ%y", "%GW%V", "%Y-Q%q", "%YQ%q", "%Y Q%q"),
    *("Q%q %Y", "Q%q-%Y", "Q%q/%Y", "%Y-%m", "%Y/%m"),
    *("Q%q '%y", "Q%q-%y", "%Y.Q%q", "%Y/Q%q", "%q. Quartal %Y", "%Y-T%q", "T%q %Y", "%qT%Y"),
    *("%G/W%V", "%Gw%V", "%GW%V%u", "%Y-M%m", "M%m %Y", "%Y M%m", "%b '%y", "%y%m%d", "%d%m%Y"),
    *("%YM%m", "%m/%Y", "%m.%Y", "%m-%Y", "%b %Y", "%b-%Y", "%b-%y", "%Y-%b", "%Y %b"),
    *("%d.%m.%Y", "%d.%m.%y", *_DAY_FIRST, *_DAY_FIRST.values()),
    *("%d-%b-%Y", "%d %b %Y", "%d/%b/%Y", "%d. %b %Y", "%d.%b.%Y", "%d%b%Y", "%Y-%b-%d"),
    *("%d-%b-%y", "%d %b %y", "%d/%b/%y", "%d. %b %y", "%d%b%y", "%b %d, %Y", "%b %d %Y"),
    *("%y/%m/%d", "%y-%m-%d", "%y.%m.%d", "%Y-%b-%d", "%Y %b %d", "%m.%d.%Y"),
)
_COMPACT = ("%Y%m%d", "%y%m%d", "%d%m%Y", "%GW%V", "%GW%V%u")  # two digits for each part
_LAST = "%b %d %H:%M:%S %Y"  # ctime and date, with the year behind the clock
_YEARLESS = ("%b %d", "%d %b", "%d.%m", "%m-%d")
_FORMS_OF_DAYS = (*_DAYS, _LAST, *_YEARLESS)
_PARTS = {
    "Y": r"(?P<Y>\d{4})",
    "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{1,2})",
    "d": r"[ ]?(?P<d>\d{1,2})(?:st|nd|rd|th)?",
    "b": r"(?P<b>[^\W\d_]{3,12})\.?",
    "j": r"(?P<j>\d{3})",
    "G": r"(?P<Y>\d{4})",
    "V": r"(?P<V>\d{1,2})",
    "u": r"(?P<u>[1-7])",
    "q": r"(?P<q>[1-4])",
}
_CLOCK = (
    r"(?:[Tt :_,-]+(?:(?:at|um|à)[ ])?(?P<H>\d{1,2})(?P<c>[:.h-]?)(?P<M>\d\d)"
    r"(?:(?:(?P=c)|[:.])(?P<S>\d\d)(?:[.,:](?P<f>\d+))?)?(?:[ ]?(?P<p>[AaPp])\.?[ ]?[Mm]\.?)?)?"
)
_CLEAR_CLOCK = _CLOCK.removesuffix("?").replace("[:.h-]?", ":", 1)  # 2025 is no 20:25
_ZONE = (
    r"(?:[ ]*(?:(?:GMT|UTC)(?=[+-]))?(?P<z>[+-]\d\d(?::?\d\d)?|(?<=GMT|UTC|:\d\d)[+-]\d(?!\d)"
    r"|[A-Z][a-z]+(?:/[A-Z][A-Za-z_]+){1,2}|[A-Z]{1,5}|z))?"
    r"(?:[ ]?[(\[][\w/ ]+[)\]])?"
)
_WEEKDAY = r"(?:[^\W\d_]{2,10}\.?,?[ ]+)?"
_TO = re.compile(r"\d:\d\d(-\d\d:\d\d)$")
_ZONES = 4  # that clocks of one column differ in at most
_ISO_START = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]|$)")
_BRACKETED = re.compile(r"([T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)\[([A-Z]\w+(?:/[\w+-]+)+)\]$")
_AFTER_CLOCK = re.compile(r"(?:\d:\d\d|T\d{4})(.*)$")
_SIGNED = re.compile(
    r"(?<![\d.]\d{4})[+-]\d\d?(?::?\d\d)?(?=$|[ (\[])|Z$|[a-z]/[A-Z]", re.IGNORECASE
)
_CAPITALS = re.compile(r"(?<![A-Za-z])[A-Z]{1,5}(?![A-Za-z])")
_NAMES = ("Y", "y", "m", "d", "b", "j", "V", "u", "q", "H", "M", "S", "f", "p", "z")


class Found(NamedTuple):
    """The style of a column, and what else it could be, "" if nothing."""

    style: str
    remark: str


def find(texts: Texts) -> Found | None:
    """Return the style of a column of times, all texts (n,) in the order of its rows.

    It is the one that reads the most. Whether the day or the month comes first is decided by all
    texts; where both fit, by AM or PM, then by the order of time, and else the day is first.

    >>> find(np.array(["03/14/24 5:00 PM", "03/15/24 6:30 AM"], dtype=object)).style
    '%m/%d/%y %I:%M %p'
    """
    texts = np.array([rewritten(text.strip()) for text in texts], dtype=object)
    if not any(any(mark.isdigit() for mark in text) for text in _spread(texts)):
        return None
    if len({found[1] for text in _spread(texts) if (found := _TO.search(text))}) > _ZONES:
        return None  # 13:00-14:00 and the like are no offsets, and which zone it is stays open
    others = texts
    if not np.isnat(_iso(_spread(texts))).all():
        others = texts[np.isnat(_iso(texts))]
        if not len(others):
            return Found(ISO, "")
    sample = _spread(others)
    shares = {day: float((~np.isnat(_by_parts(sample, day))).mean()) for day in _FORMS_OF_DAYS}
    likely = [day for day, share in shares.items() if share > 0.5 * max(shares.values())]
    if not likely:
        return Found(ISO, "") if 2 * len(others) < len(texts) else None
    day, remark = _likeliest(others, likely)
    first = next(text for text in others if not np.isnat(_by_parts(np.array([text]), day))[0])
    return Found(_strptime_style(day, first), remark)


def read(texts: Texts, style: str) -> Moments:
    """Return the times (n,) of texts, UTC, datetime64[us], or [ns] of ISO 8601 with nanoseconds.

    NaT where a text is neither ISO 8601 nor of the style.
    """
    stripped = pd.Series(texts, dtype=object).str.strip()
    if style != ISO and any("[" in text for text in stripped):
        stripped = stripped.map(_unbracketed)
    moments = _read(stripped, style).copy()
    others = [(i, rewritten(_unbracketed(stripped[i]))) for i in np.flatnonzero(np.isnat(moments))]
    odd = {i: text for i, text in others if text != stripped[i]}
    if odd:
        again = _read(pd.Series(list(odd.values()), dtype=object), style)
        moments = moments.astype(np.promote_types(moments.dtype, again.dtype))
        moments[list(odd)] = again
    return moments


def _unbracketed(text: str) -> str:
    """Return a time whose zone stands in brackets, and no offset before it, without these."""
    return _BRACKETED.sub(r"\1 \2", text)


def _read(stripped: pd.Series[Any], style: str) -> Moments:
    if style == ISO:
        return _iso(stripped.to_numpy())
    moments = np.full(len(stripped), np.datetime64("NaT", "us"))
    if not re.search(r"%[qVjGZ]|,", style) and re.search("%[Yy]", style):
        parsed = pd.to_datetime(stripped, format=style, errors="coerce", utc=True)
        moments = parsed.dt.tz_localize(None).to_numpy().astype("datetime64[us]")
    left = np.flatnonzero(np.isnat(moments))
    if left.size:
        rest = stripped.to_numpy()[left]
        moments[left] = _by_parts(rest, _day_of(style))
        iso = np.array([bool(_ISO_START.match(text)) for text in rest], dtype=bool)
        iso &= np.isnat(moments[left])
        if iso.any():
            moments[left[iso]] = _iso(rest[iso]).astype("datetime64[us]")
    return moments


def has_zone(text: str) -> bool:
    """Return whether a time is written with its zone or offset.

    >>> [has_zone(text) for text in ("2026-03-01T08:20Z", "01.03.2026 08:20", "20260301082000Z")]
    [True, False, True]
    """
    found = _AFTER_CLOCK.search(rewritten(text.strip()))
    if found is None:
        return False
    after = found[1]
    names = (name for name in _CAPITALS.findall(after) if name not in ("AM", "PM", "A", "P"))
    return bool(_SIGNED.search(after)) or any(name.lower() not in MONTHS for name in names)


def in_utc(moments: Moments, zone: tzinfo) -> Moments:
    """Return local times (n,) of a zone as UTC, datetime64[us].

    In the hour that comes twice when daylight saving ends they are of its first; in the one that
    is left out when it begins they are its end.
    """
    local = pd.DatetimeIndex(moments.astype("datetime64[us]")).tz_localize(
        zone, ambiguous=np.ones(len(moments), dtype=bool), nonexistent="shift_forward"
    )
    utc: Moments = local.tz_convert("UTC").tz_localize(None).to_numpy()
    return utc.astype("datetime64[us]")


def _iso(texts: Texts) -> Moments:
    series = pd.Series(texts, dtype=object)
    if any("," in text for text in texts[:50]):
        series = series.str.replace(",", ".", n=1)
    parsed = pd.to_datetime(series, format=ISO, errors="coerce", utc=True)
    moments = parsed.dt.tz_localize(None).to_numpy(copy=True)
    midnights = [i for i in np.flatnonzero(np.isnat(moments)) if texts[i][11:16] == "24:00"]
    if midnights:
        moments[midnights] = _by_parts(texts[midnights], "%Y-%m-%d")
    return moments


def _spread(texts: Texts) -> Texts:
    rows = np.unique(np.linspace(0, len(texts) - 1, min(len(texts), _SAMPLE)).astype(int))
    sample: Texts = texts[rows]
    return sample


def _likeliest(texts: Texts, days: list[str]) -> tuple[str, str]:
    """Return the day form that reads the most texts, of several the likeliest; and a remark."""
    read = {day: _by_parts(texts, day) for day in days}
    counts = {day: int((~np.isnat(moments)).sum()) for day, moments in read.items()}
    most = max(counts.values())
    read = {day: moments for day, moments in read.items() if counts[day] == most}
    if "%d.%m.%Y" in read:
        read.pop("%m.%d.%Y", None)  # nobody writes the month first where both are possible
    chosen = _choose_order(texts, read)
    if chosen in _YEARLESS:
        return chosen, "; the years are the latest that do not lie in the future"
    other = _SWAPPED.get(chosen)
    if other not in read:
        return chosen, ""
    return chosen, f"; {other} would fit as well: write dates as 2024-12-31 to be sure"


def _choose_order(texts: Texts, read: dict[str, Moments]) -> str:
    """Return which of the day forms that read as many texts is the likeliest."""
    month_first = next((day for day in read if day in _MONTH_FIRST), None)
    if month_first and any(re.search(r"\d\s?[AaPp]\.?[Mm]", text) for text in _spread(texts)):
        return month_first
    moves = {day: _movement(moments) for day, moments in read.items()}
    chosen = min(read, key=lambda day: moves[day])
    against, total = moves[chosen]
    if chosen in _MONTH_FIRST and against > _UNORDERED * total:
        return next((day for day in read if day in _DAY_FIRST), chosen)
    return chosen


def _movement(moments: Moments) -> tuple[float, float]:
    """Return how far times go against their order, and how far they move in all."""
    steps = np.diff(moments[~np.isnat(moments)].astype("datetime64[s]").astype(np.int64))
    against = min(np.abs(steps[steps < 0]).sum(), steps[steps > 0].sum())
    return float(against), float(np.abs(steps).sum())


def _strptime_style(day: str, text: str) -> str:
    """Return a style as strptime writes it, of a day form and a text of that form."""
    found = _form(day).fullmatch(text.strip())
    if found is None or day == _LAST or found["H"] is None:
        return day
    clock = " %H:%M" if found["p"] is None else " %I:%M"
    clock += "" if found["S"] is None else ":%S"
    if found["f"]:
        clock += text.strip()[found.start("f") - 1] + "%f"
    clock += "" if found["p"] is None else " %p"
    zone = found["z"]
    return day + clock + ("" if not zone else " %z" if zone[0] in "+-" else " %Z")


def _day_of(style: str) -> str:
    fitting = [day for day in _FORMS_OF_DAYS if style.startswith(day)]
    return max(fitting, key=len) if fitting else style


_FORMS: dict[str, re.Pattern[str]] = {}


def _form(day: str) -> re.Pattern[str]:
    """Return the regular expression of times with this form of a day."""
    if day not in _FORMS:
        if day == _LAST:
            clock = _CLOCK.removesuffix("?")
            pattern = rf"{_PARTS['b']}[ ]+{_PARTS['d']}{clock}{_ZONE}[ ]{_PARTS['Y']}"
        else:
            literal = re.escape(day).replace("\\ ", "[ ]")
            body = re.sub(r"%(\w)", lambda found: _PARTS[found[1]], literal)
            body = body.replace("{1,2}", "{2}") if day in _COMPACT else body
            pattern = body + (_CLEAR_CLOCK if day in _YEARLESS else _CLOCK) + _ZONE
        _FORMS[day] = re.compile(_WEEKDAY + pattern)
    return _FORMS[day]


def _by_parts(texts: Texts, day: str) -> Moments:
    """Return times (n,) datetime64[us] of texts with this form of a day, NaT for others."""
    form = _form(day)
    rows = [found.groupdict() if (found := form.fullmatch(text)) else None for text in texts]
    known = np.array([row is not None for row in rows], dtype=bool)
    if not known.any():
        return np.full(len(rows), np.datetime64("NaT", "us"))
    columns = {name: [row.get(name) if row else None for row in rows] for name in _NAMES}
    days = _days(columns, known)
    seconds, good = _seconds(columns)
    moments = days.astype("datetime64[us]") + seconds.astype("timedelta64[us]")
    moments = np.where(good, moments, np.datetime64("NaT", "us"))
    for name in {zone for zone in columns["z"] if zone and "/" in zone}:
        if (zone := zone_of(name)) is not None:
            here = np.array([other == name for other in columns["z"]])
            moments[here] = in_utc(moments[here], zone)
    return moments


def _numbers(cells: list[str | None], default: int = 0) -> IntArray:
    return np.array([default if cell is None else int(cell) for cell in cells], dtype=np.int64)


def _days(columns: dict[str, list[str | None]], known: NDArray[np.bool_]) -> Moments:
    year = _numbers(columns["Y"])
    if any(columns["y"]):
        short = _numbers(columns["y"])
        year = short + np.where(short < 70, 2000, 1900)
    if any(columns["j"]):
        return of_day_of_year(year, _numbers(columns["j"]), known)
    if any(columns["V"]):
        return of_weeks(year, _numbers(columns["V"], 1), _numbers(columns["u"], 1), known)
    if any(columns["q"]):
        month = 3 * _numbers(columns["q"], 1) - 2
    elif any(columns["b"]):
        month = np.array([MONTHS.get((name or "").lower(), 0) for name in columns["b"]])
    else:
        month = _numbers(columns["m"])
    day = _numbers(columns["d"], 1)
    if not any(columns["Y"]) and not any(columns["y"]):
        year = years_of(month, day)
    return of_days(year, month, day, known)


def _seconds(columns: dict[str, list[str | None]]) -> tuple[IntArray, NDArray[np.bool_]]:
    """Return the microseconds of clocks (n,), less their zones, and whether they are valid."""
    hour, minute, second = (_numbers(columns[name]) for name in "HMS")
    good = (minute < 60) & (second < 61) & ((hour < 24) | ((hour == 24) & (minute + second == 0)))
    if any(columns["p"]):
        half = np.array([(mark or "").lower() for mark in columns["p"]])
        good &= (half == "") | ((hour >= 1) & (hour <= 12))
        hour = np.where(half == "", hour, hour % 12 + 12 * (half == "p"))
    micros = (3_600 * hour + 60 * minute + second) * 10**6
    if any(columns["f"]):
        micros = micros + _numbers([None if f is None else f"{f:0<6}"[:6] for f in columns["f"]])
    if any(columns["z"]):
        zones = [offset_of(zone) for zone in columns["z"]]
        good &= np.array([zone is not None for zone in zones])
        micros = micros - np.array([zone or 0 for zone in zones], dtype=np.int64) * 60_000_000
    return micros, good
