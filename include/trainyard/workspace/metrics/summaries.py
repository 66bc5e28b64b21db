"""TensorBoard's event files: scalars out of TFRecords, without TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import Any, BinaryIO

from trainyard.workspace.metrics.curves import Seen, named
from trainyard.workspace.metrics.lines import MAX_VALUES, moment

SOURCE = "tensorboard"
# Scalars take some hundred bytes; what is larger are pictures and graphs, which are passed over unread.
MAX_RECORD = 256 * 1024
_HEAD = struct.Struct("<QI")
_TAIL = 4
_MASK = 0xA282EAD8
_HALF, _FLOAT, _DOUBLE, _INT32, _INT64, _BFLOAT = 19, 1, 2, 3, 9, 14
_FORMATS = {_FLOAT: "<f", _DOUBLE: "<d", _INT32: "<i", _INT64: "<q", _HALF: "<e"}


class DamagedError(ValueError):
    """Raised where no record begins, so that none behind it can be found."""


def records(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes | None]]:
    """Yield each whole record up to `end` with where the next one begins; None for one that is too large to matter.

    A record that is not there whole yet is left for the next time. Raise DamagedError where a length is none.
    """
    place = start
    while place + _HEAD.size <= end:
        file.seek(place)
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return
        length, check = _HEAD.unpack(head)
        # A length's checksum is cheap, and all that tells a torn file; that of the data is not.
        if check != _masked_crc(head[:8]):
            raise DamagedError(f"no record at byte {place}")
        after = place + _HEAD.size + length + _TAIL
        if after > end:
            return
        yield after, file.read(length) if length <= MAX_RECORD else None
        place = after


def scalars(record: bytes, group: str) -> list[Seen]:
    """Return the scalars of a record, by their tags below the group; raise ValueError for what is no event."""
    from google.protobuf.message import DecodeError

    event = _event_type()()
    try:
        event.ParseFromString(record)
    except DecodeError:
        raise ValueError("no event") from None
    found = []
    for value in islice(event.summary.value, MAX_VALUES):
        one = _scalar(value)
        if one is not None:
            found.append(
                Seen(named(group, value.tag.decode(errors="replace")), float(event.step), moment(event.wall_time), one)
            )
    return found


def _scalar(value: Any) -> float | None:
    if value.HasField("simple_value"):
        return float(value.simple_value)
    if not value.HasField("tensor") or value.metadata.plugin_data.plugin_name not in (b"", b"scalars"):
        return None
    tensor = value.tensor
    if any(size.size != 1 for size in tensor.tensor_shape.dim):
        return None
    for numbers in (tensor.float_val, tensor.double_val, tensor.int_val, tensor.int64_val):
        if len(numbers) == 1:
            return float(numbers[0])
    return _packed(tensor.dtype, tensor.tensor_content)


def _packed(dtype: int, content: bytes) -> float | None:
    if dtype == _BFLOAT and len(content) == 2:
        return float(struct.unpack("<f", b"\0\0" + content)[0])
    form = _FORMATS.get(dtype)
    return float(struct.unpack(form, content)[0]) if form and struct.calcsize(form) == len(content) else None


@cache
def _event_type() -> Any:
    """Make the message type of events, with the few fields that scalars need; protobuf passes over the others."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="trainyard/events.proto", package="trainyard.events", syntax="proto2"
    )
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            own = {"type_name": f".trainyard.events.{kind}"} if kind in _MESSAGES else {}
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            form = kinds.TYPE_MESSAGE if own else getattr(kinds, f"TYPE_{kind}")
            message.field.add(name=field, number=number, type=form, label=label, **own)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("trainyard.events.Event"))


_ONE, _MANY = False, True
# Field names and numbers as in TensorFlow's event.proto, summary.proto and tensor.proto.
_MESSAGES: dict[str, tuple[tuple[str, int, str, bool], ...]] = {
    "PluginData": (("plugin_name", 1, "BYTES", _ONE),),
    "Metadata": (("plugin_data", 1, "PluginData", _ONE),),
    "Dim": (("size", 1, "INT64", _ONE),),
    "Shape": (("dim", 2, "Dim", _MANY),),
    "Tensor": (
        ("dtype", 1, "INT32", _ONE),
        ("tensor_shape", 2, "Shape", _ONE),
        ("tensor_content", 4, "BYTES", _ONE),
        ("float_val", 5, "FLOAT", _MANY),
        ("double_val", 6, "DOUBLE", _MANY),
        ("int_val", 7, "INT32", _MANY),
        ("int64_val", 10, "INT64", _MANY),
    ),
    "Value": (
        ("tag", 1, "BYTES", _ONE),
        ("simple_value", 2, "FLOAT", _ONE),
        ("tensor", 8, "Tensor", _ONE),
        ("metadata", 9, "Metadata", _ONE),
    ),
    "Summary": (("value", 1, "Value", _MANY),),
    "Event": (("wall_time", 1, "DOUBLE", _ONE), ("step", 2, "INT64", _ONE), ("summary", 5, "Summary", _ONE)),
}


@cache
def _crc_table() -> tuple[int, ...]:
    """The table of CRC-32C, which TFRecords are checked by."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


def _masked_crc(data: bytes) -> int:
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF
