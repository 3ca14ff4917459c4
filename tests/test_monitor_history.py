"""History of any length: what is trained on, what is replayed, and what is late beside it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from support.monitors import START, batch, configured, events, process
from tocsin import config
from tocsin.monitor import reading, training
from tocsin.monitor.replay import replay
from tocsin.sources._records import Fields, batch_of


def test_training_that_asks_for_more_than_usual_gets_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with ``training.after: 201600``: the model learns from so many, of the store or source."""
    monkeypatch.setattr(training, "MOST_READ", 100)
    settings = "    training: {after: 300, detector: ecod}"
    path = tmp_path / "events.jsonl"
    source = f"{{type: file, path: {path}, every: 10ms}}"
    at = configured(tmp_path, source, monitor=settings)
    text = at.read_text()
    at.write_text(text.replace(text.split("model: ")[1].split("\n")[0], str(tmp_path / "model")))
    path.write_text("".join(json.dumps(each) + "\n" for each in events(400)))
    assert training.train(config.read(at), "m").events >= 300
    one = process(at, scores=False)
    for first in range(0, 320, 40):
        one.process(batch(events(40, start=first)), None)
    path.unlink()
    assert training.train(config.read(at), "m", force=True).events == 300  # the newest


def test_a_replay_reads_a_source_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a source longer than a model learns from: 402,960 lines are 402,960 events."""
    monkeypatch.setattr(reading, "MOST_READ", 100)
    path = tmp_path / "events.jsonl"
    found = events(3_000, bad=(2_990,))
    path.write_text("".join(json.dumps(each) + "\n" for each in found))
    at = configured(tmp_path, f"{{type: file, path: {path}, every: 10ms}}")
    result = replay(config.read(at), "m")
    assert (result.events, result.anomalies) == (3_000, 1)
    since = replay(config.read(at), "m", since=(START + np.timedelta64(2_900, "s")).item())
    assert since.anomalies == 1


def test_late_is_beside_the_same_entity(tmp_path: Path) -> None:
    """A gateway that sends an hour later, in order, is not late; an old event of its own is."""
    at = configured(tmp_path, "{type: host}", monitor="    late: 10m")
    one = process(at)

    def sent(entity: str, minutes: int) -> dict[str, object]:
        time = START + np.timedelta64(minutes, "m")
        return {**events(1)[0], "id": f"{entity}{minutes}", "entity": entity, "time": str(time)}

    one.process(batch([sent("a", m) for m in (0, 60, 120)]), None)
    one.process(batch([sent("b", m) for m in (0, 30, 60)]), None)
    again = process(at, kept=one.stores)  # after a restart
    again.process(batch([sent("b", 51), sent("b", 49), sent("a", 111), sent("a", 109)]), None)
    counted = one.stores.counters.read()["m"]
    assert (counted["events"], counted["late"]) == (8, 2)
    assert all("entity" in held.reason for held in one.stores.quarantine.list("m"))


def test_events_without_entities_are_late_beside_each_other(tmp_path: Path) -> None:
    at = configured(tmp_path, "{type: host}", monitor="    late: 10m")
    one = process(at)
    some = batch(events(3))
    times = START + np.array([0, 60, 49], dtype="timedelta64[m]")
    one.process(replace(some, times=times, entities=None), None)
    assert one.stores.counters.read()["m"]["late"] == 1


def test_a_local_time_ahead_of_the_clock_says_what_to_set(tmp_path: Path) -> None:
    """As east of Greenwich: quarantined without the zone, taken with it."""
    one = process(configured(tmp_path, "{type: host}"), scores=False)
    local = datetime.now(timezone(timedelta(hours=8)))
    event = {"timestamp": local.strftime("%Y-%m-%d %H:%M:%S"), "host": "a", "heat": 21.5}
    raw = [json.dumps(event).encode()]
    one.process(batch_of(raw, Fields()), datetime.now(UTC))
    (held,) = one.stores.quarantine.list("m")
    assert held.kind == "future"
    assert "fields.time_zone" in held.reason
    one.process(batch_of(raw, Fields(time_zone="+08:00")), datetime.now(UTC))
    assert one.stores.counters.read()["m"]["events"] == 1
