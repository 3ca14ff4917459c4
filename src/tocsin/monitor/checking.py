"""``tocsin check``: whether a configuration can work, before it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tocsin import config
from tocsin.errors import NotAModel, TocsinError
from tocsin.monitor.models import open_model_of
from tocsin.monitor.supervisor import responders_of
from tocsin.monitor.training import untrained
from tocsin.store.database import Database


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: its problem, None for none, or a note."""

    what: str
    problem: str | None = None
    note: str = ""


def findings(path: Path) -> list[Finding]:
    """Return what was checked: the configuration itself, the store, models and responders.

    Raises ConfigError when the file itself cannot be used.
    """
    settings = config.read(path)
    found = [
        Finding(str(path), note=f"monitors: {', '.join(settings.monitors)}"),
        _try("store", partial(_store, settings)),
    ]
    for name, monitor in settings.monitors.items():
        found.append(_try(f"monitor {name}", partial(_model, monitor)))
    for name, responder in responders_of(settings).items():
        found.append(Finding(f"responder {name}", responder.check()))
    return found


def _try(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, note=check())
    except TocsinError as error:
        return Finding(what, str(error))


def _store(settings: config.Config) -> str:
    with Database(settings.store.reveal()) as db, db.begin():
        return db.url


def _model(monitor: config.Monitor) -> str:
    if "training" in monitor.model_fields_set:
        untrained(monitor)
    source, remark = monitor.source.describe(), monitor.source.check()
    end = f"; {remark}" if remark else ""
    try:
        scorer = open_model_of(monitor)
    except NotAModel:
        untrained(monitor)
        after = monitor.training.after
        return f"{source}; no model yet; one is trained on the first {after:,} events{end}"
    return f"{source}; scored by {scorer.name}{end}"
