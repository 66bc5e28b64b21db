"""Copies inside the inbox's bucket: nothing counts as copied before the store shows it as it was sent."""

from __future__ import annotations

import tempfile
from pathlib import Path

from trainyard.domain.digest import CHUNK, md5_of
from trainyard.stores.base import Entry, Store, StoreError, Why


def fetch(store: Store, entry: Entry, path: Path) -> Path | None:
    """Read an object into a file; None if it is not what the listing said any more."""
    with path.open("wb") as file:
        got = store.get(entry.key, file)
    unchanged = (got.size, got.etag) == (entry.size, entry.etag) and path.stat().st_size == entry.size
    return path if unchanged else None


def copy(store: Store, entry: Entry, key: str, through: Path) -> bool:
    """Copy an object as it is; False if it changed meanwhile."""
    if fetch(store, entry, through) is None:
        return False
    put_file(store, through, key)
    return True


def put_file(store: Store, path: Path, key: str) -> None:
    """Store a file and look whether it is there; raise StoreError INCOMPLETE if the store shows anything else."""
    size = path.stat().st_size
    with path.open("rb") as file:
        store.put(key, file, size)
    found = next((entry for entry in store.list(key) if entry.key == key), None)
    if found is None or found.size != size or not _same_content(store, found, path):
        raise StoreError(Why.INCOMPLETE, f"{key} is not in {store.place} as it was sent", "It is sent again.")


def _same_content(store: Store, entry: Entry, path: Path) -> bool:
    with path.open("rb") as file:
        if entry.md5 is not None:
            return entry.md5 == md5_of(file)
        with tempfile.TemporaryFile() as back:
            store.get(entry.key, back)
            back.seek(0)
            return all(sent == back.read(CHUNK) for sent in iter(lambda: file.read(CHUNK), b""))
