"""Manifest and program of a submission, taken up from where the person says they are."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainyard.cli.errors import Files
from trainyard.cli.output import remark
from trainyard.cli.waiting import spinner
from trainyard.client.errors import WrongUsageError
from trainyard.client.packing import Packed, packed

STDIN = "-"
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class Handed:
    """A submission at hand: the manifests with what the person called them, and the program."""

    files: Files
    manifests: tuple[tuple[str, bytes], ...]
    program: Packed


@contextmanager
def handed_in(program: str, manifest_names: Sequence[str]) -> Iterator[Handed]:
    """Find and read all files, and pack a folder; a program that does not stand first is taken for what it is."""
    program, manifest_names = _in_order(program, manifest_names)
    if manifest_names.count(STDIN) > 1:
        raise WrongUsageError("two manifests cannot both come from stdin", "Name a file for one of them.")
    manifests = tuple((called(name), read_manifest_file(name)) for name in manifest_names)
    with program_of(program, manifest_names) as found:
        yield Handed(Files(called(manifest_names[0]), program), manifests, found)


@contextmanager
def program_of(name: str, manifest_names: Sequence[str]) -> Iterator[Packed]:
    """Yield the zip of a folder or a zip that is there and can be read. Raise WrongUsageError."""
    if not Path(name).is_dir():
        _start_of(name, "zip", "Name the program's folder, or its zip.")
    with ExitStack() as stack:
        with spinner("Packing ..."):
            found = stack.enter_context(packed(name, [each for each in manifest_names if each != STDIN]))
        yield found


def read_manifest_file(name: str) -> bytes:
    """Read the whole manifest from a file or stdin. Raise WrongUsageError."""
    if name == STDIN:
        return sys.stdin.buffer.read()
    _start_of(name, "manifest", "Check the path.")
    return Path(name).read_bytes()


def called(manifest_name: str) -> str:
    return "<stdin>" if manifest_name == STDIN else manifest_name


def in_order(program: str, manifest: str) -> tuple[str, str]:
    """Return a program and its manifest, whichever of the two stands first."""
    program, (manifest,) = _in_order(program, [manifest])
    return program, manifest


def _in_order(first: str, rest: Sequence[str]) -> tuple[str, list[str]]:
    """Put the program first: `ffdl train MANIFEST FOLDER` had it last."""
    programs = [name for name in rest if _is_program(name)]
    if _is_program(first) or len(programs) != 1:
        return first, list(rest)
    (program,) = programs
    if not Path(program).is_dir():
        remark(f"note: {program} is taken as the zip and {first} as the manifest")
    return program, [first if name == program else name for name in rest]


def _is_program(name: str) -> bool:
    return name != STDIN and (Path(name).is_dir() or _is_zip(name))


def _is_zip(name: str) -> bool:
    return name != STDIN and Path(name).is_file() and _start_of(name, "zip", "").startswith(_ZIP_STARTS)


def _start_of(name: str, what: str, hint: str) -> bytes:
    path = Path(name)
    if path.is_dir():
        raise WrongUsageError(f"the {what} {name} is a folder", hint)
    try:
        with path.open("rb") as file:
            return file.read(4)
    except FileNotFoundError:
        raise WrongUsageError(f"there is no file {name}", f"Name the {what} that is to be used.") from None
    except OSError as error:
        message = f"the {what} {name} cannot be read: {error.strerror}"
        raise WrongUsageError(message, "Check the path and its rights.") from None
