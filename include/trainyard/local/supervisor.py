"""`python -m trainyard.local.supervisor --folder DIR`: start parts of a one-machine stack again when they end.

One process a stack. `trainyard up` starts it, `trainyard down` ends it before all else. A part that runs and does not
answer is left alone: that may be a machine which is busy.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from trainyard.errors import TrainyardError
from trainyard.local.parts import SUPERVISOR, Part
from trainyard.local.ports import PortReservations
from trainyard.local.records import Records, Running
from trainyard.local.restarts import Backoff
from trainyard.local.starting import Starter

_POLL_SECONDS = 0.5
Report = Callable[[str], None]


class Supervised(Protocol):
    """What a supervisor needs to know of a stack."""

    @property
    def folder(self) -> Path: ...

    def supervised(self) -> Mapping[str, Part]:
        """Return the parts as they are to be started now."""


class Supervisor:
    """Looks after the parts of one stack. Parts that were never started, or were stopped by `down`, are left alone."""

    def __init__(self, stack: Supervised, report: Report) -> None:
        self._stack = stack
        self._records = Records(stack.folder)
        self._starter = Starter(stack.folder, self._records)
        self._backoffs: dict[str, Backoff] = {}
        self._reservations = PortReservations()
        self._report = report

    def look(self) -> None:
        """Note which parts have ended, and start those again whose time has come."""
        for port in self._records.known_ports().values():
            self._reservations.reserve(port)
        for name, running in self._records.all_running().items():
            if name != SUPERVISOR and not running.alive:
                self._found_ended(name, running)

    def stop(self) -> None:
        """Let go of the ports, and of the parts that were started here; those that run go on."""
        self._reservations.release()
        self._starter.forget_ended()

    def backoff(self, name: str) -> Backoff:
        """Return what decides when a part is started again."""
        return self._backoffs.setdefault(name, Backoff())

    def _found_ended(self, name: str, running: Running) -> None:
        backoff, now = self.backoff(name), time.time()
        if backoff.note_end(running.pid, now - running.started, now):
            self._note_end(name, running.pid)
        if now < backoff.due:
            return
        try:
            with suppress(BlockingIOError), self._records.lock(wait=False):
                self._start(name, running, backoff)
        except (OSError, ValueError, TrainyardError) as error:
            # A settings file that is being edited, a full disk: the other parts are looked after all the same.
            backoff.postpone(now)
            self._say(f"{name} cannot be started: {error}")

    def _note_end(self, name: str, pid: int) -> None:
        code = self._starter.exit_code(pid)
        self._starter.forget_ended()
        self._records.note_restarts(
            name, replace(self._records.restarts(name), ended_at=time.time(), exit_code=code, hindrance="")
        )
        self._say(f"{name} ended" + (f" with {code}" if code is not None else ""))

    def _start(self, name: str, ended: Running, backoff: Backoff) -> None:
        """Start a part, unless `up` or `down` was there in the meantime, or its port is another program's now."""
        if self._records.running(name) != ended:
            return
        part, noted = self._stack.supervised()[name], self._records.restarts(name)
        if self._starter.is_taken(part):
            backoff.postpone(time.time())
            self._records.note_restarts(name, replace(noted, hindrance=f"port {part.port} is another program's"))
            return
        self._starter.start(part)
        self._records.note_restarts(name, replace(noted, count=noted.count + 1, hindrance=""))
        self._say(f"{name} started again")

    def _say(self, line: str) -> None:
        self._report(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}")


def main() -> int:
    """Look after the stack in a folder until SIGTERM; end at once where another supervisor does."""
    from trainyard.local.stack import Stack

    parser = argparse.ArgumentParser("python -m trainyard.local.supervisor", description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="the stack's folder")
    stack = Stack(parser.parse_args().folder)
    records = Records(stack.folder)
    with (stack.folder / "supervisor.lock").open("w") as only:
        try:
            fcntl.flock(only, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("another supervisor looks after this stack", flush=True)
            return 1
        supervisor = Supervisor(stack, lambda line: print(line, flush=True))
        records.note_supervisor(os.getpid())
        while True:
            supervisor.look()
            time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
