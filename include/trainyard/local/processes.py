"""Processes of the stack: started in sessions of their own, found again by a mark in their environment, ended."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from trainyard.local.private import UMASK

MARK = "TRAINYARD_STACK"
# How far two readings of a process's start may differ.
CLOCK_SECONDS = 2


def start(command: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> subprocess.Popen[bytes]:
    """Start a server in its own session, its output appended to a log file; it outlives this process."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env={**os.environ, **environment, MARK: str(folder)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder.parent,
            start_new_session=True,
            umask=UMASK,
        )


def alive(pid: int, started: float) -> bool:
    """Say whether the process that had this pid at that time still runs; pids are used again."""
    try:
        process = psutil.Process(pid)
        return abs(process.create_time() - started) < CLOCK_SECONDS and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def started_at(pid: int) -> float:
    """Return when a process started, 0 for one that has ended already."""
    try:
        started: float = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0
    return started


def of_stack(folder: Path, leaders: Mapping[int, float]) -> list[psutil.Process]:
    """Return every process of the stack, whoever its parent is by now; `leaders` maps pid -> start of its servers.

    A process belongs to it by the session that a server leads, by its parent, or by its mark. The mark alone would
    miss what was given an environment of its own.
    """
    own = {each for each in psutil.process_iter() if _in_session(each, leaders) or _mark_of(each) == str(folder)}
    return list(own.union(*map(_descendants, own)) - {psutil.Process()})


def end(processes: Sequence[psutil.Process], patience_seconds: float) -> int:
    """Ask processes to end, then kill those that did not; return how many there were."""
    _signal(processes, "terminate")
    _, left = psutil.wait_procs(processes, patience_seconds)
    _signal(left, "kill")
    psutil.wait_procs(left, patience_seconds)
    return len(processes)


def _in_session(process: psutil.Process, leaders: Mapping[int, float]) -> bool:
    """A session keeps its number as long as one process is in it, so an older process is not of that session."""
    try:
        started = leaders.get(os.getsid(process.pid))
        return started is not None and process.create_time() > started - CLOCK_SECONDS
    except (psutil.Error, OSError):
        return False


def _descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = process.children(recursive=True)
    except psutil.Error:
        return []
    return found


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
