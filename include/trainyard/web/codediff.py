"""How the programs of two runs differ: their zips, file by file, within bounds."""

from __future__ import annotations

import difflib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from trainyard.web.visible import log_text

_MAX_FILES = 50
_MAX_BYTES = 128 * 1024
_MAX_LINES = 2000
# Lines are compared each with each where much is different: so many of a file at most.
_MAX_FILE_LINES = 4000


@dataclass(frozen=True)
class FileDiff:
    """One file: whether it is new, gone or changed, and the lines of the difference, of a text that is not too long."""

    name: str
    what: str
    lines: tuple[str, ...] = ()


def differences(first: Path, second: Path) -> list[FileDiff] | None:
    """Return the files that differ; None where a zip is no more."""
    try:
        with zipfile.ZipFile(first) as old, zipfile.ZipFile(second) as new:
            return _differences(old, new)
    except (OSError, zipfile.BadZipFile):
        return None


def _differences(old: zipfile.ZipFile, new: zipfile.ZipFile) -> list[FileDiff]:
    before, after = _files(old), _files(new)
    found: list[FileDiff] = []
    for name in sorted(before.keys() | after.keys()):
        one, other = before.get(name), after.get(name)
        if one and other and (one.CRC, one.file_size) == (other.CRC, other.file_size):
            continue
        if len(found) == _MAX_FILES:
            break
        what = "changed" if one and other else "new" if other else "gone"
        found.append(FileDiff(name, what, _lines(old, one, new, other)))
    return found


def _files(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {info.filename: info for info in archive.infolist() if not info.is_dir()}


def _lines(
    old: zipfile.ZipFile, one: zipfile.ZipInfo | None, new: zipfile.ZipFile, other: zipfile.ZipInfo | None
) -> tuple[str, ...]:
    texts = [_text(archive, info) for archive, info in ((old, one), (new, other))]
    if any(text is None or len(text) > _MAX_FILE_LINES for text in texts):
        return ()
    before, after = (text or [] for text in texts)
    found = difflib.unified_diff(before, after, lineterm="", n=2)
    return tuple(line for _, line in zip(range(_MAX_LINES), found, strict=False))[2:]


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
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, ValueError):
        return None
    if len(data) > _MAX_BYTES or b"\0" in data:
        return None
    return log_text(data).split("\n")
