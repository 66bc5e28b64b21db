"""Folders that programs of others write to: read, written and removed without following a link out of them."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

# No key of a store is longer, and each folder costs as many openings as it lies deep.
_DEEPEST = 1024
NO_TEXT = "has a name that is not UTF-8"
_KINDS = {
    stat.S_IFDIR: "lies too deep",
    stat.S_IFLNK: "is a link",
    stat.S_IFIFO: "is a pipe, no file",
    stat.S_IFSOCK: "is a socket, no file",
    stat.S_IFCHR: "is a device, no file",
    stat.S_IFBLK: "is a device, no file",
}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
# What Linux says of a link that is not to be followed, of one where a folder is expected, and of a socket or a device.
_LEADS_OUT = (errno.ELOOP, errno.ENOTDIR, errno.ENXIO, errno.ENODEV)


@dataclass(frozen=True)
class Found:
    """The regular files below a folder, as sorted relative paths with sizes, and what is none, each with a reason."""

    files: dict[str, int]
    others: dict[str, str]


def scan(root: Path) -> Found:
    """List a folder; a missing one is empty. Raise PermissionError where a part of it cannot be read."""
    files: dict[str, int] = {}
    others: dict[str, str] = {}
    for name, kind in walk(root):
        if not is_text(name):
            others[shown(name)] = NO_TEXT
        elif not stat.S_ISREG(kind.st_mode):
            others[name] = what_it_is(kind.st_mode)
        else:
            files[name] = kind.st_size
    return Found(dict(sorted(files.items())), dict(sorted(others.items())))


def open_inside(root: Path, name: str) -> BinaryIO:
    """Open a file for reading; raise FileNotFoundError if a part of its path is a link, or if it is no regular file.

    What is opened is what is checked, so that nothing put in its place meanwhile is ever read.
    """
    with _only_inside(name), _parent(root, name) as (folder, last):
        # A pipe that is opened waits for a writer, and a device may do anything: neither is opened, and one that takes
        # the file's place in between is opened without waiting.
        _check_regular(os.stat(last, dir_fd=folder, follow_symlinks=False), name)
        found = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY, dir_fd=folder)
    try:
        _check_regular(os.fstat(found), name)
        return os.fdopen(found, "rb")
    except BaseException:
        os.close(found)
        raise


def link_inside(root: Path, name: str) -> str | None:
    """Return where a link leads, None for what is no link; raise FileNotFoundError if a part of its path is a link."""
    with _only_inside(name), _parent(root, name) as (folder, last):
        try:
            return os.readlink(last, dir_fd=folder)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            return None


def status_inside(root: Path, name: str) -> os.stat_result:
    """Return the status of what has this name, be it a link; raise FileNotFoundError as `link_inside` does."""
    with _only_inside(name), _parent(root, name) as (folder, last):
        return os.stat(last, dir_fd=folder, follow_symlinks=False)


def exists_inside(root: Path, name: str) -> bool:
    """Return whether a folder has anything of this name, itself a link or not; no link is followed."""
    try:
        status_inside(root, name)
    except FileNotFoundError:
        return False
    return True


def write_inside(root: Path, name: str, data: bytes) -> None:
    """Write a file whole, in the place of what was there; raise OSError if a folder on its path is a link."""
    root.mkdir(parents=True, exist_ok=True)
    with _parent(root, name, make=True) as (folder, last):
        part = f".{last}.part"
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=folder)
        made = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644, dir_fd=folder)
        with os.fdopen(made, "wb") as file:
            file.write(data)
        os.replace(part, last, src_dir_fd=folder, dst_dir_fd=folder)


def move_inside(file: Path, root: Path, name: str) -> None:
    """Move a file to its place below a folder; raise OSError if a folder on its path is a link."""
    with _parent(root, name, make=True) as (folder, last):
        os.replace(file, last, dst_dir_fd=folder)


def unlink_inside(root: Path, name: str) -> None:
    """Remove a file, or a link itself; raise FileNotFoundError if there is none, or a folder on its path is a link."""
    with _only_inside(name), _parent(root, name) as (folder, last):
        os.unlink(last, dir_fd=folder)


def open_folders(root: Path, mode: int) -> None:
    """Set the mode of a folder and all folders in it, as far as they are ours."""
    for _, _, _, folder in os.fwalk(root):
        with suppress(PermissionError):
            os.fchmod(folder, mode)


def remove(root: Path) -> None:
    """Remove a folder and all that is in it; a link is removed itself. A missing one is fine."""
    with suppress(FileNotFoundError):
        if root.is_symlink():
            root.unlink()
            return
        try:
            shutil.rmtree(root)
        except (RecursionError, OSError) as error:
            if isinstance(error, OSError) and error.errno != errno.EMFILE:
                raise
            # rmtree needs a stack frame and a descriptor for each level; a program can nest folders deeper than that.
            subprocess.run(["rm", "-rf", "--", str(root)], check=True)


def walk(root: Path, start: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Yield everything below a folder that is no folder itself, or too deep, with its path and status.

    `start` is empty, or a folder below it, ending with `/`, to begin with; paths are the root's all the same. Each
    folder is reached through its descriptor, so that one which becomes a link meanwhile is left out.
    """
    todo = [start]
    while todo:
        way = todo.pop()
        with suppress(FileNotFoundError), _only_inside(way), _opened(root, way) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    kind = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(kind.st_mode) and len(way) + len(entry.name) < _DEEPEST:
                        todo.append(f"{way}{entry.name}/")
                    else:
                        yield way + entry.name, kind


@contextmanager
def _opened(root: Path, way: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    with _parent(root, f"{way}.") as (folder, _), os.scandir(folder) as entries:
        yield entries


def _check_regular(found: os.stat_result, name: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise FileNotFoundError(errno.ENOENT, "no regular file", name)


@contextmanager
def _only_inside(name: str) -> Iterator[None]:
    """Treat what leads out of the folder, or is no file, as missing: the others of its files are still wanted."""
    try:
        yield
    except OSError as error:
        if error.errno not in _LEADS_OUT:
            raise
        raise FileNotFoundError(errno.ENOENT, "no regular file", name) from None


@contextmanager
def _parent(root: Path, name: str, make: bool = False) -> Iterator[tuple[int, str]]:
    *folders, last = name.split("/")
    here = os.open(root, _FOLDER)
    try:
        for folder in folders:
            try:
                inner = os.open(folder, _FOLDER, dir_fd=here)
            except FileNotFoundError:
                if not make:
                    raise
                with suppress(FileExistsError):
                    os.mkdir(folder, dir_fd=here)
                inner = os.open(folder, _FOLDER, dir_fd=here)
            os.close(here)
            here = inner
        yield here, last
    finally:
        os.close(here)


def what_it_is(mode: int) -> str:
    """Say what keeps it from being a file to store."""
    return _KINDS.get(stat.S_IFMT(mode), "is no file")


def shown(name: str) -> str:
    """Return a name that may not be UTF-8 as text."""
    return name.encode(errors="replace").decode()


def is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
