"""A notification as plain text for people, shared by all responders that send text."""

from __future__ import annotations

from tocsin.printable import printable
from tocsin.types import Alarm, Notification, Reason

_MOST = 20
_LONGEST = 300
_HEADS = {
    "opened": "ALARM",
    "raised": "ALARM, now worse",
    "repeated": "ALARM, still open",
    "escalated": "ALARM that nobody has acknowledged",
    "resolved": "resolved",
}


def subject_of(notification: Notification) -> str:
    r"""Return one line: what it is about, how bad, and how many alarms.

    >>> from datetime import UTC, datetime
    >>> at = datetime(2026, 3, 1, 8, 20, tzinfo=UTC)
    >>> alarm = Alarm("a1", "f", "pumps", "p7", "anomaly", "critical", "open", at, at, None, "heat")
    >>> subject_of(Notification("k", "opened", {"monitor": "pumps"}, (alarm,), at))
    'ALARM [critical] pumps p7: heat'
    """
    worst = min(notification.alarms, key=lambda alarm: _RANK[alarm.severity])
    head = f"{_HEADS[notification.kind]} [{worst.severity}]"
    if len(notification.alarms) == 1:
        return line(f"{head} {_place(worst)}: {worst.summary}")
    about = ", ".join(f"{key} {value}" for key, value in notification.group.items())
    return line(f"{head} {len(notification.alarms)} alarms{' of ' if about else ''}{about}")


def text_of(notification: Notification) -> str:
    """Return the notification in lines: each alarm with its time, its reasons and its id."""
    lines = [subject_of(notification)]
    for alarm in notification.alarms[:_MOST]:
        lines.append(line(f"  {alarm.opened:%Y-%m-%d %H:%M:%S} UTC  {_place(alarm)}  {alarm.id}"))
        if len(notification.alarms) > 1:
            lines.append(line(f"    {alarm.severity}: {alarm.summary}"))
        lines += [line(f"    {format_reason(reason)}") for reason in alarm.reasons[:5]]
    if len(notification.alarms) > _MOST:
        lines.append(f"  … and {len(notification.alarms) - _MOST:,} more")
    return "\n".join(lines)


def format_reason(reason: Reason) -> str:
    """Return a reason in words: its name, what was seen, and what was expected."""
    expected = "" if reason.expected is None else f" (expected {_format_value(reason.expected)})"
    return line(f"{reason.name}: {_format_value(reason.seen)}{expected}")


def line(text: str) -> str:
    r"""Return text as one line without anything that steers a terminal, a header or a log.

    >>> line("two\nlines \x1b[31m")
    'two\\nlines \\x1b[31m'
    """
    return printable(text, _LONGEST)


_RANK = {"critical": 0, "warning": 1, "info": 2}


def _place(alarm: Alarm) -> str:
    what = "" if alarm.kind == "anomaly" else f" ({alarm.kind})"
    return f"{alarm.monitor} {alarm.entity}".strip() + what


def _format_value(value: float | str | None) -> str:
    if value is None:
        return "—"
    return value if isinstance(value, str) else f"{value:.6g}"
