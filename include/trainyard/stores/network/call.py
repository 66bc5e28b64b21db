"""One call of a store: how long it is waited for, how much it may read, and whether anybody still wants it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event
from typing import NoReturn

from trainyard.stores.base import Why
from trainyard.stores.network.limits import SLOWEST, NetworkLimits

# A call that was given up ends within this time.
POLL_SECONDS = 0.5
REDIRECTED = "it sends its clients elsewhere, and they are not to follow"
_MAX_REDIRECTS = 2


class CallError(Exception):
    """Raised out of a connection that has to end; the call that it belongs to knows it too, whatever wraps it."""

    def __init__(self, why: Why, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.why, self.detail, self.hint = why, detail, hint


class Call:
    """What one call has left of its time, which only waiting takes.

    `size` is how many bytes of an object it reads, None where it reads none. `moving` says that bytes earn time, up to
    what it began with, so that large objects take as long as they need and none is waited for at less than 1 KiB a
    second. A call that is made inside of another one keeps to both.
    """

    def __init__(self, limits: NetworkLimits, size: int | None = None, moving: bool = False) -> None:
        self.limits = limits
        self.size = size
        self.waited = 0.0
        self.failure: CallError | None = None
        # Why its last connection did not come up, in words; empty where that is not known.
        self.not_connected = ""
        self._redirects = 0
        self.moves_objects = moving or size is not None
        self._left = limits.call_seconds
        self._given_up = _GIVEN_UP.get()
        self._around = _CALL.get()

    @property
    def left(self) -> float:
        """The seconds that it may still wait; raise CallError where none are left, or nobody wants it any more."""
        if self._given_up is not None and self._given_up.is_set():
            self.fail(Why.STALLED, "the request was given up")
        if self._left <= 0:
            self.fail(Why.STALLED, f"no complete answer in {self.limits.call_seconds:g} seconds")
        return min(self._left, self._around.left) if self._around else self._left

    def waited_since(self, began: float, moved: int = 0) -> None:
        """Take the time since `began` from what is left, and give what the bytes earn."""
        self._wait(time.monotonic() - began, moved)

    def _wait(self, passed: float, moved: int) -> None:
        self.waited += passed
        earned = moved / SLOWEST if self.moves_objects else 0.0
        self._left = min(self._left - passed + earned, self.limits.call_seconds)
        if self._around:
            self._around._wait(passed, moved)

    def was_redirected(self) -> None:
        """Count an answer that sends elsewhere; raise CallError for more than tell where a bucket is."""
        self._redirects += 1
        if self._redirects > _MAX_REDIRECTS:
            self.fail(Why.ADDRESS, REDIRECTED)

    def fail(self, why: Why, detail: str, hint: str = "") -> NoReturn:
        self.failure = CallError(why, detail, hint)
        raise self.failure


_CALL: ContextVar[Call | None] = ContextVar("call", default=None)
_GIVEN_UP: ContextVar[Event | None] = ContextVar("given_up", default=None)


@contextmanager
def calling(call: Call) -> Iterator[Call]:
    """Make this the call that the connections of this thread belong to."""
    before = _CALL.set(call)
    try:
        yield call
    finally:
        _CALL.reset(before)


def current() -> Call:
    """Return the call that the thread is in; raise RuntimeError outside of one."""
    call = _CALL.get()
    if call is None:
        raise RuntimeError("a store is connected to outside of a call")
    return call


def can_be_given_up() -> bool:
    """Say whether somebody may want a call that begins here no more before it has ended."""
    return _GIVEN_UP.get() is not None


@contextmanager
def given_up_by(event: Event) -> Iterator[None]:
    """End the calls that begin inside once the event is set."""
    before = _GIVEN_UP.set(event)
    try:
        yield
    finally:
        _GIVEN_UP.reset(before)
