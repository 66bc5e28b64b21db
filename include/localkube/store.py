"""All objects of the cluster: in memory, on disk, and as a history of changes for those who watch.

An object in the store is never changed in place: every change puts a new one there, so whoever holds an old one (a
watch, an answer under way) keeps a consistent value.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from localkube import errors
from localkube.access import write_private
from localkube.objects import KINDS, Key, Obj, key_of
from localkube.values import seconds

MAX_HISTORY = 1000  # changes that a watch may lag behind before it gets a 410
_RESERVED = 1000  # resource versions set aside at once, so that they never repeat after a restart

_log = logging.getLogger(__name__)


class Change(NamedTuple):
    """One change: the object after it (None: deleted) and before it (None: created)."""

    version: int
    plural: str
    new: Obj | None
    old: Obj | None


class Store:
    """The objects of one cluster; `history` holds the newest changes and `version` counts them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "objects"
        self._counter = folder / "version"
        self._objects: dict[Key, Obj] = {}
        self._orders: dict[Key, int] = {}
        self._listeners: set[asyncio.Event] = set()
        self.history: deque[Change] = deque(maxlen=MAX_HISTORY)
        self.version = 0
        self._reserved = 0
        self._load()

    def get(self, key: Key) -> Obj:
        """Return an object. Raise ApiError 404."""
        try:
            return self._objects[key]
        except KeyError:
            raise errors.not_found(key.plural, key.name) from None

    def find(self, key: Key) -> Obj | None:
        return self._objects.get(key)

    def all(self, plural: str, namespace: str = "") -> list[Obj]:
        """Return the objects of a kind, oldest first; of all namespaces if none is given."""
        return [obj for key, obj in self._objects.items() if key.plural == plural and namespace in ("", key.namespace)]

    def create(self, plural: str, obj: Obj) -> Obj:
        """Add an object that has a name. Raise ApiError 409 where the name is taken."""
        key = key_of(plural, obj)
        if key in self._objects:
            raise errors.already_exists(plural, key.name)
        new = {"kind": KINDS[plural].name, "apiVersion": "v1", **copy.deepcopy(obj)}
        new["metadata"] |= {"uid": str(uuid.uuid4()), "creationTimestamp": seconds()}
        self._put(key, new, None)
        return new

    def modify(self, key: Key, change: Callable[[Obj], None]) -> Obj:
        """Apply a change to a copy of an object and put that in its place, unless nothing changed.

        Raise ApiError 404.
        """
        old = self.get(key)
        new = copy.deepcopy(old)
        change(new)
        if new == old:
            return old
        self._put(key, new, old)
        return new

    def remove(self, key: Key) -> Obj:
        """Take an object out. Raise ApiError 404."""
        old = self.get(key)
        del self._objects[key]
        last = copy.deepcopy(old)
        last["metadata"]["resourceVersion"] = str(self._next_version())
        self._path(key).unlink(missing_ok=True)
        self._notify(Change(self.version, key.plural, None, last))
        return last

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """Give an event that is set at every change."""
        event = asyncio.Event()
        self._listeners.add(event)
        try:
            yield event
        finally:
            self._listeners.discard(event)

    def _put(self, key: Key, new: Obj, old: Obj | None) -> None:
        version = self._next_version()
        new["metadata"]["resourceVersion"] = str(version)
        self._objects[key] = new
        order = self._orders.setdefault(key, version) if old else version
        self._orders[key] = order
        self._save(key, new, order)
        self._notify(Change(version, key.plural, new, old))

    def _notify(self, change: Change) -> None:
        self.history.append(change)
        for listener in self._listeners:
            listener.set()

    def _next_version(self) -> int:
        self.version += 1
        if self.version > self._reserved:
            self._reserved = self.version + _RESERVED
            write_private(self._counter, str(self._reserved).encode())
        return self.version

    def _path(self, key: Key) -> Path:
        return self._folder / key.plural / (key.namespace or "_") / f"{key.name}.json"

    def _save(self, key: Key, obj: Obj, order: int) -> None:
        if key.plural == "events":  # many, short-lived, and about a past that the pod's status sums up
            return
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, json.dumps({"order": order, "object": obj}).encode())

    def _load(self) -> None:
        if self._counter.exists():
            self.version = self._reserved = int(self._counter.read_text())
        files = [path for path in self._folder.glob("*/*/*.json") if path.parts[-3] in KINDS]
        saved = [(record, path.parts[-3]) for path in files if (record := _read(path))]
        for record, plural in sorted(saved, key=lambda pair: pair[0]["order"]):
            key = key_of(plural, record["object"])
            self._objects[key], self._orders[key] = record["object"], record["order"]


def _read(path: Path) -> Obj | None:
    try:
        return json.loads(path.read_text())
    except ValueError:  # the machine went down while it was written: one lost object, not a lost cluster
        _log.warning("%s cannot be read and is left out", path)
        return None
