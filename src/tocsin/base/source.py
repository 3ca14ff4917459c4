"""The contract of sources: where events come from."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator
from typing import ClassVar

from tocsin.settings import Secret, Settings
from tocsin.types import Batch, Offset


class Source(Settings):
    """A source's settings, and how it is read. One file in ``sources/`` each.

    ``live``: whether it goes on without end; others end when all is read. ``ordered``: whether
    an entity's events are samples in order, of which one alone means little. ``names_files``:
    whether its events may name files of this machine to open; senders elsewhere must not.
    """

    live: ClassVar[bool] = True
    ordered: ClassVar[bool] = False
    names_files: ClassVar[bool] = False

    @abstractmethod
    def read(self, offset: Offset) -> AsyncIterator[Batch]:
        """Yield batches from an offset on, None for the start; an asynchronous generator.

        The next batch may be asked for before the one before it is committed; closing the
        generator frees what it holds. A batch holds at most some thousand events. A server that
        is not there is tried again with growing pauses, and a warning is logged; what no pause can
        mend raises InputError or ParameterError. An event that cannot be read never
        stops the source: it becomes a Rejection.
        """

    def check(self) -> str:
        """Return a remark on the settings, "" for none; nothing is connected to.

        Raises ParameterError for a secret, a certificate or a key that is missing.
        """
        from tocsin.settings.tls import Tls

        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Secret):
                value.reveal()
            elif isinstance(value, Tls):
                value.context()
        return ""

    def describe(self) -> str:
        """Return in a few words where events come from, without secrets."""
        return type(self).__name__.lower()
