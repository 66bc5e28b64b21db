"""Records that were read before, since lists look at every one: bounded, however large members make theirs."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class Remembered(Generic[T]):
    """Values by path, `most_bytes` of them together: those that were used longest ago are forgotten first."""

    most_bytes: int
    _values: OrderedDict[str, tuple[T, int]] = field(default_factory=OrderedDict)
    _bytes: int = 0
    _lock: Lock = field(default_factory=Lock)

    def get(self, path: str) -> T | None:
        with self._lock:
            found = self._values.get(path)
            if found is None:
                return None
            self._values.move_to_end(path)
            return found[0]

    def put(self, path: str, value: T, size: int) -> None:
        """Remember a value that takes so many bytes; one larger than a hundredth of all is not."""
        if size > self.most_bytes // 100:
            return
        with self._lock:
            self._forget(path)
            self._values[path] = (value, size)
            self._bytes += size
            while self._bytes > self.most_bytes:
                self._forget(next(iter(self._values)))

    def forget(self, path: str) -> None:
        with self._lock:
            self._forget(path)

    def _forget(self, path: str) -> None:
        if found := self._values.pop(path, None):
            self._bytes -= found[1]
