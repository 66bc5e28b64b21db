"""A file that takes no more than it should."""

from __future__ import annotations

from typing import Any, BinaryIO, cast

from trainyard.stores.base import StoreError, Why


class AtMost:
    """Passes on up to `size` bytes of an object; raise StoreError UNTRUSTED for more."""

    def __init__(self, into: BinaryIO, size: int, name: str) -> None:
        self._into, self._left, self._name = into, size, name

    def as_file(self) -> BinaryIO:
        return cast(BinaryIO, self)

    def write(self, data: Any) -> int:
        self._left -= len(data)
        if self._left < 0:
            message = f"{self._name!r} is larger than it can be"
            raise StoreError(Why.UNTRUSTED, message, "Look at the object in its bucket.")
        return self._into.write(data)
