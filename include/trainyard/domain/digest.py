"""The digests by which stores distinguish contents."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from typing import BinaryIO

MIB = 1024 * 1024
CHUNK = MIB
# Large enough that requests cost little, small enough that losing one does. S3 allows 10,000, so that larger files get
# larger parts.
PART = 16 * MIB
# What is smaller moves in one piece.
IN_PARTS = 2 * PART
MAX_PARTS = 10_000

_MD5 = re.compile(r"[0-9a-f]{32}")


def md5_of(source: BinaryIO) -> str:
    """Return the MD5 of a file from its start, and leave it at its start."""
    digest = md5()
    source.seek(0)
    for chunk in chunks(source, CHUNK):
        digest.update(chunk)
    source.seek(0)
    return digest.hexdigest()


def part_size(size: int) -> int:
    """Return how large the parts are in which a file of `size` bytes is stored."""
    return max(PART, math.ceil(size / MAX_PARTS / MIB) * MIB)


def multipart_etag(source: BinaryIO, size: int) -> str:
    """Return the etag that S3 gives a file stored in our parts; leave the file at its start."""
    digests = [digest.digest() for digest in md5_of_parts(source, part_size(size))]
    return f"{md5(b''.join(digests)).hexdigest()}-{len(digests)}"


def md5_of_parts(source: BinaryIO, part: int) -> list[hashlib._Hash]:
    """Return the digest of every `part` bytes of a file from its start, and leave it at its start."""
    digests = []
    source.seek(0)
    while data := source.read(min(CHUNK, part)):
        digest, left = md5(), part
        while data:
            digest.update(data)
            left -= len(data)
            data = source.read(min(CHUNK, left))
        digests.append(digest)
    source.seek(0)
    return digests


def plain_md5(etag: str) -> str | None:
    """Return the etag where it has the form of an MD5, else None."""
    return etag if _MD5.fullmatch(etag) else None


def chunks(source: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the rest of a file in pieces of `size` bytes."""
    while chunk := source.read(size):
        yield chunk


def md5(data: bytes | bytearray | memoryview = b"") -> hashlib._Hash:
    """Return the digest of the data, which can be fed with more."""
    return hashlib.md5(data, usedforsecurity=False)
