"""Fixtures of several test modules."""

from support.browser import browser

__all__ = ["browser"]
