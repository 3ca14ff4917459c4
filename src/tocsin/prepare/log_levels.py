"""Levels of log records, however they are written: in capitals, by their usual names."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Levels", "level_of_priority", "level_of_status", "level_of_word"]

_WORDS = {
    "WARN": "WARNING",
    "ERR": "ERROR",
    "CRIT": "CRITICAL",
    "EMERG": "EMERGENCY",
    "INFORMATION": "INFO",
    "D": "DEBUG",
    "I": "INFO",
    "W": "WARNING",
    "E": "ERROR",
    "F": "FATAL",
    # Numbers as some JSON loggers write them.
    "10": "TRACE",
    "20": "DEBUG",
    "30": "INFO",
    "40": "WARNING",
    "50": "ERROR",
    "60": "FATAL",
}
_SEVERITIES = ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"]


class Levels(dict[str, str]):
    """Levels by how they are written."""

    def __init__(self, read: Callable[[str], str]) -> None:
        self.read = read

    def __missing__(self, written: str) -> str:
        level = self.read(written)
        if len(self) < 1000:
            self[written] = level
        return level


def level_of_word(word: str) -> str:
    """Return the level of a name, a letter or the number of a JSON logger."""
    upper = word.upper()
    return _WORDS.get(upper, upper)


def level_of_priority(number: str) -> str:
    """Return the level of a syslog priority."""
    return _SEVERITIES[int(number) % 8] if number else ""


def level_of_status(status: str) -> str:
    """Return the level of an HTTP status."""
    return "ERROR" if status >= "5" else "WARNING" if status >= "4" else "INFO"
