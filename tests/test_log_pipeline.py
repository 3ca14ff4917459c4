"""The pipeline of logs: what is decided, shown, explained and kept."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tocsin
from support.jobs import day, fault, job
from tocsin.errors import InputError, SchemaMismatch
from tocsin.explain.log_background import MOST_SESSIONS
from tocsin.pipeline import LogPipeline
from tocsin.pipeline.logs import MOST_LINES
from tocsin.readers.lines import RawLine

KINDS = [[1, 2, 3]] * 60 + [[1, 4, 2, 3]] * 30 + [[1]] * 2
"""Sessions of event numbers, the last two broken off."""

GONE = "2026-03-01 11:00:00 ERROR kernel: going down"


@pytest.fixture(scope="module")
def jobs() -> LogPipeline:
    return LogPipeline(session="(job [0-9]+)", training="clean").fit(day())


@pytest.fixture(scope="module")
def lines() -> LogPipeline:
    return LogPipeline(training="clean").fit(day())


def test_sessions_are_flagged_explained_and_shown_by_their_lines(jobs: LogPipeline) -> None:
    logs = day(20) + fault(500)
    detection = jobs.detect(logs)
    (row,) = detection.anomalies
    assert detection.keys[row] == "job 500"
    assert detection.numbers[row] == 61
    assert [line.text for line in detection.lines[row]] == fault(500)
    assert [line.number for line in detection.lines[row]] == [61, 62, 63]
    assert str(detection.times[row]).startswith("2026-03-01T10:08:20")
    first, second = detection.explanations[row].reasons[:2]
    assert "found no space left" in first.name
    assert (first.seen, first.expected) == (1, 0)
    assert "wrote" in second.name
    assert (second.seen, second.expected) == (0, 1)
    assert "INFO jobs: job * is over" in detection.nearest[row]


def test_the_words_of_a_line_that_matter_are_named(lines: LogPipeline) -> None:
    strange = "2026-03-01 11:00:00 INFO disk: job 5 wrote zzyzx blocks"
    detection = lines.detect([*day(2), strange])
    (row,) = detection.anomalies
    reasons = {reason.name: reason for reason in detection.explanations[row].reasons}
    assert reasons["zzyzx"].seen == 1
    assert reasons["zzyzx"].expected == 0
    assert "wrote" not in reasons
    assert detection.nearest[row] == ("INFO disk: job * wrote * blocks",)


def test_the_level_of_a_line_is_a_reason(lines: LogPipeline) -> None:
    fatal = job(5)[2].replace("INFO", "FATAL")
    detection = lines.detect([fatal])
    (reason,) = detection.explanations[0].reasons
    assert (reason.name, reason.seen, reason.expected) == ("level", "FATAL", "INFO")


def test_a_found_threshold_decides_unless_the_budget_shall() -> None:
    pipeline = LogPipeline(training="mixed").fit(KINDS)
    own = pipeline.detector_threshold
    assert own is not None
    found = pipeline.fit_detect(KINDS)
    assert found.anomalies.tolist() == [90, 91]
    assert found.decision.threshold == own
    assert any("not by the false-alarm budget" in note for note in found.notes)
    pipeline.set_params(own_threshold=False, false_alarms=0.5)
    other = pipeline.detect(KINDS)
    assert other.decision.threshold < own
    assert not any("not by the false-alarm budget" in note for note in other.notes)
    assert LogPipeline("log_rarity", training="clean").fit(KINDS).detector_threshold is None
    labels = np.arange(len(KINDS)) >= 90
    assert LogPipeline("log_rarity").fit(KINDS, labels=labels).detector_threshold is None


def test_drift_is_noted_where_the_found_threshold_decides() -> None:
    pipeline = LogPipeline(training="mixed").fit(KINDS)
    assert any("Train on recent sessions" in n for n in pipeline.detect([[1]] * 40).notes)
    assert not any("Train on recent" in n for n in pipeline.detect(KINDS).notes)


def test_more_alarms_than_the_budget_and_chance_explain_are_noted(lines: LogPipeline) -> None:
    drifted = [line.replace("wrote", "stored") for line in day(40)]
    (note,) = [n for n in lines.detect(drifted).notes if "has changed since training" in n]
    assert note.startswith("33.3% of these 120 sessions are flagged, and the budget is 1.00%")
    for usual in (day(40), [*day(40), GONE], [GONE]):
        assert not any("has changed" in n for n in lines.detect(usual).notes)


def test_kinds_that_tie_are_all_named() -> None:
    pipeline = LogPipeline("log_rarity", training="clean").fit(KINDS)
    detection = pipeline.explain([[1, 2, 3, 8, 9]], ["1"])
    assert [r.name for r in detection.explanations[0].reasons] == ["unknown"]
    broken = LogPipeline(training="mixed").fit_detect(KINDS).explanations[90].reasons
    assert {(r.name, r.seen, r.expected) for r in broken} == {("event 2", 0, 1), ("event 3", 0, 1)}
    assert [r.weight for r in broken] == [0.5, 0.5]


def test_lines_in_another_order_are_told() -> None:
    pipeline = LogPipeline(training="clean").fit([[1, 2, 3, 4]] * 20)
    reasons = pipeline.explain([[1, 3, 2, 4]], ["1"]).explanations[0].reasons
    assert [(r.name, r.seen, r.expected) for r in reasons] == [("order", "event 3", "event 2")]
    same = pipeline.explain([[1, 2, 3, 4]], ["1"]).explanations[0].reasons
    assert same == ()


def test_a_saved_pipeline_answers_alike(jobs: LogPipeline, tmp_path: Path) -> None:
    jobs.save(tmp_path / "model")
    loaded = tocsin.load(tmp_path / "model")
    assert isinstance(loaded, LogPipeline)
    logs = day(5) + fault(700)
    before, after = jobs.detect(logs), loaded.detect(logs)
    assert (before.scores.values == after.scores.values).all()
    assert before.explanations == after.explanations
    assert before.nearest == after.nearest
    assert before.notes == after.notes
    assert before.decision.threshold == after.decision.threshold


def test_files_are_read_and_traces_shown_whole(lines: LogPipeline, tmp_path: Path) -> None:
    trace = ["2026-03-01 12:00:00 ERROR jobs: unhandled exception", "  at a.b(c.py:1)", "  at d.e"]
    path = tmp_path / "app.log"
    path.write_text("\n".join([*day(4), *trace, *job(9)]) + "\n")
    detection = lines.detect(path)
    (row,) = detection.anomalies
    assert [(x.file, x.number, x.text) for x in detection.lines[row]] == [
        (str(path), 13 + i, text) for i, text in enumerate(trace)
    ]
    assert detection.keys[row] == f"{path}:13"
    assert lines.detect([path, path]).keys == detection.keys


def test_of_a_long_session_the_telling_lines_are_shown() -> None:
    pipeline = LogPipeline(window=3600, training="clean")
    hours = [
        f"2026-03-{d:02d} {h:02d}:{m:02d}:00 INFO web: request {m} served"
        for d in range(1, 4)
        for h in range(24)
        for m in range(60)
    ]
    pipeline.fit(hours)
    bad = hours[:60]
    bad[50] = "2026-03-01 00:50:00 ERROR web: certificate expired"
    detection = pipeline.explain(bad, ["2026-03-01T00:00:00+00:00"])
    shown = [line.text for line in detection.lines[0]]
    assert len(shown) == MOST_LINES
    assert bad[50] in shown
    assert detection.sizes.tolist() == [60]


def test_lines_of_a_generator_are_shown_too(lines: LogPipeline) -> None:
    def given() -> Iterator[RawLine]:
        for number, text in enumerate([*day(2), GONE], 1):
            yield RawLine("x.log", number, text)

    detection = lines.detect(given())
    (row,) = detection.anomalies
    assert detection.lines[row][0] == tocsin.types.LogLine("x.log", 7, GONE)


def test_labels_are_one_a_session() -> None:
    logs = day(40) + fault(50) + fault(51)
    labels = np.r_[np.zeros(40, dtype=int), 1, 1]
    pipeline = LogPipeline(session="(job [0-9]+)")
    found = pipeline.fit_detect(logs, labels=labels)
    assert pipeline.detector_name == "auto → log_counts"
    assert {found.keys[i] for i in found.anomalies} == {"job 50", "job 51"}
    with pytest.raises(InputError, match="42 labels"):
        pipeline.fit(logs, labels=labels[:-1])


def test_explain_takes_keys(jobs: LogPipeline) -> None:
    detection = jobs.explain(day(5), ["job 3"])
    assert list(detection.lines) == list(detection.explanations) == [3]
    with pytest.raises(InputError, match="no session"):
        jobs.explain(day(5), ["job 99"])


def test_one_call_answers(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("\n".join(day()))
    new = [*day(3), GONE]
    detection = tocsin.detect(new, modality="logs", train=tmp_path / "a.log")
    assert detection.anomalies.tolist() == [9]
    mixed = tocsin.detect(KINDS, modality="logs")
    assert mixed.anomalies.tolist() == [90, 91]
    assert mixed.lines[90] == ()


def test_the_kept_background_is_bounded() -> None:
    rng = np.random.default_rng(0)
    sessions = [rng.integers(0, 50, size=5).tolist() for _ in range(1000)]
    kept = LogPipeline("log_rarity", training="clean").fit(sessions).background_
    assert len(kept.starts_) == MOST_SESSIONS + 1


def test_names_of_files_need_not_be_text(lines: LogPipeline, tmp_path: Path) -> None:
    path = tmp_path / "a\udcff.log"
    path.write_text("\n".join([*day(1), GONE]))
    detection = lines.detect(path)
    assert detection.lines[3][0].text == GONE
    for text in (*detection.keys, *detection.files, detection.lines[3][0].file):
        assert "a?.log" in text


def test_what_cannot_be_scored_is_refused(jobs: LogPipeline) -> None:
    with pytest.raises(SchemaMismatch):
        jobs.score([[1, 2]])
    with pytest.raises(InputError):
        jobs.detect([])
