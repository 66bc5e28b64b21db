"""Locks between processes on all machines of the workspace, freed by the death of their holder."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from trainyard.workspace.leases import Lease
from trainyard.workspace.mounts import keeps_kernel_locks

_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


class Lock(Protocol):
    """One kind of lock: `take` does not wait and says whether it is held, `check` raises if it was lost meanwhile."""

    def take(self) -> bool: ...

    def wait(self) -> None: ...

    def check(self) -> None: ...

    def release(self) -> None: ...


@contextmanager
def locked(path: Path, waiting: Callable[[], object] = lambda: None) -> Iterator[Callable[[], None]]:
    """Hold the lock; `waiting` is called once if another holds it.

    Yield what raises TrainyardError S302 should the lock be lost meanwhile, which a long hang of a file server can do.
    """
    lock, held = _first_try(path)
    try:
        if not held:
            waiting()
            lock.wait()
        yield lock.check
    finally:
        lock.release()


@contextmanager
def locked_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock if nobody else does; say whether."""
    lock, held = _first_try(path)
    try:
        yield held
    finally:
        lock.release()


def _first_try(path: Path) -> tuple[Lock, bool]:
    path.parent.mkdir(parents=True, exist_ok=True)
    if keeps_kernel_locks(path.parent):
        kernel = _KernelLock(path)
        try:
            return kernel, kernel.take()
        except OSError as error:
            kernel.release()
            if error.errno not in _NO_LOCKS:
                raise
    lease = Lease(path)
    return lease, lease.take()


class _KernelLock:
    """The kernel's own: on NFS a lock of the server's, for all machines. The death of a holder frees it at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")  # NFS locks only what is open for writing

    def take(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def wait(self) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def check(self) -> None:
        """Do nothing: it cannot be lost."""

    def release(self) -> None:
        self._file.close()
