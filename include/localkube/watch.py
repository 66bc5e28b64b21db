"""Watches: what changed since a resource version, as it changes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from localkube import errors
from localkube.listing import Test
from localkube.objects import Obj
from localkube.store import Change, Store

MAX_SECONDS = 3600.0


class WatchRequest(NamedTuple):
    """What a client wants to hear of. `since` is the resource version it knows; 0 asks for all that is there first."""

    plural: str
    namespace: str
    matches: Test
    since: int = 0
    seconds: int | None = None


async def watch(store: Store, request: WatchRequest, show: Callable[[Obj], Obj]) -> AsyncIterator[bytes]:
    """Yield one JSON line per change that the request covers, until its time is over."""
    end = time.monotonic() + min(MAX_SECONDS if request.seconds is None else request.seconds, MAX_SECONDS)
    with store.listening() as changed:
        seen = request.since or store.version
        oldest = _oldest(store)
        if request.since and request.since < oldest:
            yield _line("ERROR", errors.expired(request.since, oldest).body())
            return
        if not request.since:
            for obj in store.all(request.plural, request.namespace):
                if request.matches(obj):
                    yield _line("ADDED", show(obj))
        while (left := end - time.monotonic()) > 0:
            changed.clear()
            # Both at once: what changes while the lines are sent belongs to the next round.
            changes, seen = _changes(store, seen), max(seen, store.version)
            for line in _lines(changes, request, show):
                yield line
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), left)


def _oldest(store: Store) -> int:
    """Return the oldest version from which the history has every change."""
    return store.history[0].version - 1 if store.history else store.version


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


def _line(kind: str, obj: Obj) -> bytes:
    return json.dumps({"type": kind, "object": obj}, separators=(",", ":")).encode() + b"\n"
