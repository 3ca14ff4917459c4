r"""Terminal codes in log lines: colours, links, cursor movements, as programs write them.

Escape sequences are those of ECMA-48, with the one-byte forms of their beginnings, and also as
syslog daemons and other programs write their escape character out: ``#033[31m``, ``^[[31m``,
``\x1b[31m``. Of a link its text is left. An unfinished sequence loses its beginning alone.
"""

from __future__ import annotations

import re

__all__ = ["without_codes"]

_WRITTEN = ("#033[", "^[[", r"\x1b[", r"\x1B[", r"\033[", r"\u001b[", r"\u001B[", r"\e[")
_CODES = re.compile(
    rf"""(?:\x1b\[|\x9b) [0-?]* [\x20-/]* [@-~]      # colours, cursor, erasing
    | (?:\x1b\]|\x9d) [^\x07\x1b\x9c]* (?:\x07|\x1b\\|\x9c)  # links, titles
    | (?:\x1b[PX^_]|[\x90\x98\x9e\x9f]) [^\x1b\x9c]* (?:\x1b\\|\x9c)
    | \x1b [\x20-/]* [0-~]?
    | [\x07\x08\x90\x98\x9b-\x9f]
    | (?:{"|".join(map(re.escape, _WRITTEN))}) [0-9;:]* [A-HJKSTfhlmnsu]
    """,
    re.VERBOSE,
)


def without_codes(text: str) -> str:
    r"""Return a line without terminal codes and without carriage returns around it.

    >>> without_codes("\x1b[1;31mERROR\x1b[0m \x1b]8;;http://x/7\x07job 7\x1b]8;;\x07 is lost")
    'ERROR job 7 is lost'
    >>> without_codes("#033[32mINFO#033[0m ready"), without_codes("100 %\x1b[K\r")
    ('INFO ready', '100 %')
    """
    if text.isprintable() and not any(map(text.__contains__, _WRITTEN)):
        return text
    return _CODES.sub("", text).strip("\r")
