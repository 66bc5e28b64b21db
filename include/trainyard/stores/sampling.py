"""Finding out whether objects can be read, for next to none of their bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO, cast

from trainyard.stores.base import Entry, Store
from trainyard.stores.moving.parallel import in_parallel

_MOST = 8


def read_start(store: Store, key: str, size: int = 1) -> None:
    """Read an object up to its first `size` bytes, or as many more as come with them; raise StoreError."""
    with suppress(_EnoughError):
        store.get(key, cast(BinaryIO, _Sample(size)))


def check_readable(store: Store, entries: Sequence[Entry], threads: int) -> None:
    """Read the start of an object in each top folder, up to eight of these; raise StoreError for one that cannot be.

    A right to list is none to read, and rights are given by folders.
    """
    in_parallel(_samples(entries), lambda entry, _: _read_one(store, entry), threads)


def _read_one(store: Store, entry: Entry) -> None:
    if store.ranged and entry.size:
        store.read(entry, 0, 1, io.BytesIO())
    else:
        read_start(store, entry.key)


def _samples(entries: Sequence[Entry]) -> list[Entry]:
    smallest: dict[str, Entry] = {}
    for entry in entries:
        folder = entry.key.rpartition("/")[0].partition("/")[0]
        if folder not in smallest or entry.size < smallest[folder].size:
            smallest[folder] = entry
    found = [smallest[folder] for folder in sorted(smallest)]
    count = min(len(found), _MOST)
    return [found[number * len(found) // count] for number in range(count)]


class _EnoughError(Exception):
    pass


class _Sample:
    """A file that has seen enough after the first bytes."""

    def __init__(self, size: int) -> None:
        self._left = size

    def write(self, data: Any) -> int:
        self._left -= len(data)
        if self._left <= 0 and data:
            raise _EnoughError
        return len(data)
