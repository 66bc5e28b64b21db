"""Waiting for what a service does: with growing pauses, with a limit, and while it is started again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from trainyard.client.errors import UnreachableError

T = TypeVar("T")
# With the pauses between them, longer than a service takes to start again.
MAX_ATTEMPTS = 20


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


def patient(look: Callable[[], T]) -> Callable[[], T | None]:
    """Let a look at the service fail as often as a service that is started again makes it fail; None then."""
    left = MAX_ATTEMPTS

    def patiently() -> T | None:
        nonlocal left
        try:
            found = look()
        except UnreachableError:
            left -= 1
            if not left:
                raise
            return None
        left = MAX_ATTEMPTS
        return found

    return patiently
