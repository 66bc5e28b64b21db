"""Containers as processes: their shims started and waited for, signals sent, all of them ended.

Knows folders and records, not objects.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from localkube import network, processes, records
from localkube.objects import Obj
from localkube.values import nanoseconds

_PACKAGE_FOLDER = Path(__file__).resolve().parents[1]
_SHIM = "localkube.shim"
_POLL_SECONDS = 0.2
_LOST_RECORD_SECONDS = 5.0
_POLL_SECONDS = 0.02


class Shims:
    """Starts shims and collects them when they end, so that none stays behind as a zombie."""

    def __init__(self) -> None:
        self._reapers: set[asyncio.Task[None]] = set()

    async def start(self, folder: Path, spec: Obj) -> None:
        """Start a container; return once it runs or is known not to."""
        (folder / records.WORK).mkdir(parents=True, exist_ok=True)
        (folder / records.TERMINATION_LOG).touch()
        records.write(str(folder), records.SPEC, spec)
        read_end, write_end = os.pipe()
        process = _spawn(folder, write_end)
        os.close(write_end)
        reaper = asyncio.create_task(_reaped(process))
        self._reapers.add(reaper)
        reaper.add_done_callback(self._reapers.discard)
        await _until_readable(read_end)
        os.close(read_end)
        if not is_begun(folder):
            # Either a shim of before this server's restart holds the container, or this one failed.
            await _until(
                lambda: is_begun(folder) or (reaper.done() and not _living(folder, records.SHIM)), _LOST_RECORD_SECONDS
            )


def _spawn(folder: Path, notify: int) -> subprocess.Popen[bytes]:
    with open(folder / "shim.err", "ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-S", "-P", "-m", _SHIM, str(folder), str(notify)],
            env=shim_environment(),
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            pass_fds=(notify,),
            start_new_session=True,
        )


def shim_environment() -> dict[str, str]:
    """Return all that a shim and the helper of `exec` need to find this package without importing `site`."""
    return {"PYTHONPATH": str(_PACKAGE_FOLDER)}


async def _reaped(process: subprocess.Popen[bytes]) -> None:
    # By pidfd, because asyncio's own way keeps a thread for every child.
    descriptor = os.pidfd_open(process.pid)
    try:
        await _until_readable(descriptor)
    finally:
        os.close(descriptor)
    process.wait()


def is_begun(folder: Path) -> bool:
    """Return whether a container was started, or could not be."""
    return (folder / records.STARTED).exists() or (folder / records.EXITED).exists()


def is_ended(folder: Path) -> bool:
    return (folder / records.EXITED).exists()


async def ended(folder: Path) -> None:
    """Wait until a container that was begun has ended; record the end of one whose shim was lost."""
    shim = records.read(str(folder), records.SHIM)
    if shim:
        await _gone(shim["pid"], shim["identity"])
    if not is_ended(folder):
        await asyncio.to_thread(_record_lost, folder)


def _record_lost(folder: Path) -> None:
    """End what a lost shim left behind and record that how the container ended is unknown."""
    _kill_marked(folder)
    message = "The shim of this container was lost, and with it how the container ended."
    unknown = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": message, "finishedAt": nanoseconds()}
    records.write(str(folder), records.EXITED, unknown)


def send(folder: Path, number: int) -> None:
    """Send a signal to a running container's main process."""
    pid = main_process(folder)
    if pid is not None:
        processes.send(pid, number)


def main_process(folder: Path) -> int | None:
    """Return the pid of a running container's main process."""
    return None if is_ended(folder) else _living(folder, records.STARTED)


def end_all_pods(folder: Path, grace_seconds: float) -> int:
    """End all containers of the cluster in a folder and return how many pods had one running.

    SIGTERM to each container, after the grace SIGKILL to all its processes. Their shims record the ends, so that a
    later server knows them, and that the node was shut down. Stop the server first, else it starts the pods that
    waited for these.
    """
    containers = [path.parent for path in (folder / "pods").glob(f"*/*/{records.SPEC}")]
    running = [each for each in containers if _living(each, records.SHIM) or _living(each, records.STARTED)]
    # A shim outlives its container for a moment.
    interrupted = [each for each in running if not is_ended(each)]
    for container in interrupted:
        records.write(str(container), records.SHUTDOWN, {"at": time.time()})
    for number, patience in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, _LOST_RECORD_SECONDS)):
        for container in running:
            send(container, number)
        _wait_for_shims(running, patience)
    for container in containers:
        if shim := _living(container, records.SHIM):
            processes.send(shim, signal.SIGKILL)
        _kill_marked(container)
    network.remove(network.name_of(str(folder)))
    return len({container.parent for container in interrupted})


def _wait_for_shims(containers: list[Path], seconds: float) -> None:
    end = time.monotonic() + seconds
    while any(_living(each, records.SHIM) for each in containers) and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)


def _kill_marked(folder: Path) -> None:
    processes.kill_all(lambda: processes.marked(records.MARKER, records.marker(str(folder))))


def _living(folder: Path, name: str) -> int | None:
    """Return the pid of a record if that very process still runs: pids are given out again."""
    record = records.read(str(folder), name)
    return record["pid"] if record and processes.is_same(record["pid"], record["identity"]) else None


async def _gone(pid: int, identity: str) -> None:
    """Wait until a process is gone, without looking again and again."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if processes.is_same(pid, identity):
            await _until_readable(descriptor)
    finally:
        os.close(descriptor)


async def _until_readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(descriptor, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(descriptor)


async def _until(condition: Callable[[], bool], seconds: float = float("inf")) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition() and loop.time() < end:
        await asyncio.sleep(_POLL_SECONDS)
