"""URLs that may hold secrets, made safe to show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

if TYPE_CHECKING:
    from sqlalchemy import URL

_SECRET = re.compile(r"pass|pwd|secret|token|key|credential", re.IGNORECASE)


def _no_password(url: str) -> str:
    if urlsplit(url).password is not None:
        raise ValueError("give the password as password: {env: NAME}, not in the url")
    return url


PlainUrl = Annotated[str, AfterValidator(_no_password)]
"""A URL that holds no password, since URLs are shown."""


def without_secrets(url: URL) -> str:
    """Return a database URL as text, with *** for its password and for secrets in its query.

    >>> from sqlalchemy import make_url
    >>> without_secrets(make_url("postgresql://me:hush@db/logs?password=hush&sslmode=require"))
    'postgresql://me:***@db/logs?password=***&sslmode=require'
    """
    hidden = {name: "***" for name in url.query if _SECRET.search(name)}
    shown = url.update_query_dict(hidden) if hidden else url
    return shown.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")
