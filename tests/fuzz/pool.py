"""Children that judge inputs within limits of time and memory; one that hangs or dies is replaced."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fuzz.verdicts import Verdict

_TESTS = Path(__file__).resolve().parents[1]
_MAKING_SECONDS = 300


@dataclass(frozen=True)
class Bounds:
    """What one input may take: seconds of processor time, and bytes of the whole process that judges it.

    One that takes `patience` times the seconds by the clock hangs. A machine may be busy with something else.
    """

    seconds: float = 2.0
    memory: int = 200 * 1024**2
    patience: float = 5.0


@dataclass(frozen=True)
class Job:
    """One input to be made and judged; `kind` is its place, such as `fuzz.judging_manifests:MANIFESTS`."""

    kind: str
    seed: str
    number: int


def judged(jobs: Iterable[Job], bounds: Bounds, children: int = os.cpu_count() or 1) -> Iterator[tuple[Job, Verdict]]:
    """Judge all inputs with some children at once; verdicts come in the order in which they are reached."""
    waiting: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
    verdicts: queue.SimpleQueue[tuple[Job, Verdict] | None] = queue.SimpleQueue()
    for job in [*jobs, *[None] * children]:
        waiting.put(job)
    threads = [threading.Thread(target=_work, args=(waiting, verdicts, bounds), daemon=True) for _ in range(children)]
    for thread in threads:
        thread.start()
    for _ in threads:
        while (verdict := verdicts.get()) is not None:
            yield verdict
    for thread in threads:
        thread.join()


def _work(waiting: Any, verdicts: Any, bounds: Bounds) -> None:
    child = _Child(bounds)
    try:
        while (job := waiting.get()) is not None:
            verdict = child.judge(job)
            # What hangs or dies does so again; a machine that stood still does not.
            verdicts.put((job, verdict if verdict.memory else child.judge(job)))
    finally:
        child.close()
        verdicts.put(None)


class _Child:
    """A process started when it is needed, again after its end."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()

    def judge(self, job: Job) -> Verdict:
        process = self._running()
        assert process.stdin
        process.stdin.write(f"{job.kind} {job.seed} {job.number}\n")
        process.stdin.flush()
        if self._line(_MAKING_SECONDS) != "made":
            self.close()
            return Verdict("crashed", "no input could be made")
        began = time.monotonic()
        answer = self._line(self._bounds.seconds * self._bounds.patience)
        if answer:
            return self._measured(Verdict(**json.loads(answer)))
        hangs = time.monotonic() - began >= self._bounds.seconds * self._bounds.patience
        self.close()
        ended = (
            Verdict("slow", "it was ended") if hangs else Verdict("crashed", f"the process died: {process.returncode}")
        )
        return replace(ended, seconds=time.monotonic() - began)

    def close(self) -> None:
        if self._process:
            self._process.kill()
            with self._process:
                self._process = None

    def _measured(self, verdict: Verdict) -> Verdict:
        if not verdict.failed and verdict.seconds > self._bounds.seconds:
            return replace(verdict, end="slow", detail=verdict.end)
        if not verdict.failed and verdict.memory > self._bounds.memory:
            return replace(verdict, end="big", detail=verdict.end)
        return verdict

    def _running(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._lines = queue.SimpleQueue()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "fuzz.child"],
                cwd=_TESTS,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                bufsize=1,
            )
            threading.Thread(target=_read, args=(self._process, self._lines), daemon=True).start()
            self._line(_MAKING_SECONDS)
        return self._process

    def _line(self, seconds: float) -> str:
        """Return the next line of the child, nothing if it does not come in time or the child has ended."""
        try:
            return self._lines.get(timeout=seconds).strip()
        except queue.Empty:
            return ""


def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
    assert process.stdout
    for line in process.stdout:
        lines.put(line)
    lines.put("")
