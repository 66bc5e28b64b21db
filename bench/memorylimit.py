"""A limit for the memory of a process and its children, where the machine allows one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

_ROOT = Path("/sys/fs/cgroup")


@contextmanager
def memory_limit(pid: int, limit: int, say: Callable[[str], None]) -> Iterator[None]:
    """Let a process and its children have so many bytes; say so where that cannot be had, and go on without."""
    group = _group(limit)
    if group is None:
        say("no control group can be made here: memory is measured, and not limited")
        yield
        return
    home = _join(group, pid)
    try:
        yield
    finally:
        _leave(group, home)


def _group(limit: int) -> Path | None:
    """Make a control group of version 1 or 2 below our own."""
    for row in Path("/proc/self/cgroup").read_text().splitlines():
        _, kinds, path = row.split(":", 2)
        version_1 = "memory" in kinds.split(",")
        if kinds and not version_1:
            continue
        group = _ROOT / ("memory" if version_1 else "") / path.lstrip("/") / f"siege-{os.getpid()}"
        with suppress(OSError):
            group.mkdir()
            (group / ("memory.limit_in_bytes" if version_1 else "memory.max")).write_text(str(limit))
            return group
        with suppress(OSError):
            group.rmdir()
    return None


def _join(group: Path, pid: int) -> Path:
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        (group / "cgroup.procs").write_text(str(process.pid))
    return group.parent


def _leave(group: Path, home: Path) -> None:
    for pid in (group / "cgroup.procs").read_text().split():
        with suppress(OSError):
            (home / "cgroup.procs").write_text(pid)
    with suppress(OSError):
        group.rmdir()
