"""The W3C extended log format, as IIS, CloudFront and the Windows firewall write it.

A header line names the fields, ``#Fields: date time cs-method sc-status``; these lines and the
other directives are not records. The fields are part of the format's name, so that lines without
a header, such as those of a stream, are read like those of training.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import MappingProxyType

from tocsin.prepare.log_levels import level_of_status
from tocsin.prepare.log_pairs import Parts

__all__ = ["NAME", "fields_of", "is_directive", "reader_of"]

NAME = "w3c"

_DIRECTIVE = re.compile(r"#(?:Version|Fields|Software|(?:Start-|End-)?Date|Remark):")


def is_directive(text: str) -> bool:
    """Return whether a line is about the log, not a record.

    >>> is_directive("#Software: Microsoft Internet Information Services 10.0"), is_directive("# x")
    (True, False)
    """
    return _DIRECTIVE.match(text) is not None


def fields_of(text: str) -> list[str]:
    """Return the fields that a header names, none for another line.

    >>> fields_of("#Fields: date time cs-method sc-status")
    ['date', 'time', 'cs-method', 'sc-status']
    """
    return text.split()[1:] if text.startswith("#Fields:") else []


def reader_of(fields: Sequence[str]) -> Callable[[str], Parts | None]:
    """Return what reads lines of these fields: all but date and time are the message.

    >>> reader_of(["date", "time", "c-ip", "sc-status"])("2026-03-01 08:00:00 10.0.0.7 503")[:4]
    ('2026-03-01 08:00:00', 'ERROR', '', '10.0.0.7 503')
    """
    place = {name: i for i, name in enumerate(fields)}
    when = [place[name] for name in ("date", "time") if name in place]
    status = place.get("sc-status")
    others = [i for i in range(len(fields)) if i not in when]

    def read(text: str) -> Parts | None:
        values = text.split("\t" if "\t" in text else None)
        if not fields or len(values) != len(fields):
            return None
        level = "" if status is None else level_of_status(values[status])
        known = {fields[i]: values[i] for i in others if values[i] != "-"}
        message = " ".join([values[i] for i in others])
        return " ".join([values[i] for i in when]), level, "", message, MappingProxyType(known)

    return read
