"""Containers as processes: starts their shims, waits for them, signals them. Knows folders and records, not pods."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from localkube import processes, records
from localkube.objects import Obj
from localkube.timestamps import nanoseconds

_PACKAGE_FOLDER = Path(__file__).resolve().parents[1]
_SHIM = "localkube.shim"
_POLL_SECONDS = 0.2
_LOST_RECORD_SECONDS = 5.0


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
            # Either a shim of before this server's restart holds the container, or this one broke down.
            await _until(lambda: is_begun(folder) or (reaper.done() and not _lives(folder)), _LOST_RECORD_SECONDS)


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


def is_running(folder: Path) -> bool:
    return (folder / records.STARTED).exists() and not is_ended(folder)


async def ended(folder: Path) -> None:
    """Wait until a container that was begun has ended; record the end of one whose shim was lost."""
    shim = records.read(str(folder), records.SHIM)
    if shim:
        await _gone(shim["pid"], shim["identity"])
    if not is_ended(folder):
        await asyncio.to_thread(record_lost, folder)


def record_lost(folder: Path) -> None:
    """End what a lost shim left behind and record that how the container ended is unknown."""
    processes.kill_all(lambda: processes.marked(records.MARKER, records.marker(str(folder))))
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
    started = records.read(str(folder), records.STARTED)
    if started and not is_ended(folder) and processes.is_same(started["pid"], started["identity"]):
        return started["pid"]
    return None


def _lives(folder: Path) -> bool:
    shim = records.read(str(folder), records.SHIM)
    return shim is not None and processes.is_same(shim["pid"], shim["identity"])


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
