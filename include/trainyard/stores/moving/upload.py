"""Storing files: small ones whole and large ones in parts side by side, verified by what the store lists."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from threading import Event

from trainyard.domain.digest import IN_PARTS
from trainyard.stores.base import Entry, Store, StoreError, Why, check_key
from trainyard.stores.keys import check_keys
from trainyard.stores.moving.leaving import Leaving, LeavingFile
from trainyard.stores.moving.parallel import in_parallel
from trainyard.stores.moving.progress import Progress, Report
from trainyard.stores.moving.values import Source, Terms, Transferred

_Deed = Callable[[Event], None]


def upload(
    store: Store,
    sources: Sequence[Source],
    prefix: str,
    threads: int,
    report: Report,
    shared: bool = False,
    patience: float = 15.0,
    terms: Terms | None = None,
) -> Transferred:
    """Store the sources below the prefix (empty, or ending with `/`); what is there with the same content stays.

    Afterwards the bucket is listed: raise StoreError INCOMPLETE if `patience` seconds later something is not there as
    it was sent. `shared` says that others write the same files and keys meanwhile: what vanishes is left out then, and
    a key that another writer has replaced is fine. Of what fails nothing stays half stored; of what was killed, the
    parts that have arrived are used. A file whose key the store cannot have costs no other: it is reported as left out.
    An OSError of opening or reading a source goes through.
    """
    began = time.monotonic()
    sources, impossible = _possible(sources, prefix)
    check_keys(prefix + source.key for source in sources)
    there = {entry.key: entry for entry in store.list(prefix)}
    progress = Progress("uploading", store.place, report, terms or Terms())
    progress.found(len(sources), sum(source.size for source in sources))
    progress.all_found()
    leaving = Leaving(store, prefix, there, shared, progress)
    try:
        actions = _plan(leaving, sources, threads if store.ranged else 1)
        in_parallel(actions, lambda action, stop: action(stop), threads, progress.tick)
    finally:
        leaving.abort_open()
    _verify(store, prefix, leaving.stored, shared, patience)
    total = sum(entry.size for entry in leaving.stored.values())
    left_out = {**impossible, **leaving.refused}
    return Transferred(len(leaving.stored), total, *leaving.moved, time.monotonic() - began, left_out)


def _possible(sources: Sequence[Source], prefix: str) -> tuple[list[Source], dict[str, str]]:
    """Return the sources that can have their keys, and the keys of the others with the reason for each."""
    possible, others = list[Source](), dict[str, str]()
    for source in sources:
        try:
            check_key(prefix + source.key)
            possible.append(source)
        except StoreError as error:
            others[source.key] = f"cannot have its name in the bucket: {error.message}"
    return possible, others


def _plan(leaving: Leaving, sources: Sequence[Source], threads: int) -> Iterator[_Deed]:
    """Yield each file once to the thread that begins it, and a large one also to those that help it."""
    for source in sources:
        one = LeavingFile(leaving, source)
        yield one.begin
        helpers = min(threads, source.size // IN_PARTS) - 1
        yield from [one.help] * helpers


def _verify(store: Store, prefix: str, stored: Mapping[str, Entry], shared: bool, patience: float) -> None:
    # Swift's listings lag behind its objects by some seconds when it is busy.
    deadline, pause = time.monotonic() + patience, 0.1
    while missing := _not_listed(store, prefix, stored, shared):
        if time.monotonic() > deadline:
            some = ", ".join(repr(key) for key in missing[:3]) + (", ..." if len(missing) > 3 else "")
            message = f"{len(missing)} of {len(stored)} files are not in {store.place} as they were sent: {some}"
            raise StoreError(Why.INCOMPLETE, message, "Store the results again.")
        time.sleep(pause)
        pause *= 2


def _not_listed(store: Store, prefix: str, stored: Mapping[str, Entry], shared: bool) -> list[str]:
    if not stored:
        return []
    listed = {entry.key: entry for entry in store.list(prefix)}
    return [key for key, sent in stored.items() if key not in listed or not (shared or _as_sent(listed[key], sent))]


def _as_sent(listed: Entry, sent: Entry) -> bool:
    if listed.size != sent.size:
        return False
    if not (listed.etag and sent.etag):
        return sent.md5 is None or listed.md5 in (None, sent.md5)
    # What was sent in parts has an etag that some servers list in another form; its parts were compared one by one.
    in_parts = sent.md5 is None and ("-" in sent.etag) != ("-" in listed.etag)
    return listed.etag == sent.etag or in_parts or (sent.md5 is not None and listed.md5 in (None, sent.md5))
