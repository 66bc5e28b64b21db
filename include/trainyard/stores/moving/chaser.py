"""The digest of a file that arrives in parts and out of order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from trainyard.stores.digest import md5

# What the processor's own memory holds: larger pieces, each in memory of its own, take twice the time to be read.
_PIECE = 256 * 1024


class Chaser:
    """Digests the file from its start as far as it is there, while it is still in the machine's memory."""

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size
        self._digest, self._at = md5(), 0
        self._lock = Lock()

    def follow(self, there: Callable[[int], int]) -> None:
        """Digest what is there now, unless a thread is at it; `there` says how far from a given byte on."""
        if self._lock.acquire(blocking=False):
            try:
                self._advance(there(self._at), lambda: None)
            finally:
                self._lock.release()

    def finish(self, busy: Callable[[], object]) -> str:
        """Digest the rest, all of which is there, and return the MD5; `busy` is called now and then."""
        with self._lock:
            self._advance(self._size, busy)
            return self._digest.hexdigest()

    def _advance(self, end: int, busy: Callable[[], object]) -> None:
        if end <= self._at:
            return
        piece = memoryview(bytearray(_PIECE))
        with self._path.open("rb", buffering=0) as file:
            file.seek(self._at)
            while self._at < end and (size := file.readinto(piece[: end - self._at])):
                self._digest.update(piece[:size])
                self._at += size
                busy()
