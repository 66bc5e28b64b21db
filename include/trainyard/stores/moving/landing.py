"""The place of an object in a folder: whether it lies there already, and putting it there."""

from __future__ import annotations

import errno
import stat
from pathlib import Path

from trainyard.stores.base import Entry, StoreError, Why
from trainyard.stores.digest import md5_of
from trainyard.stores.tree import move_inside

_IN_THE_WAY = (errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENOTEMPTY)


def lies_there(target: Path, entry: Entry, known: Entry | None) -> bool:
    """Say whether the object's content is in the folder; `known` is what was noted when it arrived."""
    path = target / entry.key
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(found.st_mode) or found.st_size != entry.size:
        return False
    if known == entry:
        return True
    with path.open("rb") as file:
        return entry.md5 is not None and md5_of(file) == entry.md5


def land(file: Path, target: Path, key: str, mode: int) -> None:
    """Move a whole file to its place; raise StoreError BAD_KEY if there is a file, a link or a folder in its way."""
    file.chmod(mode)
    try:
        move_inside(file, target, key)
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        message = f"{key!r} has no place in {target.name}: there is a file or link in its way, or a folder"
        raise StoreError(Why.BAD_KEY, message, "Rename the object, or remove what is in its way.") from None
