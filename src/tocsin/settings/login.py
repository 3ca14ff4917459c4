"""Usernames and passwords, for every source and responder that logs in."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from tocsin.settings import Secret
from tocsin.settings.clear_text import ClearText


class Login(ClearText):
    """Settings of a part that may log in: a username, and a password as a secret."""

    username: str | None = None
    password: Secret | None = None

    def revealed_password(self) -> str | None:
        """Return the password, None for none. Raises ParameterError when it is missing."""
        return None if self.password is None else self.password.reveal()


class CompleteLogin(Login):
    """Settings of a part that logs in with both username and password, or not at all."""

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.password is None) != (not self.username):
            raise ValueError("a login has both username and password")
        return self
