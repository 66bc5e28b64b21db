"""Watches: what changed since a resource version, as it changes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from localkube import status
from localkube.objects import KINDS, Obj
from localkube.selection import Test
from localkube.store import Change, Store

_LONGEST_SECONDS = 3600.0
_BOOKMARK_SECONDS = 60.0


@dataclass(frozen=True)
class WatchRequest:
    """What a client wants to be told. `since` is the resource version it knows; 0 asks for all that is there first."""

    plural: str
    namespace: str
    matches: Test
    since: int = 0
    seconds: float = _LONGEST_SECONDS
    bookmarks: bool = False
    initial: bool = False


async def watch(store: Store, request: WatchRequest, show: Callable[[Obj], Obj]) -> AsyncIterator[bytes]:
    """Yield one JSON line per change that the request covers, until its time is over."""
    end = time.monotonic() + min(request.seconds, _LONGEST_SECONDS)
    with store.listening() as changed:
        seen = request.since or store.version
        oldest = _oldest(store)
        if request.since and request.since < oldest:
            yield _line("ERROR", status.expired(request.since, oldest).body())
            return
        for line in _first_lines(store, request, show):
            yield line
        while (left := end - time.monotonic()) > 0:
            changed.clear()
            for line in _lines(_changes(store, seen), request, show):
                yield line
            seen = max(seen, store.version)
            if not await _waited(changed, min(left, _BOOKMARK_SECONDS)) and request.bookmarks:
                yield _bookmark(request.plural, store.version)


def _oldest(store: Store) -> int:
    """Return the oldest version from which the history has every change."""
    return store.history[0].version - 1 if store.history else store.version


def _first_lines(store: Store, request: WatchRequest, show: Callable[[Obj], Obj]) -> Iterator[bytes]:
    if not request.since or request.initial:
        for obj in store.all(request.plural, request.namespace):
            if request.matches(obj):
                yield _line("ADDED", show(obj))
    if request.initial:
        yield _bookmark(request.plural, store.version, {"k8s.io/initial-events-end": "true"})


def _changes(store: Store, seen: int) -> list[Change]:
    newer = []
    for change in reversed(store.history):
        if change.version <= seen:
            break
        newer.append(change)
    return newer[::-1]


def _lines(changes: list[Change], request: WatchRequest, show: Callable[[Obj], Obj]) -> Iterator[bytes]:
    for change in changes:
        if change.plural == request.plural and (kind := _seen_as(change, request)):
            yield _line(kind, show(change.new or change.old or {}))


def _seen_as(change: Change, request: WatchRequest) -> str:
    """Return what a change is to one watcher: an object that leaves its selection is deleted to it."""
    before, after = (_covers(obj, request) for obj in (change.old, change.new))
    return {(False, True): "ADDED", (True, True): "MODIFIED", (True, False): "DELETED"}.get((before, after), "")


def _covers(obj: Obj | None, request: WatchRequest) -> bool:
    if obj is None or request.namespace not in ("", obj["metadata"].get("namespace", "")):
        return False
    return request.matches(obj)


async def _waited(changed: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(changed.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _bookmark(plural: str, version: int, annotations: dict[str, str] | None = None) -> bytes:
    metadata: Obj = {"resourceVersion": str(version), "creationTimestamp": None}
    if annotations:
        metadata["annotations"] = annotations
    return _line("BOOKMARK", {"kind": KINDS[plural].name, "apiVersion": "v1", "metadata": metadata})


def _line(kind: str, obj: Obj) -> bytes:
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"
