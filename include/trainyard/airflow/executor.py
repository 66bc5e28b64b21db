"""The LocalExecutor of the one-machine stack."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from airflow.executors import local_executor

from trainyard.airflow.dbwatch import DatabaseWatch
from trainyard.airflow.workqueue import WorkQueue

# The scheduler's loops: at most ten a second while there are news, one a second while there are none.
_LEAST_SECONDS, _MOST_SECONDS = 0.1, 1.0
# So many workers stay; the others are started when there is more to do, and end when there was nothing for so long.
_STAYING, _IDLE_SECONDS = 4, 60.0


class LocalExecutor(local_executor.LocalExecutor):
    """LocalExecutor that does not mistake the end of a deferral for the end of its resumption.

    A task that defers and is resumed runs twice under one key. Airflow's own executor reports the first worker's end,
    up to `min_heartbeat_interval` late, as the task's; the scheduler then finds the task running, takes it for killed
    and tries it again (seen on 3.3.2 with pods that end within seconds). Here a key's end counts when the last worker
    with that key has ended.

    It also is what a scheduler without work waits in. Airflow's loop sleeps for `scheduler_idle_sleep_time`, and each
    look at the database costs it 15 ms: too much to look often, too slow to look seldom. On SQLite a change of the
    file says when there is something to see, so an idle scheduler takes 2 % of a core instead of 8, and a step starts
    as soon as the one before it has ended. On other databases nothing is different.

    A burst's workers end after it: each that has worked keeps 35 MB.

    And its workers survive no scheduler, nor does one that is killed hold up the others: see WorkQueue.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._workers_of: Counter[Any] = Counter()
        self._news: DatabaseWatch | None = None

    def start(self) -> None:
        super().start()
        self._take_own_queue()
        database = sqlite_file()
        self._news = DatabaseWatch(database) if database else None

    def _spawn_worker(self) -> None:
        self._take_own_queue()  # Airflow's start makes another and forks at once
        self.activity_queue.patience = None if len(self.workers) < _STAYING else _IDLE_SECONDS  # type: ignore[attr-defined]
        super()._spawn_worker()

    def _spawn_workers_with_gc_freeze(self, spawn_number: int) -> None:
        """Start as many workers as there is work for; Airflow's own starts all that there may be."""
        wanted = max(self._workers_of.total(), _STAYING) - len(self.workers)
        super()._spawn_workers_with_gc_freeze(max(0, min(spawn_number, wanted)))

    def _take_own_queue(self) -> None:
        if not isinstance(self.activity_queue, WorkQueue):
            self.activity_queue = WorkQueue()  # type: ignore[assignment]

    def heartbeat(self) -> None:
        """Wait for news unless there is work; the scheduler calls this once a loop, after it has looked for work."""
        if self._news and not self._can_start():
            self._news.wait(_LEAST_SECONDS, _MOST_SECONDS, lambda: not self.result_queue.empty())
        super().heartbeat()

    def _can_start(self) -> bool:
        queued = self.queued_tasks or self.queued_callbacks or self.queued_connection_tests
        return bool(queued) and len(self.running) < self.parallelism

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


def sqlite_file() -> Path | None:
    """Return the file of Airflow's database, None where it is no SQLite."""
    from airflow.configuration import conf
    from sqlalchemy.engine import make_url

    url = make_url(conf.get("database", "sql_alchemy_conn"))
    in_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if in_file else None
