"""Buckets in memory to fill a dataset cache from, and looking at what is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from memorystore import MemoryStore

from trainyard.domain.training import StoreRef
from trainyard.stores.base import Entry, Why
from trainyard.stores.refusals import refusal
from trainyard.workspace.datasets import Dataset, DatasetCache

REF = StoreRef("s3", "digits", "https://objects.example.com")
OTHER = StoreRef("s3", "letters", "https://objects.example.com")


class Bucket(MemoryStore):
    """`whole` are the keys that were read to their end: a look at an object's first bytes does not count."""

    def __init__(self, **contents: bytes) -> None:
        super().__init__(**contents)
        self.whole: list[str] = []

    def get(self, key: str, into: BinaryIO) -> Entry:
        entry = super().get(key, into)
        self.whole.append(key)
        return entry

    def fail_after(self, count: int, beside: Callable[[], object] = lambda: None) -> None:
        """Refuse every object after the first ones."""

        def fail(key: str) -> None:
            if len(self.got) > count:
                beside()
                raise refusal(Why.FORBIDDEN, self.place, "read from", key)

        self.on_get = fail

    def work_again(self) -> list[str]:
        """Refuse nothing any more; return what had been read by now."""
        self.on_get, before = lambda key: None, self.whole
        self.whole, self.got = [], []
        return before


def obtain(cache: DatasetCache, store: MemoryStore, user: str = "training-a", ref: StoreRef = REF) -> Dataset:
    return cache.obtain(ref, store, user, 1, lambda text: None)


def files_in(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
