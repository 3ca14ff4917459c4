"""What the command line asks of a modality, answered for items that stand in rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NamedTuple, TypeVar

from tocsin import registry
from tocsin.cli import printing, terminal
from tocsin.cli.guarantee import describe_guarantee

if TYPE_CHECKING:
    import pandas as pd
    from rich.text import Text

    from tocsin.cli.inputs import Input
    from tocsin.cli.options import DataOptions, ModelOptions
    from tocsin.pipeline import BasePipeline
    from tocsin.types import Detection, IntArray, Reason

_MOST_REASONS = 3

D = TypeVar("D", bound="Detection")


class Outcome(NamedTuple, Generic[D]):
    """A detection to print, which may hold only the most anomalous of all items scored.

    ``total``: the items scored; ``found``: the anomalies among them.
    """

    detection: D
    total: int
    found: int


class ModalityCli(Generic[D]):
    """How the command line reads, scores and prints one modality.

    A subclass sets ``modality`` and overrides what differs. Another package registers its own
    by an entry point in the group ``tocsin.cli.modalities``.
    """

    modality: ClassVar[str]
    order: ClassVar[int] = 0
    """Modalities with a lower number are asked first whether they recognise a path."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Of the options that only some modalities take, those that this one takes."""
    decided_by: ClassVar[frozenset[str]] = frozenset()
    """The options that, given without --as, say that the data are of this modality."""
    noun: ClassVar[str]
    """What the data are called in messages, as in "taken as …"; the modality if not set."""
    hint: ClassVar[str] = ""
    """What to pass if data were taken as this modality by mistake."""

    def __init_subclass__(cls) -> None:
        """Name the data after the modality unless the subclass does."""
        cls.noun = cls.__dict__.get("noun", cls.modality)

    @property
    def pipeline_class(self) -> type[BasePipeline]:
        """The class of the modality's pipelines."""
        return registry.of_modality("pipeline", self.modality)

    # Reading

    def is_decided_by(self, options: DataOptions) -> bool:
        """Return whether an option that was given says that the data are of this modality."""
        return bool(self.decided_by & options.given())

    def recognises(self, source: Input) -> bool:
        """Return whether the data look like this modality."""
        return False

    def load(self, source: Input) -> tuple[Any, IntArray | None]:
        """Return the data as the pipeline takes them, and labels (n,) if they hold any."""
        return (source.pipeline or self.pipeline_class()).read(source.path), None

    def first(self, data: Any, labels: IntArray | None, count: int) -> tuple[Any, IntArray | None]:
        """Return the first items of the data, to train on, and their labels."""
        return data[:count], None if labels is None else labels[:count]

    def settings(self, options: ModelOptions) -> dict[str, Any]:
        """Return settings of the pipeline that follow from options of another name."""
        return {}

    def count_items(self, pipeline: BasePipeline, data: Any) -> int:
        """Return how many items a pipeline was trained on."""
        return len(data) if hasattr(data, "__len__") else pipeline.calibration_.n_

    def remarks(self, data: Any) -> list[str]:
        """Return what to note of data that were taken as this modality."""
        return []

    # Scoring

    def detect(self, pipeline: Any, data: Any, *, adapt: bool = False) -> D:
        """Return what a trained pipeline detects; ``adapt`` is for those with that option."""
        detection: D = pipeline.detect(data)
        return detection

    def score(
        self,
        pipeline: Any,
        source: Input,
        write: Callable[[pd.DataFrame], None],
        *,
        top: int,
        chunk_rows: int,
        adapt: bool,
    ) -> Outcome[D]:
        """Score an input, write all scores, and return what is to be printed."""
        detection = self.detect(pipeline, self.load(source)[0], adapt=adapt)
        write(self.columns(detection))
        return self.outcome(detection)

    def outcome(self, detection: D) -> Outcome[D]:
        """Return a detection of all items with its counts."""
        return Outcome(detection, len(detection), len(self.anomalies(detection)))

    def columns(self, detection: D) -> pd.DataFrame:
        """Return what --out writes: one row per item."""
        import pandas as pd

        return pd.DataFrame(
            {
                "row": detection.rows,
                "score": detection.scores.values,
                "p_value": detection.decision.p_values,
                "is_anomaly": detection.decision.is_anomaly,
            }
        )

    def guarantee(self, pipeline: BasePipeline, detection: D) -> str:
        """Return what the false-alarm budget means for the items of a detection."""
        return describe_guarantee(pipeline, detection)

    def measures(self, detection: D, labels: IntArray) -> dict[str, float | None]:
        """Return measures that only this modality has, of a detection against its labels (n,)."""
        return {}

    # Measuring

    def print_results(self, results: Sequence[Any], false_alarms: float) -> None:
        """Print the measures of detectors, one line each."""
        from tocsin.cli.results import print_results

        print_results(results, false_alarms)

    # Printing

    def anomalies(self, detection: D) -> Sequence[Any]:
        """Return the anomalies as ``as_dicts`` and ``print_items`` take them, the worst first."""
        return list(detection.anomalies.tolist())

    def explained(self, detection: D) -> Sequence[Any]:
        """Return what ``explain`` was asked for, as ``as_dicts`` and ``print_items`` take it."""
        return list(detection.explanations)

    def as_dict(self, outcome: Outcome[D], detector: str) -> dict[str, Any]:
        """Return a detection as JSON values, the most anomalous items first."""
        detection, decision = outcome.detection, outcome.detection.decision
        return {
            "rows": outcome.total,
            "found": outcome.found,
            "detector": detector,
            "false_alarm_rate": decision.false_alarm_rate,
            "threshold": decision.threshold,
            "anomalies": self.as_dicts(detection, self.anomalies(detection)),
            "notes": list(detection.notes),
            "drift": None if detection.drift is None else asdict(detection.drift),
        }

    def as_dicts(self, detection: D, items: Sequence[Any]) -> list[dict[str, Any]]:
        """Return items as JSON values."""
        decision, places = detection.decision, _places(detection)
        return [
            {
                **self.name_item(detection, place),
                "score": float(detection.scores.values[place]),
                "p_value": float(decision.p_values[place]),
                "is_anomaly": bool(decision.is_anomaly[place]),
                **self.describe_item(detection, place),
                "reasons": printing.reasons_as_dicts(self.reasons(detection, place)),
            }
            for place in (places[item] for item in items)
        ]

    def name_item(self, detection: D, place: int) -> dict[str, Any]:
        """Return the JSON values that say which item stands at a place of the detection."""
        return {"row": int(detection.rows[place])}

    def describe_item(self, detection: D, place: int) -> dict[str, Any]:
        """Return further JSON values of the item at a place."""
        return {}

    def reasons(self, detection: D, place: int) -> tuple[Reason, ...]:
        """Return why the item at a place is anomalous, the heaviest reason first."""
        explanation = detection.explanations.get(int(detection.rows[place]))
        return () if explanation is None else explanation.reasons

    def print_detection(self, outcome: Outcome[D], detector: str, top: int) -> None:
        """Print how much was found, under which budget, the notes, and the top anomalies."""
        detection = outcome.detection
        details = f"{detector}; {self.format_budget(detection)}"
        printing.print_headline(self.format_found(outcome), details, detection.notes)
        shown = self.anomalies(detection)[:top]
        self.print_list(detection, shown)
        printing.print_more(outcome.found - len(shown))

    def format_found(self, outcome: Outcome[D]) -> str:
        """Return how many anomalies were found in how many items."""
        found = printing.count_anomalies(outcome.found)
        return f"{found} in {outcome.total:,} {self.pipeline_class.item}"

    def format_budget(self, detection: D) -> str:
        """Return what decided: the share of normal items that may be flagged."""
        rate = detection.decision.false_alarm_rate
        return f"budget: {rate:.2%} of normal {self.pipeline_class.item}"

    def print_list(self, detection: D, items: Sequence[Any]) -> None:
        """Print the top anomalies, one line each."""
        places = _places(detection)
        printing.print_table([self.cells(detection, places[item]) for item in items])

    def cells(self, detection: D, place: int) -> dict[str, str]:
        """Return the cells of the item at a place, by their headings."""
        reasons = self.reasons(detection, place)[:_MOST_REASONS]
        return {
            "row": str(detection.rows[place]),
            "score": f"{detection.scores.values[place]:.4g}",
            "p-value": f"{detection.decision.p_values[place]:.2g}",
            "why": "; ".join(map(printing.format_reason, reasons)),
        }

    def print_items(self, detection: D, items: Sequence[Any], *, brief: bool = False) -> None:
        """Print items one by one: which, how anomalous, what is in them, and why.

        ``brief``: the reasons in one line.
        """
        places = _places(detection)
        for place in (places[item] for item in items):
            terminal.print_line(self._heading(detection, place), "bold")
            for line in self.body(detection, place):
                terminal.print_line(line)
            self._print_reasons(detection, place, brief=brief)
            if normal := self.nearest_normal(detection, place):
                terminal.print_line(f"  normal: {printing.cut(normal)}", "dim")

    def title(self, detection: D, place: int) -> Sequence[str]:
        """Return the words that say which item stands at a place."""
        return [f"row {detection.rows[place]}"]

    def body(self, detection: D, place: int) -> Iterator[Text | str]:
        """Yield the lines that show what the item at a place holds."""
        yield from ()

    def format_reason(self, detection: D, place: int, reason: Reason) -> str:
        """Return a reason of the item at a place in a few words, without its weight."""
        return printing.format_reason(reason)

    def format_briefly(self, detection: D, place: int, reason: Reason) -> str:
        """Return a reason as it stands among others in one line."""
        return self.format_reason(detection, place, reason)

    def nearest_normal(self, detection: D, place: int) -> str:
        """Return the most similar normal item, if the detection holds one."""
        return ""

    def _heading(self, detection: D, place: int) -> str:
        words = [
            *self.title(detection, place),
            f"score {detection.scores.values[place]:.4g}",
            f"p-value {detection.decision.p_values[place]:.2g}",
            "" if detection.decision.is_anomaly[place] else "normal",
        ]
        return printing.cut("  ".join(filter(None, words)))

    def _print_reasons(self, detection: D, place: int, *, brief: bool) -> None:
        reasons = self.reasons(detection, place)
        if not brief:
            words = [self.format_reason(detection, place, reason) for reason in reasons]
            printing.print_reasons(list(zip(reasons, words, strict=True)))
        elif reasons:
            words = [self.format_briefly(detection, place, reason) for reason in reasons]
            terminal.print_line(f"  why: {'; '.join(words)}")


def _places(detection: Detection) -> dict[int, int]:
    """Return the place of each row in a detection."""
    return {row: place for place, row in enumerate(detection.rows.tolist())}
