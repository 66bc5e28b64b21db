"""Hostile manifests: real ones spoiled as bytes, as text and as trees, and others grown from YAML's own grammar."""

from __future__ import annotations

import codecs
import copy
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from readmanifest import read_manifest

from fuzz.grammar import grown, monster
from fuzz.scalars import SECRET, raw_scalar
from fuzz.trees import spoiled, written
from trainyard.errors import TrainyardError
from trainyard.manifest.document import read_document
from trainyard.manifest.limits import load_limits

_REAL = Path(__file__).resolve().parents[1] / "manifests"
_EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
_SECRET_LINE = re.compile(
    r"""(?m)^(?P<key>[ \t]*["']?(?:\w*secret\w*|password|\w*access_key_id|user_name|userId)["']?[ \t]*:[ \t]+)[^\s,#][^\n,#]*"""  # noqa: E501
)
_PIECES = (
    b"\t",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b"\x85",
    b"\xc2\x85",
    b": ",
    b":",
    b"- ",
    b"#",
    b"'",
    b'"',
    b"[",
    b"{",
    b"}",
    b"&a ",
    b"*a",
    b"!!x ",
    b"<<: ",
    b"---\n",
    b"...\n",
    b"|",
    b">",
    b"%",
    b"\\",
    b"  ",
    b"~",
)


def hostile_manifest(rng: Random) -> bytes:
    """Make one manifest; one random state always makes the same one."""
    make = rng.choices(_MAKERS, _WEIGHTS)[0]
    return make(rng)


def real_manifests() -> tuple[bytes, ...]:
    """Return the real manifests and those of the examples, every secret in them replaced by SECRET."""
    return _bases()


@cache
def _bases() -> tuple[bytes, ...]:
    files = [*sorted(_REAL.glob("*.yml")), *sorted(_EXAMPLES.rglob("manifest*.y*ml"))]
    return tuple(_planted(file.read_bytes()) for file in files)


def _base(rng: Random) -> bytes:
    return rng.choice(_bases() if rng.random() < 0.3 else _good())


@cache
def _good() -> tuple[bytes, ...]:
    """Return those that run: what is spoiled in them is the only fault, and is reached."""
    return tuple(data for data in _bases() if _runs(data))


def _runs(data: bytes) -> bool:
    with suppress(TrainyardError):
        return bool(read_manifest(data, load_limits()))
    return False


@cache
def _trees() -> tuple[Any, ...]:
    return tuple(tree for tree in map(_tree, _good() * 3 + _bases()) if isinstance(tree, dict))


def _tree(data: bytes) -> Any:
    try:
        return read_document(data, len(data)).data
    except TrainyardError:
        return None


def _planted(data: bytes) -> bytes:
    """Put SECRET in the place of what stands behind the keys of credentials."""
    return _SECRET_LINE.sub(rf"\g<key>{SECRET}", data.decode("utf-8", "replace")).encode()


def _spoiled_bytes(rng: Random) -> bytes:
    data = bytearray(_base(rng))
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(data) + 1)
        turn = rng.randrange(4)
        if turn == 0 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif turn == 1:
            del data[at : at + rng.randrange(1, 30)]
        elif turn == 2:
            data[at:at] = rng.choice(_PIECES) * rng.choice((1, 1, 1, 5, 2000))
        else:
            end = min(len(data), at + rng.randrange(1, 200))
            data[at:at] = data[at:end] * rng.choice((1, 2, 100))
    return bytes(data)


def _cut(rng: Random) -> bytes:
    data = _base(rng)
    start = rng.choice((0, 0, rng.randrange(len(data))))
    return data[start : rng.randrange(len(data) + 1)]


def _encoded(rng: Random) -> bytes:
    text = _base(rng).decode()
    text = text.replace("e", rng.choice(("e", "é", "\N{GRINNING FACE}", "е")), rng.randrange(4))
    encoding = rng.choice(
        ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp500", "latin-1", "utf-8-sig", "shift-jis")
    )
    mark = rng.choice(
        (b"", codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF8 * 2)
    )
    data = mark + text.encode(encoding, "replace")
    return data[: -rng.choice((1, 3))] if rng.random() < 0.3 else data


def _spoiled_lines(rng: Random) -> bytes:
    lines = _base(rng).decode().splitlines()
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(lines))
        lines[at : at + 1] = _turned_line(rng, lines, at)
        if not lines:
            break
    return rng.choice(("\n", "\n", "\r\n", "\r", "\x85", "\n\n")).join(lines).encode("utf-8", "surrogatepass")


def _turned_line(rng: Random, lines: list[str], at: int) -> list[str]:
    line = lines[at]
    key, colon, _ = line.partition(":")
    turns: tuple[list[str], ...] = (
        [],
        [line, line],
        [line, rng.choice(lines)],
        [" " * rng.randrange(9) + line.lstrip()],
        ["\t" + line],
        [line.replace(" ", "\t", 2)],
        [f"{key}{colon} {raw_scalar(rng)}"],
        [f"{key}{colon} {raw_scalar(rng)}"],
        [f"{key}{colon} {raw_scalar(rng)}"],
        [key + colon],
        [line.replace(": ", ":")],
        [f"{key}{colon} |", "      x", "   x"],
        [line + "  # " + SECRET],
        [line.upper()],
        [key + " " * rng.choice((1, 100_000)) + line[len(key) :]],
        [f"{key}{colon} &a{at} x", f"{key}_{colon} *a{at}"],
    )
    return list(rng.choice(turns))


def _spoiled_tree(rng: Random) -> bytes:
    tree = copy.deepcopy(rng.choice(_trees()))
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        tree = spoiled(rng, tree)
    return written(tree).encode("utf-8", "surrogatepass")


def _mixed(rng: Random) -> bytes:
    """Two manifests in one file, or one inside the other."""
    one, other = _base(rng), _base(rng)
    at = rng.randrange(len(one))
    return one[:at] + rng.choice((b"", b"\n", b"\n---\n", b"\n...\n", b"\0")) + other[rng.randrange(len(other)) :]


def _grown(rng: Random) -> bytes:
    return grown(rng).encode("utf-8", "surrogatepass")


def _monster(rng: Random) -> bytes:
    return monster(rng, _base(rng).decode()).encode("utf-8", "surrogatepass")


_WEIGHTED: tuple[tuple[Callable[[Random], bytes], int], ...] = (
    (_spoiled_tree, 30),
    (_spoiled_lines, 20),
    (_spoiled_bytes, 20),
    (_grown, 12),
    (_cut, 5),
    (_encoded, 5),
    (_mixed, 5),
    (_monster, 3),
)
_MAKERS = [make for make, _ in _WEIGHTED]
_WEIGHTS = [weight for _, weight in _WEIGHTED]
