"""Texts in cells that a spreadsheet would take for formulas."""

from __future__ import annotations

import re

# What begins a formula in some spreadsheet, also behind our own apostrophes. Numbers are harmless.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def defuse_formula(text: str) -> str:
    """Return text that a spreadsheet shows as text: what looks like a formula gets an apostrophe.

    Source: OWASP, "CSV Injection".

    >>> [defuse_formula(text) for text in ("=1+1", "@home", "-3.5", "a=b", "'=1")]
    ["'=1+1", "'@home", '-3.5', 'a=b', "''=1"]
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def restore_formula(text: str) -> str:
    """Return the text that ``defuse_formula`` was given.

    >>> [restore_formula(text) for text in ("'=1+1", "''=1", "'tis", "-3.5")]
    ['=1+1', "'=1", "'tis", '-3.5']
    """
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
