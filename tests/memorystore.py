"""A store in memory, which counts what it is asked for and can be told to fail."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from threading import Lock
from typing import BinaryIO

from trainyard.stores.base import Entry, MovesWhole, Why, check_key
from trainyard.stores.refusals import refusal


class MemoryStore(MovesWhole):
    """`got` and `sent` are the keys that were moved; `on_get` and `on_put` run before the content does.

    A store that is not `there` is a bucket that does not exist.
    """

    place = "bucket memory at http://nowhere"

    def __init__(self, **contents: bytes) -> None:
        self.contents = dict(contents)
        self.got: list[str] = []
        self.sent: list[str] = []
        self.on_get: Callable[[str], None] = lambda key: None
        self.on_put: Callable[[str], None] = lambda key: None
        self.hidden: set[str] = set()
        self.there = True
        self._lock = Lock()

    def list(self, prefix: str = "", after: str = "") -> Iterator[Entry]:
        self._check("list")
        for key in sorted(self.contents):
            if key.startswith(prefix) and (not after or key > after) and key not in self.hidden:
                yield self.entry(key)

    def get(self, key: str, into: BinaryIO) -> Entry:
        self._check("read from", check_key(key))
        with self._lock:
            self.got.append(key)
        self.on_get(key)
        if key not in self.contents:
            raise refusal(Why.NO_KEY, self.place, "read from", key)
        content = self.contents[key]
        for start in range(0, len(content), 1000):
            into.write(content[start : start + 1000])
        return self.entry(key)

    def put(self, key: str, source: BinaryIO, size: int) -> Entry:
        self._check("write to", check_key(key))
        with self._lock:
            self.sent.append(key)
        self.on_put(key)
        source.seek(0)
        content = source.read(size)
        if len(content) != size:
            raise refusal(Why.BROKEN, self.place, "write to", key)
        self.contents[key] = content
        return self.entry(key)

    def delete(self, key: str) -> None:
        self._check("delete from", check_key(key))
        self.contents.pop(key, None)

    def _check(self, doing: str, key: str = "") -> None:
        if not self.there:
            raise refusal(Why.NO_BUCKET, self.place, doing, key)

    def entry(self, key: str) -> Entry:
        digest = hashlib.md5(self.contents[key]).hexdigest()
        return Entry(key, len(self.contents[key]), digest, digest)
