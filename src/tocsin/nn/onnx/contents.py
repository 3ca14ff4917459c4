"""What an ONNX model may hold: tensors of its own and plain operators, and nothing else.

The file is read as protobuf by its schema, field by field. What is not listed here is refused:
data in other files, graphs within operators (loops, branches), functions, training, and operators
that are not ONNX's own. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tocsin.errors import CorruptModel

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_OWN_DOMAINS = (b"", b"ai.onnx")

_Message = Mapping[int, "_Message | None"]
"""The fields of a message by their numbers: the message in each, None for plain values."""


def _plain(*numbers: int) -> _Message:
    return dict.fromkeys(numbers)


_DATA_LOCATION = 14  # 0: in the tensor itself
_TENSOR = _plain(1, 2, 4, 5, 7, 8, 9, 10, 11, 12, _DATA_LOCATION, 16)
_ATTRIBUTE = {**_plain(1, 2, 3, 4, 7, 8, 9, 13, 20), 5: _TENSOR, 10: _TENSOR}
_DOMAIN_OF_NODE = 7
_NODE = {**_plain(1, 2, 3, 4, 6, _DOMAIN_OF_NODE, 9), 5: _ATTRIBUTE}
_GRAPH = {**_plain(2, 10, 11, 12, 13, 16), 1: _NODE, 5: _TENSOR}
_DOMAIN_OF_OPERATORS = 1
_OPERATORS = _plain(_DOMAIN_OF_OPERATORS, 2)
_MODEL = {**_plain(1, 2, 3, 4, 5, 6, 14), 7: _GRAPH, 8: _OPERATORS}

_NAMES = {id(_TENSOR): "a tensor", id(_ATTRIBUTE): "an attribute", id(_NODE): "an operator"}


def check_contents(content: bytes) -> None:
    """Raise CorruptModel unless an ONNX model is whole in itself and free of control flow."""
    _check(memoryview(content), _MODEL)


def _check(data: memoryview, message: _Message) -> None:
    for number, value in _fields(data):
        if number not in message or _is_elsewhere(number, value, message):
            raise CorruptModel(
                f"The ONNX model has {_NAMES.get(id(message), 'an entry')} that refers to other "
                "files, holds graphs, or is not ONNX's own. Train and save it again."
            )
        within = message[number]
        if within is not None:
            if not isinstance(value, memoryview):
                raise _broken()
            _check(value, within)


def _is_elsewhere(number: int, value: int | memoryview, message: _Message) -> bool:
    """Return whether a field says that data or an operator is not in the model, or not ONNX's."""
    if message is _TENSOR:
        return number == _DATA_LOCATION and value != 0
    domain = {id(_NODE): _DOMAIN_OF_NODE, id(_OPERATORS): _DOMAIN_OF_OPERATORS}.get(id(message))
    return number == domain and (isinstance(value, int) or bytes(value) not in _OWN_DOMAINS)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the value of each field: a number, or the bytes of anything else."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise _broken()
        if size > len(data) - at:
            raise _broken()
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """Return the number that begins at a byte, and the place behind it."""
    value = 0
    for i, byte in enumerate(data[at : at + _LONGEST_VARINT]):
        value |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return value, at + i + 1
    raise _broken()


def _broken() -> CorruptModel:
    return CorruptModel("The ONNX model is cut off or damaged. Train and save it again.")
