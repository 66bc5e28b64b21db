"""A part of the stack is started unless it runs, waited for, and remembered with its log."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

from trainyard.errors import TrainyardError
from trainyard.local import processes
from trainyard.local.parts import Part
from trainyard.local.ready import wait_for
from trainyard.local.records import Records, Running

Report = Callable[[str], None]
_LAST_LINES = 15


class Starter:
    """Starts the parts of the stack whose state is in one folder."""

    def __init__(self, folder: Path, records: Records) -> None:
        self._folder = folder
        self._records = records
        # Kept until they have ended: a child that nobody refers to is a warning now and a zombie later.
        self._children: list[subprocess.Popen[bytes]] = []

    def ensure(self, part: Part, report: Report) -> None:
        """Wait for a part that runs; start one that does not, or that ends while it is waited for.

        One that was killed a moment ago still runs while the system takes its memory back. Raise TrainyardError S500
        with the last lines of its log if the part does not become ready.
        """
        found = self._records.running(part.name)
        ready = already = found is not None and _awaited(part, found)
        if not already and not (found is not None and found.alive):
            ready = _awaited(part, self._start(part))
        if not ready:
            raise TrainyardError("S500", f"{part.name} did not become ready", self.last_words(part.name))
        report(f"{part.name} {'is up' if already else 'ready'} {part.address}".rstrip())

    def log(self, name: str) -> Path:
        """Return the file that the output of a part, or of a command of the stack, is appended to."""
        return self._folder / "logs" / f"{name.replace(' ', '-')}.log"

    def last_words(self, name: str) -> str:
        """Return the end of a part's log, with its place."""
        lines = self.log(name).read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join([f"The end of {self.log(name)}:", *lines])

    def forget_ended(self) -> None:
        """Let go of the servers started here that have ended."""
        self._children = [child for child in self._children if child.poll() is None]

    def _start(self, part: Part) -> Running:
        process = processes.start(part.command, part.environment, self.log(part.name), self._folder)
        self._children.append(process)
        running = Running(process.pid, processes.started_at(process.pid), part.address)
        self._records.remember(part.name, running)
        return running


def _awaited(part: Part, running: Running) -> bool:
    """Wait until the part is ready, its process has ended or its limit has passed; return whether it is ready."""
    return wait_for(lambda: not running.alive or part.ready(), part.limit_seconds) and running.alive
