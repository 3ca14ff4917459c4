"""URLs that may hold secrets, made safe to show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, Field

from tocsin.errors import ParameterError

if TYPE_CHECKING:
    from sqlalchemy import URL

_SECRET = re.compile(r"pass|pwd|secret|token|key|credential|auth|signature", re.IGNORECASE)


def _no_password(url: str) -> str:
    """Return a URL without a secret. Raises ValueError, which does not show it, for others."""
    try:
        parts = urlsplit(url)
        secret, _ = parts.password, parts.port
    except ValueError:
        raise ValueError("this is not a URL such as scheme://host:port/path") from None
    named = [name for name, _ in parse_qsl(parts.query) if _SECRET.search(name)]
    if secret is not None or named:
        where = f"in {named[0]} of the url" if named else "in the url"
        raise ValueError(f"give the password as password: {{env: NAME}}, not {where}")
    return url


PlainUrl = Annotated[str, AfterValidator(_no_password)]
"""A URL that holds no password, since URLs are shown."""


def _database_url(url: str) -> str:
    try:
        parse_database_url(url)
    except ParameterError as error:
        raise ValueError(str(error)) from None
    return url


DatabaseUrl = Annotated[str, AfterValidator(_database_url), Field(repr=False)]
"""A URL of a database as SQLAlchemy takes it, which may hold a password and is not shown."""


def parse_database_url(url: str) -> URL:
    """Return a database's URL. Raises ParameterError, which does not show it, for others.

    >>> parse_database_url("postgresql://me@db/logs").host
    'db'
    """
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        kind = re.match(r"[a-z][a-z0-9+]{1,20}(?=://)", url)
        rest = f"what begins with {kind[0]}://" if kind else "this"
        raise ParameterError(
            f"A database is sqlite:///file or postgresql://user@host/name, and {rest} is not "
            "such a URL. In a user or a password, @ is written %40, / %2F and : %3A."
        ) from None
    if "@" in (parsed.host or ""):
        raise ParameterError("In a password of a database's URL, @ is written %40.")
    return parsed


def without_secrets(url: URL) -> str:
    """Return a database URL as text, with *** for its password and for secrets in its query.

    >>> from sqlalchemy import make_url
    >>> without_secrets(make_url("postgresql://me:hush@db/logs?password=hush&sslmode=require"))
    'postgresql://me:***@db/logs?password=***&sslmode=require'
    """
    hidden = {
        name: "***"
        for name, value in url.query.items()
        if _SECRET.search(name) or _SECRET.search(str(value))
    }
    shown = url.update_query_dict(hidden) if hidden else url
    return shown.render_as_string(hide_password=True).replace("%2A%2A%2A", "***")
