"""Fixtures of several test modules."""

from support.browser import browser
from support.stores import db, server

__all__ = ["browser", "db", "server"]
