"""One deed for many items in a few threads, which all stop when one fails or the caller is interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from threading import Event, Lock
from typing import TypeVar, cast

T = TypeVar("T")
_NO_MORE = object()


class StoppedError(Exception):
    """Raised in a thread that has to leave its work because another one failed."""


def in_parallel(items: Iterable[T], deed: Callable[[T, Event], None], threads: int) -> None:
    """Do the deed for every item, `threads` at a time; raise the first failure once all threads have stopped.

    The deed gets an event that is set when it should give up by raising StoppedError.
    """
    stop, lock, rest = Event(), Lock(), iter(items)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                with lock:
                    item = next(rest, _NO_MORE)
                if item is _NO_MORE:
                    return
                deed(cast(T, item), stop)
        except BaseException as failure:  # noqa: BLE001 - raised again below, in the caller's thread
            stop.set()
            failures.append(failure)

    with ThreadPoolExecutor(max(threads, 1)) as pool:
        try:
            wait([pool.submit(work) for _ in range(max(threads, 1))])
        except BaseException:
            # An interrupt reaches the caller only; leaving the pool waits until the threads have seen the event.
            stop.set()
            raise
    if failures:
        raise failures[0]
