"""How far a transfer is: reported to a log a few times, to a note every second; and whether it is getting on at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

from trainyard.stores.base import StoreError, Why
from trainyard.stores.moving.values import Terms, TransferState

Report = Callable[[str], object]

# Slower than this a transfer stands still for all practical purposes, however alive its connections are.
_SLOWEST = 1024
_SOON = 3.0


class Progress:
    """Counts, from many threads. `doing` is a word such as `downloading`; the log hears at every tenth of the bytes."""

    def __init__(
        self, doing: str, place: str, report: Report, terms: Terms, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._doing, self._place, self._report, self._terms, self._clock = doing, place, report, terms, clock
        self._files = self._files_total = self._bytes = self._bytes_total = self._tenths = 0
        self._listed = False
        self._began = self._moving = self._clock()
        self._flowed = self._flowed_before = 0
        self._lock = Lock()

    def found(self, files: int, size: int) -> None:
        """Add to what is to be moved."""
        with self._lock:
            self._files_total += files
            self._bytes_total += size
            self._moving = self._clock()

    def all_found(self) -> None:
        """Say that the totals are final."""
        with self._lock:
            self._listed = True
        if self._files_total:
            self._report(f"{self._doing} {self._files_total} files, {self._bytes_total} bytes, {self._place}")

    def add(self, moved: int) -> None:
        """Count bytes; those of a try that failed are taken back by a negative number."""
        with self._lock:
            self._bytes += moved
            self._flowed += max(moved, 0)
            tenths = 10 * self._bytes // self._bytes_total if self._listed and self._bytes_total else 0
            if tenths > self._tenths:
                self._tenths = tenths
                self._report(self._line(tenths * 10))

    def file_done(self) -> None:
        with self._lock:
            self._files += 1
            self._moving = self._clock()

    def busy(self) -> None:
        """Say that something gets on although no byte moves."""
        self._moving = self._clock()

    def tick(self) -> None:
        """Report the note; raise StoreError STALLED if there has been no progress for too long."""
        self._terms.note(self.state())
        now, flowed = self._clock(), self._flowed - self._flowed_before
        if flowed >= _SLOWEST * self._terms.stall_seconds:
            self._moving, self._flowed_before = now, self._flowed
        if now - self._moving > self._terms.stall_seconds:
            raise self._stalled()

    def state(self) -> TransferState:
        seconds = self._clock() - self._began
        rate = self._bytes / seconds if seconds > 0 else 0.0
        known = self._listed and rate > 0 and seconds >= _SOON
        left = max(self._bytes_total - self._bytes, 0) / rate if known else None
        counts = (self._files, self._files_total, self._bytes, self._bytes_total, self._listed)
        return TransferState(self._doing, *counts, rate, left, time.time())

    def _line(self, percent: int) -> str:
        now = self.state()
        left = "" if now.seconds_left is None or percent >= 100 else f", {now.seconds_left:.0f} s left"
        rate = f"{now.rate / 1e6:.1f} MB/s"
        return f"{self._doing}: {percent} %, {now.files} files, {now.bytes} bytes, {rate}{left}"

    def _stalled(self) -> StoreError:
        now, seconds = self.state(), self._terms.stall_seconds
        message = (
            f"{self._doing} stands still: less than {_SLOWEST} bytes a second for {seconds:g} seconds, "
            f"after {now.bytes} of {now.bytes_total} bytes, {self._place}"
        )
        return StoreError(Why.STALLED, message, "Look at the store and the network; what has arrived is kept.")
