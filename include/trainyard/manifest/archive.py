"""Check a zip before anything of it is written, and unpack it without leaving the target folder."""

from __future__ import annotations

import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from trainyard.errors import Problem, TrainyardError
from trainyard.manifest.entryname import check_name, entry_name, name_parts
from trainyard.manifest.shell import MAX_COMMAND
from trainyard.manifest.zipend import archive_kind, directory_entries, directory_size
from trainyard.settings import Settings

_MIB = 1024**2
_CHUNK = _MIB
_WINDOWS_SCRIPT = re.compile(rb"#![^\r\n]{1,250}\r")
_SHELL_SCRIPT = re.compile(rb"#![^\n]{0,250}\b(?:ba|da|z|k)?sh\b")
_MAX_PROBLEMS = 100
_MAX_SCRIPTS = _MIB
# An honest log or CSV of zeros packs 1000:1. Below this size it harms nobody, so that the ratio counts only above.
RATIO_FLOOR = 16 * _MIB
# The directory has 46 bytes and the name for each entry; ten times that leaves room for extra fields.
_DIRECTORY_BYTES_AN_ENTRY = 1024
_REPACK = "Pack the files again."
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1 | 0x40 | 0x2000
# Everything that the zip module was seen to raise on files made to break it.
_BROKEN = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    OSError,
)


@dataclass(frozen=True)
class ArchiveRules:
    """How large a zip may be, packed and unpacked, and how much smaller than its content."""

    max_bytes: int = 1024**3
    max_unpacked: int = 1024**3
    max_entries: int = 10_000
    max_ratio: float = 100.0

    @classmethod
    def of(cls, settings: Settings) -> ArchiveRules:
        """Take the rules from the settings `zip_max_*`."""
        return cls(settings.zip_max_bytes, settings.zip_max_unpacked, settings.zip_max_entries, settings.zip_max_ratio)


@dataclass(frozen=True)
class ArchiveEntry:
    """One file of a zip: its path with `/`, its size unpacked, and whether it is a program.

    `windows_script` says that its first line names an interpreter and ends with a carriage return; `script` is the
    text of a shell script that is no longer than a command may be.
    """

    name: str
    size: int
    executable: bool
    windows_script: bool = field(default=False, compare=False)
    script: str = field(default="", compare=False, repr=False)


def check_archive(path: Path, rules: ArchiveRules) -> tuple[ArchiveEntry, ...]:
    """Return the files of a zip after reading every byte of it once.

    Raise TrainyardError C102 with every problem.
    """
    with _open(path, rules) as archive:
        infos = _files(archive, rules)
        meter = _Meter(rules, path.stat().st_size)
        return tuple(_entry(archive, info, meter) for info in infos)


def unpack_archive(path: Path, target: Path, rules: ArchiveRules) -> None:
    """Unpack a zip below the target folder, programs with their exec bit.

    Raise TrainyardError C102 for a zip that breaks a rule; what was written until then stays.
    """
    with _open(path, rules) as archive:
        files = _files(archive, rules)
        meter = _Meter(rules, path.stat().st_size)
        target.mkdir(parents=True, exist_ok=True)
        for info in archive.infolist():
            folder = _parts(info) if _is_folder(info) else _parts(info)[:-1]
            target.joinpath(*folder).mkdir(parents=True, exist_ok=True)
        for info in files:
            _write(archive, info, target.joinpath(*_parts(info)), meter)


class _Meter:
    """Counts what really comes out, because sizes and ratios in the directory may lie."""

    def __init__(self, rules: ArchiveRules, packed: int) -> None:
        self._rules = rules
        self._most_by_ratio = max(RATIO_FLOOR, rules.max_ratio * packed)
        self._unpacked = 0
        self._of_scripts = 0

    def count(self, size: int) -> None:
        self._unpacked += size
        if self._unpacked > self._rules.max_unpacked:
            raise _refused(_too_much(self._rules))
        if self._unpacked > self._most_by_ratio:
            message = f"the files are over {self._rules.max_ratio:g} times as large as the zip."
            raise _refused(_problem(message, "Put data into the bucket, not into the zip."))

    def has_room_for_script(self, size: int) -> bool:
        """Say whether the text of one more script may be kept: a zip of ten thousand must not fill the memory."""
        self._of_scripts += size
        return self._of_scripts <= _MAX_SCRIPTS


def _open(path: Path, rules: ArchiveRules) -> zipfile.ZipFile:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > rules.max_bytes:
            message = f"the zip has {size} bytes; {rules.max_bytes} are allowed."
            raise _refused(_problem(message, "Put data into the bucket."))
        _check_kind(archive_kind(file.read(512)))
        _check_directory(file, rules)
    try:
        return zipfile.ZipFile(path)
    except _BROKEN:
        raise _refused(_problem("the zip is damaged: its directory cannot be read.", _REPACK)) from None


def _check_directory(file: BinaryIO, rules: ArchiveRules) -> None:
    """Refuse a directory that is missing or too large before the zip module reads it."""
    directory = directory_size(file)
    if directory is None:
        raise _refused(_problem("the zip is truncated: its end is missing.", "Pack or upload it again."))
    if directory > rules.max_entries * _DIRECTORY_BYTES_AN_ENTRY:
        raise _refused(_too_many(rules))
    if directory_entries(file, directory) > rules.max_entries:
        raise _refused(_too_many(rules))


def _check_kind(kind: str | None) -> None:
    if kind == "zip":
        return
    message = f"this is a {kind} archive, not a zip." if kind else "this is not a zip."
    raise _refused(_problem(message, "Pack the files with `zip -r model.zip .` and submit that."))


def _files(archive: zipfile.ZipFile, rules: ArchiveRules) -> list[zipfile.ZipInfo]:
    """Return the entries that are files, after everything was checked that needs no unpacking."""
    infos = archive.infolist()
    if len(infos) > rules.max_entries:
        raise _refused(_too_many(rules))
    problems = [*_entry_problems(infos), *_duplicates(infos)]
    if sum(info.file_size for info in infos) > rules.max_unpacked:
        problems.append(_too_much(rules))
    files = [info for info in infos if not _is_folder(info)]
    if not files:
        problems.append(_problem("the zip has no files.", "Pack the program and what it needs."))
    if problems:
        raise _refused(*problems[:_MAX_PROBLEMS])
    return files


def _entry_problems(infos: list[zipfile.ZipInfo]) -> Iterator[Problem]:
    for info in infos:
        refusal = check_name(entry_name(info)) or _content_refusal(info)
        if refusal:
            yield _problem(*refusal, entry_name(info))


def _content_refusal(info: zipfile.ZipInfo) -> tuple[str, str] | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "it is a symbolic link.", "Pack the file it points to (zip follows links unless told otherwise)."
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "it is a device, a pipe or a socket.", "Leave it out."
    if info.flag_bits & _ENCRYPTED:
        return "it is encrypted.", "Pack the files without a password."
    if info.compress_type not in _METHODS:
        return "it is packed with an unusual method.", "Pack with the default method (deflate)."
    return None


def _duplicates(infos: list[zipfile.ZipInfo]) -> Iterator[Problem]:
    """Find names that come twice, and files that are folders of other entries."""
    files: set[tuple[str, ...]] = set()
    folders: set[tuple[str, ...]] = set()
    for info in infos:
        parts = tuple(_parts(info))
        if _is_folder(info):
            folders.add(parts)
        elif parts in files:
            yield _problem("it is in the zip twice.", "Keep one of them.", entry_name(info))
        else:
            files.add(parts)
        folders.update(parts[:length] for length in range(1, len(parts)))
    for parts in sorted(files & folders):
        yield _problem("it is a file and a folder at once.", "Rename one of them.", "/".join(parts))


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """Yield an entry's bytes; the zip module checks their CRC at the end, and we that none is missing."""
    missing = info.file_size
    try:
        with archive.open(info) as source:
            while chunk := source.read(_CHUNK):
                missing -= len(chunk)
                yield chunk
        if missing:
            raise EOFError
    except _BROKEN:
        problem = _problem("it is damaged or cut off.", "Pack or upload the zip again.", entry_name(info))
        raise _refused(problem) from None


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, meter: _Meter) -> ArchiveEntry:
    """Read an entry to its end."""
    name, begin = "/".join(_parts(info)), b""
    for number, chunk in enumerate(_content(archive, info)):
        meter.count(len(chunk))
        begin = chunk if number == 0 else begin
    is_script = info.file_size <= MAX_COMMAND and (name.endswith(".sh") or _SHELL_SCRIPT.match(begin))
    is_script = bool(is_script) and meter.has_room_for_script(info.file_size)
    script = begin.decode("utf-8", "replace") if is_script else ""
    return ArchiveEntry(name, info.file_size, _is_program(info), _WINDOWS_SCRIPT.match(begin) is not None, script)


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path, meter: _Meter) -> None:
    # O_NOFOLLOW: should the folder hold a link from elsewhere, its target must not be overwritten.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
    mode = 0o755 if _is_program(info) else 0o644
    with os.fdopen(os.open(path, flags, mode), "wb") as target:
        for chunk in _content(archive, info):
            meter.count(len(chunk))
            target.write(chunk)
        os.fchmod(target.fileno(), mode)


def _parts(info: zipfile.ZipInfo) -> list[str]:
    return name_parts(entry_name(info))


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return entry_name(info).endswith("/")


def _is_program(info: zipfile.ZipInfo) -> bool:
    return bool((info.external_attr >> 16) & 0o111)


def _too_many(rules: ArchiveRules) -> Problem:
    return _problem(f"the zip has more than {rules.max_entries} entries.", "Put data into the bucket.")


def _too_much(rules: ArchiveRules) -> Problem:
    message = f"the zip holds more than {rules.max_unpacked} bytes unpacked."
    return _problem(message, "Put data into the bucket, not into the zip.")


def _problem(message: str, hint: str, name: str = "") -> Problem:
    return Problem(message, hint, path=name[:200], code="C102")


def _refused(*problems: Problem) -> TrainyardError:
    return TrainyardError.refused(problems)
