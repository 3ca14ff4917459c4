"""Lines of stack traces, which belong to the record before them, however many they are."""

from __future__ import annotations

import re

__all__ = ["is_of_trace"]

_TRACE = re.compile(
    r"""(?:[A-Za-z][\w.-]*\ +\|\ )?                    # behind the name of a container
    (?: \s                                           # indented, as frames are
    | at\ [\w.$<>/@-]+\(                             # Java, .NET, Node
    | (?:Caused\ by|Suppressed):\ | \.\.\.\ \d+\ (?:more|common\ frames\ omitted)
    | Traceback\ \(most\ recent\ call\ last\):
    | During\ handling\ of\ the\ above\ exception | The\ above\ exception\ was\ the\ direct
    | ---\ End\ of\ .*stack\ trace | --->\s
    | goroutine\ \d+\ \[ | created\ by\ [\w./*()]+ | exit\ status\ \d+$
    | [\w/-]+\.[\w./*()\[\]-]+\(.*\)$                # main.(*Server).handle(0xc000012, ...)
    | \#\d+\s                                         # PHP, gdb
    )
    """,
    re.VERBOSE,
)


def is_of_trace(text: str) -> bool:
    r"""Return whether a line is part of a stack trace, as Java, Python, Go, .NET and Node write it.

    >>> is_of_trace("\tat org.shop.Cart.pay(Cart.java:71)"), is_of_trace("Cart 7 is gone")
    (True, False)
    """
    return _TRACE.match(text) is not None
