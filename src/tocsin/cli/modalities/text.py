"""Texts on the command line: the words that made each anomalous are marked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tocsin.cli.modalities.base import ModalityCli
from tocsin.cli.printing import cut
from tocsin.features.texts import LONGEST
from tocsin.printable import printable
from tocsin.types import TextDetection

if TYPE_CHECKING:
    import pandas as pd
    from rich.text import Text

    from tocsin.cli.inputs import Input
    from tocsin.types import IntArray, Reason, TextMark

_WIDTH, _BEFORE = 400, 100
_MARKED = "bold reverse"


class TextCli(ModalityCli[TextDetection]):
    """Texts: a column of a table, or the lines of a .txt file."""

    modality = "text"
    order = 40
    options = frozenset({"text", "label", "examples"})
    decided_by = frozenset({"text"})
    noun = "texts"
    hint = "pass --as tables if its column holds names or codes"

    def recognises(self, source: Input) -> bool:
        """Return whether a table has one column alone, which holds texts."""
        from tocsin.prepare.text import reads_as_text

        table, _ = source.split_label(source.table)
        return table.shape[1] == 1 and reads_as_text(table) is not None

    def load(self, source: Input) -> tuple[pd.DataFrame, IntArray | None]:
        """Return the table, or the lines of a .txt file, and the labels of a label column."""
        from tocsin.readers.text import is_lines, read_texts

        lines = source.path.is_file() and is_lines(source.path)
        return source.split_label(read_texts(source.path) if lines else source.table)

    def columns(self, detection: TextDetection) -> pd.DataFrame:
        """Return one row per text, with the words marked in those explained."""
        frame = super().columns(detection)
        frame["marked"] = [
            " ".join(mark["text"] for mark in _marks(detection, row))
            for row in detection.rows.tolist()
        ]
        return frame

    def describe_item(self, detection: TextDetection, place: int) -> dict[str, Any]:
        """Return a text, cut at 20,000 characters, its marks, and the most similar normal text."""
        row = int(detection.rows[place])
        return {
            "text": detection.texts[place][:LONGEST],
            "marks": _marks(detection, row),
            "nearest_normal": detection.nearest.get(row),
        }

    def print_list(self, detection: TextDetection, items: Sequence[int]) -> None:
        """Print texts with their marks."""
        self.print_items(detection, items, brief=True)

    def body(self, detection: TextDetection, place: int) -> Iterator[Text]:
        """Yield a text, with its marks in style."""
        from rich.text import Text

        marks = detection.marks.get(int(detection.rows[place]), ())
        yield Text("  ") + _highlight(detection.texts[place], marks)

    def format_reason(self, detection: TextDetection, place: int, reason: Reason) -> str:
        """Return a marked word in quotes, or a statistic of the whole text."""
        if self._is_marked(detection, place, reason):
            return f'"{cut(reason.name)}"'
        return format_reason(reason)

    def format_briefly(self, detection: TextDetection, place: int, reason: Reason) -> str:
        """Return a reason, and of a marked word its share of all that is marked."""
        words = self.format_reason(detection, place, reason)
        marked = self._is_marked(detection, place, reason)
        return f"{words} {reason.weight:.0%}" if marked else words

    def nearest_normal(self, detection: TextDetection, place: int) -> str:
        """Return the most similar normal text."""
        return detection.nearest.get(int(detection.rows[place]), "")

    def _is_marked(self, detection: TextDetection, place: int, reason: Reason) -> bool:
        marks = _marks(detection, int(detection.rows[place]))
        return any(mark["text"] == reason.name for mark in marks)


def format_reason(reason: Reason) -> str:
    """Return what is unusual about a text as a whole in a few words.

    >>> from tocsin.types import Reason
    >>> format_reason(Reason("share of digits", 0.312, 0.004, 0.2))
    'share of digits 31% (normal: 0%)'
    """
    if reason.seen is None:
        return cut(reason.name)
    seen, expected = (_format_value(reason.name, each) for each in (reason.seen, reason.expected))
    return f"{reason.name} {seen} (normal: {expected})"


def _format_value(name: str, value: float | str | None) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0%}" if name.startswith("share") else f"{value:,.1f}".removesuffix(".0")


def _marks(detection: TextDetection, row: int) -> list[dict[str, Any]]:
    """Return the marks of a text as JSON values."""
    return [
        {
            "start": mark.start,
            "end": mark.end,
            "text": detection.texts[row][mark.start : mark.end],
            "weight": round(mark.weight, 4),
        }
        for mark in detection.marks.get(row, ())
    ]


def _highlight(text: str, marks: Sequence[TextMark]) -> Text:
    """Return a text, or the stretch of it around its heaviest mark, with the marks in style."""
    from rich.text import Text

    if not text:
        return Text("(empty)", style="dim")
    heaviest = max(marks, key=lambda mark: mark.weight, default=None)
    begin = 0
    if heaviest is not None and heaviest.end > _WIDTH:
        begin = heaviest.start - _BEFORE
    end = begin + _WIDTH
    shown = Text("…" if begin else "")
    for start, stop, style in _stretches(marks, begin, min(end, len(text))):
        shown.append(printable(text[start:stop]), style)
    return shown.append("…" if end < len(text) else "")


def _stretches(marks: Sequence[TextMark], begin: int, end: int) -> Iterator[tuple[int, int, str]]:
    """Yield the stretches between begin and end that are marked or not, with their style."""
    for mark in marks:
        if mark.end <= begin or mark.start >= end:
            continue
        yield begin, max(mark.start, begin), ""
        yield max(mark.start, begin), min(mark.end, end), _MARKED
        begin = min(mark.end, end)
    yield begin, end, ""
