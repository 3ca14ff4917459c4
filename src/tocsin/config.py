"""One typed configuration, read from tocsin.yaml; mistakes are reported with their line."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    model_validator,
)

from tocsin import registry
from tocsin.alarms.policy import AlarmPolicy, Inhibition, Maintenance, RoutingPolicy, Storm
from tocsin.alarms.routing import Router
from tocsin.base.responder import Responder
from tocsin.base.source import Source
from tocsin.errors import ConfigError, NotInStore, UnknownName
from tocsin.settings import Duration, OneOf, PathSetting, Secret, Settings
from tocsin.settings.urls import DatabaseUrl, parse_database_url

DEFAULT = Path("tocsin.yaml")
"""The default path of the configuration."""

_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
_LARGEST = 1_000_000
_LEAST_SILENCE = 10.0
_MOST_NODES = 100_000
Location = tuple[str | int, ...]


class Training(Settings):
    """How a monitor's model is trained, on the first ``after`` events if there is none.

    ``learn``: the newest events of this long are learned from (by default 7d of metrics, else the
    newest 200,000 or ``after``). ``refit``: a model that is older by the times of events is trained
    again, and one that has learned from less than ``learn`` whenever there is twice as much (by
    default 1d of metrics, else never).
    ``clean``: whether all of these are normal. ``false_alarms``: the share of normal events that
    may be flagged, or ``alarms_per_day``: how many alarms of all entities together; what is stated
    here holds for a trained model too, at once. ``settings``: further parameters of the pipeline,
    such as ``session`` of logs.
    """

    modality: Annotated[str, OneOf(registry.modalities)] = "tables"
    detector: str = "auto"
    after: int = Field(500, ge=10, le=10_000_000)
    learn: Duration | None = Field(None, gt=0)
    refit: Duration | None = Field(None, gt=0)
    clean: bool = True
    false_alarms: float = Field(0.001, gt=0, lt=1)
    alarms_per_day: float | None = Field(None, gt=0)
    settings: dict[str, Any] = Field(default_factory=dict)

    @property
    def stated_budget(self) -> dict[str, float]:
        """The budget by its name, if the file states one."""
        names = self.model_fields_set & {"false_alarms", "alarms_per_day"}
        return {name: each for name in sorted(names) if (each := getattr(self, name)) is not None}

    @model_validator(mode="after")
    def _one_budget(self) -> Training:
        if len(self.stated_budget) > 1:
            raise ValueError("state false_alarms or alarms_per_day, not both")
        return self


class Batching(Settings):
    """How many events are scored at once: up to ``events``, or those that come within ``wait``."""

    events: int = Field(500, ge=1, le=100_000)
    wait: Duration = 0.05


class Monitor(Settings):
    """What is watched: where events come from, the model that scores them, and its alarms.

    ``late``: events older than the newest one of their entity by more than this are quarantined,
    ``future``: as are those ahead of the clock by more than this; None for no limit. ``no_data``:
    silence for this long raises an alarm; by default after two intervals, at least 10 s, of a
    source that samples, and never for others. ``queue``: batches that may wait before the source
    has to. ``context``: events before a batch that a model of series looks back on. ``model_key``:
    the key that the model's folder must be signed with, 16 characters or more; models trained here
    are signed with it.
    """

    source: SerializeAsAny[Source]
    model: PathSetting
    model_key: Secret | None = None
    training: Training = Training()
    batch: Batching = Batching()
    late: Duration | None = None
    future: Duration | None = 300.0
    no_data: Duration | None = None
    queue: int = Field(32, ge=1, le=10_000)
    context: int = Field(1_000, ge=1, le=1_000_000)
    alarms: AlarmPolicy = AlarmPolicy()

    @property
    def signing_key(self) -> bytes | None:
        """The key of the model, None if any folder is taken. Raises ParameterError without it."""
        return None if self.model_key is None else self.model_key.reveal().encode()

    @property
    def longest_silence(self) -> float | None:
        """Seconds of silence after which an alarm is raised, None for never."""
        every = getattr(self.source, "every", None)
        if self.no_data is not None or every is None or not self.source.ordered:
            return self.no_data
        return float(max(2 * every, _LEAST_SILENCE))


class Retention(Settings):
    """How long ``events`` with their scores stay in the store; an ``archive`` keeps older ones."""

    events: Duration = 30 * 86_400.0
    archive: PathSetting | None = None


class Store(Settings):
    """Where events and alarms are kept: ``sqlite:///file``, or a PostgreSQL database.

    Written as a URL alone, or as ``url`` and ``password``.
    """

    url: DatabaseUrl = "sqlite:///tocsin.db"
    password: Secret | None = None

    def reveal(self) -> str:
        """Return the URL with its password. Raises ParameterError for a missing secret."""
        if self.password is None:
            return self.url
        url = parse_database_url(self.url).set(password=self.password.reveal())
        return url.render_as_string(hide_password=False)


def _as_store(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


class Config(Settings):
    """All of tocsin.yaml; paths in it are relative to its folder."""

    store: Annotated[Store, BeforeValidator(_as_store)] = Store()
    retention: Retention = Retention()
    monitors: dict[str, Monitor] = Field(min_length=1)
    responders: dict[str, SerializeAsAny[Responder]] = Field(default_factory=dict)
    policies: tuple[RoutingPolicy, ...] = ()
    inhibit: tuple[Inhibition, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    storm: Storm = Storm()

    def monitor(self, name: str) -> Monitor:
        """Return the settings of a monitor. Raises NotInStore for an unknown name."""
        if name not in self.monitors:
            known = ", ".join(self.monitors)
            raise NotInStore(f'There is no monitor "{name}"; there are: {known}.')
        return self.monitors[name]

    def router(self) -> Router:
        """Return the router that the policies, inhibitions and maintenance windows describe."""
        return Router(self.policies, self.inhibit, self.maintenance)

    @model_validator(mode="after")
    def _names_exist(self) -> Config:
        for name in (*self.monitors, *self.responders):
            if not re.match(_NAME, name):
                raise ValueError(
                    f'invalid name "{name}": use letters, digits, dots and dashes, up to 64'
                )
        known = {*self.responders, "console"}
        for policy in self.policies:
            after = policy.escalate.respond if policy.escalate else ()
            if missing := [name for name in (*policy.respond, *after) if name not in known]:
                raise ValueError(
                    f'a policy names the responder "{missing[0]}", but there are only '
                    f"{', '.join(sorted(known))}"
                )
        return self


def read(path: str | Path = DEFAULT) -> Config:
    """Return the configuration of a file. Raises ConfigError, which lists mistakes by line."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(
            f"{path} cannot be read: {reason}. `tocsin init` writes a commented one."
        ) from error
    return parse(text, path)


def parse(text: str, path: Path = DEFAULT) -> Config:
    r"""Return the configuration of a YAML text. Raises ConfigError, which lists mistakes by line.

    ``path``: named in errors; paths of the text are relative to its folder.

    >>> config = parse("monitors: {m: {source: {type: host}, model: m}}")
    >>> config.monitors["m"].training.detector
    'auto'
    >>> parse("monitors: {}\nstor: x")
    Traceback (most recent call last):
    tocsin.errors.ConfigError: tocsin.yaml cannot be used:
      line 1: monitors: Dictionary should have at least 1 item after validation, not 0
      line 2: stor: Extra inputs are not permitted
    """
    root, tree = _loaded(text, path)
    mistakes: dict[Location, str] = dict(_doubled(root))
    config = None
    try:
        config = Config.model_validate(_with_parts(tree, mistakes))
    except ValidationError as error:
        mistakes |= {at: why for at, why in _mistakes_of(error) if not _is_covered(at, mistakes)}
    if config is None or mistakes:
        raise ConfigError(f"{path} cannot be used:", _list_mistakes(root, mistakes))
    return _at_home(config, path.parent)


def _loaded(text: str, path: Path) -> tuple[yaml.Node | None, dict[str, Any]]:
    """Return the nodes of a YAML text, which know their lines, and its values."""
    if len(text) > _LARGEST:
        raise ConfigError(f"{path} has {len(text):,} characters; at most {_LARGEST:,} are read.")
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        if _nodes(root, {}) > _MOST_NODES:
            raise ConfigError(f"{path} has too many settings once its aliases (*) are followed.")
        tree = yaml.safe_load(text)
    except ConfigError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = "" if mark is None else f" line {mark.line + 1}:"
        raise ConfigError(
            f"{path}:{line} not valid YAML: {getattr(error, 'problem', None) or error}."
        ) from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds no settings; `tocsin init` writes a commented file.")
    return root, tree


def _list_mistakes(root: yaml.Node | None, mistakes: Mapping[Location, str]) -> list[str]:
    """Return mistakes one per line, in the order of the file."""
    lines = sorted((_line(root, at), at, why) for at, why in mistakes.items())
    return [
        f"  line {line}: {'.'.join(map(str, at))}: {why}".replace(": : ", ": ")
        for line, at, why in lines
    ]


def _with_parts(tree: dict[str, Any], mistakes: dict[Location, str]) -> dict[str, Any]:
    """Return the tree with sources and responders built; those that cannot be are mistakes."""
    built = dict(tree)
    monitors, responders = tree.get("monitors"), tree.get("responders")
    if isinstance(monitors, dict):
        built["monitors"] = {
            name: {
                **monitor,
                "source": _part("sources", monitor["source"], (*at, "source"), mistakes),
            }
            if isinstance(monitor, dict) and (at := ("monitors", name)) and "source" in monitor
            else monitor
            for name, monitor in monitors.items()
        }
    if isinstance(responders, dict):
        built["responders"] = {
            name: _part("responders", value, ("responders", name), mistakes)
            for name, value in responders.items()
        }
    return built


def _part(kind: str, value: Any, at: Location, mistakes: dict[Location, str]) -> Any:
    """Return a part by its type; None, and a mistake, if it cannot be built."""
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        known = ", ".join(registry.part_names(kind))
        mistakes[at] = f"needs a type, one of {known}"
        return None
    settings = {key: each for key, each in value.items() if key != "type"}
    try:
        return registry.find_part(kind, value["type"]).model_validate(settings)
    except UnknownName as error:
        mistakes[(*at, "type")] = str(error)
    except ValidationError as error:
        mistakes |= {(*at, *within): why for within, why in _mistakes_of(error)}
    return None


def _at_home(config: Config, home: Path) -> Config:
    """Return the configuration with its paths relative to the folder of its file."""
    placed: Config = _placed(config, home)
    if relative := re.fullmatch(r"sqlite:///([^/].*)", config.store.url):
        store = placed.store.model_copy(update={"url": f"sqlite:///{home / relative[1]}"})
        placed = placed.model_copy(update={"store": store})
    return placed


def _placed(value: Any, home: Path) -> Any:
    """Return settings with every path in them, however deep, relative to ``home``."""
    if isinstance(value, Path):
        return home / value
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in type(value).model_fields}
        moved = {name: _placed(each, home) for name, each in fields.items()}
        changed = {name: each for name, each in moved.items() if each is not fields[name]}
        return value.model_copy(update=changed) if changed else value
    if isinstance(value, dict):
        return {name: _placed(each, home) for name, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_placed(each, home) for each in value)
    return value


def _nodes(node: yaml.Node | None, known: dict[int, float]) -> float:
    """Return the number of values with aliases followed, infinite for a circle."""
    if not isinstance(node, yaml.CollectionNode):
        return 1.0
    if id(node) not in known:
        known[id(node)] = math.inf
        inner = [part for each in node.value for part in (each if type(each) is tuple else [each])]
        known[id(node)] = 1.0 + sum(_nodes(part, known) for part in inner)
    return known[id(node)]


def _mistakes_of(error: ValidationError) -> Iterator[tuple[Location, str]]:
    for each in error.errors(include_url=False, include_context=False):
        why = each["msg"].removeprefix("Value error, ")
        given = each["input"]
        if each["type"] == "literal_error" and isinstance(given, str):
            why += f", not {given[:80]!r}"
        yield each["loc"], why


def _is_covered(location: Location, mistakes: Mapping[Location, str]) -> bool:
    """Return whether a mistake is known already of this place or of one within it."""
    return any(known[: len(location)] == location for known in mistakes)


def _doubled(node: yaml.Node | None, at: Location = ()) -> Iterator[tuple[Location, str]]:
    """Yield the keys that a mapping has twice: YAML itself would drop the first."""
    if isinstance(node, yaml.MappingNode):
        seen: set[Hashable] = set()
        for key, value in node.value:
            if key.value in seen:
                yield (*at, key.value), "is given twice"
            seen.add(key.value)
            yield from _doubled(value, (*at, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for i, value in enumerate(node.value):
            yield from _doubled(value, (*at, i))


def _line(node: yaml.Node | None, location: Location) -> int:
    """Return the line, from 1, of the deepest node on the way to a location."""
    line = 1 if node is None else node.start_mark.line + 1
    for step in location:
        if isinstance(node, yaml.MappingNode):
            found = [pair for pair in node.value if pair[0].value == str(step)]
            if not found:
                break
            line, node = found[-1][0].start_mark.line + 1, found[-1][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and node.value[step:]:
            node = node.value[step]
            line = node.start_mark.line + 1
        else:
            break
    return line
