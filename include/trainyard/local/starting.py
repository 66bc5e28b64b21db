"""A part of the stack is started unless it runs, waited for, and remembered with its log."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from trainyard.errors import TrainyardError
from trainyard.local import processes
from trainyard.local.parts import Part
from trainyard.local.ports import free_port, listens
from trainyard.local.ready import wait_for
from trainyard.local.records import Records, Running

Report = Callable[[str], None]
_LAST_LINES = 15
# How long the port of a part may outlive it: the system counts a process as ended before all its threads have.
_PORT_SECONDS = 5


class PortTakenError(TrainyardError):
    """A part could not start because another program listens on its port."""


class Starter:
    """Starts the parts of the stack whose state is in one folder."""

    def __init__(self, folder: Path, records: Records) -> None:
        self._folder = folder
        self._records = records
        self._given_up = threading.Event()
        # Kept until they have ended: a child that nobody refers to is a warning now and a zombie later.
        self._children: list[subprocess.Popen[bytes]] = []

    def ensure(self, part: Part, report: Report) -> None:
        """Wait for a part that runs; start one that does not, or that ends while it is waited for.

        One that was killed a moment ago still runs while the system takes its memory back. Raise TrainyardError S500
        with the last lines of its log if the part does not become ready, PortTakenError if its port is taken.
        """
        found = self._records.running(part.name)
        ready = already = found is not None and self._awaited(part, found)
        if not already and not (found is not None and found.alive) and self._may_start(part):
            ready = self._awaited(part, self.start(part))
        if not ready:
            raise self._failure(part)
        report(f"{part.name} {'is up' if already else 'ready'} {part.address}".rstrip())

    def start(self, part: Part) -> Running:
        """Start a part and remember it; do not wait until it is ready."""
        process = processes.start(part.command, part.environment, self.log(part.name), self._folder)
        self._children.append(process)
        running = Running(process.pid, processes.started_at(process.pid), part.address)
        self._records.remember(part.name, running)
        return running

    def give_up(self, given_up: bool = True) -> None:
        """End the waits for all parts, or let parts be waited for again."""
        self._given_up.set() if given_up else self._given_up.clear()

    def is_taken(self, part: Part) -> bool:
        """Say whether a program that is not this part listens on its port."""
        running = self._records.running(part.name)
        port = part.own_port
        return bool(port) and not free_port(port) and not (running and listens(running.pid, port))

    def exit_code(self, pid: int) -> int | None:
        """Return how a process ended that was started here, None for one that was not, or that still runs."""
        return next((child.poll() for child in self._children if child.pid == pid), None)

    def log(self, name: str) -> Path:
        """Return the file that the output of a part, or of a command of the stack, is appended to."""
        return self._folder / "logs" / f"{name.replace(' ', '-')}.log"

    def last_words(self, name: str) -> str:
        """Return the end of a part's log, with its place."""
        log = self.log(name)
        lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:] if log.exists() else []
        return "\n".join([f"The end of {log}:", *lines])

    def forget_ended(self) -> None:
        """Let go of the servers started here that have ended."""
        self._children = [child for child in self._children if child.poll() is None]

    def _may_start(self, part: Part) -> bool:
        def decided() -> bool:
            return self._given_up.is_set() or not self.is_taken(part)

        return wait_for(decided, _PORT_SECONDS) and not self._given_up.is_set()

    def _awaited(self, part: Part, running: Running) -> bool:
        """Wait until the part is ready, its process has ended or its limit has passed; return whether it is ready."""

        def decided() -> bool:
            return self._given_up.is_set() or not running.alive or self._is_ready(part, running)

        return wait_for(decided, part.limit_seconds) and running.alive and not self._given_up.is_set()

    def _is_ready(self, part: Part, running: Running) -> bool:
        """Say whether the part answers, and the answer is this stack's: any server may have its port."""
        return part.ready(running.started) and (not part.port or self._serves(part))

    def _serves(self, part: Part) -> bool:
        server = self._records.running(part.server or part.name)
        return server is not None and server.alive and listens(server.pid, part.port)

    def _failure(self, part: Part) -> TrainyardError:
        if self.is_taken(part):
            hint = "Stop that program, or run `trainyard up` again: the stack then takes other ports."
            return PortTakenError("S500", f"port {part.port} of {part.name} is taken by another program", hint)
        return TrainyardError("S500", f"{part.name} did not become ready", self.last_words(part.name))
