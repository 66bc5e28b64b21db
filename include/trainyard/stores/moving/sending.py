"""A large file on its way into a store, in parts from many threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from threading import Condition, Event, Lock
from typing import BinaryIO, cast

from trainyard.domain.digest import MIB, md5
from trainyard.stores.base import Entry, FileShrankError, Multipart, StoreError, Why
from trainyard.stores.moving.parallel import StoppedError
from trainyard.stores.moving.progress import Progress
from trainyard.stores.moving.retrying import until_done

# Parts are in memory while they are sent; this is how much of that is allowed at the same time.
IN_FLIGHT = 64 * MIB
_POLL_SECONDS = 0.5


class Memory:
    """What the parts of all files that are being sent may take together; a larger part is sent alone.

    What one part leaves the next one takes: of pieces that come and go an allocator keeps several times as much.
    """

    def __init__(self, most: int = IN_FLIGHT) -> None:
        self._most, self._held = most, 0
        self._free: list[bytearray] = []
        self._change = Condition()

    @contextmanager
    def held(self, size: int, stop: Event) -> Iterator[bytearray]:
        with self._change:
            while self._held and self._held + size > self._most:
                self._change.wait(_POLL_SECONDS)
                if stop.is_set():
                    raise StoppedError
            self._held += size
            self._free = [piece for piece in self._free if len(piece) == size]
            piece = self._free.pop() if self._free else bytearray(size)
        try:
            yield piece
        finally:
            with self._change:
                self._held -= size
                self._free.append(piece)
                self._change.notify_all()


class Sending:
    """One file, from many threads.

    A store that has forgotten what it had, as one that was restarted may have, is given everything again in the end, by
    one thread.
    """

    def __init__(
        self,
        file: BinaryIO,
        size: int,
        begun: Multipart,
        again: Callable[[], Multipart],
        memory: Memory,
        progress: Progress,
    ) -> None:
        self.size, self.moved = size, 0
        self._file, self._multipart, self._again = file, begun, again
        self._memory, self._progress = memory, progress
        self._next = self._arrived = 0
        self._lock = Lock()
        self._forgotten = False

    def send_some(self, stop: Event) -> bool:
        """Send parts until none is left; return True to the one thread after which all have arrived."""
        last = False
        while not last and self._next < self._count:
            with self._memory.held(self._multipart.part, stop) as piece:
                last = self._send_next(piece, stop)
        return last

    def finish(self, stop: Event) -> Entry:
        """Make the object of its parts and return what it is; the digest of the whole nobody knows."""
        entry = until_done(lambda: self._finish(stop), stop)
        self._file.close()
        return entry

    def drop(self) -> None:
        """Let no thread send more of it."""
        with self._lock:
            self._next = self._count

    def abort(self) -> None:
        """Leave nothing half stored, as far as the store can be reached."""
        self._file.close()
        with suppress(StoreError):
            self._multipart.abort()

    @property
    def _count(self) -> int:
        return -(-self.size // self._multipart.part)

    def _send_next(self, piece: bytearray, stop: Event) -> bool:
        with self._lock:
            number = self._next
            if number >= self._count:
                return False
            self._next += 1
            data = self._read(number, piece)
        self._send(number, data, stop)
        with self._lock:
            self._arrived += 1
            return self._arrived == self._count

    def _read(self, number: int, piece: bytearray) -> bytes | bytearray:
        start = number * self._multipart.part
        self._file.seek(start)
        with memoryview(piece)[: self.size - start] as wanted:
            if cast(BufferedReader, self._file).readinto(wanted) != len(wanted):
                raise FileShrankError
            return piece if len(wanted) == len(piece) else bytes(wanted)

    def _send(self, number: int, data: bytes | bytearray, stop: Event) -> None:
        try:
            if not self._forgotten and not self._is_stored(number, data):
                until_done(lambda: self._multipart.put(number, data), stop)
                self.moved += len(data)
        except StoreError as error:
            if error.why is not Why.NO_UPLOAD:
                raise
            self._forgotten = True
        self._progress.add(len(data))

    def _is_stored(self, number: int, data: bytes | bytearray) -> bool:
        stored = self._multipart.stored.get(number)
        return stored is not None and stored == md5(data).hexdigest()

    def _finish(self, stop: Event) -> Entry:
        try:
            if self._forgotten:
                self._send_again(stop)
            return self._multipart.finish()
        except StoreError as error:
            if error.why is not Why.NO_UPLOAD:
                raise
            self._forgotten = True
            raise StoreError(Why.BROKEN, error.message, error.hint) from None

    def _send_again(self, stop: Event) -> None:
        self._multipart = self._again()
        self._forgotten = False
        for number in range(self._count):
            if stop.is_set():
                raise StoppedError
            with self._memory.held(self._multipart.part, stop) as piece:
                data = self._read(number, piece)
                if not self._is_stored(number, data):
                    self._multipart.put(number, data)
            self._progress.busy()
