"""What a scheduler's own worker processes take their steps from."""

from __future__ import annotations

import fcntl
import os
import tempfile
import time
from contextlib import suppress
from multiprocessing import Pipe, reduction
from multiprocessing.connection import Connection
from typing import Any

# How long an idle worker stays when its scheduler is gone.
_LOOK_SECONDS = 1.0
_TRY_SECONDS = 0.05


class WorkQueue:
    """A pipe from one process to its workers, of which each message reaches one.

    A `multiprocessing.SimpleQueue` is Airflow's choice, and survives no violent death: the workers of a scheduler that
    was killed wait for ever, because each holds the end it waits for; and an idle worker that is killed takes with it
    the lock that the others wait for, so that no step starts any more. Here a worker without work ends when its
    parent has ended, and the lock is one that the system takes back from the dead.
    """

    def __init__(self) -> None:
        # For how long a worker that is started now waits for a message; None for as long as there is its parent.
        self.patience: float | None = None
        self._reader, self._writer = Pipe(duplex=False)
        self._turn = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the queue is
        self._parent = os.getpid()

    def put(self, message: Any) -> None:
        """Send a message; for the parent only."""
        self._writer.send(message)

    def empty(self) -> bool:
        """Say whether every message has been taken."""
        return not self._reader.poll()

    def get(self) -> Any:
        """Wait for a message and return it; for workers only. Raise EOFError when the parent has ended.

        None, which tells a worker to end, is also what one gets whose patience is over.
        """
        until = float("inf") if self.patience is None else time.monotonic() + self.patience
        if not self._take_turn(until):
            return None
        try:
            self._end_if_orphaned()
            while not self._reader.poll(_LOOK_SECONDS):
                self._end_if_orphaned()
                if time.monotonic() > until:
                    return None
            return self._reader.recv()
        finally:
            fcntl.lockf(self._turn, fcntl.LOCK_UN)

    def _take_turn(self, until: float) -> bool:
        """Wait until no other worker waits for a message; say whether that came in time.

        Workers with patience come after those without: these are the ones that stay, and have imported everything.
        """
        if self.patience is None:
            fcntl.lockf(self._turn, fcntl.LOCK_EX)
            return True
        while time.monotonic() < until:
            self._end_if_orphaned()
            with suppress(BlockingIOError):
                fcntl.lockf(self._turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            time.sleep(_TRY_SECONDS)
        return False

    def close(self) -> None:
        """Let go of both ends."""
        for each in (self._reader, self._writer, self._turn):
            each.close()

    def _end_if_orphaned(self) -> None:
        if os.getppid() != self._parent:
            raise EOFError

    def __getstate__(self) -> tuple[Connection, Connection, Any, int, float | None]:
        """Hand the queue to a worker that is spawned instead of forked."""
        return self._reader, self._writer, reduction.DupFd(self._turn.fileno()), self._parent, self.patience

    def __setstate__(self, state: tuple[Connection, Connection, Any, int, float | None]) -> None:
        self._reader, self._writer, turn, self._parent, self.patience = state
        self._turn = os.fdopen(turn.detach(), "r+b")
