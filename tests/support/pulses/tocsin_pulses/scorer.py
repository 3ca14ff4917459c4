"""Beats as the events of a monitor."""

from __future__ import annotations

from tocsin.monitor.scorers import Scorer


class PulseScorer(Scorer):
    """An event is a beat, written in the column "beat"."""

    modality = "pulses"
    column = "beat"
