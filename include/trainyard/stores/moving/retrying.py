"""Doing something again after a failure that may pass: later each time, and not all threads at the same moment."""

from __future__ import annotations

import random
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from trainyard.stores.base import StoreError, Why
from trainyard.stores.moving.parallel import StoppedError

T = TypeVar("T")

# Together about 15 seconds: enough for a server that is restarted. What takes longer is for the next attempt of a step.
ATTEMPTS = 6
FIRST_PAUSE = 0.5
_PASSING = (Why.BROKEN, Why.UNREACHABLE)


def until_done(action: Callable[[], T], stop: Event) -> T:
    """Do it until it works, a few times at most; raise its last StoreError, or StoppedError if it is not to go on."""
    for attempt in range(1, ATTEMPTS):
        try:
            return action()
        except StoreError as error:
            if error.why not in _PASSING:
                raise
            if stop.wait(_pause(attempt)):
                raise StoppedError from None
    return action()


def _pause(attempt: int) -> float:
    # Up to half as long again or half as short, so that clients which failed together do not come back together.
    longest: float = FIRST_PAUSE * 2 ** (attempt - 1)
    return longest * random.uniform(0.5, 1.5)
