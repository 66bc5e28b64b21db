"""Processes of this machine, looked up in /proc; light, because every shim imports it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable

_PAGE = os.sysconf("SC_PAGE_SIZE")
_KILL_SECONDS = 5.0


def identity(pid: int) -> str | None:
    """Return what distinguishes this process from a later one with the same pid; None when it is gone.

    It is the boot's id and the start time, so a record from before a reboot never matches.
    """
    fields = _stat(pid)
    if fields is None or fields[0] in (b"Z", b"X"):
        return None
    return f"{_text('/proc/sys/kernel/random/boot_id').strip()}:{int(fields[19])}"


def is_same(pid: int, known: str) -> bool:
    return identity(pid) == known


def descendants(pid: int, foreign: set[int] | None = None) -> list[int]:
    """Return all living processes below `pid`.

    Complete for a subreaper (the shim): what loses its parent becomes its child, whatever session it moved to.
    `foreign` is filled with the other processes; whoever gives it again soon saves looking at them again, because none
    of them can become a descendant.
    """
    children: dict[int, list[int]] = {}
    seen = _pids()
    for each in seen if foreign is None else [each for each in seen if each not in foreign]:
        fields = _stat(each)
        if fields is not None and fields[0] != b"Z":
            children.setdefault(int(fields[1]), []).append(each)
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    if foreign is not None:
        foreign.update(set(seen).difference(found))
    return found


def marked(variable: str, value: str) -> list[int]:
    """Return the processes that were started with this environment variable, for those a lost shim left behind."""
    wanted = f"{variable}={value}".encode()
    return [pid for pid in _pids() if wanted in _bytes(f"/proc/{pid}/environ").split(b"\0")]


def memory(pids: Iterable[int], limit: int) -> int:
    """Return the bytes that these processes hold in memory.

    Resident sizes count a page once for each process that shares it (forked data loaders do), so when they add up to
    more than `limit` the exact and dearer proportional sizes decide.
    """
    known = list(pids)
    resident = sum(_resident(pid) for pid in known)
    return resident if resident <= limit else sum(_proportional(pid) for pid in known)


def kill_all(find: Callable[[], list[int]]) -> int:
    """Send SIGKILL until `find` returns no process; return how many were killed.

    Repeated, because a process may fork between the look and the signal.
    """
    killed: set[int] = set()
    end = time.monotonic() + _KILL_SECONDS
    while (found := find()) and time.monotonic() < end:
        for pid in found:
            send(pid, signal.SIGKILL)
        killed.update(found)
        time.sleep(0.005)
    return len(killed)


def send(pid: int, number: int) -> None:
    """Send a signal to a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _stat(pid: int) -> list[bytes] | None:
    """Return the fields after the command's name, which may itself hold blanks and brackets."""
    content = _bytes(f"/proc/{pid}/stat")
    return content.rpartition(b")")[2].split() if content else None


def _resident(pid: int) -> int:
    fields = _bytes(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE if len(fields) > 1 else 0


def _proportional(pid: int) -> int:
    for line in _bytes(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return _resident(pid)


def _text(path: str) -> str:
    return _bytes(path).decode()


def _bytes(path: str) -> bytes:
    """Return a /proc file's content, nothing where the process is gone or another user's."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return b"".join(iter(lambda: os.read(descriptor, 65536), b""))
    except OSError:
        return b""
    finally:
        os.close(descriptor)
