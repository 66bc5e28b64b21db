"""The LocalExecutor of the one-machine stack."""

from __future__ import annotations

from collections import Counter
from typing import Any

from airflow.executors import local_executor


class LocalExecutor(local_executor.LocalExecutor):
    """LocalExecutor that does not mistake the end of a deferral for the end of its resumption.

    A task that defers and is resumed runs twice under one key. Airflow's own executor reports the first worker's end,
    up to `min_heartbeat_interval` late, as the task's; the scheduler then finds the task running, takes it for killed
    and tries it again (seen on 3.3.2 with pods that end within seconds). Here a key's end counts when the last worker
    with that key has ended.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._workers_of: Counter[Any] = Counter()

    def queue_workload(self, workload: Any, session: Any) -> None:
        if ti := getattr(workload, "ti", None):
            self._workers_of[ti.key] += 1
        super().queue_workload(workload, session)

    def change_state(self, key: Any, state: Any, info: Any = None, remove_running: bool = True) -> None:
        self._workers_of[key] -= 1
        if self._workers_of[key] > 0:
            return
        del self._workers_of[key]
        super().change_state(key, state, info, remove_running)
