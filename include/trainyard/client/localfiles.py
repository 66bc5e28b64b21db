"""The files of a folder that are to become objects: what they are called there, and what cannot be one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event

from trainyard.client.errors import WrongUsageError
from trainyard.domain.digest import md5_of
from trainyard.domain.objectkeys import fault_of_new_key
from trainyard.errors import TrainyardError

_CHUNK = 256 * 1024
_MAX_SHOWN = 5


@dataclass(frozen=True)
class LocalFile:
    """A file that is to be stored: its key and its size in bytes."""

    path: Path
    key: str
    size: int


def files_below(path: Path, prefix: str = "") -> list[LocalFile]:
    """Return the files of a folder, or the one file, with their keys below a prefix, in the order of the keys.

    Links count as what they point to. Raise WrongUsageError where there is none, or not every one can be an object:
    it names those that cannot, and why.
    """
    try:
        found = sorted(_found(path), key=lambda each: each[1])
    except OSError as error:
        message = f"{error.filename or path} cannot be read: {error.strerror or error}"
        raise WrongUsageError(message, "Check the path and its rights.") from None
    files, faults = list[LocalFile](), list[str]()
    for file, name in found:
        known = _examined(file, f"{prefix}{name}")
        if isinstance(known, str):
            faults.append(f"{file}: {known}")
        else:
            files.append(known)
    if faults:
        message = f"nothing is stored, since not every file can be: {_some(faults)}"
        raise WrongUsageError(message, "Rename them, or move them elsewhere.")
    if not files:
        raise WrongUsageError(f"there is no file in {path}", "Name a folder that has some.")
    return files


def _found(path: Path) -> Iterator[tuple[Path, str]]:
    if not path.is_dir():
        path.stat()
        yield path, path.name
        return
    yield from _below(path, "", ())


def _below(folder: Path, name: str, around: tuple[tuple[int, int], ...]) -> Iterator[tuple[Path, str]]:
    """Yield what is in a folder and the folders in it, also behind links."""
    status = folder.stat()
    this = (status.st_dev, status.st_ino)
    if this in around:
        raise WrongUsageError(f"{folder} is a link to a folder that it lies in", "Remove the link.")
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _below(Path(entry.path), f"{name}{entry.name}/", (*around, this))
            else:
                yield Path(entry.path), f"{name}{entry.name}"


def _examined(path: Path, key: str) -> LocalFile | str:
    """Return a file, or why it cannot be an object."""
    try:
        status = path.stat()
    except OSError as error:
        return "it is a link to nothing" if path.is_symlink() else error.strerror or str(error)
    if not stat.S_ISREG(status.st_mode):
        return "it is no file but a pipe, a socket or a device"
    if fault := fault_of_new_key(key):
        return f"its name {fault}"
    if not os.access(path, os.R_OK):
        return "it cannot be read"
    return LocalFile(path, key, status.st_size)


def _some(faults: Sequence[str]) -> str:
    more = f"; and {len(faults) - _MAX_SHOWN} more" if len(faults) > _MAX_SHOWN else ""
    return "; ".join(faults[:_MAX_SHOWN]) + more


def digest_of(file: LocalFile) -> bytes:
    """Return the MD5 of a file's content."""
    with file.path.open("rb") as opened:
        return bytes.fromhex(md5_of(opened))


Hear = Callable[["LocalFile", int], object]


class StoppedError(Exception):
    """Raised within a transfer that was given up."""


class Content:
    """The bytes of a file, as often as they are asked for.

    `hear` is called with how many of them have gone; once `stop` is set, it raises StoppedError.
    """

    def __init__(self, file: LocalFile, hear: Hear, stop: Event) -> None:
        self._file, self._hear, self._stop = file, hear, stop

    def __iter__(self) -> Iterator[bytes]:
        left = self._file.size
        with self._file.path.open("rb") as opened:
            while left:
                if self._stop.is_set():
                    raise StoppedError
                chunk = opened.read(min(_CHUNK, left))
                if not chunk:
                    raise TrainyardError("C110", f"{self._file.path} became shorter meanwhile", "Store it again.")
                left -= len(chunk)
                yield chunk
                self._hear(self._file, self._file.size - left)
