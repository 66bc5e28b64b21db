"""How a scheduler's own worker processes take their work, and report what became of it.

Airflow 3.3 uses `multiprocessing.SimpleQueue` and a counter with a lock between LocalExecutor and its workers. These
survive no violent death: the workers of a scheduler that was killed wait for ever, since each holds the other end of
what it waits for; and a worker that is killed with one of their locks takes it along, so that no step starts any more.
Here a worker without work ends when its parent has ended, and the locks are ones that the system takes back from the
dead. A worker also reports what it takes, so that its death is that of a known step.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import Pipe, reduction
from typing import Any

# How long an idle worker stays when its scheduler is gone.
_POLL_SECONDS = 1.0
_TRY_SECONDS = 0.05


@dataclass(frozen=True)
class Taken:
    """A worker took the workload of this number."""

    pid: int
    number: int


@dataclass(frozen=True)
class Reported:
    """A worker reported a state of the workload that it took last."""

    pid: int
    key: Any
    state: Any


class Turn:
    """A lock among processes that the death of its holder frees."""

    def __init__(self) -> None:
        self._file: Any = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the queue is

    @contextmanager
    def taken(self) -> Iterator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            self.give_back()

    def take_if_free(self) -> bool:
        with suppress(BlockingIOError):
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        return False

    def give_back(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        self._file.close()

    def __getstate__(self) -> Any:
        return reduction.DupFd(self._file.fileno())

    def __setstate__(self, state: Any) -> None:
        self._file = os.fdopen(state.detach(), "r+b")


class Reports:
    """A pipe from the workers to their parent.

    A report is written in one piece, which a pipe keeps whole while it is small: one of a worker that dies is there or
    not.
    """

    def __init__(self) -> None:
        self._reader, self._writer = Pipe(duplex=False)
        self._turn = Turn()

    def put(self, report: tuple[Any, Any, Any]) -> None:
        """Report key and state of a workload, as Airflow's worker does; the exception is in the worker's log."""
        key, state, _ = report
        self._send(Reported(os.getpid(), key, state))

    def take(self, number: int) -> None:
        """Report that this process took a workload."""
        self._send(Taken(os.getpid(), number))

    def _send(self, report: Taken | Reported) -> None:
        with self._turn.taken():
            self._writer.send(report)

    def empty(self) -> bool:
        return not self._reader.poll()

    def get(self) -> Taken | Reported:
        """Return the next report; for the parent only."""
        report: Taken | Reported = self._reader.recv()
        return report

    def close(self) -> None:
        for each in (self._reader, self._writer, self._turn):
            each.close()


class WorkQueue:
    """A pipe from one process to its workers, of which each message reaches one.

    `sent` is called with each message that is put, and returns the number by which it is reported as taken; None for
    one that is not reported.
    """

    def __init__(self, reports: Reports, sent: Callable[[Any], int | None]) -> None:
        # For how long a worker that is started now waits for a message; None for as long as there is its parent.
        self.patience: float | None = None
        self._reader, self._writer = Pipe(duplex=False)
        self._turn = Turn()
        self._parent = os.getpid()
        self._reports, self._sent = reports, sent

    def put(self, message: Any) -> None:
        """Send a message; for the parent only."""
        self._writer.send((self._sent(message), message))

    def empty(self) -> bool:
        """Say whether every message has been taken."""
        return not self._reader.poll()

    def get(self) -> Any:
        """Wait for a message and return it; for workers only. Raise EOFError when the parent has ended.

        None, which tells a worker to end, is also what one gets whose patience is over. Workers with patience come
        after those without: these are the ones that stay, and have imported everything.
        """
        if self.patience is None:
            with self._turn.taken():
                number, message = self._next(float("inf"))
        else:
            number, message = self._next_in_time(time.monotonic() + self.patience)
        if number is not None:
            self._reports.take(number)
        return message

    def _next(self, until: float) -> tuple[int | None, Any]:
        self._end_if_orphaned()
        while not self._reader.poll(_POLL_SECONDS):
            self._end_if_orphaned()
            if time.monotonic() > until:
                return None, None
        number, message = self._reader.recv()
        return number, message

    def _next_in_time(self, until: float) -> tuple[int | None, Any]:
        while time.monotonic() < until:
            self._end_if_orphaned()
            if self._turn.take_if_free():
                try:
                    return self._next(until)
                finally:
                    self._turn.give_back()
            time.sleep(_TRY_SECONDS)
        return None, None

    def close(self) -> None:
        """Let go of both ends."""
        for each in (self._reader, self._writer, self._turn):
            each.close()

    def _end_if_orphaned(self) -> None:
        if os.getppid() != self._parent:
            raise EOFError

    def __getstate__(self) -> dict[str, Any]:
        """Hand the queue to a worker that is spawned instead of forked; only the parent keeps what it sent."""
        return {**self.__dict__, "_sent": None}
