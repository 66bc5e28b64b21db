"""How a step that runs on a worker ends when it is killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

_EXIT_CODE = 128 + signal.SIGTERM


@contextmanager
def killed_at_once() -> Iterator[None]:
    """End the process at SIGTERM, in the midst of whatever it does; for the main thread of a step that survives that.

    Airflow's own answer to SIGTERM lets a Python function run on, for five seconds until SIGKILL: a staging would go on
    while the canceled run is being cleaned up.
    """
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(_EXIT_CODE))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
