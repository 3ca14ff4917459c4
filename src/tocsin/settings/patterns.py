"""Regular expressions that people write into settings, matched in bounded time."""

from __future__ import annotations

import re

LONGEST = 200
_LONGEST_TEXT = 256
_MOST_REPEATS, _MOST_OPTIONAL = 3, 10
_ATOMS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_PREFIX = re.compile(r"\(\?(?:[:=!]|<[=!]|P<\w+>|[aiLmsux-]+:?)")
_GROUP = re.compile(r"\(([^()]*)\)([*+]|\{[^}]*\})?")
_REPEAT = re.compile(r"[*+]|\{\d*,\d*\}|\{\d{3,}\}")


class Pattern:
    """A text, or a regular expression that must match all of a text.

    Matching takes bounded time: no repeats or alternatives within repeats, at most three
    repeats and ten optional parts; a text of more than 256 characters matches only if it is
    equal. Raises ValueError for expressions that are invalid or break these bounds.

    >>> Pattern("web-.*").matches("web-1"), Pattern("web").matches("web-1")
    (True, False)
    """

    __slots__ = ("_compiled", "_text")

    def __init__(self, text: str) -> None:
        self._compiled = compiled(text)
        self._text = text

    def matches(self, text: str) -> bool:
        """Return whether the whole text matches."""
        if text == self._text:
            return True
        return len(text) <= _LONGEST_TEXT and self._compiled.fullmatch(text) is not None


def compiled(text: str) -> re.Pattern[str]:
    """Return an expression of at most 200 characters that is matched in bounded time.

    Raises ValueError for any other.

    >>> compiled("(job [0-9]+)").groups
    1
    """
    if len(text) > LONGEST:
        raise ValueError(
            f'the expression "{text[:40]}…" has {len(text)} characters; the limit is {LONGEST}'
        )
    try:
        expression = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f'invalid expression "{text}": {error}') from error
    if _explodes(text):
        raise ValueError(
            f'the expression "{text}" can backtrack without end: use at most '
            f"{_MOST_REPEATS} repeats, none nested or around alternatives"
        )
    return expression


def _explodes(pattern: str) -> bool:
    rest = _PREFIX.sub("(", _ATOMS.sub("x", pattern))
    if len(_REPEAT.findall(rest)) > _MOST_REPEATS or rest.count("?") > _MOST_OPTIONAL:
        return True
    while (group := _GROUP.search(rest)) is not None:
        inside, repeated = group.groups()
        branches = re.search(r"[*+?{|]", inside) is not None
        if branches and repeated:
            return True
        left = "x*" if branches or repeated else "x"
        rest = rest[: group.start()] + left + rest[group.end() :]
    return False
