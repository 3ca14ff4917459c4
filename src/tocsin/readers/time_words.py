"""Words in times: months of several languages, zones, and how other programs dress times up."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

_MONTHS = (
    "jan ene gen janv january januar janvier enero gennaio januari janeiro sty stycznia oca ocak "
    "янв января",
    "feb fév fev févr fevr february februar février fevrier febrero febbraio februari fevereiro "
    "lut lutego şub şubat фев февр февраля",
    "mar mär mrz mars march märz maerz marzo mrt maart março marco marca mart мар марта",
    "apr abr avr april avril abril aprile kwi kwietnia nis nisan апр апреля",
    "may mai mag mayo maggio mei maj maio maja mayıs мая май",
    "jun giu june juni juin junio giugno junho cze czerwca haz haziran июн июня",
    "jul lug july juli juil juill juillet julio luglio julho lip lipca tem temmuz июл июля",
    "aug ago aoû aou août aout august agosto augustus augusti sie sierpnia ağu ağustos авг августа",
    "sep sept set september septembre septiembre settembre setembro wrz września eyl eylül "
    "сен сент сентября",
    "oct okt ott october oktober octobre octubre ottobre out outubro paź października eki ekim "
    "окт октября",
    "nov november novembre noviembre novembro lis listopada kas kasım ноя нояб ноября",
    "dec dez dic déc december dezember décembre decembre diciembre dicembre dezembro des desember "
    "gru grudnia ara aralık дек декабря",
)
MONTHS = {name: i for i, names in enumerate(_MONTHS, 1) for name in names.split()}
"""Months by their names, in small letters."""

_OFFSETS = {
    0: "Z UTC GMT WET UT",
    60: "CET MEZ WEST BST",
    120: "CEST MESZ EET SAST",
    180: "EEST MSK",
    330: "IST",
    480: "HKT SGT AWST",
    540: "JST KST",
    600: "AEST",
    660: "AEDT",
    720: "NZST",
    780: "NZDT",
    -180: "BRT ART",
    -240: "EDT",
    -300: "EST CDT",
    -360: "CST MDT",
    -420: "MST PDT",
    -480: "PST",
}
_ZONES = {name: minutes for minutes, names in _OFFSETS.items() for name in names.split()}


def _of_milliseconds(found: re.Match[str]) -> str:
    return f"{np.datetime64(int(found[1]), 'ms')}Z"


def _of_seconds(found: re.Match[str]) -> str:
    return f"{np.datetime64(int(found[1]), 's')}Z"


def _of_week(found: re.Match[str]) -> str:
    return f"{found[2] if len(found[2]) == 4 else '20' + found[2]}-W{int(found[1]):02d}"


def _of_half_day(found: re.Match[str]) -> str:
    return f"{found[2]} {'AM' if found[1] in '上午午前오전' else 'PM'}"


_HALVES = "上午|下午|午前|午後|오전|오후"
_WEEK = r"^(?:KW|CW|Week|W|S) ?(\d{1,2})[ /.,-]+(\d{4}|\d\d)$"
_DIGITS = r"^(\d{8}|\d{6})(\d{6})(\.\d+)?(Z|[+-]\d{4})$"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d)?"
_INTERVAL = (
    rf"({_CLOCK}Z?)(?: [-\u2013\u2014/] {_CLOCK}| ?[-\u2013\u2014/] ?\d{{1,4}}[./-]\d.*:\d\dZ?)$"
)
_WRITTEN_CLOCK = r" ?(\d{1,2}) ?[時时시] ?(\d\d) ?[分분](?: ?(\d\d) ?[秒초])?"
_USUAL = re.compile(  # the most frequent forms, of which nothing is rewritten
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}"
    r"(?:[T ]\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_ODD = re.compile(
    r"^[\[\"'=@*]|[年년\u00a0\u202f\u2212\u200e\u200f\ufeff]|^\d{1,2}:|\.(?:$| +\d)|Uhr$|^/Date"
    r"| de | of |\d(?:t\d|z$)|^\d{4}:\d\d:\d\d|\d{4} [A-Z]{3}|\(UTC|\(GMT| h |klo? "
    rf"|{_HALVES}|{_WEEK}|{_DIGITS}|{_INTERVAL}"
)
_REWRITTEN: dict[re.Pattern[str], str | Callable[[re.Match[str]], str]] = {
    re.compile(r"^/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/$"): _of_milliseconds,
    re.compile("\u2212"): "-",
    re.compile("[\u200e\u200f\ufeff]"): "",
    re.compile(r'^="([^"]*)"$|^\'(?=\d.*\d$)'): r"\1",
    re.compile(r"^@(\d{9,10})(?=$|\.)(?:\.\d+)?$"): _of_seconds,
    re.compile(r"^\*(?=[A-Z][a-z]{2} )"): "",
    re.compile(r"^(\d{4}):(\d\d):(\d\d)(?= \d\d:)"): r"\1-\2-\3",
    re.compile(_DIGITS): r"\1T\2\3\4",
    re.compile(r"(?<=[+-]\d{4}) [A-Z]{3,4}(?: m=[+-][\d.]+)?$"): "",
    re.compile(r"(?<=:\d\d) \((?:UTC|GMT)([+-]\d\d:?\d\d)\)$"): r"\1",
    re.compile(rf"(?<!\d){_INTERVAL}"): r"\1",
    re.compile(r"(?<=\d) h (?=\d\d)| klo? | kl\. "): lambda found: ":" if "h" in found[0] else " ",
    re.compile(_WRITTEN_CLOCK): lambda found: f" {found[1]}:{found[2]}:{found[3] or '00'}",
    re.compile(r"(?<=\d)t(?=\d\d:)|(?<=\d)z$"): lambda found: found[0].upper(),
    re.compile(_WEEK): _of_week,
    re.compile(rf"({_HALVES}) ?(\d{{1,2}}:\d\d(?::\d\d)?)"): _of_half_day,
    re.compile(r"(?<=\w) (?:de|of) (?=\w)"): " ",
    re.compile(r"[\u00a0\u202f]"): " ",
    re.compile(r"^(?:\[([^\[\]]+)\]|'([^']+)'|\"([^\"]+)\")$"): r"\1\2\3",
    re.compile(r"(\d{4}) ?[年년] ?(\d{1,2}) ?[月월] ?(\d{1,2}) ?[日일]"): r"\1-\2-\3",
    re.compile(r"^(\d{4}) ?[年년] ?(\d{1,2}) ?[月월]$"): r"\1-\2",
    re.compile(r"(?<=\d)\.(?=$| +\d{1,2}:)"): "",
    re.compile(r"(?<=\d)\. +(?=\d)"): ".",
    re.compile(r" Uhr$"): "",
    re.compile(r"^(\d{1,2}:\d\d[\d:.]*(?: ?[AaPp][Mm])?),? +(\S+.*)$"): r"\2 \1",
}
"""What is around the parts of a time, and their order, by how it is written elsewhere."""


def rewritten(text: str) -> str:
    """Return a time without its surroundings, the day first, as most write it.

    >>> rewritten("/Date(1767355200000)/"), rewritten("2026. 1. 2. 오후 1:05")
    ('2026-01-02T12:00:00.000Z', '2026.1.2 1:05 PM')
    """
    if not _USUAL.fullmatch(text) and _ODD.search(text):
        for pattern, other in _REWRITTEN.items():
            text = pattern.sub(other, text)
    return text


def offset_of(zone: str | None) -> int | None:
    """Return the minutes by which a zone is ahead of UTC, None for an unknown one.

    Zones such as Europe/Berlin, whose offset depends on the day, have 0: see ``zone_of``.
    """
    if zone is None:
        return 0
    if "/" in zone:
        return None if zone_of(zone) is None else 0
    if zone[0] not in "+-":
        return _ZONES.get(zone.upper())
    digits = zone[1:].replace(":", "")
    ahead = 60 * int(digits[:2]) + int(digits[2:] or 0)
    return -ahead if zone[0] == "-" else ahead


@lru_cache(maxsize=1_000)
def zone_of(name: str) -> ZoneInfo | None:
    """Return the zone of a name such as Europe/Berlin, None if there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None
