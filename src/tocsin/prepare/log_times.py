"""Times in log lines: how they are written, and how they read as seconds since 1970, UTC."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable

from tocsin.readers.years import midnight, nearest_midnight

__all__ = ["TIMES", "Clock", "find_order"]

_LATEST = 250e9  # in the year 9892

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_HMS = r"(?P<H>\d\d):(?P<M>\d\d):(?P<S>\d\d)"
_FRACTION = r"(?:[.,](?P<f>\d{1,9}))?"
_HALF = r"(?:[ \u202f]?(?P<p>[AP]M|[ap]m|[AaPp]\.[Mm]\.)(?![A-Za-z]))"
"""Which half of the day a time is in, that counts to 12."""
_CLOCK = rf"(?P<H>\d?\d):(?P<M>\d\d)(?::(?P<S>\d\d){_FRACTION})?"
_FORMS = {
    "iso": r"(?P<Y>\d{4})[-/.](?P<m>\d\d)[-/.](?P<d>\d\d)[T -]"
    rf"(?P<H>\d?\d)[:.](?P<M>\d\d)[:.](?P<S>\d\d){_FRACTION}{_HALF}?"
    r"(?:[ ]?(?P<z>Z|UTC|[+-]\d\d:?\d\d))?",
    "bsd": rf"(?P<b>[A-Z][a-z][a-z])[ ](?P<d>[ 0-3]?\d)[ ]{_HMS}{_FRACTION}",
    "ctime": rf"[A-Z][a-z][a-z][ ](?P<b>[A-Z][a-z][a-z])[ ](?P<d>[ 0-3]?\d)[ ]{_HMS}{_FRACTION}[ ]"
    r"(?P<Y>\d{4})",
    "request": rf"(?P<d>\d\d)/(?P<b>[A-Z][a-z][a-z])/(?P<Y>\d{{4}}):{_HMS}"
    r"(?:[ ](?P<z>[+-]\d{4}))?",
    "short": rf"(?P<y>\d\d)[/-](?P<m>\d\d)[/-](?P<d>\d\d)[ ]{_HMS}{_FRACTION}",
    "compact": r"(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)[ ](?P<H>\d\d)(?P<M>\d\d)(?P<S>\d\d)",
    "bsd_year": rf"(?P<b>[A-Z][a-z][a-z])[ ](?P<d>[ 0-3]?\d)[ ](?P<Y>\d{{4}})[ ]{_HMS}{_FRACTION}",
    "dashed": rf"(?P<d>\d\d)-(?P<b>[A-Z][a-z][a-z])-(?P<Y>\d{{4}})[ ]{_HMS}{_FRACTION}",
    "no_year": rf"(?P<m>0\d|1[0-2])-(?P<d>[0-3]\d)[ ]{_HMS}{_FRACTION}",
    "klog": rf"(?P<m>\d\d)(?P<d>\d\d)[ ]{_HMS}{_FRACTION}",
    "dotted": rf"(?P<d>\d\d)\.(?P<m>\d\d)\.(?P<Y>\d{{4}})[ T]{_HMS}{_FRACTION}",
    "dotted_short": rf"(?P<d>\d\d)\.(?P<m>\d\d)\.(?P<y>\d\d)[ ]{_HMS}{_FRACTION}",
    "month_first": rf"(?P<m>0?\d|1[0-2])/(?P<d>\d?\d)/(?P<Y>\d{{4}}),?[ ]{_CLOCK}{_HALF}",
    "day_first": rf"(?P<d>1[3-9]|[23]\d)/(?P<m>\d?\d)/(?P<Y>\d{{4}}),?[ ]{_CLOCK}{_HALF}",
    "slashed": rf"(?P<v>\d?\d)/(?P<w>\d?\d)/(?P<Y>\d{{4}}),?[ ]{_CLOCK}",
    "named": rf"(?P<b>[A-Z][a-z][a-z])[ ](?P<d>\d?\d),[ ](?P<Y>\d{{4}}),?[ ]{_CLOCK}{_HALF}?",
    "stamp": r"(?P<e>1(?:\d{9}(?:\.\d{1,9})?|\d{12}|\d{15}|\d{18}))(?![\w.])",
    "epoch": r"(?P<e>\d{9,19}(?:\.\d{1,9})?)",
}
_COMPILED = [re.compile(form, re.ASCII) for form in _FORMS.values()]
_SECONDS = re.compile(r"[0-5]\d(?:[.,]\d{1,9})?", re.ASCII)
_PER_SECOND = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (0.0, 1.0))

TIMES = {name: "(?:" + re.sub(r"\(\?P<\w>", "(?:", form) + ")" for name, form in _FORMS.items()}
"""Regular expressions of the ways to write a time, without groups.

``stamp``: seconds, or milli-, micro- or nanoseconds since 1970 that lie between 2001 and 2033.
``month_first``: also where both orders are possible, as AM and PM are written where it is so.
"""


_SLASHED = re.compile(rf"(?<![\d/])(\d?\d)/(\d?\d)/\d{{4}}(?![\d/])(?!,?[ ][\d:.,]+{_HALF})")
_BEGINNING = 60  # characters of a line in which its time stands


def find_order(lines: Iterable[str]) -> bool | None:
    """Return whether the day comes first in dates such as 31/01/2026, None if nothing shows it.

    >>> find_order(["01/02/2026 10:00 up", "01/31/2026 10:00 down"]), find_order(["no date"])
    (False, True)
    """
    slashed = (line for line in lines if line.count("/", 0, _BEGINNING) > 1)  # few have any
    found = [match for line in slashed if (match := _SLASHED.search(line, 0, _BEGINNING))]
    if any(int(match[1]) > 12 for match in found) or not found:
        return True
    return False if any(int(match[2]) > 12 for match in found) else None


class Clock:
    """Reads the times of the lines of a file, one after the other.

    ``now``: seconds since 1970, for times without a year. The year is the one that brings a time
    closest to the last one without a year, so that others in between do not matter; for the
    first to the time before it; and where there is none, the latest that is at most a day from
    now. ``day_first``: how 01/02/2026 is read.

    >>> clock = Clock(now=1_700_000_000)
    >>> clock.read("2023-11-14T22:13:20,5Z"), clock.read("Jan  1 00:00:00"), clock.read("noon")
    (1700000000.5, 1704067200.0, None)
    """

    def __init__(self, now: float | None = None) -> None:
        self.now = time.time() if now is None else now
        self.day_first = True
        self._forms = list(_COMPILED)
        self._text = ""
        self._value: float | None = None
        self._last: float | None = None
        self._last_day: int | None = None  # that was without a year
        self._before, self._after, self._minute = "", "", float("nan")
        self._day: tuple[str | None, ...] = ()
        self._midnight = 0

    def restart(self) -> None:
        """Forget the time before, as at the beginning of a file."""
        self._text, self._value, self._last, self._day = "", None, None, ()
        self._before, self._last_day = "", None

    def read(self, text: str) -> float | None:
        """Return the seconds since 1970 of a time, None where it cannot be read or is before."""
        if text != self._text:
            value = self._read(text)
            self._text = text
            self._value = value if value is not None and 0 <= value < _LATEST else None
            self._last = self._last if self._value is None else self._value
        return self._value

    def _read(self, text: str) -> float | None:
        before, after = self._before, self._after
        if before and text.startswith(before) and text.endswith(after):
            seconds = text[len(before) : len(text) - len(after)]
            if _SECONDS.fullmatch(seconds):
                return self._minute + float(seconds.replace(",", "."))
        for i, form in enumerate(self._forms):
            if found := form.fullmatch(text):
                if i:  # the next time is most likely written alike
                    self._forms.insert(0, self._forms.pop(i))
                parts = found.groupdict()
                try:
                    value = self._seconds(parts)
                except ValueError:  # such as the 30th of February
                    return None
                if parts.get("S", "60") != "60":  # times of a minute differ in nothing else
                    end = found.end("f") if parts.get("f") else found.end("S")
                    self._before, self._after = text[: found.start("S")], text[end:]
                    self._minute = value // 60 * 60
                return value
        return None

    def _seconds(self, parts: dict[str, str | None]) -> float:
        if epoch := parts.get("e"):
            value = float(epoch)
            return value / next(per for least, per in _PER_SECOND if value >= least)
        seconds = _seconds_of_day(parts)
        if parts.get("v"):
            swapped = not self.day_first or int(parts["w"] or 0) > 12
            parts["d"], parts["m"] = (
                (parts["w"], parts["v"]) if swapped else (parts["v"], parts["w"])
            )
        name = parts.get("b")
        day = (parts.get("Y"), parts.get("y"), name or parts["m"], parts["d"])
        if day != self._day:
            month = _MONTHS.index(name) + 1 if name else int(parts["m"] or 0)
            self._midnight = self._begin(parts, month, int(parts["d"] or 0))
            self._day = day
        return self._midnight + seconds

    def _begin(self, parts: dict[str, str | None], month: int, day: int) -> int:
        """Return when a day begins."""
        if year := parts.get("Y"):
            return midnight(int(year), month, day)
        if year := parts.get("y"):
            return midnight(2000 + int(year), month, day)
        last = self._last if self._last_day is None else self._last_day
        self._last_day = nearest_midnight(month, day, last, self.now)
        return self._last_day


def _seconds_of_day(parts: dict[str, str | None]) -> float:
    """Return the seconds since midnight, UTC; raises ValueError for what is not a time of day."""
    hour, minute, second = (int(parts[name] or 0) for name in "HMS")
    if half := parts.get("p"):
        if not 1 <= hour <= 12:
            raise ValueError("not an hour of half a day")
        hour = hour % 12 + 12 * (half[0] in "Pp")
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("not a time of day")
    seconds = 3600.0 * hour + 60 * minute + second
    if fraction := parts.get("f"):
        seconds += float(f"0.{fraction}")
    return seconds - _offset(parts.get("z") or "")


def _offset(zone: str) -> int:
    """Return the seconds by which a zone is ahead of UTC; other zones than offsets are UTC."""
    if not zone.startswith(("+", "-")):
        return 0
    offset = 3600 * int(zone[1:3]) + 60 * int(zone[-2:])
    return -offset if zone[0] == "-" else offset
