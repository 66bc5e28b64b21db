"""What Airflow's processes call themselves."""

from __future__ import annotations

from contextlib import suppress

import psutil


def title(process: psutil.Process) -> str:
    """Return a process's title, an empty text for one that has ended."""
    with suppress(psutil.Error, IndexError):
        return str(process.cmdline()[0]).strip()
    return ""


def is_idle(worker: psutil.Process) -> bool:
    """Say whether a worker of the scheduler's waits for a step."""
    return "<idle>" in title(worker)
