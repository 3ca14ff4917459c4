"""Beats on the command line."""

from __future__ import annotations

from tocsin.cli.inputs import Input
from tocsin.cli.modalities.base import ModalityCli
from tocsin.types import Detection


class PulseCli(ModalityCli[Detection]):
    """Files that end in .pulses, one beat per line."""

    modality = "pulses"

    def recognises(self, source: Input) -> bool:
        """Return whether the name of the file ends in .pulses."""
        return source.path.suffix == ".pulses"
