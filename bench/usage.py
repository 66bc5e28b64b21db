"""What a tree of processes takes of memory and processor."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress

import psutil

from bench.figures import Figure
from trainyard.local.stack import Stack

_MB = 2**20


def pids_of(stack: Stack) -> dict[str, int]:
    """Return part of a stack -> its process."""
    return {name: row["pid"] for name, row in stack.status().items()}


def memory(whose: str, pids: Mapping[str, int]) -> list[Figure]:
    """Return the memory of all processes: with each one's share of what several use, and what each has alone."""
    infos = [each.memory_full_info() for part in pids.values() for each in _tree(part)]
    shared, alone = (sum(getattr(info, kind) for info in infos) / _MB for kind in ("pss", "uss"))
    goal = 1500 if whose == "trainyard" else None
    return [
        Figure(f"memory, {whose}", [shared], "MB", goal),
        Figure(f"memory that only one process has, {whose}", [alone], "MB"),
    ]


def processor(whose: str, pids: Mapping[str, int], seconds: float, each: bool = True) -> list[Figure]:
    """Return the processor time of all processes, and of each, in percent of a core."""
    before, begun = {part: seconds_of(pid) for part, pid in pids.items()}, time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - begun
    percent = {part: 100 * (seconds_of(pid) - before[part]) / took for part, pid in pids.items()}
    parts = [Figure(f"processor, {whose}: {part}", [value], "%") for part, value in percent.items()] if each else []
    goal = 10 if whose.startswith("trainyard") else None
    return [Figure(f"processor, {whose}", [sum(percent.values())], "%", goal), *parts]


def seconds_of(pid: int) -> float:
    """Return user and system time of a process, its children, and those of them that have ended."""
    total = 0.0
    for each in _tree(pid):
        with suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]
