"""The settings of alarms: when they open and close, who is notified, and when nobody is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, RootModel, model_validator

from tocsin.settings import Duration, Settings
from tocsin.settings.patterns import Pattern
from tocsin.types import Alarm, AlarmKind, Severity

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""From the mildest to the worst."""

Name = Annotated[str, Field(min_length=1, max_length=200)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = get_args(Day)
QUIET = 300.0
"""Seconds without an anomaly after which an alarm about single events closes by default."""

OWN_NAMES = ("monitor", "entity", "kind", "severity")
"""What every alarm has besides its labels."""


def fields(alarm: Alarm) -> dict[str, str]:
    """Return what policies match and group by: the labels, then what every alarm has."""
    return {**alarm.labels, **{name: getattr(alarm, name) for name in OWN_NAMES}}


class Matcher(RootModel[dict[str, str]]):
    """Which alarms match: per name a text, or a regular expression that matches all of it.

    Names are ``monitor``, ``entity``, ``kind``, ``severity`` and labels; one that an alarm lacks
    is "". All must match; an empty matcher matches everything. Raises ValueError for an invalid
    expression, for one that can backtrack without end, and for an unknown kind or severity.

    >>> Matcher({"monitor": "web-.*"}).matches({"monitor": "web-1", "severity": "info"})
    True
    """

    model_config = ConfigDict(frozen=True)

    root: dict[str, str] = {}

    @model_validator(mode="after")
    def _check(self) -> Matcher:
        for name, known in (("kind", get_args(AlarmKind)), ("severity", SEVERITIES)):
            pattern = self.patterns.get(name)
            if pattern is not None and not any(map(pattern.matches, known)):
                raise ValueError(f'unknown {name} "{self.root[name]}"; valid: {", ".join(known)}')
        return self

    @cached_property
    def patterns(self) -> dict[str, Pattern]:
        """The compiled expressions by name."""
        return {name: Pattern(text) for name, text in self.root.items()}

    def matches(self, known: Mapping[str, str]) -> bool:
        """Return whether the values of an alarm (see ``fields``) match."""
        return all(pattern.matches(known.get(name, "")) for name, pattern in self.patterns.items())


class Rule(NamedTuple):
    """When episodes open and close, with every default decided; times in seconds.

    ``open`` anomalies among ``of`` events open one, or a single event that is ``at_once``
    decades below the budget. ``close_after`` events in a row, or ``close_after_time`` without
    one that holds it open, close it.
    """

    open: int
    of: int
    at_once: float
    close_after: float
    close_after_time: float


def _no_own_names(labels: dict[str, str]) -> dict[str, str]:
    taken = sorted(set(labels) & {*OWN_NAMES, "storm"})
    if taken:
        raise ValueError(f"label {', '.join(taken)} is reserved")
    return labels


class AlarmPolicy(Settings):
    """When anomalies become an alarm of one monitor.

    ``open`` anomalies among the last ``of`` events of an entity open an alarm. By default that is
    3 of 5 where events are in order (series, machines), and 1 of 1 where each stands alone
    (tables, log lines, texts). ``at_once``: a single event opens it if its p-value is that many
    decades (powers of ten) below the false-alarm budget; by default the decades of "critical"
    under ``severity``, and never where ``open`` is given.

    An event holds an alarm open if it is an anomaly, or if its p-value is at most ``hysteresis``
    times the budget. An alarm closes after ``close_after`` events of its entity in a row that do
    not (by default 10 where events are in order, never otherwise), or after ``close_after_time``
    of event time without one that does (by default 30d in order, else 5m). Anomalies of the same
    entity within ``cooldown`` of the end reopen the alarm instead of opening another.

    ``severity``: the decades from which each applies. Counted are the decades of the rarest event
    below the budget, plus one for each tenfold number of anomalies: 1,000 that are barely
    anomalies weigh as much as one that is 1,000 times rarer. ``labels`` are put on every alarm.
    ``entities``: only these raise alarms. ``max_entities``: how many have a state of their own; the
    rest share the entity "(others)".
    """

    open: int | None = Field(None, ge=1, le=1000)
    of: int | None = Field(None, ge=1, le=10_000)
    at_once: float | None = Field(None, ge=0)
    close_after: int | None = Field(None, ge=1)
    close_after_time: Duration | None = Field(None, gt=0)
    hysteresis: float = Field(3.0, ge=1)
    cooldown: Duration = 300.0
    severity: dict[Severity, Annotated[float, Field(ge=0)]] = Field(
        {"warning": 0.0, "critical": 3.0}
    )
    labels: Annotated[dict[Name, str], AfterValidator(_no_own_names)] = Field({})
    entities: frozenset[str] | None = None
    max_entities: int = Field(10_000, ge=1)

    @model_validator(mode="after")
    def _fits(self) -> AlarmPolicy:
        if self.of is not None and (self.open is None or self.open > self.of):
            raise ValueError(f"of is {self.of}: it needs an open of at most that")
        ranked = [self.severity[name] for name in SEVERITIES if name in self.severity]
        if ranked != sorted(ranked):
            raise ValueError("thresholds must not fall from info to critical")
        return self

    def rule(self, *, ordered: bool, quiet: float = QUIET) -> Rule:
        """Return when episodes open and close, for events in order or each by itself.

        ``quiet``: seconds without an anomaly after which those of the latter close by default.

        >>> AlarmPolicy().rule(ordered=True)[:3], AlarmPolicy(open=2, of=3).rule(ordered=True)[:3]
        ((3, 5, 3.0), (2, 3, inf))
        """
        default = Rule(3, 5, self.severity.get("critical", math.inf), 10, 30 * 86_400.0)
        if not ordered:
            default = Rule(1, 1, math.inf, math.inf, quiet)
        if self.open is not None:
            default = default._replace(open=self.open, of=self.of or self.open, at_once=math.inf)
        given = {
            name: getattr(self, name)
            for name in ("at_once", "close_after", "close_after_time")
            if getattr(self, name) is not None
        }
        return default._replace(**given)

    def severity_of(self, decades: float) -> Severity:
        """Return the worst severity that N decades reach, else "info".

        >>> AlarmPolicy().severity_of(2.9)
        'warning'
        """
        reached = [name for name, least in self.severity.items() if decades >= least]
        return max(reached, key=SEVERITIES.index, default="info")


class Escalation(Settings):
    """Who else is notified when nobody has acknowledged an alarm ``after`` this time."""

    after: Duration
    respond: tuple[Name, ...] = Field(min_length=1)


class RoutingPolicy(Settings):
    """Who is notified of the alarms that match.

    Alarms with equal values of ``group_by`` share a notification, which waits ``group_wait`` for
    more of them and comes at least ``group_interval`` after the one before. While an alarm is
    neither acknowledged nor over, it is repeated every ``repeat``. ``resolved``: whether its end
    is notified too. Policies after the first that matches apply only if that one has
    ``continue: true``.
    """

    model_config = ConfigDict(populate_by_name=True)

    match: Matcher = Matcher()
    respond: tuple[Name, ...] = Field(min_length=1)
    group_by: tuple[Name, ...] = ("monitor",)
    group_wait: Duration = 10.0
    group_interval: Duration = 300.0
    repeat: Annotated[Duration, Field(gt=0)] | None = 14_400.0
    resolved: bool = True
    escalate: Escalation | None = None
    continue_: bool = Field(False, alias="continue")


class Inhibition(Settings):
    """While an alarm that matches ``source`` is open, those that match ``target`` are muted.

    ``equal``: only those that have the same values of these names.
    """

    source: Matcher
    target: Matcher
    equal: tuple[Name, ...] = ()


class Storm(Settings):
    """More than ``alarms`` opened ``within`` a time are a storm, summarised in one alarm."""

    alarms: int = Field(100, ge=1)
    within: Annotated[Duration, Field(gt=0)] = 60.0


def _clock_time(value: Any) -> Any:
    """Return minutes as "hh:mm", which is what YAML makes of 12:30 without quotes."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 1440:
        value = f"{value // 60:02}:{value % 60:02}"
    if value == "24:00":
        return "00:00"
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time())
    return value


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f'unknown time zone "{name}"; write it like Europe/Berlin') from error
    return name


_TimeOfDay = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
_ClockTime = Annotated[
    _TimeOfDay | datetime, Field(union_mode="left_to_right"), BeforeValidator(_clock_time)
]


class Maintenance(Settings):
    """When the alarms that match are muted: every week, or once.

    Every week: on ``days`` (by default all) ``from`` a time of day ``to`` another, such as "22:00"
    and "04:00"; if ``to`` is not later, it is on the next day. Once: ``from`` a date or time
    ``until`` another. Times are those of ``timezone``. A time of day that a change of clocks leaves
    out counts as if clocks had not changed yet; of one that comes twice, the first counts.
    """

    model_config = ConfigDict(populate_by_name=True)

    match: Matcher = Matcher()
    days: tuple[Day, ...] = _DAYS
    from_: _ClockTime = Field(alias="from")
    to: _ClockTime | None = None
    until: Annotated[datetime, BeforeValidator(_clock_time)] | None = None
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"

    @model_validator(mode="after")
    def _fits(self) -> Maintenance:
        weekly = isinstance(self.from_, str) and isinstance(self.to, str) and self.until is None
        once = isinstance(self.from_, datetime) and self.until is not None and self.to is None
        if not weekly and not once:
            raise ValueError(
                "maintenance has from and to, times of day such as 02:00 and 04:00, "
                "or from and until, dates such as 2026-03-01T08:00"
            )
        if once and self.days != _DAYS:
            raise ValueError("maintenance with until happens once, so it has no days")
        if once and self._instant(self.from_) >= self._instant(self.until):
            raise ValueError(f"maintenance begins at {self.from_} but ends at {self.until}")
        return self

    def active(self, now: datetime) -> bool:
        """Return whether ``now``, which has a time zone, falls into it.

        >>> weekend = Maintenance.model_validate({"days": ["sat"], "from": "22:00", "to": "04:00"})
        >>> weekend.active(datetime(2026, 3, 1, 3, 59, tzinfo=UTC))  # a Sunday
        True
        """
        if self.until is not None:
            return self._instant(self.from_) <= now < self._instant(self.until)
        today = now.astimezone(ZoneInfo(self.timezone)).date()
        return any(self._runs(today - timedelta(days=back), now) for back in (0, 1))

    def _runs(self, day: date, now: datetime) -> bool:
        """Return whether ``now`` lies in the window that begins on a day."""
        if _DAYS[day.weekday()] not in self.days:
            return False
        first, last = time.fromisoformat(str(self.from_)), time.fromisoformat(str(self.to))
        end = day if last > first else day + timedelta(days=1)
        start = self._instant(datetime.combine(day, first))
        return start <= now < self._instant(datetime.combine(end, last))

    def _instant(self, local: Any) -> datetime:
        zoned: datetime = local if local.tzinfo else local.replace(tzinfo=ZoneInfo(self.timezone))
        return zoned.astimezone(UTC)
