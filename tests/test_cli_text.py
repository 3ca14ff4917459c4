"""The command line on texts, run as a person runs it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.commands import invoke
from support.texts import STRANGE, known
from tocsin.cli.modalities.text import TextCli
from tocsin.errors import InputError, ParameterError, SchemaMismatch
from tocsin.types import Decision, Scores, TextDetection, TextMark

VIEWS = ("--detector", "text_views", "--set", "encoder=null")
MARKUP = "WIN [bold]£5000[/bold] <script>alert(1)</script> \x1b[31m call 09061701461 NOW!!!"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """normal.csv: ordinary mails; new.csv: some more, and two that do not belong."""
    folder = tmp_path_factory.mktemp("mails")
    mails = known()
    frame = pd.DataFrame({"sender": [f"{i % 7}@a.example" for i in range(160)], "body": mails})
    frame[:120].to_csv(folder / "normal.csv", index=False)
    strange = pd.DataFrame({"sender": "x@b.example", "body": [STRANGE, MARKUP]})
    new = pd.concat([frame[120:], strange])
    new.assign(bad=[0] * 40 + [1, 1]).to_csv(folder / "new.csv", index=False)
    (folder / "normal.txt").write_text("\n".join(mails[:120]))
    (folder / "new.txt").write_text("\n".join(["", *mails[120:], STRANGE]))
    return folder


def test_detect_marks_words_and_interprets_nothing(folder: Path) -> None:
    words = ("detect", folder / "new.csv", "--text", "body", "--train", folder / "normal.csv")
    done = invoke(*words, *VIEWS, "--label", "bad", "--out", folder / "scores.csv")
    assert "2 anomalies in 42 texts" in done.output
    assert "of normal texts" in done.output
    assert 'column "body" (named)' in done.output
    assert "\x1b" not in done.output
    assert "WIN [bold]£5000[/bold] <script>alert(1)</script> \\x1b[31m call" in done.output
    assert '"09061701461" ' in done.output
    assert "share of digits" in done.output
    assert "  normal: see you at" in done.output
    assert "recall 1.000" in done.output
    scores = pd.read_csv(folder / "scores.csv")
    assert list(scores) == ["row", "score", "p_value", "is_anomaly", "marked"]
    assert "09061701461" in scores["marked"][40]
    assert scores["marked"][:40].isna().all()


def test_fit_score_and_explain(folder: Path) -> None:
    model, new = folder / "model", folder / "new.csv"
    words = ("--text", "body", "--clean", *VIEWS)
    told = invoke("fit", folder / "normal.csv", "--out", model, *words).output
    assert "on 120 texts. Wrote" in told
    scored = json.loads(invoke("score", model, new, "--json").output)
    assert {anomaly["row"] for anomaly in scored["anomalies"]} == {40, 41}
    found = next(a for a in scored["anomalies"] if a["row"] == 40)
    assert found["text"] == STRANGE
    for mark in found["marks"]:
        assert STRANGE[mark["start"] : mark["end"]] == mark["text"]
    assert found["reasons"][0]["name"] in {mark["text"] for mark in found["marks"]}
    assert found["nearest_normal"] in known()
    shown = invoke("explain", model, new, "--row", 3).output
    assert shown.startswith("row 3  score")
    assert "normal" in shown.splitlines()[0]
    assert json.loads(invoke("explain", model, new, "--json").output)[0]["row"] in (40, 41)
    invoke("explain", model, new, "--row", 99, fails=InputError)
    invoke("explain", model, new, "--key", "a", fails=ParameterError)


def test_a_line_of_a_text_file_is_a_text(folder: Path) -> None:
    words = ("detect", folder / "new.txt", "--as", "text", *VIEWS)
    done = invoke(*words, "--train", folder / "normal.txt", "--out", folder / "scores.parquet")
    assert "row 41 " in done.output
    assert len(pd.read_parquet(folder / "scores.parquet")) == 42


def test_a_table_of_texts_alone_is_taken_as_such_and_any_other_gets_a_hint(folder: Path) -> None:
    frame = pd.read_csv(folder / "normal.csv")
    frame[["body"]].to_csv(folder / "alone.csv", index=False)
    assert "taken as texts" in invoke("detect", folder / "alone.csv", *VIEWS).output
    frame.assign(size=range(120)).to_csv(folder / "table.csv", index=False)
    done = invoke("detect", folder / "table.csv", "--as", "tables", "--detector", "ecod")
    assert 'column "body" holds texts; pass --text "body"' in done.output


@pytest.mark.parametrize(
    ("words", "error", "told"),
    [
        (["--text", "boddy"], SchemaMismatch, 'no column "boddy".*"sender", "body"'),
        (
            ["--text", "body", "--as", "logs"],
            ParameterError,
            "--text is for text; this is taken as logs",
        ),
        (["--text", "body", "--png", "a.png"], ParameterError, "--png is for series"),
        (["--text", "body", "--label", "nothing"], InputError, "nothing"),
    ],
)
def test_what_cannot_work_is_said(
    folder: Path, words: list[str], error: type[Exception], told: str
) -> None:
    done = invoke("detect", folder / "normal.csv", *words, *VIEWS, fails=error)
    with pytest.raises(error, match=told):
        raise done.exception or AssertionError


def test_of_a_long_text_the_heaviest_mark_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    text = "calm " * 1000 + "STORM" + " calm" * 1000
    decision = Decision(np.array([0.01]), 1.0, np.array([True]), 0.01)
    texts = np.array([text], dtype=object)
    marks = {0: (TextMark(0, 4, 0.1), TextMark(5000, 5005, 0.9))}
    scores, rows = Scores(np.array([2.0])), np.array([0])
    detection = TextDetection(scores, decision, rows, texts=texts, marks=marks)
    TextCli().print_items(detection, [0])
    shown = capsys.readouterr().out
    assert "STORM" in shown
    assert len(shown) < 600
