"""Which worker process executes which workload: what an executor has to know when one of them dies."""

from __future__ import annotations

from itertools import count
from typing import Any


class Assignments:
    """Keeps, for a parent process, what it sent to its workers and which of them took it.

    A task that defers and is resumed is executed twice under one key, and the second execution may begin before the end
    of the first is known: the end of a key is the end of its last execution.
    """

    def __init__(self) -> None:
        self._numbers = count(1)
        self._keys: dict[int, Any] = {}
        self._held: dict[int, int] = {}

    @property
    def outstanding(self) -> int:
        """How many workloads were sent and have not ended."""
        return len(self._keys)

    def send(self, key: Any) -> int:
        """Note that a workload is sent to the workers; return its number."""
        number = next(self._numbers)
        self._keys[number] = key
        return number

    def take(self, pid: int, number: int) -> None:
        """Note that a worker took a workload."""
        self._held[pid] = number

    def end(self, pid: int) -> Any | None:
        """Note that a worker is through with what it took, or has died; return the key that has ended with it.

        None where the worker had nothing, its workload was revoked, or the key is executed once more.
        """
        key = self._keys.pop(self._held.pop(pid, 0), None)
        return None if key in self._keys.values() else key

    def revoke(self, key: Any) -> None:
        """Forget all executions of a key; what a worker reports of them later counts for nothing."""
        self._keys = {number: each for number, each in self._keys.items() if each != key}
