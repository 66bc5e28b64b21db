"""How far a transfer is, told a few times."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

Report = Callable[[str], object]


class Progress:
    """Reports at the start and at every tenth of the bytes. `doing` is a word such as `downloading`."""

    def __init__(self, doing: str, place: str, files: int, size: int, report: Report) -> None:
        self._doing, self._size, self._report = doing, size, report
        self._moved = self._tenths = 0
        self._lock = Lock()
        if files:
            report(f"{doing} {files} files, {size} bytes, {place}")

    def add(self, moved: int) -> None:
        with self._lock:
            self._moved += moved
            tenths = 10 * self._moved // self._size if self._size else 0
            if tenths > self._tenths:
                self._tenths = tenths
                self._report(f"{self._doing}: {tenths * 10} %, {self._moved} bytes")
