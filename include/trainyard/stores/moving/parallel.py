"""Calls in a few threads, which all stop when one fails or the caller is interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Event, Lock, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

_TICK_SECONDS = 1.0
# A thread that waits for a store's next bytes sees only with them that it is to stop.
LEAVING_SECONDS = 10.0


class StoppedError(Exception):
    """Raised in a thread that has to leave its work because another one failed."""


def in_parallel(
    items: Iterable[T], action: Callable[[T, Event], None], threads: int, tick: Callable[[], object] = lambda: None
) -> None:
    """Apply the action to every item, `threads` at a time; raise the first failure once all threads have stopped.

    The action gets an event that is set when it should give up by raising StoppedError. `tick` is called in the
    caller's thread every second; what it raises ends the work too. A thread that does not stop in time is left behind:
    it can still raise StoppedError, and ends with the process.
    """
    work = _Work(iter(items), action, max(threads, 1))
    try:
        work.start()
        while not work.over.wait(_TICK_SECONDS) and not work.stop.is_set():
            tick()
    finally:
        # Also for an interrupt, which reaches the caller only.
        work.stop.set()
        work.leave(LEAVING_SECONDS)
    if work.failures:
        raise work.failures[0]


class _Work(Generic[T]):
    def __init__(self, rest: Iterator[T], action: Callable[[T, Event], None], threads: int) -> None:
        self.stop, self.over, self.failures = Event(), Event(), list[BaseException]()
        self._rest, self._action, self._left = rest, action, threads
        self._asking, self._counting = Lock(), Lock()
        self._threads = [Thread(target=self._run, daemon=True) for _ in range(threads)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def leave(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        for thread in self._threads:
            # An interrupt may come before all are started.
            if thread.is_alive():
                thread.join(max(until - time.monotonic(), 0))

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as failure:  # noqa: BLE001 - raised again in the caller's thread
            # In this order, so that the failure comes before those of the threads that it stops.
            self.failures.append(failure)
            self.stop.set()
        finally:
            with self._counting:
                self._left -= 1
                if not self._left:
                    self.over.set()

    def _work(self) -> None:
        while not self.stop.is_set():
            with self._asking:
                try:
                    item = next(self._rest)
                except StopIteration:
                    return
            self._action(item, self.stop)
