"""Hostile zips: honest ones that were damaged, and forged ones, each forgery under the name of what it tries."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from random import Random
from typing import Any

from fuzz.zipforge import DEFLATED, FILE_MODE, STORED, End, Member, deflated, forged, record64

_MIB = 1024**2
_GOOD = (
    Member(b"train.py", b"print('x')\n" * 40),
    Member(b"bin/", mode=0o40755),
    Member(b"bin/run.sh", b"#!/bin/sh\n", mode=0o100755),
    Member("data/größe.txt".encode(), b"0123456789" * 500, flags=0x800),
    Member(b"weights.bin", bytes(range(256)) * 20, method=STORED),
)
_BAD_NAMES = (
    b"/etc/cron.d/x",
    b"../x",
    b"a/../../x",
    b"..",
    b"a\\b",
    b"..\\..\\x",
    b"C:/x",
    b"c:x",
    b"\\\\host\\share\\x",
    b"//host/x",
    b"",
    b".",
    b"./",
    b"/",
    b"a/..",
    b"x" * 256,
    b"a/" * 600 + b"x",
    b"a\0.py",
    b"\0",
)
_ODD_NAMES = (
    b"\xff\xfe.py",
    b"a\nb",
    b"a\r",
    b"\x1b[2Jx",
    "‮gpj.py".encode(),
    b"~/x",
    b"-rf",
    b"con",
    b"aux.txt",
    b"a ",
    b" a",
    b"a.",
    b"%2e%2e/x",
    b"${HOME}",
    b"\x80\x81\x82",
    b"..a",
    b"...",
    b"a//b",
    b"./a/./b",
    b"a/b/",
    b"\xc3",
    b"\xed\xa0\x80",
    "ｅ．．/x".encode(),
    b"TRAIN.PY",
)


def hostile_zip(rng: Random) -> bytes:
    """Make one zip; one random state always makes the same one."""
    make = rng.choice(_MAKERS)
    return make(rng)


def _damaged(rng: Random) -> bytes:
    data = bytearray(_good())
    for _ in range(rng.randrange(1, 6)):
        at, turn = rng.randrange(len(data)), rng.randrange(3)
        if turn == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif turn == 1:
            new = (
                rng.randbytes(4)
                if rng.random() < 0.5
                else rng.choice((b"\xff" * 4, b"\0" * 4, b"PK\x05\x06", b"PK\x01\x02"))
            )
            data[at : at + len(new)] = new
        else:
            del data[at : at + rng.randrange(1, 100)]
    return bytes(data)


@cache
def _good() -> bytes:
    return forged(_GOOD)


def _cut(rng: Random) -> bytes:
    data = _good()
    return data[rng.choice((0, 0, rng.randrange(len(data)))) : rng.randrange(len(data) + 1)]


def _field_lies(rng: Random) -> bytes:
    """One field of one entry says something else."""
    members = list(_GOOD)
    at = rng.randrange(len(members))
    number = rng.choice((0, 1, 7, 0xFFFF, 2**31 - 1, 2**31, 0xFFFFFFFE, 0xFFFFFFFF, rng.randrange(2**32)))
    field = rng.choice(("crc", "packed_size", "size", "offset"))
    lie: dict[str, Any] = {field: number}
    members[at] = replace(members[at], **lie)
    return forged(members)


def _end_lies(rng: Random) -> bytes:
    number = rng.choice((0, 1, 0xFFFF, 2**31, 0xFFFFFFFF, rng.randrange(2**32)))
    field = rng.choice(("count", "size", "offset", "comment", "comment_length"))
    value = rng.choice((b"x" * 65535, b"PK\x05\x06" * 9, _good()[-22:] * 2)) if field == "comment" else number
    lie: dict[str, Any] = {field: number & 0xFFFF if field == "comment_length" else value}
    return forged(_GOOD, End(**lie))


def _large_lies(rng: Random) -> bytes:
    """The records of a zip64 report amounts and places that are not there."""
    numbers = (0, 1, 44, 10_000, 2**31, 2**32, 2**40, 2**62, 2**63, 2**64 - 1, rng.randrange(2000))
    record = record64(*(rng.choice(numbers) for _ in range(4)))
    extra = struct.pack("<HH3Q", 1, rng.choice((24, 0, 8, 0xFFFF)), *(rng.choice(numbers) for _ in range(3)))
    first = replace(_GOOD[0], extra=extra, size=0xFFFFFFFF, packed_size=rng.choice((None, 0xFFFFFFFF)))
    members = rng.choice((_GOOD, (first, *_GOOD[1:])))
    return forged(
        members, End(count=rng.choice((None, 0xFFFF)), offset=rng.choice((None, 0xFFFFFFFF)), record64=record)
    )


def _bad_name(rng: Random) -> bytes:
    return forged([*_GOOD, Member(rng.choice(_BAD_NAMES), b"x", flags=rng.choice((0, 0x800)))])


def _odd_name(rng: Random) -> bytes:
    return forged(
        [
            *_GOOD,
            *(Member(rng.choice(_ODD_NAMES), b"x", flags=rng.choice((0, 0x800))) for _ in range(rng.randrange(1, 4))),
        ]
    )


def _two_names(rng: Random) -> bytes:
    """An entry has another name in its own header than in the directory."""
    return forged([*_GOOD, Member(b"harmless.py", b"x", local_name=rng.choice(_BAD_NAMES + _ODD_NAMES))])


def _twice(rng: Random) -> bytes:
    pairs = (
        (b"a", b"a"),
        (b"a", b"./a"),
        (b"a/b", b"a//b"),
        (b"a", b"a/b"),
        (b"d/", b"d"),
        (b"A", b"a"),
        ("é".encode(), "é".encode()),
    )
    return forged(Member(name, b"x", flags=0x800) for name in rng.choice(pairs))


def _special(rng: Random) -> bytes:
    mode = rng.choice((0o120777, 0o020666, 0o060666, 0o010666, 0o140777, 0o170000, 0o50000))
    return forged([*_GOOD, Member(b"link", rng.choice((b"/etc/passwd", b"../../x", b"train.py")), mode=mode)])


def _encrypted(rng: Random) -> bytes:
    return forged([*_GOOD, Member(b"secret.py", b"x" * 40, flags=rng.choice((0x1, 0x41, 0x2001, 0x40, 0x2000)))])


def _method(rng: Random) -> bytes:
    return forged(
        [*_GOOD, Member(b"odd.bin", rng.randbytes(60), method=rng.choice((1, 6, 9, 12, 14, 93, 95, 96, 99, 0xFFFF)))]
    )


def _garbage(rng: Random) -> bytes:
    """Deflate streams that are none, that never end, or that end early with more behind."""
    packed = rng.choice(
        (rng.randbytes(500), deflated(b"x" * 500)[:-1], deflated(b"x") + rng.randbytes(900), b"", b"\xff" * 300)
    )
    return forged([*_GOOD, Member(b"bad.bin", b"x" * rng.choice((1, 500)), packed=packed)])


def _bomb(rng: Random) -> bytes:
    """Zeros, up to 1.5 GiB of them, told truly or as one byte."""
    count = rng.choice((17, 100, 300, 1500))
    packed = _zeros(count)
    size = rng.choice((count * _MIB, 1, _MIB, 0xFFFFFFFE))
    return forged([Member(b"zeros", crc=0, size=size, packed=packed)])


@cache
def _zeros(mebibytes: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(packer.compress(bytes(_MIB)) for _ in range(mebibytes)) + packer.flush()


def _quilt(rng: Random) -> bytes:
    """Many entries that all unpack the same bytes of the file."""
    packed, count = _zeros(rng.choice((1, 15))), rng.choice((20, 1000, 9000))
    first = Member(b"f0", size=_MIB, crc=0, packed=packed)
    others = (replace(first, name=b"f%d" % n, offset=0, in_file=False) for n in range(1, count))
    return forged([first, *others])


def _nested(rng: Random) -> bytes:
    inner = _good()
    for _ in range(rng.choice((1, 5, 40))):
        inner = forged(
            [Member(b"%d.zip" % n, inner) for n in range(rng.choice((1, 3)))]
            if len(inner) < _MIB
            else [Member(b"z", inner)]
        )
    return inner


def _crowd(rng: Random) -> bytes:
    """Entries by the ten thousand, with short names or long, or without anything behind the directory's word."""
    count = rng.choice((9_999, 10_001, 65_535, 65_536, 100_000, 190_000))
    name = rng.choice((b"%d", b"d/" * 20 + b"%d", b"a" * 200 + b"%d"))
    hollow = rng.random() < 0.5
    members = (Member(name % n, method=STORED, in_file=not hollow) for n in range(count))
    return forged(members, End(count=rng.choice((None, 1))), before=Member(b"x").local() if hollow else b"")


def _padded(rng: Random) -> bytes:
    """Extra fields and comments at their largest, or out of shape."""
    extra = rng.choice(
        (
            b"\0" * 65535,
            b"\1\0\xff\xff",
            b"\1\0\4\0",
            b"\1",
            struct.pack("<HH", 0x7075, 500) + b"x" * 9,
            rng.randbytes(300),
        )
    )
    count = rng.choice((1, 100))
    return forged(Member(b"f%d" % n, b"x", extra=extra, comment=b"c" * rng.choice((0, 60_000))) for n in range(count))


def _around(rng: Random) -> bytes:
    """Something stands before or behind the zip."""
    junk = rng.choice(
        (b"#!/bin/sh\n", b"MZ" + bytes(600), b"\x89PNG\r\n", bytes(5000), _good(), b"PK\x03\x04", b"\x1f\x8b")
    )
    after = rng.choice((b"", bytes(100), bytes(70_000), _good()[:-22], b"PK\x05\x06"))
    return rng.choice((junk + _good(), forged(_GOOD, before=junk), _good() + after, _good() + junk + after))


def _hardly_one(rng: Random) -> bytes:
    return rng.choice(
        (
            b"",
            b"P",
            b"PK",
            b"PK\x03\x04",
            _good()[-22:],
            forged([]),
            b"PK\x06\x06",
            rng.randbytes(rng.randrange(2000)),
            bytes(22),
        )
    )


def _wide_modes(rng: Random) -> bytes:
    modes = (0, 0o100000, 0o104755, 0o106777, 0o100000 | 0o7777, FILE_MODE)
    return forged(
        Member(b"f%d" % n, b"x", mode=rng.choice(modes), method=rng.choice((STORED, DEFLATED))) for n in range(9)
    )


# What has to be refused whatever else is true of it.
NEVER_ACCEPTED = (_bad_name, _special, _encrypted, _method)
_MAKERS: tuple[Callable[[Random], bytes], ...] = (
    _damaged,
    _damaged,
    _damaged,
    _cut,
    _cut,
    _field_lies,
    _field_lies,
    _end_lies,
    _end_lies,
    _large_lies,
    _large_lies,
    _odd_name,
    _two_names,
    _twice,
    _garbage,
    _bomb,
    _quilt,
    _nested,
    _crowd,
    _padded,
    _around,
    _hardly_one,
    _wide_modes,
    *NEVER_ACCEPTED,
)
