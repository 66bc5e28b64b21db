"""Waiting until somebody writes to a SQLite database: a look at two files costs next to nothing, asking it does."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_POLL_SECONDS = 0.02


class DatabaseWatch:
    """Says when a SQLite database was written to, by whichever process.

    It starts to look when it is made; what is written between two waits ends the second one.
    """

    def __init__(self, database: Path) -> None:
        # Where the journal is ahead of the database, only the journal changes.
        self._files = (str(database), f"{database}-wal")
        self._seen = self._look()
        self._ended = time.monotonic()

    def wait(self, least: float, most: float, or_else: Callable[[], bool]) -> None:
        """Return at the next write, when `or_else` holds, or after `most` seconds.

        Two waits never end within `least` seconds of each other, so that many writes are not as many wake-ups.
        """
        begun = time.monotonic()
        while (now := time.monotonic()) < begun + most:
            if now >= self._ended + least and (self._look() != self._seen or or_else()):
                break
            time.sleep(_POLL_SECONDS)
        self._seen, self._ended = self._look(), time.monotonic()

    def _look(self) -> tuple[tuple[int, int], ...]:
        return tuple(_state(file) for file in self._files)


def _state(file: str) -> tuple[int, int]:
    try:
        found = os.stat(file)
    except FileNotFoundError:
        return 0, 0
    # An empty journal is made by whoever opens the database to read it.
    return (found.st_mtime_ns, found.st_size) if found.st_size else (0, 0)
