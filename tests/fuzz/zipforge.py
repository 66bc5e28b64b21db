"""Zips written byte by byte, so that every field may lie."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

_LOCAL = struct.Struct("<4s5H3L2H")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
STORED, DEFLATED = 0, 8
FILE_MODE = 0o100644


@dataclass(frozen=True)
class Member:
    """One entry. What is None is told truly, everything else as it is given; `offset` is the directory's word."""

    name: bytes
    content: bytes = b""
    method: int = DEFLATED
    flags: int = 0
    mode: int = FILE_MODE
    crc: int | None = None
    packed_size: int | None = None
    size: int | None = None
    offset: int | None = None
    local_name: bytes | None = None
    extra: bytes = b""
    comment: bytes = b""
    packed: bytes | None = None
    in_file: bool = True

    @property
    def data(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.content) if self.method == DEFLATED else self.content

    def local(self) -> bytes:
        name = self.name if self.local_name is None else self.local_name
        fields = (20, self.flags, self.method, 0, 33, *self._amounts(), len(name) & 0xFFFF, len(self.extra))
        return _LOCAL.pack(b"PK\x03\x04", *fields) + name + self.extra + self.data

    def central(self, offset: int) -> bytes:
        lengths = (len(self.name) & 0xFFFF, len(self.extra), len(self.comment))
        place = offset if self.offset is None else self.offset
        fields = (
            3 << 8 | 20,
            20,
            self.flags,
            self.method,
            0,
            33,
            *self._amounts(),
            *lengths,
            0,
            0,
            self.mode << 16 & 0xFFFFFFFF,
            place,
        )
        return _CENTRAL.pack(b"PK\x01\x02", *fields) + self.name + self.extra + self.comment

    def _amounts(self) -> tuple[int, int, int]:
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        packed = len(self.data) if self.packed_size is None else self.packed_size
        return crc, packed, len(self.content) if self.size is None else self.size


@dataclass(frozen=True)
class End:
    """The end record; what is None is told truly. `record64` is put before it."""

    count: int | None = None
    size: int | None = None
    offset: int | None = None
    comment: bytes = b""
    comment_length: int | None = None
    record64: bytes = b""


def forged(members: Iterable[Member], end: End = End(), before: bytes = b"") -> bytes:
    """Write a zip of these members, with something before it."""
    body, directory, count = bytearray(before), bytearray(), 0
    for member in members:
        directory += member.central(len(body))
        body += member.local() if member.in_file else b""
        count += 1
    true = replace(
        end,
        count=count if end.count is None else end.count,
        size=len(directory) if end.size is None else end.size,
        offset=len(body) if end.offset is None else end.offset,
    )
    return bytes(body + directory) + end.record64 + _end(true)


def record64(count: int, size: int, offset: int, place: int = 0) -> bytes:
    """Return the record and the locator of a large zip; `place` is where the locator says that the record is."""
    return _END64.pack(b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset) + _LOCATOR.pack(
        b"PK\x06\x07", 0, place, 1
    )


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def _end(end: End) -> bytes:
    assert end.count is not None
    length = len(end.comment) if end.comment_length is None else end.comment_length
    amounts = (end.count & 0xFFFF, end.count & 0xFFFF, (end.size or 0) & 0xFFFFFFFF, (end.offset or 0) & 0xFFFFFFFF)
    return _END.pack(b"PK\x05\x06", 0, 0, *amounts, length) + end.comment
