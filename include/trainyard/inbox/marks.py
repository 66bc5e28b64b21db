"""Small objects below `under-way/` of the inbox's bucket that say how far a drop has come.

They outlive the process that wrote them, and their keys alone tell everything but what is to be deleted.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from trainyard.inbox.drops import Drop
from trainyard.stores.base import Entry, Store

UNDER_WAY = "under-way/"


class Kind(StrEnum):
    """Since when a half-written drop waits; where a refused one goes; which files are copied and can be deleted."""

    WAITING = "waiting"
    REFUSING = "refusing"
    MOVED = "moved"


@dataclass(frozen=True, order=True)
class Mark:
    """One mark; `time` is in whole seconds since the epoch."""

    kind: Kind
    account: str
    name: str
    fingerprint: str
    time: int

    @classmethod
    def of(cls, kind: Kind, drop: Drop, time: float) -> Mark:
        return cls(kind, drop.account, drop.name, drop.fingerprint, int(time))

    @property
    def key(self) -> str:
        # An underscore stands for the name that loose files do not have: a key has no empty part.
        places = "/".join(f"_{part}" for part in (self.account, self.name))
        return f"{UNDER_WAY}{self.kind}/{places}/{self.fingerprint}-{self.time}"

    def about(self, drop: Drop) -> bool:
        return (self.account, self.name, self.fingerprint) == (drop.account, drop.name, drop.fingerprint)

    def write(self, store: Store, text: str) -> None:
        data = text.encode()
        store.put(self.key, io.BytesIO(data), len(data))


def read_marks(store: Store) -> tuple[Mark, ...]:
    """List the marks, earliest first among those of one drop; what is none is passed over."""
    found = (_mark_of(entry.key.removeprefix(UNDER_WAY).split("/")) for entry in store.list(UNDER_WAY))
    return tuple(sorted(mark for mark in found if mark))


def mark_of(marks: Iterable[Mark], kind: Kind, drop: Drop) -> Mark | None:
    """Return the earliest mark of a kind about exactly these files."""
    return next((mark for mark in marks if mark.kind is kind and mark.about(drop)), None)


def moved_text(entries: Iterable[Entry]) -> str:
    return json.dumps({entry.key: [entry.size, entry.etag] for entry in entries})


def delete_moved(store: Store, mark: Mark) -> None:
    """Delete the files that were copied and verified, as far as they are still the same; then the mark."""
    text = io.BytesIO()
    store.get(mark.key, text)
    copied = {key: tuple(seen) for key, seen in json.loads(text.getvalue()).items()}
    place = Drop(mark.account, mark.name, ()).place
    for entry in list(store.list(place)):
        if copied.get(entry.key) == (entry.size, entry.etag):
            store.delete(entry.key)
    store.delete(mark.key)


def _mark_of(parts: list[str]) -> Mark | None:
    if len(parts) != 4 or parts[0] not in set(Kind):
        return None
    fingerprint, _, time = parts[3].partition("-")
    if not time.isdecimal():
        return None
    return Mark(Kind(parts[0]), parts[1][1:], parts[2][1:], fingerprint, int(time))
