"""What becomes of events: rules, odd values, models that fail, and replays."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import Connection

import tocsin
from support.monitors import START, batch, configured, events, model, process, stored, told, train
from support.servers import free_port
from tocsin import config
from tocsin.errors import InputError, NotAllowed, StoreUnavailable
from tocsin.monitor import reading, training
from tocsin.monitor.models import open_model
from tocsin.monitor.replay import replay
from tocsin.types import Batch

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOST = "{type: host}"


def test_duplicates_within_and_between_batches_count_once(tmp_path: Path) -> None:
    one = process(configured(tmp_path, HOST))
    found = events(50)
    one.process(batch(found + found[:10]), NOW)
    one.process(batch(found[5:] + events(5, start=50)), NOW)
    assert stored(one.stores) == [f"e{i}" for i in range(55)]
    assert one.stores.counters.read()["m"] == {"events": 55, "duplicate": 55}


def test_late_future_and_timeless_events_are_quarantined(tmp_path: Path) -> None:
    path = configured(tmp_path, HOST, monitor="    late: 1m\n    future: 5m")
    one = process(path)
    found = events(100)
    found[70]["time"] = str(START - np.timedelta64(1, "h"))
    found[80]["time"] = (NOW + timedelta(days=400)).isoformat()
    found[90]["time"] = "soon"
    one.process(batch(found), NOW)
    kept = one.stores.quarantine.list()
    assert {(each.kind, each.reason.split()[0]) for each in kept} == {
        ("late", "it"),
        ("future", "its"),
        ("malformed", "its"),
    }
    late = next(each for each in kept if each.kind == "late")
    assert '"id":"e70"' in late.raw
    assert '"entity":"pump 2"' in late.raw
    assert one.stores.events.count("m") == 97
    # A clock that is set back by hours is late as well, also after a restart.
    again = process(path)
    again.process(batch(events(10, start=1_000)), NOW)
    again = process(path)
    before = events(10, start=2_000)
    for each in before:
        each["time"] = str(START)
    again.process(batch(before), NOW)
    assert again.stores.counters.read()["m"]["late"] == 11


def test_values_of_several_types_in_a_column(tmp_path: Path) -> None:
    path = configured(tmp_path, HOST)
    one = process(path)
    found = events(40)
    found[3]["a"] = "broken"
    found[4]["b"] = None
    found[5]["c"] = True
    found[6]["a"] = 10**30
    found[7]["a"] = {"deep": 1}
    found[8]["b"] = [1, 2]
    found[9]["extra"] = "text"
    found[10]["extra"] = 5
    one.process(batch(found), NOW)
    (kept,) = one.stores.events.read("m")
    assert kept.frame["a"].dtype == np.float64
    assert np.isnan(kept.frame["a"][3])
    assert kept.frame["a"][6] == 1e30
    assert kept.frame["c"][5] == 1.0
    assert kept.frame["extra"].dropna().tolist() == ["text", "5"]
    counted = one.stores.counters.read()["m"]
    assert counted["no number"] == 2  # the text, and the list; of {"deep": 1} only a.deep is left
    assert counted["events"] == 40
    assert kept.decision is not None
    assert kept.decision.is_anomaly[6]


def test_not_a_number_and_infinity_are_scored(tmp_path: Path) -> None:
    one = process(configured(tmp_path, HOST))
    found = batch(events(20))
    frame = found.frame.copy()
    frame.loc[2, "a"], frame.loc[3, "a"], frame.loc[4, "b"] = np.nan, np.inf, -np.inf
    one.process(Batch(frame, found.times, found.ids, found.entities), NOW)
    (kept,) = one.stores.events.read("m")
    assert len(kept) == 20
    assert kept.decision is not None
    assert np.isfinite(kept.decision.p_values).all()


def test_missing_and_unknown_columns_and_an_empty_batch(tmp_path: Path) -> None:
    one = process(configured(tmp_path, HOST))
    found = events(20)
    for each in found:
        del each["b"]
        each["unknown"] = 1.0
    one.process(batch(found), NOW)
    one.process(batch([]), NOW)
    (kept,) = one.stores.events.read("m")
    assert list(kept.frame) == ["a", "c", "unknown"]
    assert kept.decision is not None


def test_events_of_no_single_type_are_kept_without_a_model(tmp_path: Path) -> None:
    one = process(configured(tmp_path, HOST), scores=False)
    found = events(20)
    found[0]["a"] = "text"
    found[1]["c"] = False
    one.process(batch(found), NOW)
    (kept,) = one.stores.events.read("m")
    assert kept.frame["a"].dtype == np.float64
    assert kept.decision is None


def test_a_model_that_takes_nothing_is_an_alarm_until_it_does(tmp_path: Path) -> None:
    one = process(configured(tmp_path, HOST))
    strangers = [{"id": f"s{i}", "time": str(START), "x": 1.0} for i in range(30)]
    one.process(batch(strangers), NOW)
    one.process(batch([{**each, "id": each["id"] + "b"} for each in strangers]), NOW)
    (alarm,) = one.stores.alarms.list()
    assert (alarm.kind, alarm.state) == ("model", "open")
    assert "none of 30 events can be scored" in alarm.summary
    assert one.stores.counters.read()["m"]["malformed"] == 60
    # The alarm is known after a restart, and ends when a batch is scored.
    again = process(tmp_path / "tocsin.yaml", kept=one.stores)
    again.process(batch(events(30)), NOW)
    (alarm,) = again.stores.alarms.list()
    assert alarm.state == "resolved"


def test_one_event_that_breaks_the_model_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = process(configured(tmp_path, HOST))
    judge = one.scorer.judge

    def fragile(given: Batch) -> Any:
        if given.ids is not None and {"e7", "e20"} & set(given.ids):
            raise ZeroDivisionError("a fault of the model")
        return judge(given)

    monkeypatch.setattr(one.scorer, "judge", fragile)
    one.process(batch(events(40, bad=[30])), NOW)
    assert stored(one.stores) == [f"e{i}" for i in range(40) if i not in (7, 20)]
    assert {each.reason for each in one.stores.quarantine.list()} == {
        "ZeroDivisionError: a fault of the model"
    }
    (kept,) = one.stores.events.read("m")
    assert np.flatnonzero(kept.decision.is_anomaly).tolist() == [29 - 1]


def test_explaining_that_fails_still_rings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = process(configured(tmp_path, HOST))

    def fails(*_: object) -> Any:
        raise KeyError("reasons")

    monkeypatch.setattr(one.scorer, "describe", fails)
    one.process(batch(events(40, bad=[30])), NOW)
    (alarm,) = one.stores.alarms.list()
    assert "not explained" in alarm.summary


def test_only_so_many_alarms_of_a_batch_are_explained(tmp_path: Path) -> None:
    one = process(configured(tmp_path, HOST))
    one.process(batch(events(60, bad=range(60), entities=60)), NOW)
    found = [alarm for alarm in one.stores.alarms.list() if alarm.kind == "anomaly"]
    assert len(found) == 60
    assert sum(bool(alarm.reasons) for alarm in found) == 20
    assert all(alarm.evidence["event"]["a"] > 20 and alarm.summary for alarm in found)


def test_a_share_of_anomalies_far_above_the_budget_is_an_alarm(tmp_path: Path) -> None:
    one = process(configured(tmp_path, HOST))
    for start in range(0, 1_000, 100):
        one.process(batch(events(100, start=start, bad=range(start, start + 100, 10))), NOW)
    found = [alarm for alarm in one.stores.alarms.list() if alarm.kind == "model"]
    (alarm,) = found
    assert "10.00% of the last events are anomalies" in alarm.summary
    one.use_model(open_model(model(), 10))
    one.process(batch(events(100, start=2_000)), NOW)
    assert one.stores.alarms.get(alarm.id).state == "resolved"


def test_a_lost_answer_is_not_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = process(configured(tmp_path, HOST))
    one.process(batch(events(20), ids=False), NOW)
    work = one.prepare(batch(events(20, start=20, bad=[30]), ids=False), NOW)
    begin = one.stores.db.begin

    @contextmanager
    def lost() -> Iterator[Connection]:
        with begin() as c:
            yield c
        raise StoreUnavailable("the answer to the commit is lost")

    monkeypatch.setattr(one.stores.db, "begin", lost)
    with pytest.raises(StoreUnavailable):
        one.commit(work, NOW)
    monkeypatch.undo()
    before = one.stores.counters.read()
    one.commit(work, NOW)
    assert one.stores.events.count("m") == 40
    assert one.stores.counters.read() == before
    # Another process that goes on from an older state is refused.
    other = process(tmp_path / "tocsin.yaml", kept=one.stores)
    one.process(batch(events(20, start=40), ids=False), NOW)
    with pytest.raises(NotAllowed, match="Another process"):
        other.process(batch(events(20, start=40), ids=False), NOW)
    assert one.stores.events.count("m") == 60


def test_a_store_that_is_away_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = configured(tmp_path, HOST, monitor="    alarms: {open: 2, of: 3}")
    plain = process(path)
    (tmp_path / "other").mkdir()
    other = process(configured(tmp_path / "other", HOST, monitor="    alarms: {open: 2, of: 3}"))
    parts = [batch(events(50, start=s, bad=range(s + 10, s + 20))) for s in range(0, 200, 50)]
    for part in parts:
        plain.process(part, NOW)

        def away(*_: object) -> Any:
            raise StoreUnavailable("away")

        with monkeypatch.context() as patched:
            patched.setattr(type(other.stores.alarms), "find", away)
            with pytest.raises(StoreUnavailable):
                other.prepare(part, NOW)
        other.process(part, NOW)
    assert told(other.stores) == told(plain.stores)
    assert len(told(plain.stores)) >= 4


def test_a_replay_gives_the_same_alarms(tmp_path: Path) -> None:
    alarms = "    alarms: {open: 2, of: 4, close_after: 6}\n    late: 10m"
    path = configured(tmp_path, HOST, monitor=alarms)
    one = process(path)
    found = events(600, bad=[*range(100, 140, 3), *range(400, 440, 3)])
    found[300]["time"] = str(START - np.timedelta64(1, "D"))
    for start in range(0, 600, 37):
        one.process(batch(found[start : start + 37]), NOW)
    replayed = replay(config.read(path), "m")
    mine = [(a.id, a.opened, a.closed, a.events, a.anomalies, a.severity) for a in replayed.alarms]
    live = [
        (a.id, a.opened, a.closed, a.events, a.anomalies, a.severity)
        for a in one.stores.alarms.list()
    ]
    assert mine == live
    assert len([each for each in live if each[-1] == "critical"]) == 4
    assert replayed.events == 599


def test_every_score_names_its_model_when_that_is_switched(tmp_path: Path) -> None:
    one = process(configured(tmp_path, HOST))
    train(tmp_path / "other", "hbos")
    names = []
    for start in range(0, 400, 100):
        one.use_model(open_model(tmp_path / "other" if start % 200 else model(), 10))
        names.append(one.scorer.name)
        one.process(batch(events(100, start=start)), NOW)
    kept = [each.decision.model for each in one.stores.events.read("m")]
    assert kept == names
    assert len(set(names)) == 2


def test_training_needs_events_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_LONGEST_WAIT", 0.1)
    path = configured(
        tmp_path, f"{{type: socket, port: {free_port()}}}", monitor="    training: {after: 50}"
    )
    one = process(path, scores=False)
    one.process(batch(events(20)), NOW)
    with pytest.raises(InputError):
        training.train(config.read(path), "m")


def test_series_are_scored_the_same_after_a_restart(tmp_path: Path) -> None:
    from tocsin.monitor.models import new_pipeline, training_data

    rng = np.random.default_rng(0)

    def wave(start: int, n: int) -> Batch:
        t = np.arange(start, start + n)
        values = np.sin(t / 5) + rng.normal(0, 0.05, n)
        times = START + t.astype("timedelta64[s]")
        names = tuple("ab"[i % 2] for i in range(n))
        return Batch(pd.DataFrame({"a": values}), times, entities=names)

    text = (
        "monitors: {m: {source: {type: host}, model: series, context: 200, "
        "training: {modality: series}}}"
    )
    (tmp_path / "tocsin.yaml").write_text(text)
    pipeline = new_pipeline("series", {"detector": "autoregression", "false_alarms": 0.01})
    pipeline.fit(training_data("series", [wave(0, 1_000)]))
    pipeline.save(tmp_path / "series")
    scorer = lambda: open_model(tmp_path / "series", 200)  # noqa: E731
    path = tmp_path / "tocsin.yaml"
    one = process(path, scores=False)
    one.use_model(scorer())
    parts = [wave(start, 40) for start in range(2_000, 2_600, 40)]
    for part in parts[:-1]:
        one.process(part, NOW)
    assert one.stores.quarantine.list() == []
    again = process(path, scores=False, kept=one.stores)
    again.use_model(scorer())
    last = parts[-1]
    assert one.scorer.judge(last).scores.tolist() == again.scorer.judge(last).scores.tolist()


def test_texts_are_scored_by_the_column_that_was_trained_on(tmp_path: Path) -> None:
    from tocsin.monitor.models import scorer

    mails = pd.DataFrame(
        {
            "sender": [f"person{i % 7}@example.com" for i in range(60)],
            "body": [f"The meeting of group {i % 9} is moved to room {i % 5}" for i in range(60)],
        }
    )
    pipeline = tocsin.TextPipeline("text_neighbours", training="clean").fit(mails)
    assert pipeline.preparer_.column_ == "body"
    batch = Batch(mails[:5], np.full(5, START))
    expected = pipeline.score(mails["body"][:5].tolist()).values
    assert scorer(pipeline, "mails", 1).judge(batch).scores.tolist() == expected.tolist()


def test_events_of_times_that_no_clock_shows_are_malformed(tmp_path: Path) -> None:
    one = process(configured(tmp_path, HOST))
    found = batch(events(12))
    times = found.times.copy()
    times[[0, 11]] = np.datetime64("0001-01-01"), np.datetime64("9999-12-31")
    one.process(Batch(found.frame, times, found.ids, found.entities), None)
    assert stored(one.stores) == [f"e{i}" for i in range(1, 11)]
    assert one.stores.counters.read()["m"]["malformed"] == 2


def test_an_entity_as_long_as_a_book_is_cut_and_told_apart(tmp_path: Path) -> None:
    one = process(configured(tmp_path, HOST))
    found = events(20, bad=range(20))
    for i, each in enumerate(found):
        each["entity"] = "x" * 20_000 + str(i)
    one.process(batch(found), NOW)
    entities = [name for kept in one.stores.events.read("m") for name in kept.entities or ()]
    assert len(set(entities)) == 20
    assert max(map(len, entities)) <= 256


@pytest.mark.parametrize("where", ["alarms", "store"])
def test_events_that_no_rule_foresaw_are_quarantined_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    one = process(configured(tmp_path, HOST))
    one.process(batch(events(20)), NOW)
    poison = {"e33", "e34", "e57"}

    def refuse(ids: Any) -> None:
        if poison & set(ids or ()):
            raise ZeroDivisionError("what nobody foresaw")

    if where == "store":
        append = one.stores.events.append
        monkeypatch.setattr(
            type(one.stores.events),
            "append",
            lambda self, c, name, part, found: (refuse(part.ids), append(c, name, part, found)),
        )
    else:
        score = type(one)._raise_alarms
        monkeypatch.setattr(
            type(one),
            "_raise_alarms",
            lambda self, held, *rest: (refuse(held.batch.ids), score(self, held, *rest))[1],
        )
    changed = one.process(batch(events(60, start=20, bad=[40])), NOW)
    assert [alarm.entity for alarm in changed if alarm.kind == "anomaly"] == ["pump 0"]
    kept = set(stored(one.stores))
    assert kept == {f"e{i}" for i in range(80)} - poison
    quarantined = {json.loads(each.raw)["id"] for each in one.stores.quarantine.list()}
    assert quarantined == poison
    assert all("what nobody foresaw" in each.reason for each in one.stores.quarantine.list())
    (tmp_path / "calm").mkdir()
    calm = process(configured(tmp_path / "calm", HOST))
    rest = [each for each in events(80, bad=[40]) if each["id"] not in poison]
    calm.process(batch(rest), NOW)
    assert [a.id for a in calm.stores.alarms.list()] == [a.id for a in one.stores.alarms.list()]


def test_drift_is_one_alarm_that_names_what_moved(tmp_path: Path) -> None:
    one = process(configured(tmp_path, HOST))
    one.process(batch(events(200)), NOW)
    found = events(400, start=200)
    for each in found:
        each["b"] += 9.0
    changed = [one.process(batch(found[i : i + 50]), NOW) for i in range(0, 400, 50)]
    (alarm,) = [each for part in changed for each in part if each.kind == "model"]
    assert "drift" in alarm.summary
    assert alarm.summary.endswith("moved: b")
