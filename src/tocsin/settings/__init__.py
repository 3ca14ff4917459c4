"""Settings that people write: checked, frozen, with durations and secrets."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    PlainSerializer,
    model_validator,
)
from pydantic_core import core_schema

from tocsin.errors import ParameterError

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
"""Seconds in each unit of a duration."""
_DURATION = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)\s*")


class Settings(BaseModel):
    """Settings of one part; an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def seconds(value: Any) -> Any:
    """Return a duration in seconds: "500ms", "30s", "5m", "4h", "7d", "2w" or a number of them.

    Raises ValueError for other texts and for durations below 0.

    >>> seconds("5m"), seconds("1h 30m"), seconds(2)
    (300.0, 5400.0, 2.0)
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"durations are written like 30s or 5m, not {value!r}")
    if isinstance(value, int | float):
        if value < 0:
            raise ValueError(f"a duration must not be negative; got {value}")
        return float(value)
    parts = _DURATION.findall(value)
    if not parts or _DURATION.sub("", value).strip():
        raise ValueError(f'durations are written like 30s, 5m, 4h or 7d, not "{value}"')
    return sum(float(number) * UNITS[unit] for number, unit in parts)


Duration = Annotated[float, BeforeValidator(seconds)]
"""Seconds, written as a number or like "5m"."""


class Secret(BaseModel):
    """Where a secret is found: ``{env: NAME}`` or ``{file: path}``, never the text itself.

    >>> import os
    >>> os.environ["TOCSIN_EXAMPLE"] = "hush"
    >>> secret = Secret(env="TOCSIN_EXAMPLE")
    >>> secret.reveal(), str(secret)
    ('hush', 'env TOCSIN_EXAMPLE')
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("secrets are written as {env: NAME} or {file: path}, never as text")
        return value

    @model_validator(mode="after")
    def _one(self) -> Secret:
        if (self.env is None) == (self.file is None):
            raise ValueError("a secret has either env or file")
        return self

    def __str__(self) -> str:
        return f"env {self.env}" if self.env is not None else f"file {self.file}"

    def reveal(self) -> str:
        """Return the secret. Raises ParameterError when it is missing or empty."""
        if self.env is not None:
            found = os.environ.get(self.env, "")
        else:
            try:
                found = Path(str(self.file)).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                raise ParameterError(f"The secret in {self} cannot be read: {error}.") from error
        if not found:
            raise ParameterError(f"The secret in {self} is empty or not set.")
        return found


@dataclass(frozen=True)
class OneOf:
    """Annotates a text that is one of the ``names`` there are when it is checked.

    >>> class Light(Settings):
    ...     colour: Annotated[str, OneOf(lambda: ["red", "green"])]
    >>> Light(colour="gren")
    Traceback (most recent call last):
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Light
    colour
      Value error, "gren" is unknown; did you mean green? Valid: red, green ...
    """

    names: Callable[[], list[str]]

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: str) -> str:
        known = self.names()
        if value in known:
            return value
        near = difflib.get_close_matches(value, known, n=2)
        hint = f"; did you mean {' or '.join(near)}?" if near else "."
        raise ValueError(f'"{value[:80]}" is unknown{hint} Valid: {", ".join(known)}')


PathSetting = Annotated[Path, PlainSerializer(str)]
"""A path that is written back as text."""
