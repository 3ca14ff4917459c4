"""Actions on equipment: stop it, throttle it, change a parameter."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator

from tocsin import registry
from tocsin.base.responder import GuardedResponder, Ledger
from tocsin.errors import StoreUnavailable, TocsinError
from tocsin.responders._sending import Sender, encoded, fitted
from tocsin.settings import Duration, Settings
from tocsin.types import Alarm, AlarmKind, Delivery, Notification, NotificationKind, Severity

_WORST_FIRST = ("unknown", "retry", "delivered", "rejected")
_MOST_REASONS = 5


def _sender(kind: Any) -> type[Sender]:
    """Return the responder of a type, if it declares that actions may use it."""
    names = registry.part_names("responders")
    if kind in names and _may_act(found := registry.find_part("responders", kind)):
        return found
    valid = [name for name in names if _may_act(registry.find_part("responders", name))]
    raise ValueError(f"a target's type is one of {', '.join(valid)}, not {kind!r}")


def _may_act(responder: type[Any]) -> bool:
    # Stated by the class itself: what derives from one that acts does not act by that alone.
    return issubclass(responder, Sender) and bool(vars(responder).get("acts"))


def _target(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    settings = dict(value)
    sender = _sender(settings.pop("type", None))
    try:
        return sender.model_validate(settings)
    except ValidationError as error:
        listed = (f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ValueError("; ".join(listed)) from error


class Do(Settings):
    """What is done: a name for the record, such as "stop press 4", and parameters.

    Both are sent as written. Actions of one name share their cooldown.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _.-]{0,63}$")
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)


class Only(Settings):
    """The notifications and alarms that are acted on; others are only recorded."""

    notices: tuple[NotificationKind, ...] = ("opened", "raised", "escalated")
    kinds: tuple[AlarmKind, ...] = ("anomaly",)
    severities: tuple[Severity, ...] = ("critical",)


class Action(GuardedResponder):
    """Sends one fixed command to equipment, once per alarm.

    This is not a safety system. Software that stops a machine because a model found something odd
    can be late, wrong or down; what protects people or equipment belongs in certified hardware
    that works without it.

    ``target``: how the command goes out: the ``type`` and settings of a webhook, mqtt, command or
    another responder that declares that it ``acts``. It is JSON: ``version`` 1, ``key``,
    ``action``, ``parameters``, and the ``alarm`` as data. As ``dry_run``, the default, nothing is
    sent. With ``approval``, the default, somebody has to approve each notification. ``cooldown``:
    the least time between two runs. ``expires``: the age from which a notification is not acted
    on any more. An attempt that surely reached nothing is repeated; when nobody knows, after no
    answer in time or a crash, it is not: that is "unknown".
    """

    target: Annotated[SerializeAsAny[Sender], BeforeValidator(_target)]
    do: Do
    dry_run: bool = True
    approval: bool = True
    cooldown: Duration = 600.0
    expires: Duration = 3_600.0
    only: Only = Only()

    @model_validator(mode="after")
    def _in_time(self) -> Self:
        if self.target.timeout > self.timeout:
            raise ValueError(f"timeout is {self.timeout:g} s, less than that of the target")
        return self

    def check(self) -> str | None:
        """Return what is wrong with the target."""
        return self.target.check()

    def act(self, notification: Notification, ledger: Ledger) -> Delivery:
        """Send the command for each alarm, and record what became of it."""
        until = time.monotonic() + self.timeout
        found: list[Delivery] = []
        for alarm in notification.alarms:
            if found and time.monotonic() + self.target.timeout > until:
                found.append(Delivery("retry", "there was no time for all alarms"))
                break
            try:
                outcome, delivery = self._once(notification, alarm, ledger)
                self._note(ledger, outcome, notification, alarm, delivery.reason)
            except StoreUnavailable as error:
                delivery = Delivery("retry", f"the ledger cannot be written: {error}")
            found.append(delivery)
        status = min((each.status for each in found), key=_WORST_FIRST.index)
        reasons = dict.fromkeys(each.reason for each in found if each.reason)
        return Delivery(status, "; ".join(list(reasons)[:_MOST_REASONS]))

    def _once(
        self, notification: Notification, alarm: Alarm, ledger: Ledger
    ) -> tuple[str, Delivery]:
        """Act if all rules allow it; return the outcome for the record, and as a delivery."""
        name, only = self.do.name, self.only
        if (
            notification.kind not in only.notices
            or alarm.kind not in only.kinds
            or alarm.severity not in only.severities
        ):
            return "not meant", Delivery("delivered", f"{name} is not meant for this")
        if self.dry_run:
            return "would do", Delivery("delivered", f"dry run: would do {name}")
        if datetime.now(UTC) - notification.created > timedelta(seconds=self.expires):
            return "expired", Delivery("rejected", f"{name} was due too long ago")
        if self.approval and not ledger.claimed(f"approved:{notification.key}"):
            reason = f"{name} waits for: tocsin alarms approve {notification.key}"
            return "waits", Delivery("retry", reason)
        return self._first(notification, alarm, ledger)

    def _first(
        self, notification: Notification, alarm: Alarm, ledger: Ledger
    ) -> tuple[str, Delivery]:
        """Act if nobody has, or if every earlier attempt surely reached nothing."""
        name = self.do.name
        key = base = f"action:{name}:{alarm.id}"
        for attempt in count(2):
            if not ledger.claimed(key):
                break
            if ledger.claimed(f"{key}:delivered"):
                return "done before", Delivery("delivered", f"{name} was done before")
            if ledger.claimed(f"{key}:rejected"):
                return "refused before", Delivery("rejected", f"{name} was refused before")
            if not ledger.claimed(f"{key}:retry"):
                reason = f"{name} was begun before, and nobody knows whether it was done"
                return "unknown", Delivery("unknown", reason)
            key = f"{base}:{attempt}"
        if self._is_cooling(ledger):
            reason = f"{name} was done less than {self.cooldown:g} s ago"
            return "cooling down", Delivery("rejected", reason)
        if not ledger.claim(key):
            return "unknown", Delivery("unknown", f"{name} is being run by another process")
        self._note(ledger, "started", notification, alarm, "")
        try:
            delivery = self.target.send(self._body(alarm, base), base)
        except TocsinError as error:
            delivery = Delivery("retry", str(error))
        if delivery.status != "unknown":
            ledger.claim(f"{key}:{delivery.status}")
        return delivery.status, delivery

    def _is_cooling(self, ledger: Ledger) -> bool:
        """Return whether the last run that may have reached something is too recent."""
        started = ledger.last(f"action {self.do.name}: started")
        missed = ledger.last(f"action {self.do.name}: retry")
        if started is None or (missed is not None and missed >= started):
            # The last run reached nothing, and all before it had cooled down when it began.
            return False
        return datetime.now(UTC) - started < timedelta(seconds=self.cooldown)

    def _body(self, alarm: Alarm, key: str) -> bytes:
        do = self.do
        head = encoded({"version": 1, "key": key, "action": do.name, "parameters": do.parameters})
        data = fitted(alarm, self.target.largest - len(head) - 20) or b"null"
        return head[:-1] + b',"alarm":' + data + b"}"

    def _note(
        self, ledger: Ledger, outcome: str, notification: Notification, alarm: Alarm, reason: str
    ) -> None:
        detail = {
            "alarm": alarm.id,
            "notice": notification.key,
            "parameters": self.do.parameters,
            "reason": reason,
        }
        ledger.add("tocsin", f"action {self.do.name}: {outcome}", detail)
