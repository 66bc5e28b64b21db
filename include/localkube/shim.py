"""The shim: one small process per container that runs it, logs it, limits it, and outlives the server.

Started as `python -S -P -m localkube.shim FOLDER NOTIFY_FD`; see records.py for what it reads and writes.
It closes NOTIFY_FD once the container runs or cannot be run, and ends right after it wrote how the container ended.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import signal
import sys
import time
from typing import Any

from localkube import mounts, processes, records
from localkube.records import LogFile
from localkube.values import nanoseconds

_MEMORY_SECONDS = 0.2
_LOOKS_AT_ALL = 10
_DRAIN_SECONDS = 2.0
_START_ERROR = 128  # what container runtimes report for a command that could not be started
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def main() -> None:
    """Run the container of the folder that the command line names."""
    folder, notify = sys.argv[1], int(sys.argv[2])
    lock = os.open(f"{folder}/{records.LOCK}", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # A restarted server may start a second shim for a container whose first one had not written its record yet.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    if not records.read(folder, records.SHIM):
        Container(folder, notify).run()


class Container:
    """One container from its start to the record of its end."""

    def __init__(self, folder: str, notify: int) -> None:
        self.folder = folder
        self.notify = notify
        self.spec: dict[str, Any] = records.read(folder, records.SPEC) or {}
        self.log = LogFile(f"{folder}/{records.LOG}")
        self.poll = select.poll()
        self.streams: dict[int, str] = {}
        self.pid = 0
        self.wait_status: int | None = None
        self.out_of_memory = False
        self.foreign: set[int] = set()
        self.looks = 0

    def run(self) -> None:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self._wake_on_children()
        me = {"pid": os.getpid(), "identity": processes.identity(os.getpid())}
        records.write(self.folder, records.SHIM, me)
        refusal = self._start()
        if refusal:
            self._record_end(_START_ERROR, "StartError", refusal)
            return
        signal.signal(signal.SIGTERM, lambda *_: processes.send(self.pid, signal.SIGTERM))
        child = {"pid": self.pid, "identity": processes.identity(self.pid), "startedAt": nanoseconds()}
        records.write(self.folder, records.STARTED, child)
        os.close(self.notify)
        self._watch()
        self._finish()

    def _wake_on_children(self) -> None:
        self.wake, wake_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.poll.register(self.wake, select.POLLIN)

    def _start(self) -> str:
        """Fork the container's main process; return why it could not be started, or nothing."""
        pipes = {stream: os.pipe() for stream in ("stdout", "stderr")}
        error_read, error_write = os.pipe2(os.O_CLOEXEC)
        try:
            # Before the fork, since a namespace is joined to others from outside.
            inside = _enter_network(self.spec)
        except OSError as error:
            return f"the container could not be started: {error}"
        self.pid = os.fork()
        if not self.pid:
            self._become(pipes["stdout"][1], pipes["stderr"][1], error_write, inside)
        os.close(error_write)
        for stream, (read_end, write_end) in pipes.items():
            os.close(write_end)
            self.streams[read_end] = stream
            self.poll.register(read_end, select.POLLIN | select.POLLHUP)
        with open(error_read, "rb") as errors:
            return errors.read().decode(errors="replace")

    def _become(self, stdout: int, stderr: int, errors: int, inside: int) -> None:
        """Turn the forked child into the container's program; never returns."""
        try:
            _reset_signals()
            os.setsid()
            if inside >= 0:
                mounts.join_network(inside)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for descriptor, number in ((nothing, 0), (stdout, 1), (stderr, 2)):
                os.dup2(descriptor, number)
            os.closerange(3, errors)
            os.closerange(errors + 1, 256)
            if self.spec["isolation"] != mounts.PATHS:
                user = self.spec["isolation"] == mounts.USER_MOUNTS
                hostname = self.spec.get("hostname", "")
                mounts.enter(self.spec["root"], self.spec["mounts"], user, self.spec["hidden"], hostname)
            if self.spec["makeCwd"]:
                os.makedirs(self.spec["cwd"], exist_ok=True)
            os.chdir(self.spec["cwd"])
            # Last, because entering a user namespace may clear it. A killed shim takes its container along.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            _execute(self.spec)
        except BaseException as error:  # noqa: BLE001 - whatever it is, the server has to hear of it
            os.write(errors, f"the container could not be started: {error}".encode())
        finally:
            os._exit(_START_ERROR)

    def _watch(self) -> None:
        limit = self.spec.get("memory")
        timeout = _MEMORY_SECONDS * 1000 if limit else None
        next_look = 0.0
        while self.wait_status is None:
            self._take(timeout)
            self._reap()
            if limit and time.monotonic() >= next_look:
                next_look = time.monotonic() + _MEMORY_SECONDS
                self._check_memory(limit)

    def _take(self, timeout: float | None) -> None:
        for descriptor, _ in self.poll.poll(timeout):
            chunk = os.read(descriptor, 65536)
            if descriptor == self.wake:
                continue
            if chunk:
                self.log.write(self.streams[descriptor], chunk)
            else:
                self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self.poll.unregister(descriptor)
        self.log.end(self.streams.pop(descriptor))
        os.close(descriptor)

    def _reap(self) -> None:
        """Collect dead children: the main process, and orphans that came to this subreaper."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.wait_status = status

    def _check_memory(self, limit: int) -> None:
        if self.wait_status is None and processes.memory(self._known_below(), limit) > limit:
            self.out_of_memory = True
            processes.send(self.pid, signal.SIGKILL)

    def _known_below(self) -> list[int]:
        """Look at new processes alone, but now and then at all, because pids are given out again."""
        self.looks += 1
        if self.looks % _LOOKS_AT_ALL == 0:
            self.foreign.clear()
        return processes.descendants(os.getpid(), self.foreign)

    def _finish(self) -> None:
        """End what the main process left behind, take the rest of the output, record the end."""
        processes.kill_all(self._remaining)
        end = time.monotonic() + _DRAIN_SECONDS
        while self.streams and time.monotonic() < end:
            self._take(50)
        for descriptor in list(self.streams):
            self._close(descriptor)
        self.log.close()
        code = os.waitstatus_to_exitcode(self.wait_status or 0)
        exit_code = code if code >= 0 else 128 - code
        reason = "OOMKilled" if self.out_of_memory else "Error" if exit_code else "Completed"
        self._record_end(exit_code, reason, "")

    def _remaining(self) -> list[int]:
        self._reap()
        # By mark too: what `exec` started in the container is no child of this shim.
        return processes.descendants(os.getpid()) or processes.marked(records.MARKER, records.marker(self.folder))

    def _record_end(self, exit_code: int, reason: str, message: str) -> None:
        record = {"exitCode": exit_code, "reason": reason, "message": message, "finishedAt": nanoseconds()}
        records.write(self.folder, records.EXITED, record)


def _enter_network(spec: dict[str, Any]) -> int:
    """Make the container's own network; return its descriptor, -1 for a container that has the machine's."""
    if not spec.get("network"):
        return -1
    from localkube import network  # few containers need it, and all would wait for it

    return network.enter(spec["network"])


def _reset_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)


def _execute(spec: dict[str, Any]) -> None:
    program = json.dumps(spec["argv"][0])
    try:
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])
    except FileNotFoundError:
        raise OSError(f"exec: {program}: executable file not found in $PATH") from None
    except PermissionError:
        raise OSError(f"exec: {program}: permission denied") from None


if __name__ == "__main__":
    main()
