"""The audit log as files: `<day>.<host>.<number>.jsonl`, a line each event, appended to by many processes.

A host has files of its own: appending is atomic among the processes of one kernel, and is not among clients of a
network file system. A file that is full is followed by the next number, so nothing is ever renamed under a writer.
"""

from __future__ import annotations

import errno
import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from trainyard.core.audit.event import Event, line_of

_NAME = re.compile(r"(\d{4}-\d\d-\d\d)\.([\w-]+)\.(\d{1,6})\.jsonl", re.ASCII)
FILE_BYTES = 64 * 1024**2
_MAX_DAYS = 36500.0
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
STDOUT = "-"


@dataclass(frozen=True)
class LogFile:
    """One file of the log, by its name."""

    day: date
    host: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.day.isoformat()}.{self.host}.{self.number}.jsonl"


class AuditFiles:
    """Appends events to a folder. Files older than `days` go, and beyond `max_bytes` the oldest ones."""

    def __init__(self, folder: Path, days: float, max_bytes: int, host: str = "") -> None:
        self._folder, self._days, self._max_bytes = folder, days, max_bytes
        self._file_bytes = min(FILE_BYTES, max_bytes // 4)
        self._current = LogFile(date.min, re.sub(r"[^A-Za-z0-9-]", "_", host or socket.gethostname())[:60] or "host", 0)

    def append(self, event: Event) -> None:
        """Append an event in one write; raise OSError if it is not in the file whole.

        The file is handed to the kernel and not synced: events survive the death of any process, but perhaps not the
        last seconds before a machine loses power.
        """
        line, day = line_of(event), datetime.fromtimestamp(event.time, UTC).date()
        descriptor = self._opened(day)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                # A full disk cut off the line before. Or it is still being written: then this makes a blank line.
                line = b"\n" + line
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)
        if not size:
            prune(self._folder, day, self._days, self._max_bytes)

    def _opened(self, day: date) -> int:
        """Open the day's first file that is not full; the caller closes it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = self._current.number if self._current.day == day else self._last_number(day)
        while True:
            file = LogFile(day, self._current.host, number)
            descriptor = os.open(self._folder / file.name, _FLAGS, 0o600)
            if os.fstat(descriptor).st_size < self._file_bytes:
                self._current = file
                return descriptor
            os.close(descriptor)
            number += 1

    def _last_number(self, day: date) -> int:
        files = (file for file in log_files(self._folder) if file.day == day and file.host == self._current.host)
        return max((file.number for file in files), default=0)


def append_to_stdout(event: Event) -> None:
    """Write an event to the standard output of the process, in one write."""
    os.write(1, line_of(event))


def log_files(folder: Path) -> list[LogFile]:
    """Return the files of a log, the newest day first and of each host the last number first; others are left out."""
    with suppress(FileNotFoundError):
        found = [file for name in os.listdir(folder) if (file := _log_file(name))]
        return sorted(found, key=lambda file: (file.day, file.host, file.number), reverse=True)
    return []


def prune(folder: Path, today: date, days: float, max_bytes: int) -> None:
    """Remove the files of days that are past, and the oldest ones until the others fit; the newest one always stays."""
    first_kept, total = today - timedelta(days=min(days, _MAX_DAYS)), 0
    for file, size in _newest_first(folder)[1:]:
        total += size
        if file.day < first_kept or total > max_bytes:
            with suppress(OSError):
                (folder / file.name).unlink()


def _newest_first(folder: Path) -> list[tuple[LogFile, int]]:
    """Return the files with their sizes, by day and within it by their last change; another process may remove some."""
    found = []
    for file in log_files(folder):
        with suppress(OSError):
            status = (folder / file.name).stat()
            found.append((file.day, status.st_mtime_ns, file.number, file, status.st_size))
    return [(file, size) for *_, file, size in sorted(found, key=lambda each: each[:3], reverse=True)]


def _log_file(name: str) -> LogFile | None:
    found = _NAME.fullmatch(name)
    with suppress(ValueError):
        return LogFile(date.fromisoformat(found[1]), found[2], int(found[3])) if found else None
    return None
