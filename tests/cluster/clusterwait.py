"""Waiting for a cluster, with a limit, and without asking it more than ten times a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

_PAUSE_SECONDS = 0.1


def wait_for(condition: Callable[[], Any], what: str, limit: float) -> Any:
    """Return the first true value of a condition; fail when the limit (in seconds) has passed."""
    end = time.monotonic() + limit
    while not (value := condition()):
        assert time.monotonic() < end, f"{what} did not come true within {limit:.0f} s"
        time.sleep(_PAUSE_SECONDS)
    return value
