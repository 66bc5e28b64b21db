"""Ending every pod from what lies on disk, whether or not a server runs."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from localkube import processes, records

_LOOK_SECONDS = 0.02
_RECORD_SECONDS = 5.0


def end_all_pods(folder: Path, grace_seconds: float) -> int:
    """End all containers of the cluster in `folder` and return how many pods had one running.

    SIGTERM to each container, after the grace SIGKILL to all its processes. Their shims record the ends, so that a
    later server knows them, and that the node was shut down. Stop the server first, else it starts the pods that
    waited for these.
    """
    running = [each for each in _containers(folder) if _shim(each) or _main(each)]
    # A shim outlives its container for a moment.
    interrupted = [each for each in running if not records.read(str(each), records.EXITED)]
    for container in interrupted:
        records.write(str(container), records.SHUTDOWN, {"at": time.time()})
    _signal(running, signal.SIGTERM)
    _wait(running, grace_seconds)
    _signal(running, signal.SIGKILL)
    _wait(running, _RECORD_SECONDS)
    left = [pid for pid in map(_shim, running) if pid]
    processes.kill_all(lambda: [pid for pid in left if processes.identity(pid)])
    for container in _containers(folder):
        _kill_marked(records.marker(str(container)))
    return len({container.parent for container in interrupted})


def _kill_marked(marker: str) -> None:
    processes.kill_all(lambda: processes.marked(records.MARKER, marker))


def _containers(folder: Path) -> list[Path]:
    return [path.parent for path in (folder / "pods").glob(f"*/*/{records.SPEC}")]


def _signal(containers: list[Path], number: int) -> None:
    for container in containers:
        pid = _main(container)
        if pid:
            processes.send(pid, number)


def _wait(containers: list[Path], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(_shim(container) for container in containers) and time.monotonic() < end:
        time.sleep(_LOOK_SECONDS)


def _main(container: Path) -> int | None:
    return _living(container, records.STARTED)


def _shim(container: Path) -> int | None:
    return _living(container, records.SHIM)


def _living(container: Path, name: str) -> int | None:
    """Return the pid of a record if that very process still runs: pids are given out again."""
    record = records.read(str(container), name)
    return record["pid"] if record and processes.is_same(record["pid"], record["identity"]) else None
