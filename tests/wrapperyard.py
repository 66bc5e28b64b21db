"""The wrapper of a pod, run by a shell of this machine with the folders of one run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from trainyard.cluster.environment import learner_text

LIMIT_SECONDS = 120
# Ends what has a run's folder in its environment, once its input ends: with the test, or with a pytest that is killed.
_GUARD = """
read -r _
while found=$(grep -lsF "JOB_STATE_DIR=$1" /proc/[0-9]*/environ); [ -n "$found" ]; do
    for file in $found; do pid=${file#/proc/}; kill -s KILL "${pid%/environ}"; done
done
"""


class Learner:
    """The wrapper with the folders of one run, as a pod has them."""

    def __init__(self, root: Path, shell: list[str], path: str) -> None:
        self.shell = shell
        self.root = root
        self.model, self.logs, self.state = (root / name for name in ("model", "logs", "state"))
        for folder in (self.model, self.logs, self.state):
            folder.mkdir(parents=True)
        self.log = self.logs / "learner-1" / "training-log.txt"
        self.reason = root / "termination-log"
        self.reason.touch()
        self.environment = {
            "PATH": path,
            "HOME": str(root),
            "TMPDIR": str(root),
            "MODEL_DIR": str(self.model),
            "LOG_DIR": str(self.logs),
            "JOB_STATE_DIR": str(self.state),
            "LEARNER_ID": "1",
            "LEARNER_PYTHON": "python3",
            "TERMINATION_LOG": str(self.reason),
        }
        self.started: list[subprocess.Popen[bytes]] = []
        # A program is in a session of its own, so that the end of the wrapper's is not its end.
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "guard", str(self.state)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def start(self, command: str, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [*self.shell, "-c", learner_text(), "learner", *options],
            env={**self.environment, "TRAINING_COMMAND": command, **environment},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def run(self, command: str, *options: str, **environment: str) -> tuple[int, bytes]:
        process = self.start(command, *options, **environment)
        shown, _ = process.communicate(timeout=LIMIT_SECONDS * 2)
        return process.returncode, shown

    def python(self, source: str) -> str:
        """Put a program into the model folder; return the command that runs it."""
        (self.model / "program.py").write_text(source)
        return f"'{sys.executable}' -u program.py"

    def until(self, seen: Callable[[], bool]) -> None:
        end = time.monotonic() + LIMIT_SECONDS
        while not seen():
            assert time.monotonic() < end, self.log.read_bytes() if self.log.exists() else "no log"
            time.sleep(0.005)

    def until_logged(self, text: bytes) -> None:
        self.until(lambda: self.log.exists() and text in self.log.read_bytes())

    def stop(self) -> None:
        for process in self.started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self._guard.communicate()
        for process in self.started:
            process.communicate()
