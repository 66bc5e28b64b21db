"""Waiting for what a service does: with growing pauses, with a limit, and while it is started again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from trainyard.client.errors import UnreachableError

T = TypeVar("T")
# Longer than a service takes to start again on a machine that is busy with other things.
PATIENCE_SECONDS = 180.0
# A connection that stood this long was a good one: a proxy cuts what is silent, and a waiting run is.
_LASTED_SECONDS = 20.0


class Patience:
    """Bounds how long a service that has answered before is asked in vain; one that never has is not waited for."""

    def __init__(self, answered: bool, seconds: float = PATIENCE_SECONDS) -> None:
        self._seconds = seconds
        self._answered_at = time.monotonic() if answered else None
        self._pauses = pauses()

    def answered(self) -> None:
        self._answered_at, self._pauses = time.monotonic(), pauses()

    def pause(self, failure: Exception, stood_seconds: float) -> None:
        """Wait a little before a connection that stood so long is made again; raise its failure once that is enough."""
        if stood_seconds > _LASTED_SECONDS:
            self.answered()
        if self.is_over:
            raise failure
        time.sleep(next(self._pauses))

    @property
    def is_over(self) -> bool:
        return self._answered_at is None or time.monotonic() - self._answered_at > self._seconds


def pauses(first: float = 0.1, most: float = 3.0) -> Iterator[float]:
    """Yield growing pauses in seconds, without end."""
    pause = first
    while True:
        yield pause
        pause = min(pause * 1.6, most)


def wait_until(look: Callable[[], T | None], seconds: float | None) -> T | None:
    """Look again and again until there is something; return None when the time is over."""
    end = None if seconds is None else time.monotonic() + seconds
    for pause in pauses():
        if (found := look()) is not None:
            return found
        left = pause if end is None else end - time.monotonic()
        if left <= 0:
            return None
        time.sleep(min(pause, max(left, 0.01)))
    return None


def patient(look: Callable[[], T], answered: bool = False) -> Callable[[], T | None]:
    """Let a look at the service fail for as long as one that is started again makes it fail; None then.

    The first look has to succeed, unless the service is known to have `answered` before.
    """
    patience = Patience(answered)

    def patiently() -> T | None:
        try:
            found = look()
        except UnreachableError:
            if patience.is_over:
                raise
            return None
        patience.answered()
        return found

    return patiently
