"""One line per kind: what each function of these tests shows, and how many members are right."""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Iterator

import pytest

_CASE = "case"
_Place = tuple[str, int]
_results: defaultdict[_Place, dict[str, bool]] = defaultdict(dict)
_kinds: dict[_Place, str] = {}


def pytest_runtest_setup(item: pytest.Function) -> None:
    """Let reports carry the first line of a docstring, also from a worker of pytest-xdist."""
    item.user_properties.append((_CASE, (inspect.getdoc(item.function) or "").partition("\n")[0]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep whether a member is right: nothing failed before, in or after its test."""
    kind = dict(report.user_properties).get(_CASE)
    if kind is None or report.skipped:
        return
    file, line, _ = report.location
    members = _results[file, line or 0]
    members[report.nodeid] = members.get(report.nodeid, True) and report.passed
    _kinds[file, line or 0] = kind or report.nodeid


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a line per kind, and the total."""
    for text, right in _lines():
        terminalreporter.line(text, green=right, red=not right)


def _lines() -> Iterator[tuple[str, bool]]:
    counts = {place: (sum(found.values()), len(found)) for place, found in _results.items()}
    file = ""
    for place, (right, members) in sorted(counts.items()):
        if place[0] != file:
            file = place[0]
            yield f"\n{file}", True
        mark = "✓" if right == members else "✗"
        yield f"  {mark} {_kinds[place]}  ({right} of {members})", right == members
    if counts:
        right, members = map(sum, zip(*counts.values(), strict=True))
        kinds = sum(right == members for right, members in counts.values())
        told = f"{kinds} of {len(counts)} kinds, {right} of {members} members right"
        yield f"\n{told}", right == members
