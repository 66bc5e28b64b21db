"""A listing that goes on in a thread of its own while what it has found is being worked on."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar, cast

T = TypeVar("T")

_BOUND = 2000  # two pages of a listing: enough not to wait for the next, little memory
_POLL_SECONDS = 0.2
_LEAVING_SECONDS = 10.0
_END = object()


def ahead(items: Iterable[T]) -> Generator[T, None, None]:
    """Yield the items, fetched a bounded number ahead; what fetching raises is raised here.

    Closing the iterator ends the thread at the next item it fetches.
    """
    found: Queue[object] = Queue(_BOUND)
    closed, failures = Event(), list[BaseException]()

    def fetch() -> None:
        try:
            for item in items:
                if not _put(found, item, closed):
                    return
        except BaseException as failure:  # noqa: BLE001 - raised again where the items are taken
            failures.append(failure)
        _put(found, _END, closed)

    thread = Thread(target=fetch, daemon=True)
    thread.start()
    try:
        while (item := found.get()) is not _END:
            yield cast(T, item)
    finally:
        closed.set()
        thread.join(_LEAVING_SECONDS)
    if failures:
        raise failures[0]


def _put(found: Queue[object], item: object, closed: Event) -> bool:
    while not closed.is_set():
        try:
            found.put(item, timeout=_POLL_SECONDS)
        except Full:
            continue
        return True
    return False
