"""Processes of the stack: started in sessions of their own, found again by a mark in their environment, ended."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

MARK = "TRAINYARD_STACK"


def start(command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> int:
    """Start a server in its own session, its output appended to a log file; return its pid."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment, MARK: str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder.parent,
            start_new_session=True,
        )
    return process.pid


def alive(pid: int, started: float) -> bool:
    """Say whether the process that had this pid at that time still runs; pids are used again."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < 2 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def started_at(pid: int) -> float:
    return psutil.Process(pid).create_time()


def of_stack(folder: Path) -> list[psutil.Process]:
    """Return every process that carries the stack's mark, whoever its parent is by now."""
    return [process for process in psutil.process_iter() if _mark_of(process) == str(folder)]


def end(processes: Sequence[psutil.Process], patience_seconds: float) -> int:
    """Ask processes to end, then kill those that did not; return how many there were."""
    _signal(processes, "terminate")
    _, left = psutil.wait_procs(processes, patience_seconds)
    _signal(left, "kill")
    psutil.wait_procs(left, patience_seconds)
    return len(processes)


def _mark_of(process: psutil.Process) -> str | None:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return None
        return process.environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def _signal(processes: Sequence[psutil.Process], verb: str) -> None:
    for process in processes:
        try:
            getattr(process, verb)()
        except psutil.NoSuchProcess:
            continue
