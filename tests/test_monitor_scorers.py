"""The scorers of monitors: found by modality, and what one gets from the base alone."""

import ast
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tocsin import registry
from tocsin.errors import InputError, ParameterError
from tocsin.monitor.models import scorer_class, training_data
from tocsin.monitor.scorers import Scorer
from tocsin.types import Batch, Decision, Detection, Explanation, Reason, Scores

TIMES = np.array(["2026-01-01", "2026-01-02"], dtype="datetime64[us]")


class Smells(Scorer):
    modality = "smells"
    column = "sample"


class Nose:
    """Flags what smells of smoke."""

    budget = SimpleNamespace(rate=0.01)

    def detect(self, items: Any, *, explain: bool) -> Detection:
        smoky = np.array(["smoke" in each for each in items])
        decision = Decision(1.0 - smoky, 0.5, smoky, 0.01)
        return Detection(Scores(smoky.astype(np.float64)), decision, np.arange(len(items)))

    def explain(self, items: Any, which: list[int]) -> Detection:
        reason = Reason("smoke", items[0], None, 1.0)
        found = self.detect(items, explain=False)
        return Detection(found.scores, found.decision, found.rows, {0: Explanation(0, (reason,))})


def test_every_modality_has_a_scorer() -> None:
    for modality in registry.modalities():
        assert scorer_class(modality).modality == modality


def test_a_modality_without_a_scorer_is_refused() -> None:
    with pytest.raises(ParameterError, match=r'A monitor cannot score "smells".*no modality'):
        scorer_class("smells")


def test_a_scorer_of_three_lines_judges_and_describes() -> None:
    batch = Batch(pd.DataFrame({"sample": ["roses", "smoke of pine"]}), TIMES)
    scorer = Smells(Nose(), "nose@1")
    judged = scorer.judge(batch)
    assert judged.is_anomaly.tolist() == [False, True]
    assert judged.model == "nose@1"
    reasons, evidence, summary = scorer.describe(batch, 1)
    assert reasons[0].seen == "smoke of pine"
    assert evidence == {"sample": "smoke of pine"}
    assert summary == "smoke of pine"
    assert Smells.training_data([batch, batch]) == ["roses", "smoke of pine"] * 2


def test_events_without_the_column_are_refused() -> None:
    batch = Batch(pd.DataFrame({"taste": ["sweet", "sour"]}), TIMES)
    with pytest.raises(InputError, match='columns taste, but no column "sample"'):
        Smells(Nose(), "nose@1").judge(batch)


def test_a_pipeline_that_scores_another_number_of_events_is_refused() -> None:
    class Merging(Nose):
        def detect(self, items: Any, *, explain: bool) -> Detection:
            return super().detect(items[:1], explain=explain)

    batch = Batch(pd.DataFrame({"sample": ["roses", "smoke"]}), TIMES)
    with pytest.raises(InputError, match="1 scores for 2 events"):
        Smells(Merging(), "nose@1").judge(batch)


def test_a_monitor_imports_the_modality_that_it_serves_alone() -> None:
    code = (
        "import sys\n"
        "from tocsin.monitor.models import new_pipeline\n"
        "new_pipeline('logs', {})\n"
        "floors = ('tocsin.pipeline', 'tocsin.monitor.scorers', 'tocsin.detectors')\n"
        "print([name for name in sys.modules if name.startswith(floors)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    others = set(registry.modalities()) - {"logs"}
    assert not {name for name in ast.literal_eval(done.stdout) if others & set(name.split("."))}


def test_tables_are_learned_from_as_frames() -> None:
    batch = Batch(pd.DataFrame({"watts": [1.0, 2.0]}), TIMES)
    assert training_data("tables", [batch, batch])["watts"].tolist() == [1.0, 2.0, 1.0, 2.0]
