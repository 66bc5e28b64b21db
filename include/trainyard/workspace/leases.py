"""Locks for file systems whose kernel locks do not reach every machine."""

from __future__ import annotations

import os
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from trainyard.errors import TrainyardError

# A holder writes six times in this time, so that one that is merely slow is not taken for dead.
LEASE_SECONDS = 60.0
BEATS = 6
_MAX_PAUSE = 1.0
# Who only tries a lock does not watch it; it goes by the files' times, which a file system that hung makes old.
_LONG_DEAD = 10
_FREE = b"free"


class Lease:
    """A lock as files in the folder `<path>.leases`, named 1, 2, 3 and so on; who made the newest holds it.

    A file is made for one maker only, however many try, and that is all that is asked of the file system. A holder
    writes to its file again and again; `seconds` without that, by the clock of who waits, and the next may be made. A
    file that was let go of stays until there is a newer one, so that no number is ever used twice.
    """

    def __init__(self, path: Path, seconds: float = LEASE_SECONDS) -> None:
        self._folder = path.with_name(f"{path.name}.leases")
        self._folder.mkdir(parents=True, exist_ok=True)
        self._seconds = seconds
        self._token = uuid.uuid4().hex.encode()
        self._number = 0
        self._file = -1
        self._stop = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True)

    def take(self) -> bool:
        """Hold the lock if it is free, or if its holder has been dead for long; say whether."""
        number = self._newest()
        return (self._is_free(number) or self._is_long_dead(number)) and self._claim(number + 1)

    def wait(self) -> None:
        """Hold the lock as soon as it is free or its holder is dead."""
        seen, unchanged, pause = (0, b""), 0.0, 0.01
        while True:
            number = self._newest()
            now = (number, self._read(number))
            # Only the pauses count: a file system that hangs holds up who writes as well as who reads.
            unchanged = unchanged + pause if now == seen else 0.0
            seen = now
            if (self._is_free(number) or unchanged >= self._seconds) and self._claim(number + 1):
                return
            time.sleep(pause)
            pause = min(2 * pause, _MAX_PAUSE, self._seconds / BEATS)

    def check(self) -> None:
        """Raise TrainyardError S302 if the lock was taken for a dead one's meanwhile."""
        if self._newest() != self._number:
            message = "the workspace did not answer for so long that another run took over"
            raise TrainyardError("S302", message, "Try again; if it stays, look after the file server.")

    def release(self) -> None:
        """Let go of the lock; one that is not held is fine."""
        if self._file < 0:
            return
        self._stop.set()
        self._beating.join()
        with suppress(OSError):
            os.ftruncate(self._file, len(_FREE))
            self._write(_FREE)
        os.close(self._file)
        self._file = -1

    def _claim(self, number: int) -> bool:
        mine = self._folder / str(number)
        try:
            self._file = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            return False
        self._write(self._token)
        # The listing that this number came from may have been old: there can be newer ones.
        if self._newest() != number:
            os.close(self._file)
            self._file = -1
            mine.unlink(missing_ok=True)
            return False
        self._number = number
        for older in self._numbers():
            if older < number:
                (self._folder / str(older)).unlink(missing_ok=True)
        self._beating.start()
        return True

    def _beat(self) -> None:
        count = 0
        while not self._stop.wait(self._seconds / BEATS):
            count += 1
            with suppress(OSError):  # whether the lock was lost by that, check() says
                self._write(b"%s %d" % (self._token, count))

    def _write(self, data: bytes) -> None:
        os.pwrite(self._file, data, 0)
        os.fsync(self._file)

    def _read(self, number: int) -> bytes:
        with suppress(FileNotFoundError):
            return (self._folder / str(number)).read_bytes()
        return b""

    def _is_free(self, number: int) -> bool:
        return not number or self._read(number) == _FREE

    def _is_long_dead(self, number: int) -> bool:
        # The times of both files are the file system's own, whatever this machine's clock says.
        now = self._folder / f".{self._token.decode()}"
        with suppress(FileNotFoundError):
            now.touch()
            age = now.stat().st_mtime - (self._folder / str(number)).stat().st_mtime
            now.unlink()
            return age > _LONG_DEAD * self._seconds
        return False

    def _newest(self) -> int:
        return max(self._numbers(), default=0)

    def _numbers(self) -> list[int]:
        return [int(name) for name in os.listdir(self._folder) if name.isdigit()]
