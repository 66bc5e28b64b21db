"""How the programs of two runs differ: their zips, file by file, within bounds."""

from __future__ import annotations

import difflib
import hashlib
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainyard.core.catalogue import Catalogue
from trainyard.domain.shown import log_text, with_signs

MAX_FILES = 50
_MAX_BYTES = 128 * 1024
_MAX_LINES = 2000
_MAX_FILE_LINES = 4000
# Of all files together. Lines are compared each with each where much is different, and signs that stand for hidden
# characters are longer than these.
_MAX_CHARACTERS = 1024 * 1024
_SECONDS = 1.0
Clock = Callable[[], float]
_UNREADABLE = (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error)


@dataclass(frozen=True)
class FileDiff:
    """One file: whether it is new, gone or changed, and the lines of the difference, of a text that is not too long.

    Of any other `before` and `after` say its size in bytes and its SHA-256, which is empty where that takes too long.
    """

    name: str
    what: str
    lines: tuple[str, ...] = ()
    before: tuple[int, str] | None = None
    after: tuple[int, str] | None = None


class _TooLongError(Exception):
    pass


class _Budget:
    """What all files of a comparison may take together: seconds, and characters to show."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._until, self._characters = clock, clock() + _SECONDS, _MAX_CHARACTERS

    def check(self) -> None:
        """Raise _TooLongError once the time is over."""
        if self._clock() > self._until:
            raise _TooLongError

    def take(self, lines: Sequence[str]) -> None:
        """Take what the lines need from what may be shown; raise _TooLongError where that is more than is left."""
        needed = sum(map(len, lines))
        if needed > self._characters:
            raise _TooLongError
        self._characters -= needed


class _Watched(list[str]):
    """Lines that end a comparison when its time is over, since difflib looks at none without asking for it."""

    def __init__(self, lines: Sequence[str], budget: _Budget) -> None:
        super().__init__(lines)
        self._budget = budget

    def __getitem__(self, place: Any) -> Any:
        self._budget.check()
        return super().__getitem__(place)


def program_differences(catalogue: Catalogue, first: str, second: str) -> list[FileDiff] | None:
    """Return the files that differ in the programs of two trainings; None where a zip or a record is no more."""
    one, other = catalogue.get(first), catalogue.get(second)
    if one is None or other is None:
        return None
    if one.zip_sha256 == other.zip_sha256:
        return []
    return differences(catalogue.zip_path(first), catalogue.zip_path(second))


def text_differences(before: str, after: str, clock: Clock = time.monotonic) -> tuple[str, ...]:
    """Return the lines of the difference of two texts, as far as there is time to find them."""
    if before == after:
        return ()
    old, new = (with_signs(text.replace("\r\n", "\n")).split("\n") for text in (before, after))
    try:
        return _unified(old, new, _Budget(clock))
    except _TooLongError:
        return ("@@ they differ too much to be shown @@",)


def differences(first: Path, second: Path, clock: Clock = time.monotonic) -> list[FileDiff] | None:
    """Return the files that differ; None where a zip is no more."""
    try:
        with zipfile.ZipFile(first) as old, zipfile.ZipFile(second) as new:
            return _differences(old, new, _Budget(clock))
    except (OSError, zipfile.BadZipFile):
        return None


def _differences(old: zipfile.ZipFile, new: zipfile.ZipFile, budget: _Budget) -> list[FileDiff]:
    before, after = _files(old), _files(new)
    found: list[FileDiff] = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one and other and (one.CRC, one.file_size) == (other.CRC, other.file_size):
            continue
        if len(found) == MAX_FILES:
            break
        what = "changed" if one and other else "new" if other else "gone"
        try:
            lines = _lines(old, one, new, other, budget)
        except _TooLongError:
            lines = ()
        sizes = () if lines else (_identity(old, one, budget), _identity(new, other, budget))
        found.append(FileDiff(name, what, lines, *sizes))
    return found


def _files(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {info.filename: info for info in archive.infolist() if not info.is_dir()}


def _lines(
    old: zipfile.ZipFile,
    one: zipfile.ZipInfo | None,
    new: zipfile.ZipFile,
    other: zipfile.ZipInfo | None,
    budget: _Budget,
) -> tuple[str, ...]:
    """Return the lines of a difference, none of what is no text or too long; raise _TooLongError beyond the budget."""
    budget.check()
    texts = [_text(archive, info) for archive, info in ((old, one), (new, other))]
    if any(text is None or len(text) > _MAX_FILE_LINES for text in texts):
        return ()
    before, after = (text or [] for text in texts)
    return _unified(before, after, budget)


def _unified(before: list[str], after: list[str], budget: _Budget) -> tuple[str, ...]:
    found = difflib.unified_diff(_Watched(before, budget), after, lineterm="", n=2)
    lines = tuple(line for _, line in zip(range(_MAX_LINES), found, strict=False))[2:]
    budget.take(lines)
    return lines


def _identity(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None, budget: _Budget) -> tuple[int, str] | None:
    """Return the size and the digest of a file, without the digest where there is no time for it."""
    if info is None:
        return None
    digest = hashlib.sha256()
    try:
        with archive.open(info) as file:
            while data := file.read(_MAX_BYTES):
                budget.check()
                digest.update(data)
    except (*_UNREADABLE, _TooLongError):
        return info.file_size, ""
    return info.file_size, digest.hexdigest()


def _text(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None) -> list[str] | None:
    """Return the lines of a file, None of one that is too long or no text."""
    if info is None:
        return []
    if info.file_size > _MAX_BYTES:
        return None
    try:
        # What a zip says of a file's size need not be so.
        with archive.open(info) as file:
            data = file.read(_MAX_BYTES + 1)
    except _UNREADABLE:
        return None
    if len(data) > _MAX_BYTES or b"\0" in data:
        return None
    return log_text(data).split("\n")
