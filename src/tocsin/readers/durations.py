"""Durations as people write them: 1:02:03.5, 1 day, 2:03:04, 2h30m, PT1H."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from tocsin.readers.number_cells import LONGEST, tidy
from tocsin.readers.units import MINUTES, Unit, unit_of

_CLOCK = re.compile(
    r"(?P<sign>-)?(?:(?P<d>\d{1,6})(?:\s*d|\s*days?,?|\.)?\s*(?<=[\sd.,s]))?"
    r"(?P<a>\d+):(?P<b>[0-5]?\d)(?::(?P<c>[0-5]\d))?(?:(?<=\d\d)[.,](?P<f>\d+))?"
)
_PIECES = re.compile(r"(\d+(?:[.,]\d+)?)\s*(d|h|min|ms|m|µs|us|ns|s)(?![a-z])\s*")
_ISO_SPAN = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:[.,]\d+)?)S)?)?")
TWO_PARTS = {"h:mm": (3_600.0, 60.0), "m:ss": (60.0, 1.0)}
"""The seconds of each part of durations that have two."""


def seconds_of(text: str, two: tuple[float, float] = (3_600.0, 60.0)) -> tuple[float] | None:
    """Return the seconds of a duration in a tuple, None for a text that is not one.

    ``two``: the seconds of each part of a clock with two.

    >>> seconds_of("2h30m"), seconds_of("1:30"), seconds_of("soon")
    ((9000.0,), (5400.0,), None)
    """
    if len(text) > LONGEST:
        return None
    if ":" in text:
        return _clock_span(text, two)
    if text[:1] == "P" and (found := _ISO_SPAN.fullmatch(text)):
        parts = [float(part.replace(",", ".")) for part in found.groups("0")]
        return (float(np.dot(parts, (86_400, 3_600, 60, 1))),)
    body = text.removeprefix("-")
    pieces = _PIECES.findall(body)
    if len(pieces) < 2 or _PIECES.sub("", body):
        return None
    total = sum(_seconds(number.replace(",", "."), name) for number, name in pieces)
    return (-total if body != text else total,)


def form_of_two_parts(texts: Iterable[str], remarks: list[str]) -> str:
    """Return whether durations of two parts are "h:mm" or "m:ss", "" if there are none."""
    clocks = (_CLOCK.fullmatch(tidy(text)) for text in texts if len(text) <= LONGEST)
    found = [clock for clock in clocks if clock]
    two = [clock for clock in found if clock["c"] is None]
    if not two:
        return ""
    short = len(two) < len(found) or any(c["f"] for c in two)
    unit = "m:ss" if short or max(int(c["a"]) for c in two) > 23 else "h:mm"
    parts = "minutes and seconds" if unit == "m:ss" else "hours and minutes"
    remarks.append(f'"{two[0][0]}" and the like were read as {parts}')
    return unit


def unit_in(name: str, column: str) -> Unit:
    """Return a unit by its name, "m" as minutes in a column of durations."""
    if name == "m" and unit_of(column).dimension == "s":
        return MINUTES
    return unit_of(name)


def _clock_span(text: str, two: tuple[float, float]) -> tuple[float] | None:
    found = _CLOCK.fullmatch(text)
    if not found:
        return None
    first, second = (3_600.0, 60.0) if found["c"] else TWO_PARTS["m:ss"] if found["f"] else two
    whole = 86_400 * int(found["d"] or 0) + first * int(found["a"]) + second * int(found["b"])
    seconds = whole + float(f"{found['c'] or 0}.{found['f'] or 0}")
    return (-seconds if found["sign"] else seconds,)


def _seconds(number: str, name: str) -> float:
    unit = unit_in(name, "s")
    return float(f"{number}e{unit.exponent}") * unit.factor
