"""JSON as text, with numbers of any length."""

from __future__ import annotations

import json
import sys
from typing import Any


def loads(text: str) -> Any:
    """Return what JSON holds; a whole number too long for Python is infinite, as 1e999 is.

    Raises JSONDecodeError.

    >>> loads('{"a": ' + "9" * 5_000 + "}")
    {'a': inf}
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return json.loads(text, parse_int=whole_number)


def whole_number(digits: str) -> int | float:
    """Return a whole number, infinity for one that is too long for Python."""
    return float(digits) if len(digits) > sys.int_info.default_max_str_digits else int(digits)
