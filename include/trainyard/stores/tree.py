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

# A path may have 4096 bytes on Linux, and there must be room for the bucket's part of a key.
_DEEPEST = 3000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@dataclass(frozen=True)
class Found:
    """The regular files below a folder, as sorted relative paths with sizes, and what is none, each with a reason."""

    files: dict[str, int]
    others: dict[str, str]


def scan(root: Path) -> Found:
    """List a folder; a missing one is empty. Raise PermissionError where a part of it cannot be read."""
    files: dict[str, int] = {}
    others: dict[str, str] = {}
    for entry in _walk(root):
        name = Path(entry.path).relative_to(root).as_posix()
        kind = entry.stat(follow_symlinks=False)
        if not _is_text(name):
            others[name.encode(errors="replace").decode()] = "has a name that is not UTF-8"
        elif not stat.S_ISREG(kind.st_mode):
            others[name] = _what(kind.st_mode)
        else:
            files[name] = kind.st_size
    return Found(dict(sorted(files.items())), dict(sorted(others.items())))


def open_inside(root: Path, name: str) -> BinaryIO:
    """Open a file for reading; raise OSError if a part of its path is a link, or if it is no regular file."""
    with _parent(root, name) as (folder, last):
        # Without O_NONBLOCK, opening a pipe waits for a writer.
        found = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise FileNotFoundError(f"{name} is not a regular file")
    return os.fdopen(found, "rb")


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


def _walk(root: Path) -> Iterator[os.DirEntry[str]]:
    todo = [str(root)] if root.is_dir() and not root.is_symlink() else []
    while todo:
        with os.scandir(todo.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False) and len(entry.path) < _DEEPEST:
                    todo.append(entry.path)
                else:
                    yield entry


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


def _what(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "lies too deep"
    return "is a link" if stat.S_ISLNK(mode) else "is no file"


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
