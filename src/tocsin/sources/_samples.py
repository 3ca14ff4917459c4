"""Samples of Prometheus's remote-write requests, 1.0 and 2.0, with those of native histograms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from tocsin.errors import InputError
from tocsin.sources import _protobuf as protobuf

PROTOCOLS = {None: 1, "prometheus.WriteRequest": 1, "io.prometheus.write.v2.Request": 2}
"""Versions of the protocol by the parameter ``proto`` of a request's content type."""

_SERIES, _METADATA, _SYMBOLS, _SERIES_2 = 1, 3, 4, 5

Field = tuple[int, int, bytes]
"""The number, the wire type and the value of a field."""

Labels = tuple[tuple[str, str], ...]


class Series(NamedTuple):
    """A metric with the labels that are not those of its entity, sorted."""

    metric: str
    labels: Labels


class Sample(NamedTuple):
    """A value of an entity's series, at milliseconds since 1970."""

    at: int
    entity: str
    series: Series
    value: float


@dataclass
class Request:
    """What a request says: the samples that are wanted, and how many came of each kind."""

    samples: list[Sample] = field(default_factory=list)
    floats: int = 0
    histograms: int = 0


def request_of(
    message: bytes,
    version: int,
    metrics: tuple[str, ...],
    entity: tuple[str, ...],
    most: int = 100_000,
) -> Request:
    """Return what a request holds of some metrics. Raises InputError for one that is malformed.

    ``entity``: the labels that tell entities apart. ``most``: series, labels and samples in all,
    wanted or not. Of a native histogram the count and the sum are read, as the metric with _count
    and _sum, as of a classic one.
    """
    found = Request()
    for labels, fields in _all_series(message, version, most):
        metric = labels.get("__name__", "")
        wanted = metric in metrics
        about = "/".join(labels.get(name, "") for name in entity)
        own = tuple(
            sorted((k, v) for k, v in labels.items() if k not in ("__name__", *entity) and v)
        )
        histograms = 4 if version == 1 else 3
        for number, kind, value in fields:
            if kind != protobuf.BYTES or number not in (2, histograms):
                continue
            is_float = number == 2
            found.floats += is_float
            found.histograms += not is_float
            if not wanted:
                continue
            at, values = _sample(value) if is_float else _histogram(value)
            found.samples += [
                Sample(at, about, Series(metric + ending, own), each)
                for ending, each in values
                if math.isfinite(each)
            ]
    return found


def _all_series(
    message: bytes, version: int, most: int
) -> Iterator[tuple[Mapping[str, str], list[Field]]]:
    """Yield the labels and the fields of each series."""
    outer = _at_most(message, most, most)
    numbers = {number for number, _, _ in outer}
    known = {_SERIES, _METADATA} if version == 1 else {_SYMBOLS, _SERIES_2}
    if not numbers <= known:
        raise InputError(
            f"the request is no remote write {version}.0 as its content type says: it holds "
            f"fields {sorted(numbers)}."
        )
    left = most - len(outer)
    symbols = [_text(symbol) for symbol in _bytes_of(outer, _SYMBOLS)] if version == 2 else []
    for series in _bytes_of(outer, _SERIES if version == 1 else _SERIES_2):
        fields = _at_most(series, left, most)
        left -= len(fields)
        if version == 1:
            yield dict(_label(label) for label in _bytes_of(fields, 1)), fields
            continue
        packed = b"".join(_bytes_of(fields, 1))
        try:
            named = [symbols[i] for i in protobuf.numbers(packed)]
        except IndexError:
            raise InputError("the request names a symbol that it does not hold.") from None
        yield dict(zip(named[::2], named[1::2], strict=False)), fields


def _at_most(message: bytes, left: int, most: int) -> list[Field]:
    """Return the fields of a message. Raises InputError if there are more than are left."""
    fields = list(islice(protobuf.parts(message), left + 1))
    if len(fields) > left:
        raise InputError(
            f"the request holds more than {most:,} series, labels and samples; send fewer at once "
            "or raise `most`."
        )
    return fields


def _bytes_of(fields: Iterable[Field], wanted: int) -> Iterator[bytes]:
    return (value for number, kind, value in fields if (number, kind) == (wanted, protobuf.BYTES))


def _label(message: bytes) -> tuple[str, str]:
    name, value = (next(protobuf.texts(message, number), b"") for number in (1, 2))
    return _text(name), _text(value)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _sample(message: bytes) -> tuple[int, list[tuple[str, float]]]:
    """Return milliseconds since 1970 and a value; protobuf leaves out what is 0."""
    value, at = 0.0, 0
    for number, kind, raw in protobuf.parts(message):
        if (number, kind) == (1, protobuf.FIXED64):
            value = protobuf.double(raw)
        elif (number, kind) == (2, protobuf.VARINT):
            at = _time(raw)
    return at, [("", value)]


def _histogram(message: bytes) -> tuple[int, list[tuple[str, float]]]:
    """Return milliseconds since 1970, the count and the sum."""
    count, total, at = 0.0, 0.0, 0
    for number, kind, raw in protobuf.parts(message):
        if (number, kind) == (1, protobuf.VARINT):
            count = float(int.from_bytes(raw, "little"))
        elif (number, kind) == (2, protobuf.FIXED64):
            count = protobuf.double(raw)
        elif (number, kind) == (3, protobuf.FIXED64):
            total = protobuf.double(raw)
        elif (number, kind) == (15, protobuf.VARINT):
            at = _time(raw)
    return at, [("_count", count), ("_sum", total)]


def _time(raw: bytes) -> int:
    at = int.from_bytes(raw, "little", signed=True)
    if abs(at) > 2**53:
        raise InputError(f"the request holds the time {at}, which is none.")
    return at
