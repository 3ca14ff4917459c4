"""Times written as numbers: counted from some year on, or digits such as 202403011230.

The one reader of these times, in files and in events. Their size shows which they are; the
styles, and the years that each is recognised for:

- "s", "ms", "us", "ns": since 1970, from 1973 on (nanoseconds from 1992 on);
- "webkit" µs and "filetime" 100 ns since 1601, "ticks" 100 ns since the year 1 (.NET);
- "labview": seconds since 1904, from 2018 on;
- "excel": days since 1899-12-30, from 1982 to 2036; "mjd": days since 1858-11-17, from 1995 to
  2050; "julian": days since 4713 BC; "matlab": days since the year 0, from 1971 on;
- "%Y%m%d", "%Y%m%d%H", "%Y%m%d%H%M", "%Y%m%d%H%M%S", "%Y%m%d%H%M%S%f" (milliseconds), "%Y%j",
  "%y%m%d%H%M%S", "%y%m%d%H%M", "%d%m%y%H%M", "%Y%m", "%G%V", "%d%m%Y", "%m%d%Y", "%y%m%d",
  "%d%m%y": digits of a calendar, of several the one that moves in one direction;
- "%Y.%m": months behind a point;
- "year": years from 1800 to 2099, also with fractions: 2010.5 is the middle of 2010;
- "elapsed": seconds from an unknown beginning, counted from 1970.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tocsin.types import FloatArray, IntArray

Moments = NDArray[np.datetime64]

_NAT = np.iinfo(np.int64).min


class Epoch(NamedTuple):
    """A way to count: nanoseconds per unit, the beginning in seconds since 1970, what it is."""

    per_unit: int
    since: int
    words: str


_DAY = 86_400 * 10**9
EPOCHS = {
    "s": Epoch(10**9, 0, "s since 1970"),
    "ms": Epoch(10**6, 0, "ms since 1970"),
    "us": Epoch(10**3, 0, "µs since 1970"),
    "ns": Epoch(1, 0, "ns since 1970"),
    "elapsed": Epoch(10**9, 0, "elapsed seconds, counted from 1970"),
    "webkit": Epoch(10**3, -11_644_473_600, "µs since 1601"),
    "filetime": Epoch(100, -11_644_473_600, "Windows FILETIME, 100 ns since 1601"),
    "ticks": Epoch(100, -62_135_596_800, ".NET ticks, 100 ns since the year 1"),
    "labview": Epoch(10**9, -2_082_844_800, "LabVIEW, s since 1904"),
    "excel": Epoch(_DAY, -2_209_161_600, "Excel's days since 1899-12-30"),
    "mjd": Epoch(_DAY, -3_506_716_800, "modified Julian days"),
    "julian": Epoch(_DAY, -210_866_760_000, "Julian days"),
    "matlab": Epoch(_DAY, -62_167_305_600, "MATLAB's days since the year 0"),
}
"""Ways to count time."""

_DAYS = {"excel": (30_000, 50_000), "mjd": (50_000, 70_000), "matlab": (719_900, 760_000)}
_DAYS |= {"julian": (2_430_000, 2_500_000)}
_SIZES = (
    (7e17, "ns"),
    (6.0e17, "ticks"),
    (1.7e17, "ns"),
    (1.1e17, "filetime"),
    (1.2e16, "webkit"),
    (1e14, "us"),
    (1e11, "ms"),
    (3.6e9, "labview"),
    (1e8, "s"),
)
_CALENDARS = {  # style: the number of digits, and the widths of year, month, day, hour …
    "%Y%m%d": (8, (4, 2, 2)),
    "%Y%m%d%H": (10, (4, 2, 2, 2)),
    "%Y%m%d%H%M": (12, (4, 2, 2, 2, 2)),
    "%y%m%d%H%M%S": (12, (2, 2, 2, 2, 2, 2)),
    "%Y%m%d%H%M%S": (14, (4, 2, 2, 2, 2, 2)),
    "%Y%m%d%H%M%S%f": (17, (4, 2, 2, 2, 2, 2, 3)),
    "%Y%j": (7, (4, 3)),
    "%Y%m": (6, (4, 2)),
    "%d%m%Y": (8, (2, 2, 4)),
    "%m%d%Y": (8, (2, 2, 4)),
    "%y%m%d": (6, (2, 2, 2)),
    "%d%m%y": (6, (2, 2, 2)),
    "%G%V": (6, (4, 2)),
    "%y%m%d%H%M": (10, (2, 2, 2, 2, 2)),
    "%d%m%y%H%M": (10, (2, 2, 2, 2, 2)),
}
MONTHS = "%Y.%m"
"""The style of months behind a point: 2026.1 and 2026.10 are October."""
_MARGIN = 0.95
YEAR = "year"
"""The style of years with fractions."""

_YEARS = (1800, 2100)
_NO_SECONDS = 2e9  # since 1970 are in 2033: as digits of a calendar these begin in 2020
_NO_SPAN = 5e8  # seconds of one column are 16 years
_FEWEST = 8  # of six digits are days: fewer are ids or seconds that happen to be valid


def find(numbers: FloatArray, *, elapsed: bool = True) -> str:
    """Return the style of times written as numbers (n,), "" if they are not times.

    ``elapsed``: numbers of no other style count as seconds elapsed.

    >>> find(np.array([202403010000, 202403010015])), find(np.array([46024.5, 46024.6]))
    ('%Y%m%d%H%M', 'excel')
    """
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        return ""
    if fitting := [style for style in _CALENDARS if _fits(finite, style)]:
        return min(fitting, key=lambda style: _against(_of_calendar(finite, style)))
    if _are_months(finite):
        return MONTHS
    if finite.min() >= _YEARS[0] and finite.max() < _YEARS[1]:
        return YEAR
    for style, (low, high) in _DAYS.items():
        if ((finite >= low) & (finite < high)).mean() >= _MARGIN:
            return style
    typical = float(np.median(np.abs(finite)))
    found = next((style for least, style in _SIZES if typical >= least), "")
    return found or ("elapsed" if elapsed else "")


def read(numbers: FloatArray, style: str, exact: IntArray | None = None) -> Moments:
    """Return times (n,) datetime64[us], [ns] of "ns", NaT where a number is not of the style.

    ``exact`` (n,): the same numbers as integers, where they are integers. Fractions of days are
    rounded to milliseconds, those of seconds to microseconds.

    >>> read(np.array([46024.50069444]), "excel")[0].item().isoformat()
    '2026-01-02T12:01:00'
    """
    if style in _CALENDARS:
        return _of_calendar(numbers, style, exact)
    if style == YEAR:
        return _of_years(numbers)
    if style == MONTHS:
        return _of_calendar(np.rint(100 * numbers), "%Y%m")
    epoch = EPOCHS[style]
    step = max(1_000_000 if epoch.per_unit == _DAY else 1_000, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        inside = np.abs(numbers) * max(epoch.per_unit / step, 1) < 9e18
        inside &= np.isfinite(numbers)
    if epoch.per_unit < 1_000:
        whole = exact if exact is not None else np.where(inside, numbers, 0).astype(np.int64)
        unit = "ns" if style == "ns" else "us"
        counted = whole if style == "ns" else whole // 10 + epoch.since * 10**6
        return np.where(inside, counted, _NAT).view(f"datetime64[{unit}]")
    if exact is not None and epoch.per_unit < _DAY:
        micros = np.where(inside, exact, 0) * (epoch.per_unit // 1_000)
    else:
        fine = np.rint(np.where(inside, numbers, 0.0) * (epoch.per_unit / step))
        micros = fine.astype(np.int64) * (step // 1_000)
    micros = micros + epoch.since * 10**6
    return np.where(inside, micros, _NAT).view("datetime64[us]")


def is_style(style: str, *, written: bool) -> bool:
    """Return whether a style is one of numbers; ``written``: "%Y%m%d" is, of digits alone."""
    return style in EPOCHS or style in (YEAR, MONTHS) or (written and style in _CALENDARS)


def words(style: str) -> str:
    """Describe a style."""
    return EPOCHS[style].words if style in EPOCHS else "years" if style == YEAR else style


def _against(moments: Moments) -> float:
    """Return the share of all movement by which times go against their order."""
    steps = np.diff(moments[~np.isnat(moments)]).astype(np.float64)
    against = min(-steps[steps < 0].sum(), steps[steps > 0].sum())
    return float(against / max(np.abs(steps).sum(), 1.0))


def _are_months(finite: FloatArray) -> bool:
    """Return whether numbers are years with months behind the point, 2025.01 to 2025.12."""
    months = 100 * (finite - np.floor(finite))
    whole = np.abs(months - np.rint(months)) < 1e-6
    inside = (finite >= _YEARS[0]) & (finite < _YEARS[1]) & (months > 0.5) & (months < 12.5)
    return bool(len(finite) >= _FEWEST and (whole & inside).all() and len(set(months.round())) > 2)


def _fits(finite: FloatArray, style: str) -> bool:
    """Return whether numbers are digits of a calendar, all valid and of years 1900 to 2199."""
    digits, widths = _CALENDARS[style]
    two = "%y" in style
    leading = 10 if widths[0] == 2 else 1  # digits of which the first may be a zero
    low, high = 10.0 ** (digits - 1) / leading, 10.0**digits
    if finite.min() < low or finite.max() >= high or (finite != np.rint(finite)).any():
        return False
    moments = _of_calendar(finite, style)
    years = moments.astype("datetime64[Y]").astype(np.int64) + 1970
    valid = ~np.isnat(moments) & (years >= (1990 if two else 1900)) & (years < 2200)
    if len(finite) < _FEWEST and (style == "%G%V" or (two and digits <= 10)):
        return False
    if style == "%y%m%d%H%M" and finite.min() < _NO_SECONDS:
        return False
    if style == "%d%m%y%H%M" and finite.min() < _NO_SECONDS:
        return bool(finite.max() - finite.min() > _NO_SPAN and valid.all())
    return bool(valid.mean() >= _MARGIN) if digits > 8 else bool(valid.all())


def _of_calendar(numbers: FloatArray, style: str, exact: IntArray | None = None) -> Moments:
    digits, widths = _CALENDARS[style]
    whole = np.isfinite(numbers) & (numbers == np.rint(numbers))
    whole &= (numbers >= 0) & (numbers < 10.0**digits)
    rest = np.where(whole, numbers if exact is None else exact, 0).astype(np.int64)
    parts: list[IntArray] = []
    for width in reversed(widths):
        parts.append(rest % 10**width)
        rest = rest // 10**width
    year, *others = reversed(parts)
    if style == "%G%V":
        return of_weeks(year, others[0], np.ones_like(year), whole)
    if style.startswith("%d%m%y"):
        year, others = others[1], [others[0], year, *others[2:]]
    if style.endswith("%Y"):
        year, others = others[-1], [*([others[0], year] if style[1] == "d" else [year, others[0]])]
    if "%y" in style:
        year = year + np.where(year < 70, 2000, 1900)
    if style == "%Y%j":
        return of_day_of_year(year, others[0], whole)
    month, day, *clock = others if len(others) > 1 else (*others, np.ones_like(year))
    days = of_days(year, month, day, whole)
    seconds = np.zeros(len(numbers), dtype=np.int64)
    for value, limit, length in zip(clock, (24, 60, 60), (3_600, 60, 1), strict=False):
        whole &= value < limit
        seconds += value * length
    micros = seconds * 10**6 + (clock[3] * 1_000 if len(clock) > 3 else 0)
    moments = days.astype("datetime64[us]") + micros.astype("timedelta64[us]")
    return np.where(whole, moments, np.datetime64("NaT", "us"))


def _of_years(numbers: FloatArray) -> Moments:
    """Return times (n,) datetime64[us] of years with fractions."""
    inside = (numbers >= _YEARS[0]) & (numbers < _YEARS[1])
    whole = np.where(inside, np.floor(numbers), 1970).astype(np.int64)
    begin, end = (
        (whole - 1970 + more).astype("datetime64[Y]").astype("datetime64[s]") for more in (0, 1)
    )
    part = np.where(inside, numbers - whole, 0.0) * (end - begin).astype(np.float64)
    moments = begin + np.rint(part).astype("timedelta64[s]")
    return np.where(inside, moments.astype("datetime64[us]"), np.datetime64("NaT", "us"))


def of_days(year: IntArray, month: IntArray, day: IntArray, known: NDArray[np.bool_]) -> Moments:
    """Return days (n,) datetime64[D], NaT for days that do not exist."""
    good = known & (month >= 1) & (month <= 12) & (day >= 1) & (year >= 1) & (year <= 9999)
    months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(good, day - 1, 0)
    good &= days.astype("datetime64[M]") == months
    return np.where(good, days, np.datetime64("NaT", "D"))


def of_weeks(year: IntArray, week: IntArray, day: IntArray, known: NDArray[np.bool_]) -> Moments:
    """Return days (n,) datetime64[D] of the weeks 1 to 53 of ISO 8601, NaT for others."""
    first = of_days(year, np.ones_like(year), np.full_like(year, 4), known)
    monday = first - (first.astype(np.int64) + 3) % 7
    days = monday + 7 * (week - 1) + day - 1
    return np.where((week >= 1) & (week <= 53), days, np.datetime64("NaT", "D"))


def of_day_of_year(year: IntArray, day: IntArray, known: NDArray[np.bool_]) -> Moments:
    """Return days (n,) datetime64[D] of the days 1 to 366 of years, NaT for others."""
    good = known & (day >= 1) & (day <= 366) & (year >= 1) & (year <= 9999)
    years = np.where(good, year - 1970, 0).astype("datetime64[Y]")
    days = years.astype("datetime64[D]") + np.where(good, day - 1, 0)
    good &= days.astype("datetime64[Y]") == years
    return np.where(good, days, np.datetime64("NaT", "D"))
