"""Logs on the command line: sessions with their lines as they stand in files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tocsin.cli import printing
from tocsin.cli.modalities.base import ModalityCli
from tocsin.types import LogDetection

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from rich.text import Text

    from tocsin.cli.inputs import Input
    from tocsin.cli.options import ModelOptions
    from tocsin.readers.lines import RawLine
    from tocsin.types import IntArray, Reason

_SETTINGS = ("format", "session", "window")
_SAMPLE = 1000


class LogCli(ModalityCli[LogDetection]):
    """Logs: a file, or a folder of files, whose lines are grouped into sessions."""

    modality = "logs"
    order = 30
    options = frozenset({*_SETTINGS, "examples"})
    decided_by = frozenset(_SETTINGS)
    hint = "pass --as tables if this is a table"

    def recognises(self, source: Input) -> bool:
        """Return whether this is a folder, or a file that its name or its lines show as a log."""
        from tocsin.readers.table import ENDINGS, is_table_log

        path = source.path
        if not path.is_file():  # looking into a pipe would consume it
            return path.is_dir()
        if ".log" in path.name.lower():
            return not is_table_log(path)
        ending = next((each for each in reversed(path.suffixes) if each != ".gz"), "").lower()
        return ending not in ENDINGS and _has_known_format(path)

    def load(self, source: Input) -> tuple[Path, None]:
        """Return the path, whose lines the pipeline reads; labels are in a file of their own."""
        return source.path, None

    def first(self, data: Path, labels: IntArray | None, count: int) -> tuple[list[RawLine], None]:
        """Return the first lines; labels are those of sessions, not of lines."""
        from itertools import islice

        from tocsin.readers.lines import read_lines

        return list(islice(read_lines(data), count)), None

    def settings(self, options: ModelOptions) -> dict[str, Any]:
        """Return whether a threshold that the detector finds decides: unless a budget is stated."""
        return {"own_threshold": not options.states_budget()}

    def guarantee(self, pipeline: Any, detection: LogDetection) -> str:
        """Return what the budget means, or that the detector's own threshold decided."""
        if pipeline.detector_threshold is None:
            return super().guarantee(pipeline, detection)
        return (
            "decided by the gap between usual and rare ones, which guarantees no false-alarm rate"
        )

    def columns(self, detection: LogDetection) -> pd.DataFrame:
        """Return one row per session: its key, and the file and number of its first line."""
        import pandas as pd

        places = {"key": detection.keys, "file": detection.files, "line": detection.numbers}
        return pd.DataFrame(places).join(super().columns(detection).drop(columns="row"))

    def explained(self, detection: LogDetection) -> Sequence[int]:
        """Return the sessions that were asked for."""
        return list(detection.lines)

    def name_item(self, detection: LogDetection, place: int) -> dict[str, Any]:
        """Return the key of a session, where it begins, when, and how many records it has."""
        return {
            "key": detection.keys[place],
            "file": detection.files[place],
            "line": int(detection.numbers[place]),
            "time": printing.iso(detection.times[place]),
            "records": int(detection.sizes[place]),
        }

    def describe_item(self, detection: LogDetection, place: int) -> dict[str, Any]:
        """Return the lines of a session that matter, and the most similar normal session."""
        row = int(detection.rows[place])
        return {
            "lines": [
                {"file": line.file, "line": line.number, "text": line.text}
                for line in detection.lines.get(row, ())
            ],
            "nearest_normal": list(detection.nearest.get(row, ())),
        }

    def format_budget(self, detection: LogDetection) -> str:
        """Return the share of sessions flagged, and the threshold that decided."""
        decision = detection.decision
        threshold = f"{decision.threshold:.4g}" if decision.threshold < 1e300 else "out of reach"
        return f"{float(decision.is_anomaly.mean()):.2%} of them flagged; threshold: {threshold}"

    def print_list(self, detection: LogDetection, items: Sequence[int]) -> None:
        """Print sessions with their lines."""
        self.print_items(detection, items, brief=True)

    def title(self, detection: LogDetection, place: int) -> Sequence[str]:
        """Return where a session begins, when, and its key."""
        file, number, key = (
            detection.files[place],
            detection.numbers[place],
            detection.keys[place],
        )
        begins = f"{file}:{number}" if file else f"line {number}"
        return [
            begins if number else "",
            printing.iso(detection.times[place]) or "",
            "" if key == begins else key,
        ]

    def body(self, detection: LogDetection, place: int) -> Iterator[Text | str]:
        """Yield the lines of a session that matter."""
        from rich.text import Text

        lines = detection.lines.get(int(detection.rows[place]), ())
        for line in lines:
            number = "" if line.number == lines[0].number else f"{line.number}: "
            yield f"  {printing.cut(number + line.text)}"
        if len({line.number for line in lines}) < detection.sizes[place]:
            yield Text(f"  … {len(lines)} of {detection.sizes[place]:,} lines", style="dim")

    def format_reason(self, detection: LogDetection, place: int, reason: Reason) -> str:
        """See ``format_reason``."""
        return format_reason(reason)

    def nearest_normal(self, detection: LogDetection, place: int) -> str:
        """Return the messages of the most similar normal session."""
        return " | ".join(detection.nearest.get(int(detection.rows[place]), ()))


def format_reason(reason: Reason) -> str:
    """Return a reason in a few words; of what is counted, how often it was seen.

    >>> from tocsin.types import Reason
    >>> format_reason(Reason("panic", 1, 0, 0.7))
    '"panic" ×1 (normal: ×0)'
    """
    if isinstance(reason.seen, str):
        seen = f"{reason.name} {printing.cut(reason.seen) or 'none'}"
        return seen if reason.expected is None else f"{seen} (normal: {reason.expected or 'none'})"
    return f'"{printing.cut(reason.name)}" ×{reason.seen:g} (normal: ×{reason.expected:g})'


def _has_known_format(path: Path) -> bool:
    """Return whether the first lines are of a known format; a mere time begins table rows too."""
    from itertools import islice

    from tocsin.errors import UnreadableFile
    from tocsin.prepare.log_formats import recognise
    from tocsin.prepare.log_patterns import GENERAL, PLAIN
    from tocsin.readers.lines import read_lines

    try:
        return recognise(x.text for x in islice(read_lines(path), _SAMPLE)) not in (PLAIN, GENERAL)
    except UnreadableFile:
        return False
