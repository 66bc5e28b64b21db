"""What the one-machine stack keeps is its user's alone: no other user of the machine reads or writes any of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from trainyard.errors import TrainyardError

UMASK = 0o077
_OTHERS = 0o077


@contextmanager
def private_files() -> Iterator[None]:
    """Let what this process and its children make meanwhile be readable by their user alone."""
    before = os.umask(UMASK)
    try:
        yield
    finally:
        os.umask(before)


def make_private(folder: Path) -> None:
    """Make a folder that only this user gets into, or close one that is there, and all in it, to others.

    Raise TrainyardError S500 if it belongs to another user, who could read whatever is put there.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = os.fstat(opened)
        if found.st_uid != os.geteuid():
            hint = "Run it as that user, or choose another folder with --folder."
            raise TrainyardError("S500", f"{folder} belongs to another user (uid {found.st_uid})", hint)
        if found.st_mode & _OTHERS:
            os.fchmod(opened, 0o700)
            # An older version left it open: who has linked or opened something below keeps it otherwise.
            _close_below(opened)
    finally:
        os.close(opened)


def _close_below(opened: int) -> None:
    """Take the rights of others from all files and folders below, as far as they are ours."""
    for _, _, files, folder in os.fwalk(".", dir_fd=opened):
        with suppress(PermissionError):
            os.fchmod(folder, os.fstat(folder).st_mode & 0o7777 & ~_OTHERS)
        for name in files:
            with suppress(PermissionError, FileNotFoundError):
                mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
                if stat.S_ISREG(mode) and mode & _OTHERS:
                    os.chmod(name, stat.S_IMODE(mode) & ~_OTHERS, dir_fd=folder)
