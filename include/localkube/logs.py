"""Reading a container's log: all, its end, since a time, or on and on; in blocks, however large it is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from localkube import records
from localkube.values import nanoseconds

_BLOCK = 256 * 1024
_FOLLOW_SECONDS = 0.1


@dataclass(frozen=True)
class LogQuery:
    """What part of a log is wanted. `since` is in nanoseconds since 1970; None means no bound."""

    follow: bool = False
    timestamps: bool = False
    since: int | None = None
    tail: int | None = None


async def read_log(folder: Path, query: LogQuery, is_over: Callable[[], bool]) -> AsyncIterator[bytes]:
    """Yield the wanted part of a container's log; if following, until `is_over` and everything was read.

    `is_over` has to be the word of the pod's status: clients take a stream that ends before for a broken one and read
    its last second again.
    """
    show = _Formatter(query)
    file = _start(folder, query.tail)
    try:
        while True:
            over = is_over()
            if text := show(file.read(_BLOCK)):
                yield text
            elif newer := _newer(folder, file):
                file = newer
            elif not _is_at_end(file):
                await asyncio.sleep(0)
            elif over or not query.follow:
                break
            else:
                await asyncio.sleep(_FOLLOW_SECONDS)
    finally:
        file.close()


def last_text(folder: Path, lines: int, size: int) -> str:
    """Return the last lines of a log as text, at most `size` bytes of it."""
    newest = folder / records.LOG
    if not newest.exists():
        return ""
    with open(newest, "rb", buffering=0) as file:
        _seek_back(file, lines)
        return _Formatter(LogQuery())(file.read())[-size:].decode(errors="replace")


class _Formatter:
    """Turns blocks of the log file into what the client asked for."""

    def __init__(self, query: LogQuery) -> None:
        self._query = query
        self._since = b"" if query.since is None else nanoseconds(query.since).encode()
        self._rest = b""
        self._within_line = False

    def __call__(self, block: bytes) -> bytes:
        *lines, self._rest = (self._rest + block).split(b"\n")
        return b"".join(self._pieces(lines))

    def _pieces(self, lines: list[bytes]) -> Iterator[bytes]:
        for line in lines:
            time, _, flag, text = line.split(b" ", 3)
            if time >= self._since:
                if self._query.timestamps and not self._within_line:
                    yield time + b" "
                yield text + b"\n" if flag == b"F" else text
            self._within_line = flag != b"F"


def _files(folder: Path) -> list[Path]:
    """Return a log's files, newest first."""
    path = folder / records.LOG
    return [path, *(path.with_name(f"{records.LOG}.{number}") for number in range(1, records.MAX_FILES))]


def _start(folder: Path, tail: int | None) -> FileIO:
    """Open the log where the wanted part begins: at its very start, or `tail` lines before its end."""
    opened = _open_all(folder)
    wanted = tail
    for index, file in enumerate(opened):
        if wanted is not None:
            wanted = _seek_back(file, wanted)
        if wanted == 0 or index == len(opened) - 1:
            for other in opened:
                if other is not file:
                    other.close()
            return file
    return open(os.devnull, "rb", buffering=0)


def _open_all(folder: Path) -> list[FileIO]:
    return [open(path, "rb", buffering=0) for path in _files(folder) if path.exists()]


def _seek_back(file: FileIO, lines: int) -> int:
    """Move to `lines` lines before the end of a file; return how many of them it does not have."""
    position = file.seek(0, os.SEEK_END)
    missing = lines + 1  # the end of the line before the first wanted one counts too
    while position > 0:
        start = max(0, position - _BLOCK)
        file.seek(start)
        block = file.read(position - start)
        found = block.count(b"\n")
        if found >= missing:
            for _ in range(missing):
                block = block[: block.rindex(b"\n")]
            file.seek(start + len(block) + 1)
            return 0
        missing -= found
        position = start
    file.seek(0)
    return max(0, missing - 1)


def _newer(folder: Path, file: FileIO) -> FileIO | None:
    """Return the file that a log goes on in after a file that was read to its end, None for the newest."""
    if not _is_at_end(file):
        return None
    known = os.fstat(file.fileno()).st_ino
    following: Path | None = None
    for path in _files(folder):
        if not path.exists():
            continue
        if path.stat().st_ino == known:
            break
        following = path
    if following is None:
        return None
    file.close()
    return open(following, "rb", buffering=0)


def _is_at_end(file: FileIO) -> bool:
    return file.tell() >= os.fstat(file.fileno()).st_size
