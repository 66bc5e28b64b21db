"""The part of a bucket below a prefix, as a store of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from trainyard.stores.base import Entry, Multipart, Store


@dataclass(frozen=True)
class Below:
    """Keys are shown and taken without the prefix, which ends with `/`."""

    store: Store
    prefix: str

    @property
    def place(self) -> str:
        return f"{self.prefix} in {self.store.place}"

    @property
    def ranged(self) -> bool:
        return self.store.ranged

    def list(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
        for entry in self.store.list(self.prefix + prefix, self.prefix + after if after else ""):
            yield self._shown(entry)

    def get(self, key: str, into: BinaryIO) -> Entry:
        return self._shown(self.store.get(self.prefix + key, into))

    def read(self, listed: Entry, start: int, size: int, into: BinaryIO) -> Entry:
        inner = replace(listed, key=self.prefix + listed.key)
        return self._shown(self.store.read(inner, start, size, into))

    def put(self, key: str, source: BinaryIO, size: int) -> Entry:
        return self._shown(self.store.put(self.prefix + key, source, size))

    def in_parts(self, key: str, size: int, resume: bool) -> Multipart | None:
        return self.store.in_parts(self.prefix + key, size, resume)

    def etag_in_parts(self, source: BinaryIO, size: int) -> str | None:
        return self.store.etag_in_parts(source, size)

    def delete(self, key: str) -> None:
        self.store.delete(self.prefix + key)

    def _shown(self, entry: Entry) -> Entry:
        return replace(entry, key=entry.key.removeprefix(self.prefix))
