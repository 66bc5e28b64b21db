"""A file that is moved by a thread which must be able to stop."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from threading import Event
from typing import Any, BinaryIO, cast

from trainyard.stores.base import FileShrankError
from trainyard.stores.moving.parallel import StoppedError


class Watched(io.RawIOBase):
    """Breaks off once the event is set; tells `count` what is written; reads the first `size` bytes only.

    `see` is shown what is written before it is, to digest it or to refuse it.
    """

    def __init__(
        self,
        file: BinaryIO,
        stop: Event,
        size: int = 0,
        count: Callable[[int], object] = lambda _: None,
        see: Callable[[Any], object] = lambda _: None,
    ) -> None:
        super().__init__()
        self._file, self._stop, self._size, self._count, self._see = file, stop, size, count, see

    def as_file(self) -> BinaryIO:
        return cast(BinaryIO, self)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._file.tell(), os.SEEK_END: self._size}[whence]
        return self._file.seek(start + offset)

    def write(self, data: Any) -> int:
        self._check()
        self._see(data)
        written = self._file.write(data)
        self._count(written)
        return written

    def readinto(self, buffer: Any) -> int:
        self._check()
        wanted = min(len(buffer), self._size - self._file.tell())
        if wanted <= 0:
            return 0
        data = self._file.read(wanted)
        if not data:
            raise FileShrankError
        buffer[: len(data)] = data
        return len(data)

    def _check(self) -> None:
        if self._stop.is_set():
            raise StoppedError
