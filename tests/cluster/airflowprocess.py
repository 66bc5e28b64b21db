"""The hold that tests have on Airflow's side, which runs as `airflowside.py`."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clusterwait import wait_for

_PROGRAM = Path(__file__).with_name("airflowside.py")
_ANSWER_SECONDS = 300.0  # a busy machine takes a minute to import Airflow


class AirflowProcess:
    """`ask` has one of the program's deeds done and returns its answer."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self._running: set[int] = set()

    def ask(self, action: str, **words: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": action, **words}) + "\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> Any:
        stdout = self._process.stdout
        assert stdout is not None
        assert select.select([stdout], [], [], _ANSWER_SECONDS)[0], f"no answer; it said {self.last_words()}"
        line = stdout.readline()
        assert line, f"Airflow's side has ended; it said {self.last_words()}"
        answer = json.loads(line)
        assert "failed" not in answer, answer["failed"]
        return answer["said"]

    def start(self, action: str, **words: Any) -> int:
        """Start a process that does a deed; return its pid."""
        pid: int = self.ask(action, **words)
        self._running.add(pid)
        return pid

    def exit_code(self, pid: int, limit: float) -> int:
        """Wait for the end of a process that `start` started."""
        code = self._wait(pid, limit)
        self._running.discard(pid)
        return code

    def _wait(self, pid: int, limit: float) -> int:
        def found() -> list[int] | None:
            code = self.ask("ended", pid=pid)
            return None if code is None else [code]

        code: int = wait_for(found, f"the end of process {pid} of Airflow's side", limit)[0]
        return code

    def kill(self, pid: int) -> None:
        """Kill a process as a machine's death does."""
        os.kill(pid, signal.SIGKILL)
        self.exit_code(pid, _ANSWER_SECONDS)

    def kill_all(self) -> None:
        alive = self._process.poll() is None
        for pid in self._running if alive else ():
            if self.ask("ended", pid=pid) is None:
                os.kill(pid, signal.SIGKILL)
                self._wait(pid, _ANSWER_SECONDS)
        self._running.clear()

    def last_words(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


@contextmanager
def airflow_process(folder: Path, environment: Mapping[str, str]) -> Iterator[Callable[[], AirflowProcess]]:
    """Start Airflow's side at once, and give it to whoever asks once it is ready: that takes seconds."""
    log = folder / "airflow.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, str(_PROGRAM)],
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    it = AirflowProcess(process, log)
    try:
        yield lambda: _ready(it)
        it.kill_all()
    finally:
        process.kill()
        process.communicate()


def _ready(it: AirflowProcess) -> AirflowProcess:
    assert it.answer() == "ready"
    return it
