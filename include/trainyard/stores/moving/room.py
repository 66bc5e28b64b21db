"""Room on the disk that transfers fill: a reserve stays free for what else writes there."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from trainyard.errors import TrainyardError

_HINT = "Make room in the workspace, or use a smaller dataset."
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Room:
    """The disk of a folder, for many threads; `reserve` bytes of it stay free."""

    def __init__(self, folder: Path, reserve: int) -> None:
        self._folder, self._reserve = folder, reserve
        self._lock = Lock()
        self._claimed = 0

    def check(self, needed: int) -> None:
        """Raise TrainyardError S302 if `needed` bytes do not fit, or would eat into the reserve."""
        free = shutil.disk_usage(self._folder).free - self._claimed
        if needed + self._reserve > free:
            kept = f" beside the {self._reserve} that stay free" if self._reserve else ""
            room = max(free - self._reserve, 0)
            message = f"{needed} bytes are to be downloaded and the workspace has room for {room}{kept}"
            raise TrainyardError("S302", message, _HINT)

    @contextmanager
    def claimed(self, size: int) -> Iterator[None]:
        """Hold room for what is being written; raise TrainyardError S302 if there is none, then or while writing."""
        with self._lock:
            self.check(size)
            self._claimed += size
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise TrainyardError("S302", "the workspace's disk is full", _HINT) from None
        finally:
            with self._lock:
                self._claimed -= size
