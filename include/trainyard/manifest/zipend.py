"""Look at the first and last bytes of a file: is it a zip, what else is it, how large is its directory."""

from __future__ import annotations

import struct
from typing import BinaryIO

_STARTS = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x1f\x9d", "compress (.Z)"),
    (b"\x04\x22\x4d\x18", "lz4"),
)
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06")
_TAR_MAGIC = slice(257, 262)
_TAR_CHECKSUM = slice(148, 156)
_TAR_HEADER = 512
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_ENTRY_SIGNATURE = b"PK\x01\x02"
_MAX_COMMENT = 65535
_LOCATOR = struct.Struct("<4sLQL")
_LOCATOR_SIGNATURE = b"PK\x06\x07"
_END64 = struct.Struct("<4sQ2H2L4Q")
_END64_SIGNATURE = b"PK\x06\x06"


def archive_kind(head: bytes) -> str | None:
    """Return `zip`, the name of another archive format, or None, by the first 512 bytes of a file."""
    if head.startswith(_ZIP_STARTS):
        return "zip"
    named = next((name for start, name in _STARTS if head.startswith(start)), None)
    return named or ("tar" if _is_tar(head) else None)


def directory_size(file: BinaryIO) -> int | None:
    """Return how many bytes a zip's directory has; None if its end is missing, as in a truncated zip.

    It is asked for before the zip module sees the file, because that loads the whole directory, whatever its size.
    """
    size = file.seek(0, 2)
    start = max(0, size - _MAX_COMMENT - _END.size)
    file.seek(start)
    tail = file.read()
    at = tail.rfind(_END_SIGNATURE)
    if at < 0 or len(tail) - at < _END.size:
        return None
    directory: int = _END.unpack_from(tail, at)[5]
    return max(directory, _directory_size64(file, start + at))


def directory_entries(file: BinaryIO, directory: int) -> int:
    """Return how many entries a zip's directory of so many bytes has, whatever its end says.

    The zip module makes an object of each: a hundred thousand of them are a hundred megabytes.
    """
    size = file.seek(0, 2)
    start = max(0, size - _MAX_COMMENT - _END.size)
    file.seek(start)
    end = start + file.read().rfind(_END_SIGNATURE)
    # The records of a large zip lie between its directory and its end.
    between = _LOCATOR.size + _END64.size if _directory_size64(file, end) else 0
    file.seek(max(0, end - between - directory))
    return file.read(directory).count(_ENTRY_SIGNATURE)


def _directory_size64(file: BinaryIO, end: int) -> int:
    """Return the size that the record of a large zip gives, 0 where there is none."""
    if end < _LOCATOR.size:
        return 0
    file.seek(end - _LOCATOR.size)
    signature, _, offset, _ = _LOCATOR.unpack(file.read(_LOCATOR.size))
    if signature != _LOCATOR_SIGNATURE or offset > end:
        return 0
    file.seek(offset)
    record = file.read(_END64.size)
    if len(record) < _END64.size or not record.startswith(_END64_SIGNATURE):
        return 0
    size: int = _END64.unpack(record)[8]
    return size


def _is_tar(head: bytes) -> bool:
    if head[_TAR_MAGIC] == b"ustar":
        return True
    # The tar of before 1988 has no magic; its header's checksum is as good.
    stored = head[_TAR_CHECKSUM].strip(b"\0 ")
    if len(head) < _TAR_HEADER or not stored or stored.strip(b"01234567"):
        return False
    counted = head[: _TAR_CHECKSUM.start] + b" " * 8 + head[_TAR_CHECKSUM.stop :]
    return sum(counted) == int(stored, 8)
