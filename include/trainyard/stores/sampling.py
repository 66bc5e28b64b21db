"""Finding out whether objects can be read, for next to none of their bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, BinaryIO, cast

from trainyard.stores.base import Entry, Store, StoreError, Why
from trainyard.stores.moving.parallel import in_parallel

MAX_FOLDERS = 8


def read_start(store: Store, entry: Entry) -> None:
    """Read the first byte of a listed object, and as few more as the store lets; raise StoreError.

    Whether the object is still the one that was listed does not matter.
    """
    if not (store.ranged and entry.size and _answers_ranges(store, entry)):
        with suppress(_EnoughError):
            store.get(entry.key, cast(BinaryIO, _Sample()))


def _answers_ranges(store: Store, entry: Entry) -> bool:
    try:
        store.read(replace(entry, etag="", md5=None, modified=None), 0, 1, io.BytesIO())
    except StoreError as error:
        # Servers that know no ranges answer with the whole.
        if error.why is not Why.BROKEN:
            raise
        return False
    return True


def check_readable(store: Store, entries: Sequence[Entry], threads: int) -> None:
    """Read the start of an object in each top folder, up to eight of these; raise StoreError for one that cannot be.

    A right to list is none to read, and rights are given by folders.
    """
    in_parallel(_samples(entries), lambda entry, _: read_start(store, entry), threads)


def _samples(entries: Sequence[Entry]) -> list[Entry]:
    smallest: dict[str, Entry] = {}
    for entry in entries:
        folder = entry.key.rpartition("/")[0].partition("/")[0]
        if folder not in smallest or entry.size < smallest[folder].size:
            smallest[folder] = entry
    found = [smallest[folder] for folder in sorted(smallest)]
    count = min(len(found), MAX_FOLDERS)
    return [found[number * len(found) // count] for number in range(count)]


class _EnoughError(Exception):
    pass


class _Sample:
    """A file that has seen enough after the first bytes."""

    def write(self, data: Any) -> int:
        if data:
            raise _EnoughError
        return 0
